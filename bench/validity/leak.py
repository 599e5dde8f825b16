"""Check that replies do not depend on labels that an agent must not know.

Episodes are played twice with the same actions, the second time with some hidden labels changed, and the replies are
compared.

- *Noise mask*: the mask is shuffled among the samples that the episode never buys. Replies may change only where the
  noise trap changes the samples that uncertainty chooses.
- *Validation labels*: half of them are flipped. Only figures computed from the performance may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from dataselect_env.core import kernel
from dataselect_env.core.arrays import Indices, Mask
from dataselect_env.core.data import POOL_ROWS, VALIDATION_ROWS, Pool, make_pool
from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Action
from dataselect_env.core.strategies import sampling
from dataselect_env.core.warm_start import WarmStart, warm_start

PERFORMANCE_FIELDS = frozenset(
    {
        "observation.current_performance",
        "reward",
        "info.reward_terms.performance_gain",
        "info.reward_terms.grade_change",
        "info.gain",
    }
)
"""Fields computed from the performance, which may change with the validation labels."""

WITHOUT_UNCERTAINTY = (
    Action.select(5, diversity=1),
    Action.select(13, random=1),
    Action.select(20, diversity=1, random=2),
    Action.select(0, random=1),
)
EVERY_STRATEGY = (
    Action.select(5, uncertainty=1),
    Action.select(13, diversity=1),
    Action.select(20, uncertainty=2, diversity=1, random=1),
    Action.select(0, random=1),
)
"""Scripts of actions; none of them ends an episode of any task."""

ChangePool = Callable[[Pool], Pool]
ChangeStart = Callable[[WarmStart], WarmStart]


@dataclass(frozen=True, slots=True)
class Played:
    """The outcome of a script.

    Attributes:
        replies: One flat dictionary per reply, from dotted names to values, without the episode's random id.
        bought: Indices of all samples that the strategies chose.
        pool: The pool of the episode.
    """

    replies: list[dict[str, Any]]
    bought: Indices
    pool: Pool


def play(
    task_id: str,
    seed: int,
    actions: Sequence[Action],
    *,
    change_pool: ChangePool = lambda pool: pool,
    change_start: ChangeStart = lambda start: start,
    trap: bool = True,
) -> Played:
    """Play a script with changed hidden labels; ``trap=False`` switches the noise trap off."""
    batches: list[Indices] = []
    pools: list[Pool] = []
    choose = kernel.choose

    def made(*arguments: Any) -> Pool:
        pools.append(change_pool(make_pool(*arguments)))
        return pools[-1]

    def chosen(*arguments: Any) -> Indices:
        batches.append(choose(*arguments))
        return batches[-1]

    @cache
    def changed(number: int) -> WarmStart:
        return change_start(warm_start(number))

    with ExitStack() as stack:
        stack.enter_context(patch("dataselect_env.core.source.make_pool", made))
        stack.enter_context(patch("dataselect_env.core.source.warm_start", changed))
        stack.enter_context(patch.object(kernel, "choose", chosen))
        if not trap:
            stack.enter_context(patch.object(sampling, "trap_strength", lambda _: 0.0))
        env = DataSelectEnv()
        first = env.reset(task_id=task_id, seed=seed, episode_id="leak")
        replies = [first, *map(env.step, actions)]
    flat = [dict(flattened(reply.model_dump(exclude={"metadata"}))) for reply in replies]
    return Played(flat, np.concatenate(batches), pools[0])


def flattened(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dictionaries under their dotted names."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from flattened(part, f"{name}.{key}" if name else key)
    else:
        yield name, value


def differing(ours: Played, theirs: Played) -> set[str]:
    """Return the names of all fields that differ in any reply."""
    return {
        name
        for one, other in zip(ours.replies, theirs.replies, strict=True)
        for name in one.keys() | other.keys()
        if one.get(name) != other.get(name) or (name in one) != (name in other)
    }


def with_other_noise(bought: Indices, rng: np.random.Generator) -> ChangePool:
    """Return a change that shuffles the noise mask among the samples that were not bought."""

    def change(pool: Pool) -> Pool:
        others = np.setdiff1d(np.arange(len(pool.mislabelled)), bought)
        mask: Mask = pool.mislabelled.copy()
        mask[others] = rng.permutation(mask[others])
        labels = pool.labels.copy()
        labels[POOL_ROWS] ^= mask != pool.mislabelled
        return replace(pool, labels=labels, mislabelled=mask)

    return change


def with_other_validation_labels(rng: np.random.Generator) -> ChangeStart:
    """Return a change that flips half of the validation labels."""

    def change(start: WarmStart) -> WarmStart:
        y = start.dataset.y.copy()
        y[VALIDATION_ROWS] ^= rng.permutation(len(y[VALIDATION_ROWS])) % 2
        dataset = replace(start.dataset, y=y)
        performance = start.learner.performance(dataset.X_validation, dataset.y_validation)
        return replace(start, dataset=dataset, performance=performance)

    return change


def audit(task_id: str, seeds: Iterable[int]) -> dict[str, Any]:
    """Audit the episodes of some seeds.

    Returns:
        ``episodes``: number of seeds; ``mask``: episodes without uncertainty in which the mask of unbought samples
        changed a reply; ``mask_without_trap``: the same with every strategy and no trap; ``mask_with_trap``: the same
        with the trap, whose purpose such changes are; ``validation``: fields that changed with the validation labels;
        ``allowed``: fields that may.
    """
    found = {"episodes": 0, "mask": 0, "mask_without_trap": 0, "mask_with_trap": 0}
    fields: set[str] = set()
    for seed in seeds:
        found["episodes"] += 1
        for name, script, trap in (
            ("mask", WITHOUT_UNCERTAINTY, True),
            ("mask_without_trap", EVERY_STRATEGY, False),
            ("mask_with_trap", EVERY_STRATEGY, True),
        ):
            before = play(task_id, seed, script, trap=trap)
            change = with_other_noise(before.bought, np.random.default_rng(seed))
            after = play(task_id, seed, script, trap=trap, change_pool=change)
            found[name] += bool(differing(before, after))
        before = play(task_id, seed, EVERY_STRATEGY)
        flips = with_other_validation_labels(np.random.default_rng(seed))
        fields |= differing(before, play(task_id, seed, EVERY_STRATEGY, change_start=flips))
    return {**found, "validation": sorted(fields), "allowed": sorted(PERFORMANCE_FIELDS)}
