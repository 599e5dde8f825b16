"""docs/tutorial.md: every command prints what stands below it. The evaluation is slow; a server is started once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs import render
from tests.helpers.serving import Server, running_server
from tests.project.test_docs import BLOCK, TEXTS, example, play, run, run_commands, run_curl, shown_as

pytestmark = pytest.mark.slow

TUTORIAL = TEXTS[render.ROOT / "docs" / "tutorial.md"]
PRINTS = {name: code for kind, name, _, code in BLOCK.findall(TUTORIAL) if kind == "prints"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with the files that the tutorial has saved."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name, file in (("tutorial-python", "first_episode.py"), ("policy", "my_policy.py")):
        (folder / file).write_text(example(name), encoding="utf-8")
    return folder


def shown(name: str, printed: str) -> None:
    shown_as(PRINTS[name], printed)


def contains(whole: Any, part: Any) -> bool:
    """Return whether a JSON value has everything of ``part``, numbers to the decimals that ``part`` has."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, float):
        return bool(round(whole, len(str(part).partition(".")[2])) == part)
    return bool(whole == part)


def test_every_command_but_the_installation_and_the_server_shows_what_it_prints() -> None:
    kinds = [(kind, name) for kind, name, _, _ in BLOCK.findall(TUTORIAL)]
    examples = [name for kind, name in kinds if kind == "example" and name != "policy"]
    assert [name for kind, name in kinds if kind == "prints"] == examples


def test_the_first_episode(folder: Path) -> None:
    shown("tutorial-python", run([sys.executable, "first_episode.py"], folder))


@pytest.mark.parametrize("name", ["tutorial-watch", "tutorial-play"])
def test_an_episode_in_the_terminal(name: str, folder: Path) -> None:
    shown(name, run_commands(name, folder))


def test_the_episode_over_http(server: Server, folder: Path) -> None:
    for name in ("tutorial-curl", "tutorial-grade"):
        printed = json.loads(run_curl(name, server, folder))
        assert contains(printed, json.loads(PRINTS[name])), printed
    assert json.loads((folder / "reset.json").read_text(encoding="utf-8"))["observation"]["remaining_budget"] == 100


def test_the_episode_over_a_websocket(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    play("client", server)
    shown("client", capsys.readouterr().out)


def test_all_ways_to_play_end_in_the_same_grade() -> None:
    score = json.loads(PRINTS["tutorial-grade"])["score"]
    assert f"score {score}, passed: True" in PRINTS["tutorial-python"]
    assert PRINTS["client"] == f"score {score}\n"


@pytest.mark.slow
def test_the_evaluation(folder: Path) -> None:
    shown("tutorial-evaluate", run_commands("tutorial-evaluate", folder))
    assert {path.name for path in folder.glob("evaluation.*")} == {"evaluation.json", "evaluation.png"}
