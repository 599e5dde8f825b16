"""Sealed seeds: another key, task, version or index is another episode, and none is that of an open split."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dataselect_env.core import sealed
from dataselect_env.core.data import WARM_START_BAND, accepted_datasets, world_of
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.episode import Episode, replay
from dataselect_env.core.errors import UnknownSplit
from dataselect_env.core.models import Action, Reply, ResetRequest
from dataselect_env.core.open import families
from dataselect_env.core.open.problems import problem
from dataselect_env.core.sealed import DIGITS, SealedSeed, dataset_number, is_sealed, rounded, sealed_seed
from dataselect_env.core.source import source_of
from dataselect_env.core.tasks import BUILT_IN, PINNED, SEALED, SEED_LIMIT, TASKS, get_task, split_of

KEY = b"k" * 32
MEDIUM = get_task("medium")
SCRIPT = [Action.select(20, uncertainty=0.7, diversity=0.2, random=0.1), Action.select(9, random=1), Action.stop()]


def sealed_env(task_id: str, index: int) -> tuple[DataSelectEnv, Reply]:
    env = DataSelectEnv()
    return env, env.start(ResetRequest(task_id=task_id), (TASKS[task_id], sealed_seed(KEY, TASKS[task_id], index)))


def floats(value: Any) -> list[float]:
    """Return all floats in JSON-like data, except those of grades."""
    if isinstance(value, float):
        return [value]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [one for name, part in inner if name != "grade" for one in floats(part)]


def test_the_seed_depends_on_key_task_definition_index_and_dynamics(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = {
        sealed_seed(KEY, MEDIUM, 0).seed,
        sealed_seed(b"l" * 32, MEDIUM, 0).seed,
        sealed_seed(KEY, get_task("hard"), 0).seed,
        sealed_seed(KEY, replace(MEDIUM, digest="other"), 0).seed,
        sealed_seed(KEY, MEDIUM, 1).seed,
    }
    monkeypatch.setattr(sealed, "DYNAMICS_VERSION", 99)
    seeds.add(sealed_seed(KEY, MEDIUM, 0).seed)
    assert len(seeds) == 6
    assert all(is_sealed(seed) and seed >= 2**256 for seed in seeds)


def test_the_derivation_is_fixed() -> None:
    """A change would give every host of a benchmark other episodes under the same secret."""
    assert sealed_seed(KEY, replace(MEDIUM, digest=None), 7).index == 7
    assert hex(sealed_seed(KEY, MEDIUM, 7).seed) == SEED_7


SEED_7 = "0x1da4dc6903b09d34ed63bb3a0ea958196652209e8a0003b39d0bb17a31b9e5d80"


def test_seeds_of_open_splits_are_not_sealed() -> None:
    assert not is_sealed(SEED_LIMIT - 1)
    assert split_of(SEED_LIMIT - 1) is None
    assert split_of(SEED_LIMIT) == split_of(None) == SEALED


def test_data_sets_are_accepted_like_the_pinned_ones_and_none_of_them() -> None:
    pinned = {number for numbers in accepted_datasets().values() for number in numbers}
    low, high = WARM_START_BAND
    for index in range(5):
        seed = sealed_seed(KEY, MEDIUM, index).seed
        start = source_of(MEDIUM).start(seed)
        assert start.dataset.number == dataset_number(seed) not in pinned
        assert low <= start.performance <= high


def test_both_worlds_are_as_frequent_as_on_the_open_splits() -> None:
    confident = [world_of(sealed_seed(KEY, MEDIUM, index).seed) == "confident" for index in range(1_000)]
    assert pytest.approx(np.mean(confident), abs=4 * np.sqrt(0.24 / 1_000)) == 0.4


def test_problems_of_open_are_of_the_families_that_training_never_sees() -> None:
    task = TASKS["open"]
    assert {problem(sealed_seed(KEY, task, index).seed).family for index in range(6)} <= set(families.TESTING)


@pytest.mark.parametrize("task_id", BUILT_IN)
def test_a_reply_has_the_index_and_no_seed_and_six_decimals(task_id: str) -> None:
    env, first = sealed_env(task_id, 3)
    replies = [first, *(env.step(action) for action in SCRIPT)]
    for reply in replies:
        data = reply.model_dump()
        assert (data["seed"], data["metadata"]["seed"], data["index"], data["metadata"]["index"]) == (None, None, 3, 3)
        assert all(value == round(value, DIGITS) for value in floats(data))
    state = env.state
    assert (state.seed, state.split, state.index) == (None, SEALED, 3)
    assert state.current_performance == round(state.current_performance, DIGITS)
    assert replies[-1].info is not None
    assert replies[-1].info.grade == env.grade


@pytest.mark.parametrize("task_id", PINNED)
def test_only_the_replies_are_rounded(task_id: str) -> None:
    env, _ = sealed_env(task_id, 0)
    replies = [env.step(action) for action in SCRIPT]
    episode, results = replay(TASKS[task_id], sealed_seed(KEY, TASKS[task_id], 0).seed, SCRIPT)
    assert [reply.reward for reply in replies] == [round(result.reward, DIGITS) for result in results]
    assert env.grade == episode.grade()
    assert episode.performance != round(episode.performance, DIGITS)


def test_open_replies_have_no_index() -> None:
    reply = DataSelectEnv().reset(task_id="easy", seed=1)
    assert "index" not in reply.model_dump()
    assert "index" not in reply.model_dump()["metadata"]


def test_the_environment_in_process_offers_no_sealed_split() -> None:
    with pytest.raises(UnknownSplit, match="offered only by servers that have a secret"):
        DataSelectEnv().reset(split=SEALED, index=0)


def test_rounding_reaches_everything_but_grades() -> None:
    data = {"a": 1 / 3, "b": [2 / 3, {"c": (1 / 3,)}], "grade": {"score": 1 / 3}, "n": 1, "t": "x", "z": None}
    expected = {
        "a": 0.333333,
        "b": [0.666667, {"c": [0.333333]}],
        "grade": {"score": 1 / 3},
        "n": 1,
        "t": "x",
        "z": None,
    }
    assert rounded(data) == expected


def test_an_episode_is_the_same_whenever_it_is_played() -> None:
    seed = sealed_seed(KEY, MEDIUM, 2).seed
    first = [step.reward for step in replay(MEDIUM, seed, SCRIPT)[1]]
    dataset_number.cache_clear()
    assert [step.reward for step in replay(MEDIUM, seed, SCRIPT)[1]] == first
    assert Episode(MEDIUM, seed).performance != Episode(MEDIUM, SealedSeed(seed + 1, 2).seed).performance
