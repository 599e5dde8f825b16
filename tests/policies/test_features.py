"""Features hold what the replies tell and nothing else; action vectors reach every action worth taking."""

from __future__ import annotations

import numpy as np
import pytest

from dataselect_env.core.actions import action_model, weights_of
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.problem import as_described
from dataselect_env.core.source import task_at
from dataselect_env.core.strategies.sampling import STRATEGIES, quotas
from dataselect_env.core.tasks import MIN_BATCH, PINNED, TASKS, Task
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import Act, Policy, get_policy
from dataselect_env.policies.features import ACTIONS, FEATURES, decode, encode, features

HARD = TASKS["hard"]


def played(*actions: Action) -> list[Reply]:
    env = DataSelectEnv()
    return [env.reset(task_id="hard", seed=20_000), *(env.step(action) for action in actions)]


def episode(task_id: str, name: str) -> tuple[list[Reply], list[Action]]:
    """The replies of an episode but the last, and what a policy answered to each."""
    policy = get_policy(name)
    assert isinstance(policy, Policy)
    actions: list[Action] = []

    def start(task: Task, rng: np.random.Generator) -> Act:
        act = policy.start(task, rng)

        def keep(reply: Reply) -> Action:
            actions.append(act(reply))
            return actions[-1]

        return keep

    replies = rollout(Policy(name, "As it was, but kept.", start), task_id, 20_002).replies
    return list(replies[:-1]), actions


def named(replies: list[Reply]) -> dict[str, float]:
    return dict(zip(FEATURES, features(HARD, replies), strict=True))


def test_after_a_reset() -> None:
    replies = played()
    known = named(replies)
    assert known["budget_left"] == known["steps_left"] == known["pool_left"] == 1
    assert known["performance"] == replies[0].observation.current_performance
    assert known["noise_estimate"] == HARD.flip_y
    unknown = [name for name in FEATURES if name.startswith(("last_", "bought_", "noise_"))]
    assert all(known[name] == 0 for name in unknown if name != "noise_estimate")


def test_after_batches() -> None:
    replies = played(Action.select(10, uncertainty=1), Action.select(30, diversity=2, random=1))
    known, info = named(replies), replies[-1].info
    assert info is not None
    assert info.noise_ratio is not None
    assert known["budget_left"] == pytest.approx(0.6)
    assert known["steps_left"] == pytest.approx(6 / 8)
    assert known["last_batch_size"] == pytest.approx(0.3)
    assert known["last_noise"] == pytest.approx(2 * info.noise_ratio - 1)
    assert known["last_share_diversity"] == pytest.approx(2 / 3)
    assert known["bought_uncertainty"] == pytest.approx(np.log(11) / np.log(101))
    assert known["noise_diversity"] == known["noise_random"] == known["last_noise"]
    first = replies[1].info
    assert first is not None
    assert first.noise_ratio is not None
    assert known["noise_uncertainty"] == pytest.approx(2 * first.noise_ratio - 1)


def test_after_a_stop_nothing_is_said_about_a_batch() -> None:
    known = named(played(Action.select(10, random=1), Action.stop()))
    assert all(known[name] == 0 for name in FEATURES if name.startswith("last_"))
    assert known["bought_random"] > 0


@pytest.mark.parametrize("task_id", TASKS)
def test_features_stay_in_range(task_id: str) -> None:
    rng, env = np.random.default_rng(1), DataSelectEnv()
    for seed in range(3):
        replies = [env.reset(task_id=task_id, seed=seed)]
        task = as_described(TASKS[task_id], replies[0].problem)
        while not replies[-1].done:
            replies.append(env.step(decode(task, rng.uniform(-1, 1, len(ACTIONS) + len(task.extra_strategies)))))
            vector = features(task, replies)
            assert vector.shape == (len(FEATURES),)
            assert np.abs(vector).max() <= 1


def test_the_stop_entry_stops_only_when_it_is_high() -> None:
    assert decode(HARD, np.array([0.95, 0, 0, 0, 0])).action_type == "stop"
    assert decode(HARD, np.array([0.85, 0, 0, 0, 0])).action_type == "select_batch"


@pytest.mark.parametrize(("entry", "size"), [(-7, 5), (-1, 5), (0, 12), (0.5, 35), (1, 100), (7, 100)])
def test_batch_sizes_run_from_the_smallest_to_the_whole_budget(entry: float, size: int) -> None:
    assert decode(HARD, np.array([0, entry, 0, 0, 0])).batch_size == size


def test_corners_are_pure_strategies_and_the_centre_is_an_even_mix() -> None:
    for place in range(3):
        entries = np.full(3, -1.0)
        entries[place] = 1
        weights = decode(HARD, np.array([0, 0, *entries])).strategy_weights.as_tuple()
        assert quotas(100, weights)[place] == 100
    assert decode(HARD, np.zeros(5)).strategy_weights.as_tuple() == pytest.approx((1 / 3, 1 / 3, 1 / 3))


@pytest.mark.parametrize("entry", range(5))
def test_a_vector_that_is_not_finite_is_refused(entry: int) -> None:
    vector = np.zeros(5)
    vector[entry] = np.nan
    with pytest.raises(InvalidInput, match="finite"):
        decode(HARD, vector)


@pytest.mark.parametrize("task_id", PINNED)
@pytest.mark.parametrize("name", ["uncertainty", "balanced", "best-constant", "probing"])
def test_an_encoded_action_buys_what_the_action_buys(task_id: str, name: str) -> None:
    """As 32-bit floats, in which environments take it and data sets keep it."""
    task = TASKS[task_id]
    for reply, action in zip(*episode(task_id, name), strict=True):
        again = decode(task, encode(task, action).astype(np.float32).astype(np.float64))
        left = reply.observation.remaining_budget
        assert again.action_type == action.action_type
        if action.action_type == "stop":
            continue
        assert min(again.batch_size, left) == min(max(action.batch_size, MIN_BATCH), left)
        assert quotas(left, again.strategy_weights.as_tuple()) == quotas(left, action.strategy_weights.as_tuple())


def test_an_encoded_action_buys_by_extra_strategies_too() -> None:
    task = task_at(TASKS["open"], 3)
    for weights in ({"confident_random": 1.0}, {"random": 0.5, "agree_uncertainty": 0.25}, {"diversity": 1.0}):
        action = action_model(task.extra_strategies).select(9, **weights)
        again = decode(task, encode(task, action))
        assert again.batch_size == 9
        names = (*STRATEGIES, *task.extra_strategies)
        assert quotas(60, weights_of(again, names)) == quotas(60, weights_of(action, names))
    assert len(encode(task, Action.select(9, random=1))) == len(ACTIONS) + len(task.extra_strategies)


@pytest.mark.parametrize("task_id", TASKS)
def test_a_stop_is_encoded(task_id: str) -> None:
    task = TASKS[task_id]
    assert decode(task, encode(task, Action.stop())) == Action.stop()
