"""The environment from the agent's side: order of calls, isolation, determinism, rewards and replies.

``python tests/test_env.py`` runs this file alone, even from a checkout that is not installed.
"""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

if __name__ == "__main__":  # before the package is imported: pytest puts the checkout on the path
    raise SystemExit(pytest.main([__file__]))

from itertools import pairwise
from typing import Any

from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from dataselect_env import Action, DataSelectEnv, Reply
from dataselect_env.core.data import dataset_number, make_dataset
from dataselect_env.core.errors import EnvError, EpisodeOver, InvalidInput, NoEpisode, UnknownSplit, UnknownTask
from dataselect_env.core.models import StepInfo
from dataselect_env.core.problem import as_described
from dataselect_env.core.reward import TERMINAL_COEFFICIENT
from dataselect_env.core.source import task_at
from dataselect_env.core.specs import get_spec
from dataselect_env.core.tasks import DYNAMICS_VERSION, SPLITS, TASKS
from dataselect_env.core.warm_start import warm_start

MIXED = Action.select(20, uncertainty=1, diversity=1, random=1)
SCRIPT = [MIXED, Action.select(0, diversity=1), Action.select(12, uncertainty=1), Action.select(9, random=1)]
EACH_TASK = pytest.mark.parametrize("task_id", TASKS)
EACH_END = pytest.mark.parametrize("last", [Action.stop(), Action.select(10**9, random=1)], ids=["stop", "budget"])
EACH_MODE = pytest.mark.parametrize("reward_mode", ["shaped", "grade"])
SEED = 7


def play(env: DataSelectEnv, actions: list[Action], **choices: Any) -> list[Reply]:
    return [env.reset(**choices), *(env.step(action) for action in actions)]


def played(actions: list[Action], **choices: Any) -> list[Reply]:
    return play(DataSelectEnv(), actions, **choices)


def nameless(replies: list[Reply]) -> list[dict[str, Any]]:
    """Return the replies without the episode id."""
    return [reply.model_dump(exclude={"episode_id": True, "metadata": {"episode_id"}}) for reply in replies]


def solo(actions: list[Action], **choices: Any) -> list[dict[str, Any]]:
    """Return the replies to these actions in a new environment, without the episode id."""
    return nameless(played(actions, **choices))


def info_of(reply: Reply) -> StepInfo:
    assert reply.info is not None
    return reply.info


def global_streams() -> bytes:
    return pickle.dumps((random.getstate(), np.random.get_state()))  # noqa: NPY002 - to check that it is not used


# --- order of calls -------------------------------------------------------------------------------------------------


def test_nothing_works_before_a_reset() -> None:
    env = DataSelectEnv()
    with pytest.raises(NoEpisode):
        env.step(MIXED)
    with pytest.raises(NoEpisode):
        _ = env.state
    with pytest.raises(NoEpisode):
        _ = env.model


@EACH_END
@pytest.mark.parametrize("action", [MIXED, Action.stop()], ids=["select_batch", "stop"])
def test_no_step_works_after_the_end(last: Action, action: Action) -> None:
    env = DataSelectEnv()
    play(env, [MIXED, last], seed=SEED)
    before = env.state
    with pytest.raises(EpisodeOver):
        env.step(action)
    assert env.state == before
    assert env.state.done


@pytest.mark.parametrize("batch_size", [0, 1, 20, 10**9])
def test_stop_ends_the_episode_with_any_batch_size(batch_size: int) -> None:
    stop = Action(action_type="stop", batch_size=batch_size, strategy_weights=MIXED.strategy_weights)
    env = DataSelectEnv()
    *_, before, reply = play(env, [MIXED, stop], task_id="medium", seed=SEED)
    assert reply.done
    assert env.state.done
    assert env.state.end_reason == "stop"
    assert reply.observation == before.observation


