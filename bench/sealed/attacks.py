"""Attacks on the score: programs that know the package and try to rebuild an episode from what a server tells them.

An attack that knows the seed of an episode plays ``PLANS`` plans on its own copy, and then the best of them for real.
All use legal actions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from dataselect_env.core.data import accepted_datasets, dataset_number
from dataselect_env.core.episode import Episode
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import SPLITS, get_task
from dataselect_env.core.warm_start import make_warm_start

PLANS = 300
"""Plans that an attack tries on its copy of an episode."""
SIZES = (5, 10, 15, 20, 30, 40, 60, 80, 100)
CLOSE = 1e-9
"""Largest difference of two observations that count as equal."""

Plan = list[Action]


def random_plan(rng: np.random.Generator, max_steps: int) -> Plan:
    """Return a plan of a few purchases, each by one strategy or by a mix."""
    return [random_purchase(rng) for _ in range(int(rng.integers(1, min(max_steps, 5))))]


def random_purchase(rng: np.random.Generator) -> Action:
    """Return a purchase by one strategy or by a mix."""
    weights = np.eye(3)[rng.integers(3)] if rng.random() < 0.5 else rng.dirichlet(np.full(3, 0.5))
    return Action.select(int(rng.choice(SIZES)), uncertainty=weights[0], diversity=weights[1], random=weights[2])


def changed(plan: Plan, rng: np.random.Generator) -> Plan:
    """Return a plan with one purchase replaced, removed or added."""
    place, kind = int(rng.integers(len(plan) + 1)), rng.random()
    if kind < 0.2 and len(plan) > 1:
        return plan[:place] + plan[place + 1 :]
    return [*plan[:place], random_purchase(rng), *plan[place + (kind < 0.7) :]]


def best_plan(task_id: str, seed: int, first: Plan | None = None) -> Plan:
    """Return the best of ``PLANS`` plans on a copy of an episode: half are random, half change the best one so far.

    Args:
        task_id: Task of the episode.
        seed: Its seed, or what the attack takes for it.
        first: Actions that have been played.
    """
    task = get_task(task_id)
    start = Episode(task, seed, hold_data=True)
    for action in first or []:
        start.step(action)
    rng = np.random.default_rng(0)
    best: tuple[float, Plan] = (-1.0, [])
    for number in range(PLANS):
        plan = random_plan(rng, task.max_steps) if number < PLANS // 2 else changed(best[1], rng)
        score = _score(deepcopy(start), plan)
        if score > best[0]:
            best = score, plan
    return best[1]


def _score(episode: Episode, plan: Plan) -> float:
    for action in plan:
        if episode.phase == "over":
            break
        episode.step(action)
    return episode.grade().score


# --- ways to find the seed ------------------------------------------------------------------------------------------


def told_seed(first: Reply) -> int | None:
    """Return the seed that a reply tells, wherever in it."""

    def search(value: Any) -> Iterator[int]:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name == "seed" and inner is not None:
                    yield int(inner)
                yield from search(inner)

    return next(search(first.model_dump()), None)


@cache
def fingerprints() -> dict[int, tuple[float, float]]:
    """Return performance and diversity of the first observation, by the number of each pinned data set."""
    found = {}
    for number in (number for numbers in accepted_datasets().values() for number in numbers):
        start = make_warm_start(number)
        found[number] = (start.performance, float(start.dataset.X_seed.std()))
    return found


def fingerprinted_numbers(first: Reply) -> list[int]:
    """Return the pinned data sets whose first observation is that of a reply."""
    seen = first.observation.current_performance, first.observation.diversity_score
    return [number for number, one in fingerprints().items() if np.allclose(one, seen, rtol=0, atol=CLOSE)]


def nearest_number(first: Reply) -> int:
    """Return the pinned data set whose first observation is nearest to that of a reply."""
    seen = np.array([first.observation.current_performance, first.observation.diversity_score])
    spread = np.std(list(fingerprints().values()), axis=0)
    return min(fingerprints(), key=lambda number: float(np.abs((fingerprints()[number] - seen) / spread).sum()))


def seeds_of(numbers: list[int]) -> list[int]:
    """Return the seeds of all splits that use one of these data sets."""
    wanted = set(numbers)
    ranges = (range(split.first_seed, split.first_seed + split.seeds) for split in SPLITS.values())
    return [seed for seeds in ranges for seed in seeds if dataset_number(seed) in wanted]


def agreeing_seed(task_id: str, seeds: list[int], probe: Action, reply: Reply) -> int | None:
    """Return the seed whose episode answers a first action as a server did; None if there is none."""
    task = get_task(task_id)
    for seed in seeds:
        result = Episode(task, seed).step(probe)
        if reply.reward is not None and abs(result.reward - reply.reward) <= CLOSE:
            return seed
    return None
