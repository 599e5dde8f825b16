"""bench/transfer: the exam on real tables. Means, intervals and differences; what is played; the tables themselves."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench.transfer import contenders, exam, open_constant, page, problems, tables
from bench.transfer.contenders import CONTENDERS, FIRST_SEED, Constant
from bench.transfer.exam import Job, jobs_of
from bench.transfer.standings import Standings, over_tables
from dataselect_env.core.tasks import SPLITS, Task, register
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from tests.helpers.owning import forgotten

AUDITS = ((True, False), (True,), (False,))
LARGEST_PICTURE = 150_000
LIKED = ("confident_random, batches x 1.5", "uncertainty+random")


@pytest.fixture(autouse=True)
def restored_registry() -> Iterator[None]:
    with forgotten():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    tables.fetch(["wine"], folder)
    return folder


def record(table: str, contender: str, grades: list[float], audited: bool | None = None, **more: str) -> dict[str, Any]:
    kind = more.pop("kind", "uniform")
    return {"table": table, "kind": kind, "contender": contender, "audited": audited, "grades": grades, **more}


def everywhere(table: str, contender: str, *grades: float) -> list[dict[str, Any]]:
    return [record(table, contender, list(grades), kind=kind) for kind in problems.SYNTHETIC]


# --- standings ------------------------------------------------------------------------------------------------------


def test_a_mean_counts_tables_and_not_seeds() -> None:
    found = Standings.of(everywhere("heart", "random", 0.2, 0.4) + everywhere("sonar", "random", 0.8))
    assert found.by_table("random") == pytest.approx({"heart": 0.3, "sonar": 0.8})
    assert found.mean("random").mean == pytest.approx(0.55)
    often = Standings.of(everywhere("heart", "random", *[0.2, 0.4] * 50) + everywhere("sonar", "random", 0.8))
    assert often.mean("random").model_dump() == pytest.approx(found.mean("random").model_dump())


def test_what_does_not_react_counts_audited_and_not() -> None:
    given = [record("heart", "general", [0.9], audited=True), record("heart", "general", [0.5], audited=False)]
    found = Standings.of([*given, record("heart", "random", [0.3])])
    means = [found.by_table(name, ["uniform"], audits)["heart"] for name in ("general", "random") for audits in AUDITS]
    assert means == pytest.approx([0.7, 0.9, 0.5, 0.3, 0.3, 0.3])


def test_who_has_not_played_everything_is_not_compared() -> None:
    found = Standings.of(everywhere("heart", "random", 0.2) + everywhere("heart", "diversity", 0.2)[1:])
    assert found.contenders == ("random",)
    asked = Standings.of([*everywhere("heart", "random", 0.2), record("strong", "diversity", [0.2], kind="people")])
    assert (asked.tables, asked.questions, asked.contenders) == (("heart",), ("strong",), ())
    assert Standings.of([]).contenders == ()


def test_tables_that_are_left_out() -> None:
    left = {**record("breast", "", []), "contender": None, "left out": "nothing to buy"}
    found = Standings.of([*everywhere("heart", "random", 0.2), left])
    assert (found.tables, dict(found.left_out)) == (("heart",), {"breast": "nothing to buy"})


def test_differences_are_paired_by_table_and_corrected() -> None:
    rng = np.random.default_rng(5)
    level = rng.uniform(0.2, 0.8, 12)
    records = []
    for index, base in enumerate(level):
        records += everywhere(f"t{index}", "general", base + 0.05 + 0.01 * rng.normal())
        records += everywhere(f"t{index}", "random", base)
        records += everywhere(f"t{index}", "diversity", base + 0.05 + 0.02 * rng.normal())
    found = Standings.of(records).differences("general", ["random", "diversity"])
    assert found["random"].low > 0.03
    assert found["random"].high < 0.07
    assert found["random"].significant
    assert not found["diversity"].significant
    assert found["random"].p_corrected == pytest.approx(2 * found["random"].p)
    assert found["diversity"].p_corrected == pytest.approx(found["diversity"].p)


def test_the_interval_covers_the_mean_of_new_tables() -> None:
    rng = np.random.default_rng(3)
    intervals = [over_tables(list(rng.normal(0.5, 0.1, 15))) for _ in range(60)]
    assert 0.85 <= np.mean([low <= 0.5 <= high for low, high in intervals]) <= 1
    assert over_tables([0.3, 0.3, 0.3]) == (0.3, 0.3)


def test_the_best_rule_is_one_of_the_rules() -> None:
    grades = {"general": 0.9, "oracle": 0.95, "cleanlab_random": 0.8, "held_out_random": 0.6, "random": 0.3}
    found = Standings.of([one for name, grade in grades.items() for one in everywhere("heart", name, grade)])
    assert found.best_rule() == "held_out_random"


# --- what is played -------------------------------------------------------------------------------------------------


def test_only_what_is_missing_is_played() -> None:
    done = [record("heart", "random", [0.1] * 3), record("heart", "ppo:easy", [0.1] * 3, audited=True)]
    jobs = jobs_of(["heart"], ["random", "ppo:easy", "greedy-oracle"], 3, done)
    greedy, unaudited = ("greedy-oracle", None), ("ppo:easy", False)
    unfinished = {job.kind: [(one["contender"], one["audited"]) for one in job.unfinished] for job in jobs}
    assert list(unfinished) == list(problems.SYNTHETIC)
    assert unfinished["uniform"] == [unaudited, greedy]
    assert unfinished["none"] == [("random", None), ("ppo:easy", True), unaudited, greedy]
    assert jobs_of(["heart"], ["random"], 4, done)[1].unfinished == (done[0],), "seeds are missing"
    few = [record("heart", "greedy-oracle", [0.1] * 5, kind=kind) for kind in problems.SYNTHETIC]
    assert jobs_of(["heart"], ["greedy-oracle"], 20, few) == []
    left = {**record("breast", "", []), "contender": None, "left out": "nothing to buy"}
    assert jobs_of(["breast"], ["random"], 3, [left]) == []


def test_seeds_are_added_to_what_there_is(folder: Path) -> None:
    names = ("random", "own-constant")
    first = [{**record("wine", name, [], kind="worlds"), "constant": "diversity"} for name in names]
    together = exam.play_job(Job("wine", "worlds", tuple(first), 3), folder)
    one = exam.play_job(Job("wine", "worlds", tuple(first), 1), folder)
    assert exam.play_job(Job("wine", "worlds", tuple(one), 3), folder) == together
    assert together[1]["grades"] == contenders.play(
        CONTENDERS["diversity"], make(folder, "worlds"), range(FIRST_SEED, FIRST_SEED + 3)
    )


def test_later_records_replace_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "exam.jsonl"
    assert exam.read(path) == []
    exam.write(path, [record("heart", "random", [0.1]), record("sonar", "random", [0.2])])
    exam.write(path, [record("heart", "random", [0.1, 0.3])])
    assert [one["grades"] for one in exam.read(path)] == [[0.1, 0.3], [0.2]]


def make(folder: Path, kind: str = "uniform") -> Task:
    return problems.make("wine", kind, folder)


def test_a_constant_plays_as_the_policy_of_its_strategy(folder: Path) -> None:
    task, seeds = make(folder), (FIRST_SEED, FIRST_SEED + 1)
    register(task)
    for name in ("uncertainty", "held_out_random"):
        expected = [rollout(get_policy(name), task.task_id, seed).grade.score for seed in seeds]
        assert contenders.play(CONTENDERS[name], task, seeds) == expected
    larger = contenders.play(CONTENDERS["open-constant"], task, seeds, Constant({"diversity": 1.0}, 3.0))
    assert larger == [rollout(get_policy("constant:30:diversity=1"), task.task_id, seed).grade.score for seed in seeds]


def test_the_best_constant_is_chosen_on_the_seeds_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Constant, "grade", lambda one, _task, seed: float(one.name == LIKED[seed]))
    assert contenders.best_constant(make(folder), (0, 0, 1)).name == LIKED[0]
    assert contenders.best_constant(make(folder), (1, 1, 0)).name == LIKED[1]


def test_a_job_plays_audited_and_not(folder: Path) -> None:
    asked = (("probing", True), ("probing", False), ("random", None))
    job = Job("wine", "worlds", tuple(exam.record_of("wine", "worlds", *one) for one in asked), 2)
    audited, unaudited, by_chance = exam.play_job(job, folder)
    assert len(audited["grades"]) == 2
    assert audited["grades"] != unaudited["grades"]
    assert unaudited["grades"] == by_chance["grades"], "without audit, probing buys at random"


def test_a_table_with_nothing_to_buy_is_left_out(tmp_path: Path) -> None:
    y = np.arange(300) % 2  # separable, so that the seed set is enough
    np.savez(tmp_path / "heart.npz", X=y[:, None] * np.ones(4), y=y)
    (found,) = exam.play_job(Job("heart", "none", (exam.record_of("heart", "none", "random"),), 1), tmp_path)
    assert found["left out"].startswith("buying does not help here")


def test_noise_of_every_kind(folder: Path) -> None:
    rates = {kind: make(folder, kind).flip_y for kind in problems.SYNTHETIC}
    assert rates.pop("none") == 0
    assert all(0.2 < rate < 0.3 for rate in rates.values()), rates
    assert [make(folder, kind).noise_trap for kind in ("boundary", "worlds")] == [False, True]


# --- tables ---------------------------------------------------------------------------------------------------------


def test_ratings_become_given_and_right_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [("good", 3, [3] * 10), ("bad", -2, [-2] * 10), ("so-so", 0.4, [1] * 4 + [0] * 6)]
    lines = "".join(f"{word}{n}\t{mean}\t0.5\t{ratings}\n" for word, mean, ratings in words for n in range(20))

    def download(command: list[str], **_: object) -> None:
        with zipfile.ZipFile(Path(command[-2]) / "vaderSentiment-3-py3-none-any.whl", "w") as wheel:
            wheel.writestr("vaderSentiment/vader_lexicon.txt", lines)

    monkeypatch.setattr(subprocess, "run", download)
    monkeypatch.setattr(tables, "COMPONENTS", 5)
    tables.fetch(["positive", "strong"], tmp_path)
    with np.load(tmp_path / "positive.npz") as positive, np.load(tmp_path / "strong.npz") as strong:
        assert (int(positive["y"].sum()), int(strong["y"].sum())) == (40, 40)
        assert np.array_equal(strong["given"], strong["y"])
        wrong = positive["given"] != positive["y"]
        assert 3 < wrong.sum() < 20, "most raters call so-so words neutral"
        assert positive["y"][wrong].all()
        assert positive["X"].shape == (60, 5)


def test_tables_that_are_there_are_not_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_bundled", lambda *_: pytest.fail("fetched again"))
    tables.fetch(["wine"], folder)


# --- results --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_quick_way(folder: Path, tmp_path: Path) -> None:
    options = ["--tables", "wine", "--seeds", "2", "--contenders", "random,probing", "--folder", str(folder)]
    options += ["--processes", "1"]
    path = tmp_path / "quick.jsonl"
    for _ in range(2):
        found = CliRunner().invoke(exam.main, [*options, "--results", str(path)])
        assert found.exit_code == 0, found.output
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + 3 * len(problems.SYNTHETIC)
    assert Standings.of(exam.read(path)).contenders == ("random", "probing")
    refused = CliRunner().invoke(exam.main, ["--tables", "unheard-of"])
    assert refused.exit_code == 2
    assert "unheard-of" in refused.output


def test_the_page_is_rendered_from_the_results() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.rendered(text) == text, "run python -m bench.transfer.page"
    assert set(re.findall(r"<!-- rendered: (\w+) -->", text)) == set(page.RENDERERS)
    assert page.PICTURE.stat().st_size < LARGEST_PICTURE


def test_everyone_has_played_everything() -> None:
    found = page.standings()
    assert found.contenders == tuple(CONTENDERS)
    assert {*found.tables, *found.left_out} == set(tables.TABLES)
    assert set(found.questions) == set(tables.HUMAN)
    played = {(name, len(grades)) for (name, *_), grades in found.cells.items()}
    assert played == {(name, min(found.seeds, one.most_seeds)) for name, one in CONTENDERS.items()}


def test_the_fair_constant_was_chosen_on_validation_problems() -> None:
    found = json.loads(open_constant.RESULTS.read_text(encoding="utf-8"))
    assert all(seed in SPLITS["validation"] for seed in found["seeds"])
    best = max(found["means"], key=found["means"].get)
    assert {one["constant"] for one in exam.read(exam.RESULTS) if one["contender"] == "open-constant"} == {best}


@pytest.mark.slow
def test_results_are_what_the_package_does(folder: Path) -> None:
    recorded = {exam.key_of(one): one["grades"] for one in exam.read(exam.RESULTS)}
    asked = (("held_out_random", None), ("ppo:easy", True), ("probing", False), ("general", True))
    records = tuple(exam.record_of("wine", "worlds", *one) for one in asked)
    for found in exam.play_job(Job("wine", "worlds", records, page.standings().seeds), folder):
        assert found["grades"] == pytest.approx(recorded[exam.key_of(found)], abs=1e-3), found["contender"]
