"""Buying rows: what is kept of each step, and what an audit changes."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dataselect_env.core.actions import action_model
from dataselect_env.core.arrays import Indices, Labels
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import Task
from dataselect_env.curation.buying import CurationEpisode, Step, buy
from dataselect_env.curation.problem import EXTRA_STRATEGIES, make_task
from dataselect_env.policies import Act, Policy, get_policy
from tests.helpers.curating import NAMES, SETTINGS, as_table, noisy

DATA = noisy()
TABLE = as_table(DATA)
RIGHT = np.searchsorted(NAMES, DATA.right)
MIX = action_model(EXTRA_STRATEGIES).select(10, uncertainty=1, random=1, held_out_random=2)


def task(*, audited: bool = False) -> Task:
    return make_task(TABLE, SETTINGS, audited=audited)


def policy_of(*actions: object) -> Policy:
    def start(_task: Task, _rng: np.random.Generator) -> Act:
        left = iter(actions)
        return lambda _reply: next(left)  # type: ignore[return-value]

    return Policy("scripted", "Plays these actions.", start)


def bought(steps: list[Step]) -> Indices:
    return np.concatenate([step.batch.rows for step in steps])


def audit(rows: Indices, _given: Labels) -> Labels:
    right: Labels = RIGHT[rows]
    return right


def test_rows_are_bought_until_the_budget_is_spent() -> None:
    steps = list(buy(get_policy("held_out_random"), task(), 0))  # type: ignore[arg-type]
    rows = bought(steps)
    assert [len(step.batch.rows) for step in steps] == [10, 10, 10, 10]
    assert len(set(rows.tolist())) == 40
    for step in steps:
        np.testing.assert_array_equal(step.batch.given, TABLE.given[step.batch.rows])
        np.testing.assert_array_equal(step.batch.labels, step.batch.given)
        assert ((step.batch.suspicion >= 0) & (step.batch.suspicion <= 1)).all()
    assert DATA.wrong[rows].mean() < DATA.wrong.mean() / 2


def test_each_row_has_the_strategy_that_chose_it() -> None:
    first, *_ = buy(policy_of(MIX, Action.stop()), task(), 0)
    assert first.strategies == ("uncertainty",) * 3 + ("random",) * 2 + ("held_out_random",) * 5
    alone, *_ = buy(policy_of(action_model(EXTRA_STRATEGIES).select(3, uncertainty=1), Action.stop()), task(), 0)
    np.testing.assert_array_equal(first.batch.rows[:3], alone.batch.rows[:3])


def test_a_stop_ends_the_steps() -> None:
    assert [len(step.batch.rows) for step in buy(policy_of(MIX, Action.stop()), task(), 0)] == [10]
    assert list(buy(policy_of(Action.stop()), task(), 0)) == []


def test_wrong_labels_are_suspected_more_than_right_ones() -> None:
    rows, suspicion = [], []
    for step in buy(get_policy("random"), task(), 0):  # type: ignore[arg-type]
        rows.append(step.batch.rows)
        suspicion.append(step.batch.suspicion)
    wrong = DATA.wrong[np.concatenate(rows)]
    suspected = np.concatenate(suspicion)
    assert suspected[wrong].mean() > suspected[~wrong].mean() + 0.3


def test_an_audit_corrects_the_labels_that_are_trained_on_and_is_told_to_the_policy() -> None:
    replies: list[Reply] = []

    def start(_task: Task, _rng: np.random.Generator) -> Act:
        def act(reply: Reply) -> Action:
            replies.append(reply)
            return Action.select(10, random=1)

        return act

    steps = list(buy(Policy("witness", "Keeps replies.", start), task(audited=True), 0, audit))
    for step, reply in zip(steps, replies[1:], strict=False):
        np.testing.assert_array_equal(step.batch.labels, RIGHT[step.batch.rows])
        np.testing.assert_array_equal(step.batch.given, TABLE.given[step.batch.rows])
        assert reply.info is not None
        assert reply.info.mislabelled == DATA.wrong[step.batch.rows].sum()
    unaudited = list(buy(get_policy("random"), task(), 0))  # type: ignore[arg-type]
    assert steps[-1].performance > unaudited[-1].performance


def test_the_learner_is_trained_on_the_corrected_labels() -> None:
    episode = CurationEpisode(task(audited=True), 0, audit)
    episode.step(Action.select(10, random=1))
    rows = episode.batches[0].rows
    start = episode._start.dataset.pool_rows.start
    np.testing.assert_array_equal(episode._state.pool.labels[start + rows], RIGHT[rows])
    np.testing.assert_array_equal(np.flatnonzero(episode.mislabelled), np.sort(rows[DATA.wrong[rows]]))


def test_only_rows_that_are_bought_are_audited() -> None:
    asked: list[int] = []

    def witness(rows: Indices, given: Labels) -> Labels:
        asked.extend(rows.tolist())
        return audit(rows, given)

    steps = list(buy(get_policy("random"), task(audited=True), 0, witness))  # type: ignore[arg-type]
    assert asked == bought(steps).tolist()


def test_a_policy_that_returns_no_action() -> None:
    with pytest.raises(InvalidInput, match=re.escape("policy: scripted returned str, not an Action")):
        list(buy(policy_of("stop"), task(), 0))
