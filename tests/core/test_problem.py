"""The description of a problem: in the reply to a reset alone, and of what an agent may know alone."""

from __future__ import annotations

import numpy as np
import pytest

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode, replay
from dataselect_env.core.models import Action, RewardMode
from dataselect_env.core.open.problems import problem
from dataselect_env.core.problem import Problem, as_described
from dataselect_env.core.source import task_at
from dataselect_env.core.strategies.pool_statistics import STATISTICS
from dataselect_env.core.tasks import PINNED, TASKS
from tests.helpers.owning import OWN, forgotten, offered

OPEN = TASKS["open"]
SEEDS = (*range(12), 10_001, 20_001, 20_002, 20_003)
SCRIPT = (
    Action.select(5, uncertainty=1),
    Action.select(7, diversity=1, random=1),
    Action.select(6, random=1),
)


def problem_at(seed: int, task_id: str = "open") -> Problem:
    found = DataSelectEnv().reset(task_id=task_id, seed=seed).problem
    assert found is not None
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_it_has_the_numbers_of_the_episode(seed: int) -> None:
    found, episode = problem_at(seed), Episode(OPEN, seed)
    task, dataset = episode.task, episode._start.dataset
    assert (found.budget, found.max_steps, found.declared_noise_rate) == (task.budget, task.max_steps, task.flip_y)
    assert (found.pool_size, found.seed_size) == (episode.samples_available, len(dataset.seed_rows))
    assert (found.n_classes, found.n_features) == (dataset.n_classes, dataset.X.shape[1])
    assert (found.min_batch, found.max_batch) == (task.min_batch, task.max_batch)
    assert (tuple(found.performance_range), found.pass_performance) == (task.performance_range, task.pass_performance)
    assert (found.audited, tuple(found.strategies)) == (task.audited, episode.strategies)
    assert tuple(found.statistics) == tuple(STATISTICS)


def test_only_the_reply_to_a_reset_describes_and_only_where_lists_do_not() -> None:
    env = DataSelectEnv()
    assert "problem" in env.reset(task_id="open", seed=1).model_dump()
    assert "problem" not in env.step(SCRIPT[0]).model_dump()
    for task_id in PINNED:
        reply = env.reset(task_id=task_id, seed=1).model_dump()
        assert "problem" not in reply
        assert "problem" not in reply["metadata"]
    with forgotten():
        for name, definition in OWN.items():
            mine = offered(name, **definition)
            found = problem_at(3, name)
            assert (found.budget, found.n_classes, found.audited) == (mine.budget, mine.n_classes, mine.audited)
            assert as_described(mine, found).budget == mine.budget