@pytest.mark.parametrize(
    ("choices", "error"),
    [
        ({"task_id": "nope"}, UnknownTask),
        ({"split": "nope"}, UnknownSplit),
        ({"seed": -1}, InvalidInput),
        ({"episode_id": ""}, InvalidInput),
        ({"reward_mode": "sparse"}, InvalidInput),
        ({"split": "test", "index": 0, "seed": 0}, InvalidInput),
    ],
    ids=str,
)
def test_a_failed_reset_leaves_the_running_episode_as_it_was(choices: dict[str, Any], error: type[EnvError]) -> None:
    env = DataSelectEnv()
    play(env, SCRIPT[:2], seed=SEED, reward_mode="grade")
    before = env.state
    with pytest.raises(error):
        env.reset(**choices)
    assert env.state == before
    expected = solo(SCRIPT, seed=SEED, reward_mode="grade")[3:]
    assert nameless([env.step(action) for action in SCRIPT[2:]]) == expected


# --- determinism ----------------------------------------------------------------------------------------------------


@EACH_TASK
@EACH_MODE
def test_same_seed_and_actions_give_the_same_episode(task_id: str, reward_mode: str) -> None:
    first, second = (played(SCRIPT, task_id=task_id, seed=SEED, reward_mode=reward_mode) for _ in range(2))
    assert nameless(first) == nameless(second)
    assert first[0].episode_id != second[0].episode_id


def test_a_used_environment_plays_like_a_new_one() -> None:
    env, game = DataSelectEnv(), {"task_id": "medium", "seed": SEED, "reward_mode": "grade"}
    play(env, [MIXED, Action.stop()], task_id="hard", seed=1, reward_mode="grade")
    assert nameless(play(env, SCRIPT, **game)) == solo(SCRIPT, **game)


def test_interleaved_environments_play_as_if_alone() -> None:
    games: list[dict[str, Any]] = [{"task_id": "medium", "seed": SEED}, {"task_id": "hard", "seed": SEED}]
    envs = [DataSelectEnv() for _ in games]
    replies = [[env.reset(**game)] for env, game in zip(envs, games, strict=True)]
    for action in SCRIPT:
        for env, seen in zip(envs, replies, strict=True):
            seen.append(env.step(action))
    for game, seen in zip(games, replies, strict=True):
        assert nameless(seen) == solo(SCRIPT, **game)


@EACH_TASK
def test_global_random_streams_are_neither_read_nor_moved(task_id: str) -> None:
    warm_start.cache_clear()
    before = global_streams()
    first = solo([*SCRIPT, Action.stop()], task_id=task_id, seed=SEED)
    assert global_streams() == before
    random.random()
    np.random.random()  # noqa: NPY002 - to check that it is not used
    warm_start.cache_clear()
    assert solo([*SCRIPT, Action.stop()], task_id=task_id, seed=SEED) == first


@pytest.mark.parametrize("split", [None, *SPLITS])
def test_a_reset_without_seed_reports_one_of_its_split_and_replays(split: str | None) -> None:
    replies = played(SCRIPT, split=split)
    seed = replies[0].seed
    assert seed is not None
    assert seed in SPLITS[split or "train"]
    assert solo(SCRIPT, seed=seed) == nameless(replies)


def test_an_index_names_task_and_seed() -> None:
    spec = get_spec("test", 4)
    assert solo(SCRIPT, split="test", index=4) == solo(SCRIPT, task_id=spec.task_id, seed=spec.seed)


# --- rewards --------------------------------------------------------------------------------------------------------


@EACH_TASK
@EACH_MODE
def test_named_terms_add_up_to_the_reward(task_id: str, reward_mode: str) -> None:
    replies = played([*SCRIPT, Action.stop()], task_id=task_id, seed=SEED, reward_mode=reward_mode)
    assert (replies[0].reward, replies[0].info) == (None, None)
    for reply in replies[1:]:
        assert reply.reward == pytest.approx(sum(info_of(reply).reward_terms.values()), abs=1e-12)


