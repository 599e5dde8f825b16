"""Budget, pool, steps, end and audit stay consistent for any sequence of valid actions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataselect_env import Action, DataSelectEnv, Reply
from dataselect_env.core.grading import TracePoint, grade
from dataselect_env.core.models import StepInfo
from dataselect_env.core.selection import strategies_of
from dataselect_env.core.source import task_at
from dataselect_env.core.tasks import MIN_BATCH, TASKS, Task
from dataselect_env.core.validation import parse

WEIGHT = st.sampled_from([0.0, 5e-324, 1e308]) | st.floats(0, 1e308, allow_nan=False)
BATCH_SIZE = st.integers(0, 30) | st.integers(0, 400) | st.sampled_from([0, 10**30])


@st.composite
def selections(draw: st.DrawFn) -> Action:
    weights = draw(st.tuples(WEIGHT, WEIGHT, WEIGHT).filter(any))
    return Action.select(draw(BATCH_SIZE), uncertainty=weights[0], diversity=weights[1], random=weights[2])


@st.composite
def stops(draw: st.DrawFn) -> Action:
    fields: dict[str, Any] = draw(selections()).model_dump()
    return parse(Action, fields | {"action_type": "stop"})


SCRIPTS = st.lists(selections() | selections() | selections() | selections() | stops(), min_size=1, max_size=16)
GAMES = st.fixed_dictionaries(
    {
        "task_id": st.sampled_from(sorted(TASKS)),
        "seed": st.sampled_from([0, 7, 10_001, 20_003, 2**32 - 1]),
        "reward_mode": st.sampled_from(["shaped", "grade"]),
    }
)


def play(env: DataSelectEnv, game: dict[str, Any], script: list[Action]) -> list[tuple[Action, Reply]]:
    """Play the script until it or the episode ends."""
    env.reset(**game)
    played = []
    for action in script:
        played.append((action, env.step(action)))
        if played[-1][1].done:
            break
    return played


def task_of(game: dict[str, Any]) -> Task:
    """Return the task with the numbers of the seed."""
    return task_at(TASKS[game["task_id"]], game["seed"])


def info_of(reply: Reply) -> StepInfo:
    assert reply.info is not None
    return reply.info


def expected_purchase(action: Action, remaining: int, available: int) -> int:
    return 0 if action.action_type == "stop" else min(max(action.batch_size, MIN_BATCH), remaining, available)


def expected_end(action: Action, task: Task, step: int, remaining: int) -> str | None:
    """Return the end reason that takes precedence; no budget is large enough to empty the pool."""
    if action.action_type == "stop":
        return "stop"
    if remaining == 0:
        return "budget"
    return "max_steps" if step == task.max_steps else None


@given(game=GAMES, script=SCRIPTS)
def test_every_sample_is_bought_once_and_paid_for_once(game: dict[str, Any], script: list[Action]) -> None:
    task = task_of(game)
    remaining, available = task.budget, task.pool_size
    for action, reply in play(DataSelectEnv(), game, script):
        bought = info_of(reply).batch_size
        assert bought == expected_purchase(action, remaining, available)
        remaining, available = remaining - bought, available - bought
        assert remaining >= 0
        assert (reply.observation.remaining_budget, reply.observation.samples_available) == (remaining, available)


@given(game=GAMES, script=SCRIPTS)
def test_an_episode_ends_at_the_first_reason_and_not_before(game: dict[str, Any], script: list[Action]) -> None:
    task = task_of(game)
    played = play(DataSelectEnv(), game, script)
    assert len(played) <= task.max_steps
    for step, (action, reply) in enumerate(played, start=1):
        expected = expected_end(action, task, step, reply.observation.remaining_budget)
        info = info_of(reply)
        assert (reply.step, info.end_reason, reply.done) == (step, expected, expected is not None)
        assert (info.grade is not None) == reply.done


@given(game=GAMES, script=SCRIPTS)
def test_the_audit_of_a_step_is_consistent(game: dict[str, Any], script: list[Action]) -> None:
    task = task_of(game)
    for action, reply in play(DataSelectEnv(), game, script):
        info, bought = info_of(reply), action.action_type == "select_batch"
        assert tuple(info.bought_by) == strategies_of(task)
        assert sum(info.bought_by.values()) == info.batch_size
        assert (info.mislabelled is not None) == task.audited
        assert 0 <= (info.mislabelled or 0) <= info.batch_size
        assert reply.reward == pytest.approx(sum(info.reward_terms.values()), abs=1e-12)
        told = [value is not None for value in (info.noise_ratio, info.redundancy, info.gain)]
        assert told == [bought and task.audited, bought, bought]
        weights = action.strategy_weights.model_dump()
        assert all(weights.get(name, 0) > 0 or count == 0 for name, count in info.bought_by.items())


@given(game=GAMES, script=SCRIPTS)
def test_the_grade_follows_from_what_the_replies_told(game: dict[str, Any], script: list[Action]) -> None:
    env, task = DataSelectEnv(), task_of(game)
    start = env.reset(**game).observation.current_performance
    trace = [TracePoint(bought=0, mislabelled=0, performance=start)]
    replies = [reply for _, reply in play(env, game, [*script, Action.stop()])]
    for reply in replies:
        info = info_of(reply)
        trace.append(TracePoint(info.batch_size, info.mislabelled or 0, reply.observation.current_performance))
    result = info_of(replies[-1]).grade
    assert result == grade(task, trace)
    assert result.breakdown.budget_used == task.budget - replies[-1].observation.remaining_budget


@given(game=GAMES, script=SCRIPTS)
def test_state_tells_the_same_as_the_reply(game: dict[str, Any], script: list[Action]) -> None:
    env = DataSelectEnv()
    _, reply = play(env, game, script)[-1]
    state, observation = env.state, reply.observation
    assert (state.step_count, state.done, state.end_reason) == (reply.step, reply.done, info_of(reply).end_reason)
    assert (state.remaining_budget, state.pool_size) == (observation.remaining_budget, observation.samples_available)
    assert state.current_performance == observation.current_performance


@given(game=GAMES, script=SCRIPTS)
def test_grade_rewards_stay_in_range_and_add_up_so_far(game: dict[str, Any], script: list[Action]) -> None:
    replies = [reply for _, reply in play(DataSelectEnv(), game | {"reward_mode": "grade"}, [*script, Action.stop()])]
    rewards = [reply.reward or 0.0 for reply in replies]
    result = info_of(replies[-1]).grade
    assert result is not None
    assert all(-1 <= reward <= 1 for reward in rewards)
    assert sum(rewards) == pytest.approx(result.score, abs=1e-12)
