"""docs/own-data.md: its examples run in their order, its schema is the code's."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from dataselect_env.core.episode import Episode
from dataselect_env.core.source import source_of
from dataselect_env.core.strategies import registry
from dataselect_env.core.strategies.filters import FILTERS
from dataselect_env.core.tasks import BUILT_IN
from docs import render_own
from tests.helpers.owning import forgotten, offered
from tests.helpers.serving import running_server
from tests.project.test_docs import example, run_commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the table and the task file of the page."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(example("own-table"), "own-table", "exec"), {})  # noqa: S102  (that is the test)
    (folder / "tasks.yaml").write_text(example("own-tasks"), encoding="utf-8")
    return folder


@pytest.fixture
def restored_registry() -> Iterator[None]:
    with forgotten():
        yield


@pytest.mark.slow
def test_the_ladder_of_a_table(folder: Path) -> None:
    printed = run_commands("own-evaluate", folder)
    rows = {line.split()[0] for line in printed.splitlines() if line}
    assert {"wine", "best-constant", "oracle", "margin", "k_center", "ppo", "stop"} <= rows
    assert "best-constant is constant:" in " ".join(printed.split())


@pytest.mark.slow
def test_the_commands_for_a_task_file(folder: Path) -> None:
    assert "wine-list" in run_commands("own-check", folder)


@pytest.mark.slow
def test_the_command_that_explains_a_table(folder: Path) -> None:
    printed = run_commands("own-explain", folder)
    assert "proline" in printed
    assert printed.splitlines()[-1].split()[:2] == ["target", "labels"]


@pytest.mark.usefixtures("restored_registry")
def test_the_example_of_a_data_frame(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(example("own-frame"), "own-frame", "exec"), {})  # noqa: S102  (that is the test)
    assert "remaining_budget=60" in capsys.readouterr().out


@pytest.mark.usefixtures("restored_registry")
def test_the_example_in_process(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(example("own-gym"), "own-gym", "exec"), {})  # noqa: S102  (that is the test)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("('wine-list', 'many-classes') {'uncertainty': 0, 'diversity': 0, 'random': 3, 'margin': 7")
    assert second == "Box(-1.0, 1.0, (7,), float32)"


@pytest.mark.usefixtures("restored_registry")
def test_the_strategy_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "STRATEGIES", dict(registry.STRATEGIES))
    filters_before = dict(FILTERS)
    exec(compile(example("own-strategy"), "own-strategy", "exec"), {})  # noqa: S102  (that is the test)
    task = offered(table={"bundled": "wine"}, strategies=["largest", "large_margin"], budget=40)
    episode = Episode(task, 3)
    X = source_of(task).start(3).dataset
    bought = episode.select_batch(5, (0.0, 0.0, 0.0, 1.0)).samples
    lengths = np.where(X.available, np.linalg.norm(X.X_pool, axis=1), 0.0)
    assert set(bought.tolist()) == set(np.argsort(lengths)[-5:].tolist())
    assert (lengths[episode.select_batch(5, (0.0, 0.0, 0.0, 0.0, 1.0)).samples] >= 1).all()
    assert FILTERS.keys() - filters_before.keys() == {"large"}
    del FILTERS["large"]


@pytest.mark.slow
def test_the_task_file_is_served(folder: Path) -> None:
    assert example("own-serve", "command") == "DATASELECT_TASKS=tasks.yaml dataselect-env serve\n"
    with running_server(env={"DATASELECT_TASKS": str(folder / "tasks.yaml")}) as server:
        listed = {task["task_id"]: task for task in server.get("/tasks")["tasks"]}
        assert list(listed) == [*BUILT_IN, "wine-list", "many-classes"]
        assert listed["wine-list"]["strategies"][3:] == ["margin", "k_center"]
        body = json.dumps({"task_id": "many-classes", "seed": 7}).encode()
        asked = urllib.request.Request(f"{server.base_url}/reset", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked) as answer:
            assert json.load(answer)["observation"]["remaining_budget"] == 150


def test_the_schema_is_that_of_the_code() -> None:
    text = render_own.SCHEMA.read_text(encoding="utf-8")
    assert text == render_own.schema_text(), "run python -m docs.render"
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(example("own-tasks")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"tasks": {"mine": {"budgit": 3}}}, schema)
