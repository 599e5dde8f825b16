"""Trained policies as plain arrays, which play with numpy alone. ``examples/train_ppo.py`` trains them.

``get_policy("ppo")`` returns the one that ships with the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import IO, TYPE_CHECKING

import numpy as np

from dataselect_env.core.arrays import Floats
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import Action, Reply
from dataselect_env.core.tasks import DYNAMICS_VERSION, PINNED, TASKS, Task
from dataselect_env.policies.features import ACTIONS, FEATURES, FEATURES_VERSION, EpisodeProgress, decode
from dataselect_env.policies.policy import Act, Policy

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Actor:
    """A network that scores each action of a menu: tanh layers, then a linear layer.

    Attributes:
        weights: One matrix per layer, (outputs, inputs); the first takes ``features.FEATURES``.
        biases: One vector per layer, (outputs,).
        menu: Action vectors to choose from, (n_actions, len(ACTIONS) + f), in the form that ``features.decode`` takes
            for tasks with f extra strategies.

    Raises:
        InvalidInput: The shapes do not fit together.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    menu: Floats

    def __post_init__(self) -> None:
        widths = [len(FEATURES), *(len(bias) for bias in self.biases)]
        shapes = [(outputs, inputs) for inputs, outputs in pairwise(widths)]
        if (
            [weight.shape for weight in self.weights] != shapes
            or len(self.menu) != widths[-1]
            or self.menu.shape[1] < len(ACTIONS)
        ):
            raise InvalidInput(
                "weights: the layers of an actor must lead from the features to the menu", field="weights"
            )

    def scores(self, vector: Floats) -> Floats:
        """Return the scores of the menu's actions for a feature vector, (n_actions,): logits."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            vector = np.tanh(weight @ vector + bias)
        scores: Floats = self.weights[-1] @ vector + self.biases[-1]
        return scores

    def best(self, vector: Floats) -> Floats:
        """Return the action vector with the highest score, (len(ACTIONS) + f,)."""
        best: Floats = self.menu[np.argmax(self.scores(vector))]
        return best

    def save(self, path: Path) -> None:
        """Write the actor to an ``.npz`` file as 32-bit floats."""
        layers = {f"weight_{n}": weight for n, weight in enumerate(self.weights)}
        layers |= {f"bias_{n}": bias for n, bias in enumerate(self.biases)}
        arrays = {name: array.astype(np.float32) for name, array in {**layers, "menu": self.menu}.items()}
        np.savez(path, features_version=FEATURES_VERSION, dynamics_version=DYNAMICS_VERSION, **arrays)  # type: ignore[arg-type]


def load_actor(file: Path | IO[bytes]) -> Actor:
    """Read an actor that :meth:`Actor.save` wrote.

    Raises:
        InvalidInput: It was trained on another version of the features.
        OSError, KeyError, ValueError: The file cannot be read, or holds something else.
    """
    with np.load(file, allow_pickle=False) as arrays:
        if int(arrays["features_version"]) != FEATURES_VERSION:
            raise InvalidInput("file: trained on other features; train it again (examples/train_ppo.py)", field="file")
        layers = range(sum(name.startswith("weight_") for name in arrays.files))
        return Actor(
            weights=tuple(arrays[f"weight_{layer}"].astype(np.float64) for layer in layers),
            biases=tuple(arrays[f"bias_{layer}"].astype(np.float64) for layer in layers),
            menu=arrays["menu"].astype(np.float64),
        )


@cache
def trained_actor(task_id: str) -> Actor:
    """Return the actor that ships for a built-in task.

    Raises:
        InvalidInput: There is none for this task.
    """
    if task_id not in PINNED:
        raise InvalidInput(f"policy: ppo was trained on {', '.join(PINNED)} only", field="policy")
    with resources.files("dataselect_env.policies").joinpath("trained", f"ppo-{task_id}.npz").open("rb") as file:
        return load_actor(file)


def start_actor(actor: Actor, task: Task) -> Act:
    """Return the function that plays an episode by the actor's best actions; it is deterministic."""
    progress = EpisodeProgress(task)

    def act(reply: Reply) -> Action:
        progress.see(reply)
        return decode(task, actor.best(progress.features()[0]))

    return act


def trained_for(task: Task) -> str:
    """Return the built-in task whose actor plays ``task``: itself, else the one of the nearest declared noise rate."""
    return min(PINNED, key=lambda name: (name != task.task_id, abs(TASKS[name].flip_y - task.flip_y)))


def ppo_of(task_id: str) -> Policy:
    """Return the policy that plays every task by the actor of one built-in task.

    Raises:
        InvalidInput: There is none for this task.
    """
    actor = trained_actor(task_id)
    text = f"The network trained with PPO on the task {task_id}."
    return Policy(f"ppo:{task_id}", text, lambda task, _rng: start_actor(actor, task))


ppo = Policy(
    "ppo",
    "A small network per task, trained with PPO on seeds of the train split; sees observations and replies only.",
    lambda task, _rng: start_actor(trained_actor(trained_for(task)), task),
)
