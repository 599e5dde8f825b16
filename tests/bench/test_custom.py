"""bench/custom: results are what the package does today."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from bench.custom import cost, curation, noise_estimate
from dataselect_env.custom.task_file import load_tasks
from tests.helpers.owning import forget

MOST_MILLISECONDS, MOST_MEGABYTES = 100, 500
"""What issue and docs promise for a step on 50,000 samples x 100 features."""
MOST_SECONDS = 60
"""What the docs promise for a curation of 20,000 rows x 50 columns."""


@pytest.mark.slow
def test_estimates_are_what_the_package_does() -> None:
    told = json.loads(noise_estimate.RESULTS.read_text(encoding="utf-8"))["rows"]
    (row,) = [row for row in told if (row["data"], row["strategy"], row["rate"]) == ("wine", "random", 0.2)]
    found = noise_estimate.measure(noise_estimate.SOURCES["wine"], 0.2, noise_estimate.STRATEGIES["random"])
    assert found == pytest.approx({name: row[name] for name in found}, abs=1e-6)


def test_the_recorded_cost_is_within_its_bounds() -> None:
    told = json.loads(cost.RESULTS.read_text(encoding="utf-8"))
    assert (told["pool"], told["features"]) == (50_000, 100)
    for found in told["classes"].values():
        assert found["peak_mb"] < MOST_MEGABYTES
        for name, row in found["step_ms"].items():
            assert row["median"] < MOST_MILLISECONDS or name == "all of them", name


def test_the_recorded_curation_is_within_its_bound() -> None:
    told = json.loads(curation.RESULTS.read_text(encoding="utf-8"))
    assert (told["cost"]["rows"], told["cost"]["columns"]) == (20_000, 50)
    assert told["cost"]["seconds"]["choice_and_comparison"] < MOST_SECONDS
    cells = [(row["policy"], row["data"], row["noise"]) for row in told["rows"]]
    assert cells == list(product(curation.POLICIES, curation.SETTINGS, curation.NOISES))


@pytest.mark.slow
def test_recorded_curations_are_what_the_package_does() -> None:
    told = json.loads(curation.RESULTS.read_text(encoding="utf-8"))["rows"]
    cell = ("breast_cancer", "uniform", "random")
    (row,) = [row for row in told if (row["data"], row["noise"], row["policy"]) == cell]
    found = curation.measure(*cell)
    assert found["wrong"] == pytest.approx(row["wrong"], abs=1e-6)
    assert found["accuracy"]["mean"] == pytest.approx(row["accuracy"]["mean"], abs=1e-3)


@pytest.mark.parametrize("noise", curation.NOISES)
def test_labels_of_the_curation_bench_are_as_noisy_as_it_says(noise: str) -> None:
    data = curation.split("breast_cancer", noise, 3)
    (_, given, X_trusted, y_trusted), right = data["curate"], data["right"]
    assert (given != right).mean() == pytest.approx(curation.RATE, abs=0.01)
    assert (len(X_trusted), len(y_trusted), len(data["test"][1])) == (30, 30, curation.TEST_ROWS)


def test_the_cost_script_writes_what_it_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("POOL", 400), ("FEATURES", 4), ("VALIDATION", 50), ("SEED_SET", 20), ("EPISODES", 1)):
        monkeypatch.setattr(cost, name, value)
    text = cost.task_text(3)
    cost.write_table(tmp_path / "large-3.csv", 3, 470, 4)
    (tmp_path / "tasks.yaml").write_text(text, encoding="utf-8")
    try:
        assert load_tasks(tmp_path / "tasks.yaml") == ("large-3",)
        assert len(cost.seconds_of_steps("large-3", {"k_center": 1.0})) == cost.STEPS
    finally:
        forget()
