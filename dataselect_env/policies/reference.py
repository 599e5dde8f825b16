"""Honest policies, from constants to a rule that adapts to the episode. All see the task and the replies only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import MIN_BATCH, Task
from dataselect_env.policies.policy import Act, Policy, constant, constant_by_task, pace, paced

if TYPE_CHECKING:
    import numpy as np

BATCH_SIZE = 10
"""Batch size of the constant policies on pinned tasks, unless their name has another number; on other tasks they buy an
even share of the budget per step."""

BEST_CONSTANTS = {
    "easy": Action.select(20, uncertainty=1),
    "medium": Action.select(13, diversity=1),
    "hard": Action.select(13, diversity=1),
}
"""Best constant action by task: the highest mean grade in a grid of mixes and batch sizes on seeds of the train split,
with near ties decided by the return. ``bench/validity/tuning.py`` is the search, ``tuning.json`` its result."""

PROBE = MIN_BATCH
"""Samples that ``probing`` buys by uncertainty first."""
PROBE_NOISE = 0.5
"""Share of wrong labels in the probe above which ``probing`` abandons uncertainty. Usually none or all are wrong."""
LEAVE_NOISE = 0.3
"""Share of wrong labels in a later batch above which uncertainty has run out of clean samples."""
CLEAN_BATCH = 48
"""Batch size while uncertainty is clean: large, because the clean region shifts whenever the model is trained."""
SAFE_BATCH = 13
"""Batch size of the other strategies: small, because more batches mean more training passes."""

FEWEST, MOST = 5, 30
"""Smallest and largest batch size of the random agent."""
PATIENCE = 2
"""Steps without a new best performance after which ``plateau`` stops."""


def start_random_agent(_task: Task, rng: np.random.Generator) -> Act:
    """Draw the batch size and the mix uniformly in every step."""

    def act(_reply: Reply) -> Action:
        batch_size = int(rng.integers(FEWEST, MOST + 1))
        uncertainty, diversity, random = (float(weight) for weight in rng.dirichlet((1, 1, 1)))
        return Action.select(batch_size, uncertainty=uncertainty, diversity=diversity, random=random)

    return act


def start_plateau(task: Task, _rng: np.random.Generator) -> Act:
    """Stop when the best performance is ``PATIENCE`` steps old."""
    best, waited = 0.0, 0

    def act(reply: Reply) -> Action:
        nonlocal best, waited
        performance = reply.observation.current_performance
        waited = 0 if performance > best else waited + 1
        best = max(best, performance)
        return Action.stop() if waited >= PATIENCE else Action.select(pace(task, BATCH_SIZE), random=1)

    return act


def start_noise_rule(task: Task, _rng: np.random.Generator) -> Act:
    """Decide by ``noise_estimate`` alone."""

    def act(reply: Reply) -> Action:
        if reply.observation.noise_estimate > task.flip_y:
            return Action.select(SAFE_BATCH, diversity=1)
        return Action.select(SAFE_BATCH, uncertainty=1)

    return act


def start_probing(task: Task, _rng: np.random.Generator) -> Act:
    """Probe uncertainty with a minimum batch, then commit to a strategy.

    Wrong labels sit in one of two regions, and the probe shows which. If its labels are wrong, the wrong labels sit in
    the core of the pool, which diversity avoids. If they are right, the wrong labels sit where the model is confident,
    which uncertainty avoids.

    - Clean probe: large batches by uncertainty; at random after a batch with more than ``LEAVE_NOISE`` wrong labels.
    - Noisy probe: batches of ``SAFE_BATCH`` by diversity.

    A batch is at least an even share of the remaining budget over the remaining steps, so that the budget is spent. The
    policy stops when less than a minimum batch remains. Without audited replies it buys at random.
    """
    noise: list[float] = []

    def act(reply: Reply) -> Action:
        if reply.info is not None and reply.info.noise_ratio is not None:
            noise.append(reply.info.noise_ratio)
        left = reply.observation.remaining_budget
        if not task.audited:
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
        "best-constant", "Always the action that is best for the task on seeds of the train split.", BEST_CONSTANTS
    ),
    Policy(
        "random-agent",
        f"Random weights and a random batch size from {FEWEST} to {MOST} in every step.",
        start_random_agent,
    ),
    Policy(
        "plateau",
        f"Batches of {BATCH_SIZE} at random; stops after {PATIENCE} steps without a new best performance.",
        start_plateau,
    ),
    Policy(
        "noise-rule",
        "Diversity while noise_estimate is above the task's declared rate, uncertainty otherwise.",
        start_noise_rule,
    ),
    Policy(
        "probing",
        "Buys a minimum batch by uncertainty; continues by uncertainty if it was clean, else by diversity.",
        start_probing,
    ),
)
