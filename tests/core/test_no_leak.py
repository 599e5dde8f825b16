"""Replies reveal nothing about hidden labels beyond the documented audit; see bench/validity/leak.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.validity import leak
from dataselect_env.core.data import POOL_ROWS, Pool
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Action
from dataselect_env.core.tasks import PINNED

SEEDS = range(20_200, 20_203)


@pytest.mark.parametrize("task_id", PINNED)
def test_nothing_depends_on_hidden_labels(task_id: str) -> None:
    found = leak.audit(task_id, SEEDS)
    assert found["episodes"] == len(SEEDS)
    assert (found["mask"], found["mask_without_trap"]) == (0, 0)
    assert set(found["validation"]) <= set(found["allowed"])


def test_the_audit_sees_the_trap_and_the_performance() -> None:
    found = leak.audit("medium", SEEDS)
    assert found["mask_with_trap"] == len(SEEDS)
    assert {"observation.current_performance", "reward", "info.gain"} <= set(found["validation"])


def test_only_what_was_not_bought_is_changed() -> None:
    before = leak.play("hard", SEEDS[0], leak.WITHOUT_UNCERTAINTY)
    change = leak.with_other_noise(before.bought, np.random.default_rng(0))
    changed = change(before.pool)
    assert len(before.bought) == 43
    assert np.array_equal(changed.mislabelled[before.bought], before.pool.mislabelled[before.bought])
    assert changed.mislabelled.sum() == before.pool.mislabelled.sum()
    assert (changed.mislabelled != before.pool.mislabelled).sum() > 100
    assert np.array_equal(
        (changed.labels != before.pool.labels)[POOL_ROWS], changed.mislabelled != before.pool.mislabelled
    )


def test_the_audit_sees_a_changed_label_that_was_bought() -> None:
    before = leak.play("hard", SEEDS[0], leak.WITHOUT_UNCERTAINTY)

    def flip_one(pool: Pool) -> Pool:
        mask = pool.mislabelled.copy()
        mask[before.bought[0]] ^= True
        return replace(pool, mislabelled=mask)

    after = leak.play("hard", SEEDS[0], leak.WITHOUT_UNCERTAINTY, change_pool=flip_one)
    assert "info.mislabelled" in leak.differing(before, after)
    assert "observation.noise_estimate" in leak.differing(before, after)


@pytest.mark.parametrize("script", [leak.WITHOUT_UNCERTAINTY, leak.EVERY_STRATEGY])
@pytest.mark.parametrize("task_id", PINNED)
def test_scripts_stay_within_the_episode(task_id: str, script: tuple[Action, ...]) -> None:
    replies = leak.play(task_id, SEEDS[0], script).replies
    assert len(replies) == 1 + len(script)
    assert not any(reply["done"] for reply in replies)


def test_what_is_compared_is_the_whole_reply() -> None:
    reply = DataSelectEnv().reset(seed=1, episode_id="leak").model_dump()
    del reply["metadata"]  # repeats the rest
    assert dict(leak.flattened(reply)).keys() == leak.play("easy", 1, leak.EVERY_STRATEGY).replies[0].keys()
    assert {"seed", "step", "done", "reward", "observation.diversity_score"} <= dict(leak.flattened(reply)).keys()
