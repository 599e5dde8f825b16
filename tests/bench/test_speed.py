"""The benchmark runs and tells what it promises; how fast anything is decides no test."""

from functools import partial

import pytest

from bench.speed import in_process, load, page, pool_size, server, startup, strategies
from docs.render import MARKED
from tests.helpers.serving import running_server

pytestmark = pytest.mark.slow


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


def test_steps_with_each_strategy_are_compared_with_base_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategies, "ROUNDS", 2)
    monkeypatch.setattr(strategies, "SEEDS", range(20_000, 20_001))
    monkeypatch.setattr(strategies, "NAMES", ("k_center", "neighbours_random"))
    found = strategies.measure()
    assert list(found) == ["base", "k_center", "neighbours_random"]
    for title in strategies.PASSES:
        assert found["base"][f"{title}, base steps"] == {"median": 1, "q1": 1, "q3": 1}
        assert all(figures[f"{title}, us"]["median"] > 0 for figures in found.values())


def test_the_pool_can_be_of_any_size() -> None:
    assert len(pool_size.seconds_of_a_step(2_000)) == pool_size.EPISODES


def test_the_client_speaks_the_protocol_of_the_server() -> None:
    with running_server() as running:
        for transport in server.TRANSPORTS:
            marks = [0.0]
            plan = load.Plan(running.port, transport, 0.05, 0.5, mark=partial(marks.append, 1.0))
            got = load.run(plan, [server.OURS.script(transport, number) for number in range(3)])
            assert sum(marks) == 2
            assert all(latency > 0 for latency in got.latencies)
        with pytest.raises(ValueError, match="422"):
            load.run(plan, [iter([load.http_message("reset", {"seed": -1})])])


def test_ratios_are_taken_round_by_round() -> None:
    def rounds(*rates: float) -> list[dict[str, float]]:
        return [{"steps a second": rate, "server CPU, us a step": 1e6 / rate} for rate in rates]

    found = server.summary({"dataselect": rounds(10, 20), "textbook": rounds(1, 2), "echo": rounds(20, 40)})
    assert found["ratios"]["steps a second / textbook's"] == {"median": 10, "q1": 10, "q3": 10}
    assert found["ratios"]["CPU of an echo's step / of ours"]["median"] == pytest.approx(0.5)
    assert "echo" in server.table({"websocket, 1 connections": found})


def test_a_start_is_measured_to_its_first_reset() -> None:
    found = startup.start()
    assert 0 < found["resident memory then, MB"] < found["resident memory after it, MB"]
    assert all(value > 0 for value in found.values())


def test_the_page_is_rendered_from_the_results() -> None:
    text, every = page.PAGE.read_text(encoding="utf-8"), page.load()
    assert page.rendered(text, every) == text, "run python -m bench.speed.page"
    assert {found[1] for found in MARKED.findall(text)} == set(page.RENDERERS)


def test_a_goal_that_is_missed_is_told() -> None:
    every = page.load()
    assert page.goals(every).count("\n") == 2 + 12
    slow = {"median": 0.1, "q1": 0.1, "q3": 0.1}
    every["server"]["cases"][page.GOAL_CONNECTIONS]["ratios"] = dict.fromkeys(
        ("steps a second / textbook's", "steps a second / echo's"), slow
    )
    missed = [line for line in page.goals(every).splitlines() if line.startswith("| B4")]
    assert [line.endswith("| **falls short** |") for line in missed] == [True, True]