def test_an_episode_is_described_before_its_first_step_only() -> None:
    episode = Episode(OPEN, 2)
    first = episode.describe()
    assert episode.describe() == first
    episode.select_batch(5, (0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="before the first step"):
        episode.describe()


@pytest.mark.parametrize("seed", [3, 4, 20_003])
def test_a_description_changes_nothing_in_the_episode(seed: int) -> None:
    """Replays after a restart do not describe the problem again."""
    names = Episode(OPEN, seed).strategies
    weights = [tuple(float(one == name) for one in names) for name in names]
    described, silent = Episode(OPEN, seed), Episode(OPEN, seed)
    described.describe()
    for chosen in weights[: described.task.max_steps]:
        if described.end_reason is None:
            ours, theirs = described.select_batch(5, chosen), silent.select_batch(5, chosen)
            assert ours == theirs
            assert np.array_equal(ours.samples, theirs.samples)


def test_as_described_tells_what_an_agent_may_know() -> None:
    assert as_described(TASKS["hard"], None) is TASKS["hard"]
    for seed in SEEDS:
        found, task = problem_at(seed), task_at(OPEN, seed)
        known = as_described(OPEN, found)
        assert (known.budget, known.max_steps, known.flip_y) == (task.budget, task.max_steps, task.flip_y)
        assert (known.success_criteria, known.score_formula) == (task.success_criteria, task.score_formula)
        assert known.has_ground_truth == known.audited == task.audited
        assert not known.varies
        assert task.has_ground_truth
        assert known.noise_trap == OPEN.noise_trap  # whether there is one in the episode is not told


def test_it_reads_neither_the_noise_mask_nor_the_validation_labels() -> None:
    for seed in SEEDS[:6]:
        episode, changed = Episode(OPEN, seed), Episode(OPEN, seed, hold_data=True)
        mislabelled = changed._state.pool.mislabelled
        mislabelled[:] = ~mislabelled
        dataset = changed._start.dataset
        y = dataset.y.copy()
        y[dataset.validation_rows] = (y[dataset.validation_rows] + 1) % dataset.n_classes
        y[dataset.pool_rows] = (y[dataset.pool_rows] + 1) % dataset.n_classes  # the right labels; given ones are kept
        object.__setattr__(dataset, "y", y)
        try:
            assert changed.describe() == episode.describe()
        finally:
            problem.cache_clear()


@pytest.mark.parametrize("mode", ["shaped", "grade"])
def test_episodes_without_audit_report_no_wrong_label(mode: RewardMode) -> None:
    unaudited = [seed for seed in range(30) if not task_at(OPEN, seed).audited and task_at(OPEN, seed).max_steps > 3]
    for seed in unaudited[:6]:
        env = DataSelectEnv()
        replies = [env.reset(task_id="open", seed=seed, reward_mode=mode)]
        replies += [env.step(action) for action in (*SCRIPT, Action.stop())]
        for reply in replies[1:]:
            info = reply.info
            assert info is not None
            assert (info.mislabelled, info.noise_ratio) == (None, None)
            assert info.reward_terms.get("noise_penalty", 0) == 0
        grade = replies[-1].info.grade if replies[-1].info else None
        assert grade is not None
        assert (grade.breakdown.avg_noise_ratio, grade.breakdown.noise_score) == (None, 0)


def test_without_audit_replies_are_the_same_whatever_labels_are_right() -> None:
    """Wrong labels among the samples bought are swapped for right ones in the mask alone: no reply may change."""
    seed = next(seed for seed in range(50) if not (task := task_at(OPEN, seed)).audited and not task.noise_trap)
    played, other = Episode(OPEN, seed), Episode(OPEN, seed)
    other._state.pool.mislabelled[:] = ~other._state.pool.mislabelled
    for action in SCRIPT:
        if played.end_reason is None:
            assert played.step(action) == other.step(action)
    assert played.stop() == other.stop()


@pytest.mark.parametrize("seed", [seed for seed in range(40) if not task_at(OPEN, seed).noise_trap][:6])
def test_no_strategy_reads_the_noise_mask_of_what_is_not_bought(seed: int) -> None:
    played = Episode(OPEN, seed)
    names = played.strategies
    script = [tuple(float(one == name) for one in names) for name in names][: played.task.max_steps]
    results = [played.select_batch(5, weights) for weights in script if played.end_reason is None]
    other = Episode(OPEN, seed)
    bought = np.concatenate([result.samples for result in results])
    mask = ~other._state.pool.mislabelled
    mask[bought] = played.mislabelled[bought]
    other._state.pool.mislabelled[:] = mask
    assert [other.select_batch(5, weights) for weights in script[: len(results)]] == results
    assert other.grade() == played.grade()


def test_a_replay_gives_the_same_episode() -> None:
    for seed in (5, 20_006):
        env = DataSelectEnv()
        env.reset(task_id="open", seed=seed)
        replies = [env.step(action) for action in SCRIPT]
        episode, results = replay(OPEN, seed, SCRIPT)
        assert [result.reward for result in results] == [reply.reward for reply in replies]
        assert [result.observation for result in results] == [reply.observation for reply in replies]
        assert episode.task == task_at(OPEN, seed)
