"""Ranks, ties, intervals and comparisons of a leaderboard's rows."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env.core.data import WORLDS, world_of
from dataselect_env.core.tasks import DYNAMICS_VERSION, SEALED, SPLITS
from dataselect_env.evaluation import statistics
from dataselect_env.server import ranking
from dataselect_env.server.ranking import BLOCK, Entry, Played, Row, make_rows, ordered
from dataselect_env.server.store.boards import Attempt, AttemptState, Board, Standing

BOARD = Board("medium", SEALED, "0123456789abcdef", DYNAMICS_VERSION, None)
OPEN = Board("medium", "test", None, DYNAMICS_VERSION, None)
SIZE = 4

standings = st.lists(
    st.builds(
        lambda name, points: Standing(name, len(points), sum(points), 0, 0, "", ""),
        st.text("abc", min_size=1, max_size=3),
        st.lists(st.sampled_from([0, 1, 499_999, 500_000, 1_000_000]), min_size=1, max_size=SIZE),
    ),
    unique_by=lambda one: one.agent,
    max_size=30,
)


def attempts_of(agent: str, points: list[int], first: int = 0, state: AttemptState = "finished") -> list[Attempt]:
    return [
        Attempt(agent, place, f"{agent}-{place}", f"2026-01-{place % 28 + 1:02}", one, one > 500_000, state)
        for place, one in enumerate(points, start=first)
    ]


def rows_of(board: Board, size: int, points: dict[str, list[int]], first: int = 0) -> tuple[Row, ...]:
    attempts = {name: attempts_of(name, some, first) for name, some in points.items()}
    sums = [Standing(name, len(some), sum(some), 0, 0, "", "") for name, some in points.items()]
    return made(board, size, ordered(sums, size), attempts)


def made(board: Board, size: int, entries: list[Entry], attempts: dict[str, list[Attempt]]) -> tuple[Row, ...]:
    return make_rows(board, size, entries, None, {name: Played.of(some) for name, some in attempts.items()})


def drawn(seed: int, mean: float, count: int) -> list[int]:
    scores = np.clip(np.random.default_rng(seed).normal(mean, 0.1, count), 0, 1)
    return [round(1_000_000 * score) for score in scores]


# --- order and ranks ------------------------------------------------------------------------------------------------


@given(standings)
def test_only_agents_that_played_the_whole_split_have_ranks(some: list[Standing]) -> None:
    entries = ordered(some, SIZE)
    assert sorted(one.standing.agent for one in entries) == sorted(one.agent for one in some)
    ranked = [one for one in entries if one.rank is not None]
    assert [one.standing.episodes for one in ranked] == [SIZE] * len(ranked)
    assert entries[: len(ranked)] == ranked
    rest = [one.standing for one in entries[len(ranked) :]]
    assert all(one.episodes < SIZE for one in rest)
    assert [one.episodes for one in rest] == sorted((one.episodes for one in rest), reverse=True)


@given(standings)
def test_a_rank_is_one_more_than_the_number_of_better_agents(some: list[Standing]) -> None:
    ranked = [one for one in ordered(some, SIZE) if one.rank is not None]
    means = [Fraction(one.standing.points, one.standing.episodes) for one in ranked]
    assert [one.rank for one in ranked] == [1 + sum(other > mean for other in means) for mean in means]


def test_ranks_do_not_depend_on_the_order_of_the_store() -> None:
    some = [Standing(name, SIZE, 2_000_000, 0, 0, "", "") for name in "dacb"]
    assert [one.standing.agent for one in ordered(some, SIZE)] == list("abcd")
    assert ordered(some, SIZE) == ordered(some[::-1], SIZE)


@pytest.mark.parametrize("episodes", [100, 100_000])
def test_one_point_is_no_tie(episodes: int) -> None:
    some = [Standing("a", episodes, 777, 0, 0, "", ""), Standing("b", episodes, 778, 0, 0, "", "")]
    assert [(one.standing.agent, one.rank) for one in ordered(some, episodes)] == [("b", 1), ("a", 2)]


def test_a_lucky_start_does_not_win() -> None:
    """A perfect score in one of four episodes stands below the worst agent that played them all."""
    rows = rows_of(BOARD, SIZE, {"lucky": [1_000_000], "steady": [1, 0, 0, 0], "half": [900_000, 900_000]})
    assert [(one.agent, one.rank, one.coverage) for one in rows] == [
        ("steady", 1, 1.0),
        ("half", None, 0.5),
        ("lucky", None, 0.25),
    ]
    assert [one.next for one in rows] == [None, None, None]


# --- numbers --------------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_evaluate() -> None:
    points = {"good": drawn(1, 0.7, 30), "poor": drawn(2, 0.4, 30)}
    good, poor = rows_of(BOARD, 30, points)
    scores = {name: [one / 1_000_000 for one in some] for name, some in points.items()}
    for row in (good, poor):
        expected = statistics.mean_interval(scores[row.agent])
        assert (row.mean, row.low, row.high) == pytest.approx((expected.mean, expected.low, expected.high), rel=1e-12)
        assert row.passed == sum(one > 0.5 for one in scores[row.agent]) / 30
        assert (row.first_at, row.last_at) == ("2026-01-01", "2026-01-28")
    expected = statistics.difference(scores["good"], scores["poor"])
    assert good.next is not None
    assert good.next.model_dump(exclude={"agent", "significant"}) == expected.model_dump()
    assert (good.next.agent, good.next.significant) == ("poor", True)


def test_agents_that_are_alike_are_not_told_apart() -> None:
    points = drawn(3, 0.5, 30)
    other = [one + (-1) ** place * 1_000 for place, one in enumerate(points)]
    first, second = rows_of(BOARD, 30, {"one": points, "other": other})
    assert (first.rank, second.rank) == (1, 1)
    assert first.next is not None
    assert not first.next.significant


def test_pairs_are_the_places_that_both_have() -> None:
    """The size of the split has changed between the two agents."""
    attempts = {"one": attempts_of("one", [600_000] * 5), "two": attempts_of("two", [500_000] * 5, first=2)}
    entries = [Entry(1, Standing("one", 5, 5, 0, 0, "", "")), Entry(2, Standing("two", 5, 4, 0, 0, "", ""))]
    first, _ = made(BOARD, 5, entries, attempts)
    assert first.next is not None
    assert first.next.pairs == 3
    attempts["two"] = attempts_of("two", [500_000] * 5, first=4)
    assert made(BOARD, 5, entries, attempts)[0].next is None


def test_p_values_are_corrected_for_the_block() -> None:
    points = {str(number): drawn(number, 0.5 - number / 100, 40) for number in range(6)}
    rows = rows_of(BOARD, 40, points)
    ps = [one.next.p for one in rows[:-1] if one.next is not None]
    assert len(ps) == 5
    assert rows[-1].next is None
    scores = {name: [one / 1_000_000 for one in some] for name, some in points.items()}
    raw = [statistics.difference(scores[one.agent], scores[other.agent]) for one, other in pairwise(rows)]
    expected = [one.p_corrected for one in statistics.corrected(raw)]
    assert [one.next.p_corrected for one in rows[:-1] if one.next is not None] == pytest.approx(expected)
    assert expected != ps


def test_running_attempts_do_not_count() -> None:
    attempts = {"one": attempts_of("one", [600_000] * 2) + attempts_of("one", [0] * 2, 2, state="running")}
    (row,) = made(BOARD, SIZE, [Entry(None, Standing("one", 2, 1_200_000, 0, 0, "", ""))], attempts)
    assert (row.episodes, row.mean, row.scores) == (2, 0.6, [0.6, 0.6])


def test_one_episode_has_no_interval() -> None:
    (row,) = rows_of(BOARD, SIZE, {"one": [600_000]})
    assert (row.mean, row.low, row.high) == (0.6, None, None)


def test_hidden_worlds_are_strata_on_the_open_split_alone() -> None:
    first = SPLITS["test"].first_seed
    points = [round(1e5 * WORLDS.index(world_of(first + place))) + place for place in range(40)]
    (known,) = rows_of(OPEN, 40, {"one": points}, first)
    (unknown,) = rows_of(BOARD, 40, {"one": points}, first)
    (earlier,) = rows_of(Board("medium", "test", None, DYNAMICS_VERSION - 1, None), 40, {"one": points}, first)
    assert known.low is not None
    assert unknown.low is not None
    assert known.low > unknown.low
    assert earlier.low == unknown.low


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (60, 60), (61, 60), (1_000, 60)])
def test_the_picture_has_few_scores(count: int, shown: int) -> None:
    (row,) = rows_of(OPEN, 2_000, {"one": [1_000_000 * place // count for place in range(count)]})
    assert len(row.scores) == shown
    assert row.scores == sorted(row.scores)


def test_fifty_comparisons_of_many_episodes_can_be_significant() -> None:
    smallest = 2 / (ranking.FEWEST_DRAWS + 1)
    assert smallest * BLOCK < 0.05


def test_scores_stand_by_seed_on_the_open_split_alone() -> None:
    """On a sealed split nobody learns which index is easy."""
    points = [900_000, 100_000, 500_000]
    (opened,), (sealed,) = (
        rows_of(OPEN, 3, {"one": points}, SPLITS["test"].first_seed),
        rows_of(BOARD, 3, {"one": points}),
    )
    assert (opened.scores, sealed.scores) == ([0.9, 0.1, 0.5], [0.1, 0.5, 0.9])
