"""How much of the skill on medium and hard is one bit, and what the noise trap adds to it.

    python -m bench.validity.one_bit

Writes one_bit.json, which the page reports: what the first batch of five by uncertainty turns out to be on seeds of the
test split, and the mean grades of policies with the noise trap and without it. Takes about a minute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from dataselect_env.core.env import DataSelectEnv
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import DYNAMICS_VERSION, MIN_BATCH, SPLITS, TASKS, Task
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Act, Policy

if TYPE_CHECKING:
    import numpy as np

RESULTS = Path(__file__).with_name("one_bit.json")
HARDEST = ("medium", "hard")
FIRST = SPLITS["test"].first_seed
PROBES, EPISODES = 200, 50
POLICIES = ("best-constant", "one-bit", "probing", "ppo", "oracle")


def start_one_bit(_task: Task, _rng: np.random.Generator) -> Act:
    """Buy five by uncertainty; if none is mislabelled go on with uncertainty, otherwise with diversity."""
    clean = False

    def act(reply: Reply) -> Action:
        nonlocal clean
        if reply.info is None:
            return Action.select(MIN_BATCH, uncertainty=1)
        if reply.step == 1:
            clean = reply.info.mislabelled == 0
        return Action.select(48, uncertainty=1) if clean else Action.select(13, diversity=1)

    return act


ONE_BIT = Policy("one-bit", (start_one_bit.__doc__ or "").strip(), start_one_bit)


@contextmanager
def noise_trap(on: bool) -> Iterator[None]:
    """Play the built-in tasks with the noise trap or without it."""
    before = dict(TASKS)
    TASKS.update({name: replace(task, noise_trap=on) for name, task in before.items()})
    try:
        yield
    finally:
        TASKS.update(before)


def probe(task_id: str, seed: int) -> int:
    """Return how many of the first five samples by uncertainty are mislabelled."""
    env = DataSelectEnv()
    env.reset(task_id=task_id, seed=seed)
    info = env.step(Action.select(MIN_BATCH, uncertainty=1)).info
    if info is None or info.mislabelled is None:
        raise ValueError(f"{task_id} has no ground truth")
    return info.mislabelled


def probes(task_id: str, trap: bool) -> list[int]:
    """Return the number of probes with 0, 1, ... ``MIN_BATCH`` mislabelled samples."""
    with noise_trap(trap):
        wrong = [probe(task_id, seed) for seed in range(FIRST, FIRST + PROBES)]
    return [wrong.count(number) for number in range(MIN_BATCH + 1)]


def mean_grade(policy: str, task_id: str, trap: bool) -> float:
    """Return a policy's mean grade on the first seeds of the test split."""
    chosen = ONE_BIT if policy == ONE_BIT.name else get_policy(policy)
    with noise_trap(trap):
        return fmean(rollout(chosen, task_id, seed).grade.score for seed in range(FIRST, FIRST + EPISODES))


def measure(task_id: str, trap: bool) -> dict[str, Any]:
    """Return the probes and the grades of one task, with the noise trap or without it."""
    grades = {policy: mean_grade(policy, task_id, trap) for policy in POLICIES}
    return {"task": task_id, "trap": trap, "probes": probes(task_id, trap), "grades": grades}


def main() -> None:
    tasks, traps = zip(*product(HARDEST, (True, False)), strict=True)
    with ProcessPoolExecutor() as executor:
        cases = list(executor.map(measure, tasks, traps))
    results = {"dynamics": DYNAMICS_VERSION, "first_seed": FIRST, "episodes": EPISODES, "cases": cases}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
