"""Policies for experiments with hundreds of them. Each follows from its name, so that any process can play it.

- ``candidates:u75_d0_r25_b20``, an entry of the tuning grid, always buys 20 with weights .75, 0 and .25.
- ``candidates:random_17`` is number 17 of a sequence of random policies from three families in turn: constants,
  constants that stop at a random moment, and policies that are linear in the observation.
"""

from __future__ import annotations

import re

import numpy as np

from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import Task
from dataselect_env.policies.policy import Act, Policy, constant

MIXES = (
    (100, 0, 0), (0, 100, 0), (0, 0, 100),
    (0, 75, 25), (0, 50, 50), (0, 25, 75),
    (25, 75, 0), (50, 50, 0), (75, 25, 0),
    (25, 0, 75), (50, 0, 50), (75, 0, 25),
    (40, 40, 20),
)  # fmt: skip
"""Weights of uncertainty, diversity and random, in per cent."""
BATCH_SIZES = (10, 13, 16, 20, 30, 50, 100)
GRID = tuple(f"u{u}_d{d}_r{r}_b{b}" for u, d, r in MIXES for b in BATCH_SIZES)
FAMILIES = ("constant", "random stop", "linear")
RANDOM_STREAM = 99

SIZES = (5, 8, 10, 13, 20, 30, 50)
CONCENTRATION = 0.6
"""Concentration of the Dirichlet draw of weights: below 1, so that nearly pure strategies are frequent."""


def full_name(name: str) -> str:
    """Return the name of a candidate for ``get_policy`` and ``evaluate --policies``."""
    return f"{__name__}:{name}"


def __getattr__(name: str) -> Policy:
    """Return the policy of this name."""
    if found := re.fullmatch(r"u(\d+)_d(\d+)_r(\d+)_b(\d+)", name):
        u, d, r, b = map(int, found.groups())
        action = Action.select(b, uncertainty=u, diversity=d, random=r)
        return constant(name, f"Batches of {b}: {u} % uncertainty, {d} % diversity, {r} % random.", action)
    if found := re.fullmatch(r"random_(\d+)", name):
        return random_policy(int(found[1]))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def random_policy(number: int) -> Policy:
    """Return the random policy of this number."""
    rng = np.random.default_rng([RANDOM_STREAM, number])
    size = int(rng.choice(SIZES))
    u, d, r = (float(weight) for weight in rng.dirichlet([CONCENTRATION] * 3))
    action = Action.select(size, uncertainty=u, diversity=d, random=r)
    family = FAMILIES[number % len(FAMILIES)]
    name, text = f"random_{number}", f"One of the random policies: {family}."
    if family == "constant":
        return constant(name, text, action)
    if family == "random stop":
        return _with_random_stop(name, text, action, float(rng.uniform(0.02, 0.5)))
    return _linear(name, text, rng.normal(size=(5, 6)) * 1.5)


def _with_random_stop(name: str, text: str, action: Action, probability: float) -> Policy:
    def start(_task: Task, rng: np.random.Generator) -> Act:
        return lambda _reply: Action.stop() if rng.random() < probability else action

    return Policy(name, text, start)


def _linear(name: str, text: str, matrix: np.ndarray) -> Policy:
    """Return a policy whose weights, batch size and stop are linear in the observation, by ``matrix``, (5, 6)."""

    def start(task: Task, _rng: np.random.Generator) -> Act:
        def act(reply: Reply) -> Action:
            seen = reply.observation
            features = (
                1,
                seen.remaining_budget / task.budget,
                seen.current_performance * 4 - 2,
                (seen.noise_estimate - task.flip_y) / max(task.flip_y, 0.05),
                seen.diversity_score - 1,
                reply.step / task.max_steps,
            )
            *scores, size, end = (float(value) for value in matrix @ np.array(features))
            if end > 2 and reply.step:
                return Action.stop()
            u, d, r = (float(weight) for weight in np.exp(np.array(scores) - max(scores)))
            return Action.select(int(np.clip(15 * np.exp(size / 2), 5, 60)), uncertainty=u, diversity=d, random=r)

        return act

    return Policy(name, text, start)
