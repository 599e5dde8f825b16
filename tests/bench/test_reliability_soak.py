"""bench/reliability/soak: a few seconds of it, and what would count as growth."""

from typing import Any

import pytest

from bench.reliability import soak
from bench.reliability.process import Usage

pytestmark = pytest.mark.slow

CALM: dict[str, Any] = {"resident": 100.0, "peak": 110.0, "files": 20, "threads": 7}


def test_a_few_seconds_of_load_are_answered_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "WARM_UP", 5)
    monkeypatch.setattr(soak, "GROWTH", 9.0)  # seconds after the start memory still grows
    found = soak.measure(10, seed=2, sockets=3, seats=2)
    assert found["problems"] == []
    assert found["counts"]["answers"] > 20
    assert found["counts"]["connections"] >= 3
    assert found["quarters"][3]["files"] > found["before"]["files"]


@pytest.mark.parametrize(
    ("second", "last", "after", "told"),
    [
        ({}, {}, {}, []),
        ({}, {"resident": 104.0}, {"resident": 200.0}, []),
        ({}, {"resident": 106.0}, {}, ["memory grew from 100.0 to 106.0 MB"]),
        ({}, {"files": 28}, {}, ["28 files open, should be at most 27"]),
        ({}, {}, {"files": 24}, ["24 files open after the load, 20 before"]),
        ({}, {}, {"threads": 48}, ["48 threads after the load, 7 before"]),
    ],
)
def test_what_grows_is_told(
    second: dict[str, Any], last: dict[str, Any], after: dict[str, Any], told: list[str]
) -> None:
    samples = [Usage(**{**CALM, **change}) for change in ({"resident": 50.0}, second, {}, last) for _ in range(3)]
    assert soak.judge(Usage(**CALM), samples, Usage(**{**CALM, **after}), clients_at_once=4) == told
