"""Rollouts are whole episodes, repeatable, and the same wherever they are played."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.errors import InvalidInput, UnknownTask
from dataselect_env.core.models import Action, Reply, RewardMode
from dataselect_env.core.tasks import PINNED, TASKS, Task
from dataselect_env.core.validation import parse
from dataselect_env.evaluation.rollout import final_grade, play, policy_rng, rollout
from dataselect_env.policies import GROUPS, Act, AnyPolicy, Policy, get_policy
from dataselect_env.policies.policy import OraclePolicy, guarded

SEED = 20_100


def start_at_random(task: Task, rng: np.random.Generator) -> Act:
    return lambda _: Action.select(int(rng.integers(5, task.budget // 4)), random=1, diversity=rng.random())


AT_RANDOM = Policy("at random", "Buys batches of random size.", start_at_random)


class HttpEnv:
    """What a client of the server looks like to a rollout."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def reset(self, *, task_id: str, seed: int | None, reward_mode: RewardMode) -> Reply:
        return self._post("/reset", {"task_id": task_id, "seed": seed, "reward_mode": reward_mode})

    def step(self, action: Action, /) -> Reply:
        return self._post("/step", action.model_dump())

    def _post(self, path: str, body: dict[str, object]) -> Reply:
        return parse(Reply, self.client.post(path, json=body).json())


def without_id(reply: Reply) -> dict[str, object]:
    return reply.model_dump(exclude={"episode_id": True, "metadata": {"episode_id"}})


@pytest.mark.parametrize("task_id", TASKS)
def test_every_policy_plays_to_the_end(task_id: str) -> None:
    for name in GROUPS["all"]:
        if name == "best-constant" and task_id not in PINNED:
            continue  # it is known for the pinned tasks only
        episode = rollout(get_policy(name), task_id, SEED)
        assert (episode.policy, episode.task_id, episode.seed) == (name, task_id, SEED)
        assert [reply.done for reply in episode.replies] == [False] * (len(episode.replies) - 1) + [True], name
        assert [reply.step for reply in episode.replies] == list(range(len(episode.replies))), name
        assert {(reply.task_id, reply.seed) for reply in episode.replies} == {(task_id, SEED)}, name
        total = math.fsum(reply.reward or 0 for reply in episode.replies)
        assert episode.episode_return == pytest.approx(total), name
        assert episode.grade == final_grade(episode.replies[-1]), name


@pytest.mark.parametrize("policy", [get_policy("balanced"), AT_RANDOM], ids=lambda policy: policy.name)
def test_rewards_of_mode_grade_add_up_to_the_score(policy: AnyPolicy) -> None:
    episode = rollout(policy, "medium", SEED, reward_mode="grade")
    assert episode.episode_return == pytest.approx(episode.grade.score, abs=1e-12)


def test_repeats_whatever_the_global_generators_did() -> None:
    first = rollout(AT_RANDOM, "easy", SEED)
    np.random.seed(1)  # noqa: NPY002  (what a rollout must not look at)
    random.seed(1)
    again = rollout(AT_RANDOM, "easy", SEED)
    assert [without_id(reply) for reply in again.replies] == [without_id(reply) for reply in first.replies]


def test_policy_stream_depends_on_seed_and_name_alone() -> None:
    draw = policy_rng("some policy", 5).random()
    assert policy_rng("some policy", 5).random() == draw
    assert policy_rng("some policy", 6).random() != draw
    assert policy_rng("other policy", 5).random() != draw
    command = "from dataselect_env.evaluation.rollout import policy_rng; print(policy_rng('some policy', 5).random())"
    elsewhere = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert float(elsewhere.stdout) == draw


def test_same_in_process_and_over_http(client: TestClient) -> None:
    here = rollout(AT_RANDOM, "hard", SEED)
    there = rollout(AT_RANDOM, "hard", SEED, env=HttpEnv(client))
    assert [without_id(reply) for reply in there.replies] == [without_id(reply) for reply in here.replies]
    assert there.grade == here.grade


def test_plays_in_the_environment_it_is_given() -> None:
    env = DataSelectEnv()
    replies = rollout(get_policy("random"), "hard", SEED, env=env).replies
    assert env.state.episode_id == replies[-1].episode_id
    assert env.state.done


def test_play_draws_a_seed_when_asked_to() -> None:
    seeds = {next(play(get_policy("stop"), "easy", None)).seed for _ in range(5)}
    assert len(seeds) > 1


def test_play_yields_each_reply_before_the_policy_sees_it() -> None:
    seen: list[int] = []

    def start(task: Task, rng: np.random.Generator) -> Act:
        def act(reply: Reply) -> Action:
            seen.append(reply.step)
            return Action.select(10, random=1)

        return act

    replies = play(Policy("watched", "Buys.", start), "hard", SEED)
    assert next(replies).step == 0
    assert seen == []
    assert next(replies).step == 1
    assert seen == [0]


@pytest.mark.parametrize("answer", [None, {"action_type": "stop"}, 5])
def test_answer_that_is_no_action(answer: object) -> None:
    policy = Policy("careless", "Answers anything.", lambda *_: lambda _: cast("Action", answer))
    with pytest.raises(InvalidInput, match=f"careless returned {type(answer).__name__}, not an Action"):
        rollout(policy, "easy", SEED)


@pytest.mark.parametrize("own", [lambda policy: policy, guarded], ids=["plain", "guarded"])
def test_a_policy_that_returns_nothing_is_named(own: Callable[[AnyPolicy], AnyPolicy]) -> None:
    silent = Policy("silent", "Forgets to return.", cast("Any", lambda *_: None))
    with pytest.raises(InvalidInput, match=r"^policy: the start of silent returned NoneType, not a function"):
        rollout(own(silent), "easy", SEED)
    for answer in (None, Action.stop()):
        oracle = OraclePolicy("silent", "Buys, perhaps.", cast("Any", lambda *_, found=answer: lambda _: found))
        with pytest.raises(InvalidInput, match=f"its move returned {type(answer).__name__}, not the StepResult"):
            rollout(own(oracle), "easy", SEED)


def test_mistakes_of_the_caller() -> None:
    with pytest.raises(UnknownTask):
        rollout(get_policy("stop"), "impossible", SEED)
    with pytest.raises(InvalidInput, match="seed"):
        rollout(get_policy("stop"), "easy", -1)


def test_reply_without_a_grade() -> None:
    with pytest.raises(InvalidInput, match="step 0 carries no grade"):
        final_grade(DataSelectEnv().reset(seed=SEED))
