"""Reward-hacking policies. None may beat the best honest constant, in grade or in return.

Each description names the flaw of the rules that the policy would exploit. The simplest one, ``stop``, is among the
reference policies. Policies form families by their trick; a family has members for several mixes of the strategies,
because a flaw may show with one of them only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dataselect_env.core.grading import COVERAGE
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import MIN_BATCH, Task
from dataselect_env.policies.policy import Act, Policy, bought, constant

if TYPE_CHECKING:
    import numpy as np

Mix = dict[str, float]
MIXES: dict[str, Mix] = {
    "uncertainty": {"uncertainty": 1},
    "diversity": {"diversity": 1},
    "random": {"random": 1},
    "balanced": {"uncertainty": 0.4, "diversity": 0.4, "random": 0.2},
}
SINGLES = ("uncertainty", "diversity", "random")
CLEANISH = ("diversity", "random")
HOW = {
    "uncertainty": "by uncertainty",
    "diversity": "by diversity",
    "random": "at random",
    "balanced": "of a balanced mix",
}
ENDLESS = 1_000_000_000
"""A batch size larger than every budget."""
LUCK = ((5, 5), (10, 10), (20, 10), (40, 20))
"""Samples without a wrong label that the lucky policies wait for, and their batch sizes."""

Decide = Callable[[Task, Reply], Action]


def memoryless(name: str, description: str, decide: Decide) -> Policy:
    """Return a policy that decides by the task and the last reply alone."""

    def start(task: Task, _rng: np.random.Generator) -> Act:
        return lambda reply: decide(task, reply)

    return Policy(name, description, start)


def limited(name: str, description: str, steps: int, size: Callable[[Task], int], mix: Mix) -> Policy:
    """Return a policy that buys ``steps`` batches of ``size(task)`` samples and stops."""

    def decide(task: Task, reply: Reply) -> Action:
        return Action.select(size(task), **mix) if reply.step < steps else Action.stop()

    return memoryless(name, description, decide)


def lucky(name: str, description: str, wanted: int, size: int, mix: Mix) -> Policy:
    """Return a policy that stops once it has bought at least ``wanted`` samples, all with right labels."""

    def start(task: Task, _rng: np.random.Generator) -> Act:
        mislabelled = 0

        def act(reply: Reply) -> Action:
            nonlocal mislabelled
            mislabelled += (reply.info.mislabelled or 0) if reply.info else 0
            done = bought(task, reply) >= wanted and not mislabelled
            return Action.stop() if done else Action.select(size, **mix)

        return act

    return Policy(name, description, start)


def until_passing(task: Task, reply: Reply, mix: Mix) -> Action:
    """Buy minimum batches until the performance suffices to pass."""
    if reply.observation.current_performance > task.pass_performance:
        return Action.stop()
    return Action.select(MIN_BATCH, **mix)


def start_quitter(_task: Task, _rng: np.random.Generator) -> Act:
    """Stop as soon as the performance falls."""
    last = 0.0

    def act(reply: Reply) -> Action:
        nonlocal last
        fallen = reply.observation.current_performance < last
        last = reply.observation.current_performance
        return Action.stop() if fallen else Action.select(MIN_BATCH, random=1)

    return act


def start_noise_chaser(_task: Task, _rng: np.random.Generator) -> Act:
    """Try each strategy once, then keep the one that bought the most wrong labels."""
    noise: list[float] = []

    def act(reply: Reply) -> Action:
        if reply.info is not None:
            noise.append(reply.info.noise_ratio or 0.0)
        tried = noise[: len(SINGLES)]
        chosen = SINGLES[len(noise)] if len(noise) < len(SINGLES) else SINGLES[tried.index(max(tried))]
        return Action.select(10, **MIXES[chosen])

    return act


def quick_endings() -> Iterator[Policy]:
    """Yield policies that stop after a few samples."""
    for mix, weights in MIXES.items():
        text = f"Buys one minimum batch {HOW[mix]} and stops: exploits a noise score or efficiency without coverage."
        yield limited(f"one-min-{mix}", text, 1, lambda _: MIN_BATCH, weights)
    for mix in CLEANISH:
        text = f"Buys two batches of 10 {HOW[mix]} and stops: exploits that early steps gain most."
        yield limited(f"two-{mix}", text, 2, lambda _: 10, MIXES[mix])
        text = f"Buys three batches of 13 {HOW[mix]} and stops: exploits an efficiency that outweighs performance."
        yield limited(f"three-{mix}", text, 3, lambda _: 13, MIXES[mix])
        text = f"Buys as much as the coverage gate requires in one batch {HOW[mix]} and stops: exploits its edge."
        yield limited(f"gate-{mix}", text, 1, lambda task: round(COVERAGE * task.budget), MIXES[mix])
    for mix in SINGLES:
        text = f"Spends half the budget in one batch {HOW[mix]} and stops: exploits training that ignores the pace."
        yield limited(f"half-{mix}", text, 1, lambda task: task.budget // 2, MIXES[mix])


def lucky_endings() -> Iterator[Policy]:
    """Yield policies that stop at a moment that looks good by chance."""
    for wanted, size in LUCK:
        for mix in SINGLES:
            text = f"Batches of {size} {HOW[mix]} until at least {wanted} are bought and none is wrong: exploits luck."
            yield lucky(f"lucky-{wanted}-{mix}", text, wanted, size, MIXES[mix])
    for mix in SINGLES:

        def decide(task: Task, reply: Reply, weights: Mix = MIXES[mix]) -> Action:
            return until_passing(task, reply, weights)

        text = f"Minimum batches {HOW[mix]} until performance passes: exploits a score that rewards just passing."
        yield memoryless(f"passing-{mix}", text, decide)
    text = (
        "Minimum batches at random until performance falls for the first time: exploits noise of the validation split."
    )
    yield Policy("quitter", text, start_quitter)


def extreme_sizes() -> Iterator[Policy]:
    """Yield policies with extreme batch sizes."""
    for mix, weights in MIXES.items():
        text = f"Asks for a billion samples {HOW[mix]} in the first step: exploits an overdrawn budget."
        yield constant(f"giant-{mix}", text, Action.select(ENDLESS, **weights))
    for mix, weights in MIXES.items():
        text = (
            f"Asks for 0 samples {HOW[mix]} in every step: exploits the baseline, the distance bonus and free passes."
        )
        yield constant(f"min-{mix}", text, Action.select(0, **weights))
    for mix in CLEANISH:
        weights = MIXES[mix]

        def first_half(task: Task, reply: Reply, weights: Mix = weights) -> Action:
            return Action.select(MIN_BATCH if reply.step else task.budget // 2, **weights)

        def at_the_end(task: Task, reply: Reply, weights: Mix = weights) -> Action:
            return Action.select(ENDLESS if reply.step == task.max_steps - 1 else MIN_BATCH, **weights)

        text = f"Half the budget {HOW[mix]}, then minimum batches: exploits rewards per step."
        yield memoryless(f"coasting-{mix}", text, first_half)
        text = f"Minimum batches {HOW[mix]}, the rest of the budget in the last step: exploits rewards per step."
        yield memoryless(f"cramming-{mix}", text, at_the_end)


def odd_mixes() -> Iterator[Policy]:
    """Yield policies with unusual weights."""

    def in_turn(_task: Task, reply: Reply) -> Action:
        return Action.select(MIN_BATCH, **MIXES[SINGLES[reply.step % len(SINGLES)]])

    text = "Minimum batches of each strategy in turn: exploits a bonus for variety."
    yield memoryless("in-turn", text, in_turn)
    text = "Weights of 1e308 and 1e-300: exploits overflow and rounding."
    yield constant("extreme-weights", text, Action.select(20, uncertainty=1e308, diversity=1e308, random=1e-300))
    text = "Keeps to the strategy that bought the most wrong labels: exploits a noise penalty of the wrong sign."
    yield Policy("noise-chaser", text, start_noise_chaser)


DEGENERATE_POLICIES: tuple[Policy, ...] = (*quick_endings(), *lucky_endings(), *extreme_sizes(), *odd_mixes())
