"""Oracles see the ground truth, and only they do."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from fastapi.testclient import TestClient

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode
from dataselect_env.core.errors import EpisodeOver, InvalidInput, NoEpisode
from dataselect_env.core.models import Action
from dataselect_env.core.results import StepResult
from dataselect_env.core.tasks import PINNED, TASKS
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy, oracle
from dataselect_env.policies.oracle import OracleEnv
from tests.helpers.owning import OWN, forgotten, offered

SEED = 20_100


def first_five(episode: Episode) -> StepResult:
    return episode.buy(episode.clean_samples[:5])


@pytest.mark.parametrize("task_id", PINNED)
def test_the_oracle_buys_clean_to_the_end(task_id: str) -> None:
    parts = rollout(get_policy("oracle"), task_id, SEED).grade.breakdown
    task = TASKS[task_id]
    assert parts.avg_noise_ratio == 0
    assert parts.budget_used == min(task.budget, oracle.BATCH_SIZE * task.max_steps)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 20_000, 20_001])
def test_the_oracle_buys_clean_where_nobody_reports_it_too(seed: int) -> None:
    episode = Episode(TASKS["open"], seed)
    oracle_move = oracle.start_oracle(episode.task, np.random.default_rng(0))
    while episode.end_reason is None:
        samples = oracle_move(episode).samples
        assert not episode.mislabelled[samples].any()
    assert episode.budget_used == episode.task.budget
    breakdown = rollout(get_policy("oracle"), "open", seed).grade.breakdown
    assert breakdown.avg_noise_ratio == (0 if episode.task.audited else None)


def test_the_greedy_oracle_is_better_in_every_episode() -> None:
    for seed in range(SEED, SEED + 3):
        greedy, plain = (rollout(get_policy(name), "hard", seed).grade for name in ("greedy-oracle", "oracle"))
        assert greedy.score >= plain.score
        assert greedy.breakdown.performance > plain.breakdown.performance


def test_the_greedy_oracle_chooses_what_turns_out_best() -> None:
    episode = Episode(TASKS["medium"], SEED)
    rng = np.random.default_rng(0)
    candidates = [lambda one, weights=weights: one.select_batch(13, weights) for weights in np.eye(3).tolist()]
    trials = [oracle._outcome(episode, candidate) for candidate in candidates]
    oracle.start_greedy_oracle(episode.task, rng)(episode)
    assert (episode.grade().score, episode.performance) >= max(trials)


def test_trying_leaves_the_episode_as_it_was() -> None:
    tried, untouched = Episode(TASKS["hard"], SEED), Episode(TASKS["hard"], SEED)
    for _ in range(2):
        oracle._outcome(tried, first_five)
        oracle._outcome(tried, lambda one: one.select_batch(9, (1, 1, 1)))
        ours, theirs = (one.select_batch(12, (1, 1, 1)) for one in (tried, untouched))
        assert ours == theirs
        assert np.array_equal(tried.clean_samples, untouched.clean_samples)


def test_a_trial_comes_out_as_the_move_itself_will() -> None:
    episode = Episode(TASKS["medium"], SEED)
    promised = oracle._outcome(episode, lambda one: one.select_batch(9, (1, 2, 3)))
    episode.select_batch(9, (1, 2, 3))
    assert (episode.grade().score, episode.performance) == promised


def test_its_environment_plays_actions_like_any_other() -> None:
    actions = [Action.select(9, uncertainty=1, random=2), Action.select(20, diversity=1)]
    replies = []
    for env in (DataSelectEnv(), OracleEnv()):
        env.reset(task_id="hard", seed=SEED, episode_id="same")
        replies.append([env.step(action) for action in actions])
    assert replies[0] == replies[1]


def test_a_move_is_answered_like_a_step() -> None:
    env = OracleEnv()
    env.reset(task_id="medium", seed=SEED, reward_mode="grade")
    reply = env.move(first_five)
    assert reply.info is not None
    assert (reply.step, reply.info.batch_size, reply.info.mislabelled) == (1, 5, 0)
    assert set(reply.info.bought_by.values()) == {0}
    last = env.move(lambda episode: episode.stop())
    assert last.info is not None
    assert last.info.grade is not None
    assert (reply.reward or 0) + (last.reward or 0) == pytest.approx(last.info.grade.score)


def test_moves_out_of_order() -> None:
    env = OracleEnv()
    with pytest.raises(NoEpisode):
        env.move(first_five)
    env.reset(seed=SEED)
    env.step(Action.stop())
    with pytest.raises(EpisodeOver):
        env.move(first_five)


def test_samples_that_cannot_be_bought() -> None:
    episode = Episode(TASKS["hard"], SEED)
    clean = episode.clean_samples
    for samples in (clean[:0], clean[:101], clean[[0, 0]]):
        with pytest.raises(ValueError, match="samples"):
            episode.buy(samples)
    episode.buy(clean[:3])
    with pytest.raises(ValueError, match="still available"):
        episode.buy(clean[2:4])
    assert episode.budget_used == 3
    assert np.array_equal(episode.clean_samples, clean[3:])


def test_clean_samples_are_those_whose_purchase_turns_out_clean() -> None:
    episode = Episode(TASKS["hard"], SEED)
    clean = episode.clean_samples
    for sample in range(0, 1_100, 100):
        assert deepcopy(episode).buy(np.array([sample])).info.mislabelled == (sample not in clean)


class Wrapped:
    """What a client looks like to a rollout."""

    def __init__(self) -> None:
        env = DataSelectEnv()
        self.reset, self.step = env.reset, env.step


@pytest.mark.parametrize("make", [DataSelectEnv, Wrapped])
def test_an_oracle_needs_its_own_environment(make: type[DataSelectEnv | Wrapped]) -> None:
    with pytest.raises(InvalidInput, match="needs an OracleEnv"):
        rollout(get_policy("oracle"), "easy", SEED, env=make())


def test_no_server_holds_an_oracle_environment(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a server made an OracleEnv")

    monkeypatch.setattr(OracleEnv, "__init__", never)
    client.post("/reset", json={"seed": SEED})
    assert client.post("/step", json={"action_type": "buy", "batch_size": 5, "samples": [1]}).status_code == 422
    assert not hasattr(DataSelectEnv, "move")


@pytest.mark.parametrize("name", ["oracle", "greedy-oracle"])
def test_oracles_refuse_tasks_without_ground_truth(name: str) -> None:
    with forgotten():
        offered(**OWN["unknown"])
        with pytest.raises(InvalidInput, match="ground truth"):
            rollout(get_policy(name), "mine", 3)
