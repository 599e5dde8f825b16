"""Who takes the exam, and how each one plays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from bench.transfer.peers import CLEANLAB, offer_cleanlab
from bench.transfer.problems import MENU
from dataselect_env.core.episode import Episode
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import SPLITS, Task, register
from dataselect_env.evaluation import tuning
from dataselect_env.evaluation.rollout import rollout
from dataselect_env.policies import POLICIES, get_policy

Kind = Literal["rule", "peer", "learned", "constant", "yardstick"]
SUBJECT = "general"
"""The policy that all others are compared with."""
OPEN_CONSTANT, OWN_CONSTANT = "open-constant", "own-constant"
FIRST_SEED, SEEDS, FEWER_SEEDS = SPLITS["test"].first_seed, 20, 5
"""Seeds of the test split: how many are played, and how many where an episode takes long."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One who takes the exam.

    Attributes:
        name: Name of the policy, or of the constant.
        kind: ``rule``: a strategy of the menu alone. ``peer``: one with cleanlab's filter. ``learned``: a policy that
            reacts to replies. ``constant``: chosen on problems of the task ``open``. ``yardstick``: one that knows more
            than an agent can know.
        tuned_on: What it was fitted to.
        most_seeds: How many seeds it plays at most.
    """

    name: str
    kind: Kind
    tuned_on: str
    most_seeds: int = SEEDS

    @property
    def reacts(self) -> bool:
        """Whether replies decide what it does: only then does it matter whether they report wrong labels."""
        return self.kind == "learned"


CONTENDERS: dict[str, Contender] = {
    one.name: one
    for one in (
        Contender(SUBJECT, "learned", "train and validation problems of `open`"),
        *(Contender(name, "rule", "nothing") for name in (*STRATEGIES, *MENU)),
        *(Contender(name, "peer", "nothing") for name in CLEANLAB),
        Contender("probing", "learned", "a rule for the hidden worlds of `medium` and `hard`"),
        *(Contender(f"ppo:{task}", "learned", f"train problems of `{task}`") for task in ("easy", "medium", "hard")),
        Contender(OPEN_CONSTANT, "constant", "validation problems of `open`"),
        Contender(OWN_CONSTANT, "yardstick", "other seeds of the same table and noise"),
        Contender("oracle", "yardstick", "sees the right labels"),
        Contender("greedy-oracle", "yardstick", "sees the right labels, tries each batch first", FEWER_SEEDS),
    )
}


def available() -> list[str]:
    """Return the names of the contenders that this version of the package can play."""
    return [name for name in CONTENDERS if name != SUBJECT or name in POLICIES]


@dataclass(frozen=True, slots=True)
class Constant:
    """A policy that never changes: weights of strategies, and a batch size as a multiple of the budget per step."""

    weights: Mapping[str, float]
    multiple: float = 1.0

    @property
    def name(self) -> str:
        """What it buys, in short."""
        mix = "+".join(self.weights)
        return mix if self.multiple == 1 else f"{mix}, batches x {self.multiple:g}"

    def grade(self, task: Task, seed: int) -> float:
        """Play one episode, and return its grade."""
        episode = Episode(task, seed, hold_data=True)
        weights = tuple(self.weights.get(name, 0.0) for name in episode.strategies)
        size = tuning.batch_size(episode.task, self.multiple)
        while episode.end_reason is None:
            episode.select_batch(size, weights)
        return episode.grade().score


def constants(task: Task) -> dict[str, Constant]:
    """Return the constants to choose among, by name."""
    found = (Constant(mix, multiple) for mix in tuning.mixes(task) for multiple in tuning.SIZES)
    return {one.name: one for one in found}


def best_constant(task: Task, seeds: Iterable[int] = tuning.SEEDS) -> Constant:
    """Return the constant with the highest mean grade on some seeds of a task."""
    seeds = tuple(seeds)
    return max(constants(task).values(), key=lambda one: fmean(one.grade(task, seed) for seed in seeds))


def play(contender: Contender, task: Task, seeds: Iterable[int], constant: Constant | None = None) -> list[float]:
    """Return the grades of a contender by seed.

    Args:
        contender: Who plays.
        task: The task. It is registered for policies that see replies, in this process.
        seeds: Seeds of the episodes.
        constant: What ``open-constant`` or ``own-constant`` stands for on this task.
    """
    if contender.kind == "peer":
        offer_cleanlab()
        task = replace(task, extra_strategies=(contender.name,))
    if contender.kind in ("rule", "peer"):
        constant = Constant({contender.name: 1.0})
    if constant is not None:
        return [constant.grade(task, seed) for seed in seeds]
    register(task)
    policy = get_policy(contender.name)
    return [rollout(policy, task.task_id, seed).grade.score for seed in seeds]
