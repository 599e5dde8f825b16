"""Policies that play honestly, from the simplest constants to one that finds out what it must know.

All see the task and the replies only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import MIN_BATCH, Task
from dataselect_env.policies.policy import Act, Policy, constant, constant_by_task, pace, paced

if TYPE_CHECKING:
    import numpy as np

BATCH_SIZE = 10
"""Samples that the constant reference policies ask for in each step of a built-in task, unless their name says another
number; on other tasks an even share of the budget."""

BEST_CONSTANTS = {
    "easy": Action.select(20, uncertainty=1),
    "medium": Action.select(13, diversity=1),
    "hard": Action.select(13, diversity=1),
}
"""The best constant action by task: the highest mean grade of a grid of mixes and batch sizes on seeds of the train
split, and of near ties the highest return. ``bench/validity/tuning.py`` is the search, ``tuning.json`` its result."""

PROBE = MIN_BATCH
"""Samples that ``probing`` spends on finding out about uncertainty."""
PROBE_NOISE = 0.5
"""Share of wrong labels in the probe above which uncertainty is given up. In practice none or all are wrong."""
LEAVE_NOISE = 0.3
"""Share of wrong labels in a later batch above which uncertainty has run out of clean samples."""
CLEAN_BATCH = 48
"""Big batches while uncertainty is clean: the model's margins, and with them what is clean, shift with every step."""
SAFE_BATCH = 13
"""Smaller batches of the other strategies: more of them pay for more training passes."""

FEWEST, MOST = 5, 30
"""Batch sizes that the random agent draws from."""
PATIENCE = 2
"""Steps without a new best performance after which ``plateau`` stops."""


def start_random_agent(_task: Task, rng: np.random.Generator) -> Act:
    """Draw the batch size evenly, and the weights evenly among all mixes, anew in every step."""

    def act(_reply: Reply) -> Action:
        batch_size = int(rng.integers(FEWEST, MOST + 1))
        uncertainty, diversity, random = (float(weight) for weight in rng.dirichlet((1, 1, 1)))
        return Action.select(batch_size, uncertainty=uncertainty, diversity=diversity, random=random)

    return act


def start_plateau(task: Task, _rng: np.random.Generator) -> Act:
    """Remember the best performance and how many steps ago it was reached."""
    best, waited = 0.0, 0

    def act(reply: Reply) -> Action:
        nonlocal best, waited
        performance = reply.observation.current_performance
        waited = 0 if performance > best else waited + 1
        best = max(best, performance)
        return Action.stop() if waited >= PATIENCE else Action.select(pace(task, BATCH_SIZE), random=1)

    return act


def start_noise_rule(task: Task, _rng: np.random.Generator) -> Act:
    """Look at ``noise_estimate`` alone; no memory."""

    def act(reply: Reply) -> Action:
        if reply.observation.noise_estimate > task.flip_y:
            return Action.select(SAFE_BATCH, diversity=1)
        return Action.select(SAFE_BATCH, uncertainty=1)

    return act


def start_probing(task: Task, _rng: np.random.Generator) -> Act:
    """Find out whether uncertainty buys clean here, then commit.

    Wrong labels sit in one of two places, and the first reply tells which. A minimum batch by uncertainty comes back
    either full of wrong labels (then they sit in the core of the pool, where diversity does not go) or clean (then
    they sit where the model is sure of itself, where uncertainty does not go).

    - Probe clean: keep to uncertainty in big batches. As soon as a batch shows more than ``LEAVE_NOISE``, go on at
      random.
    - Probe noisy: keep to diversity in batches of ``SAFE_BATCH``.

    A batch is never smaller than an even share of what is left over the steps that are left, so that the budget is
    spent; less than a minimum batch is not worth a step. Where no reply tells what is wrong it buys at random.
    """
    noise: list[float] = []

    def act(reply: Reply) -> Action:
        if reply.info is not None and reply.info.noise_ratio is not None:
            noise.append(reply.info.noise_ratio)
        left = reply.observation.remaining_budget
        if not task.has_ground_truth:
            return Action.select(pace(task, SAFE_BATCH), random=1)
        if not noise:
            return Action.select(PROBE, uncertainty=1)
        if left < MIN_BATCH:
            return Action.stop()
        even_share = -(-left // (task.max_steps - reply.step))
        if noise[0] > PROBE_NOISE:
            return Action.select(max(SAFE_BATCH, even_share), diversity=1)
        if len(noise) > 1 and max(noise) > LEAVE_NOISE:
            return Action.select(max(SAFE_BATCH, even_share), random=1)
        return Action.select(max(CLEAN_BATCH, even_share), uncertainty=1)

    return act


REFERENCE_POLICIES: tuple[Policy, ...] = (
    paced(
        "balanced",
        f"Batches of {BATCH_SIZE}: two fifths by uncertainty, two fifths by diversity, one fifth at random.",
        BATCH_SIZE,
        uncertainty=0.4,
        diversity=0.4,
        random=0.2,
    ),
    paced("random", f"Batches of {BATCH_SIZE} at random.", BATCH_SIZE, random=1),
    paced("uncertainty", f"Batches of {BATCH_SIZE} by uncertainty.", BATCH_SIZE, uncertainty=1),
    paced("diversity", f"Batches of {BATCH_SIZE} by diversity.", BATCH_SIZE, diversity=1),
    constant("stop", "Stops at once and buys nothing.", Action.stop()),
    constant("random-13", "Batches of 13 at random.", Action.select(13, random=1)),
    constant("random-20", "Batches of 20 at random.", Action.select(20, random=1)),
    constant("uncertainty-20", "Batches of 20 by uncertainty.", Action.select(20, uncertainty=1)),
    constant("diversity-13", "Batches of 13 by diversity.", Action.select(13, diversity=1)),
    constant("diversity-20", "Batches of 20 by diversity.", Action.select(20, diversity=1)),
    constant_by_task(
        "best-constant", "Always the same action, the best for the task on seeds of the train split.", BEST_CONSTANTS
    ),
    Policy(
        "random-agent",
        f"Draws each step's weights and its batch size, {FEWEST} to {MOST}, at random.",
        start_random_agent,
    ),
    Policy(
        "plateau",
        f"Batches of {BATCH_SIZE} at random until performance has not risen for {PATIENCE} steps.",
        start_plateau,
    ),
    Policy(
        "noise-rule",
        "Diversity while noise_estimate is above the task's declared rate, uncertainty otherwise.",
        start_noise_rule,
    ),
    Policy(
        "probing",
        "Buys a minimum batch by uncertainty, keeps to uncertainty if it was clean and to diversity otherwise.",
        start_probing,
    ),
)
