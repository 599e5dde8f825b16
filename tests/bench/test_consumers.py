"""The page about other people's libraries is made from what their runs left behind."""

from __future__ import annotations

import json

import pytest

from bench.consumers import page
from bench.consumers.record import Record
from docs.render import ROOT

RUNS = {
    "inspect_ai",
    "minari",
    "ray_serve",
    "rllib",
    "rllib_nodes",
    "skyrl",
    "stable_baselines3",
    "torchrl",
    "trl",
    "verifiers",
}


def test_every_run_has_left_its_results() -> None:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in page.RESULTS.glob("*.json")}
    assert found.keys() == RUNS
    for name, told in found.items():
        assert (ROOT / "bench" / "consumers" / f"{name}.py").is_file()
        assert told["claims"], name


def test_the_page_is_up_to_date() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.MARKED.search(text)
    assert page.rendered(text) == text, "run python -m bench.consumers.page"


def test_a_claim_that_does_not_hold_is_not_recorded() -> None:
    record = Record()
    record.claim(True, "one")
    with pytest.raises(AssertionError, match="two"):
        record.claim(False, "two")
    assert record.claims == ["one"]
