"""The benchmark runs and tells what it promises; how fast anything is decides no test."""

import pytest

from bench.speed import in_process, pool_size


def test_it_tells_figures_and_ratios_with_their_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "ROUNDS", 2)
    monkeypatch.setattr(in_process, "SEEDS", range(20_000, 20_001))
    monkeypatch.setattr(in_process, "COLD_SEEDS", range(1))
    monkeypatch.setattr(in_process, "LANES", (1, 2))
    figures = in_process.measure("hard")
    assert set(figures["microseconds"]) >= {"reset", "step", "textbook reset", "textbook step", "floor"}
    for spread in (*figures["microseconds"].values(), *figures["ratios"].values()):
        assert spread["q1"] <= spread["median"] <= spread["q3"]
        assert spread["median"] > 0
    parts = figures["parts of a step"]
    assert set(parts) == {*in_process.PARTS, "rest"}
    assert all(seconds > 0 for seconds in parts.values())


def test_the_pool_can_be_of_any_size() -> None:
    assert len(pool_size.seconds_of_a_step(2_000)) == pool_size.EPISODES