@EACH_TASK
@EACH_END
def test_shaped_reward_is_the_formula_and_the_grade_once_at_the_end(task_id: str, last: Action) -> None:
    replies = played([*SCRIPT, last], task_id=task_id, seed=SEED)
    task = as_described(TASKS[task_id], replies[0].problem)
    for before, reply in pairwise(replies):
        info = info_of(reply)
        expected = TERMINAL_COEFFICIENT * info.grade.score if info.grade else 0.0
        if info.batch_size:
            assert info.gain is not None
            assert info.redundancy is not None
            assert (info.noise_ratio is None) == (info.mislabelled is None) == (not task.audited)
            assert (info.noise_ratio or 0.0) == (info.mislabelled or 0) / info.batch_size
            change = reply.observation.current_performance - before.observation.current_performance
            assert info.reward_terms["performance_gain"] == pytest.approx(5 * change)
            noise_penalty = (1 + 2 * task.flip_y) * (info.noise_ratio or 0.0)
            expected += info.gain - 0.01 * info.batch_size - 0.3 * info.redundancy - noise_penalty + 0.15
        assert reply.reward == pytest.approx(expected, abs=1e-12)
    assert [info_of(reply).grade is not None for reply in replies[1:]] == [False] * 4 + [True]


@EACH_TASK
@EACH_END
def test_grade_rewards_add_up_to_the_grade(task_id: str, last: Action) -> None:
    replies = played([*SCRIPT, last], task_id=task_id, seed=SEED, reward_mode="grade")
    rewards = [reply.reward for reply in replies if reply.reward is not None]
    info = info_of(replies[-1])
    assert info.grade is not None
    assert sum(rewards) == pytest.approx(info.grade.score, abs=1e-12)
    assert all(-1 <= reward <= 1 for reward in rewards)
    assert set(info.reward_terms) == {"grade_change"}


# --- replies --------------------------------------------------------------------------------------------------------


@EACH_TASK
def test_a_reply_names_its_episode_and_step_beside_and_in_its_metadata(task_id: str) -> None:
    for step, reply in enumerate(played(SCRIPT, task_id=task_id, seed=SEED, episode_id="mine")):
        assert (reply.episode_id, reply.task_id, reply.seed, reply.step) == ("mine", task_id, SEED, step)
        for name in type(reply.metadata).model_fields:
            assert getattr(reply.metadata, name) == getattr(reply, name)


@EACH_TASK
def test_state_names_the_episode(task_id: str) -> None:
    env = DataSelectEnv()
    reply = play(env, SCRIPT, task_id=task_id, seed=SEED, reward_mode="grade")[-1]
    state = env.state
    assert (state.episode_id, state.task_id, state.seed, state.split) == (reply.episode_id, task_id, SEED, "train")
    assert (state.max_steps, state.reward_mode) == (task_at(TASKS[task_id], SEED).max_steps, "grade")
    assert state.dynamics_version == DYNAMICS_VERSION


def test_the_model_is_a_classifier_that_scores_as_reported() -> None:
    env, dataset = DataSelectEnv(), make_dataset(dataset_number(SEED))
    env.reset(seed=SEED)
    for action in SCRIPT:
        reported = env.step(action).observation.current_performance
        assert type(env.model) is SGDClassifier
        odds = dataset.X_validation @ env.model.coef_[0] + env.model.intercept_[0]
        assert reported == pytest.approx(1 / (1 + log_loss(dataset.y_validation, 1 / (1 + np.exp(-odds)))), abs=1e-10)


def test_an_action_may_be_what_it_looks_like_in_json() -> None:
    env = DataSelectEnv()
    env.reset(seed=SEED)
    like = {"action_type": "select_batch", "batch_size": 7, "strategy_weights": {"random": 1}}
    assert env.step(like).observation.remaining_budget == TASKS["easy"].budget - 7
    with pytest.raises(InvalidInput, match="batch_size"):
        env.step({**like, "batch_size": -1})


def test_an_environment_says_where_it_is_and_closes() -> None:
    with DataSelectEnv() as env:
        assert repr(env) == "<DataSelectEnv: no episode>"
        env.reset(task_id="hard", seed=7)
        env.step(Action.select(7, random=1))
        assert repr(env).startswith("<DataSelectEnv: hard, seed 7, step 1 of 8, 93 of 100 samples left, performance 0.")
        env.step(Action.stop())
        assert repr(env).endswith(", over: stop>")
    with pytest.raises(NoEpisode):
        _ = env.state
    assert env.reset(seed=1).step == 0  # a closed environment can be reset


def test_the_public_names_are_listed() -> None:
    import dataselect_env

    assert set(dir(dataselect_env)) == set(dataselect_env.__all__)
    assert {"Action", "DataSelectEnv", "Reply"} <= set(dir(dataselect_env))
