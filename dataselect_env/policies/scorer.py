"""Networks that score the options of a state, as plain arrays. ``examples/train_general.py`` trains them."""

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
from dataselect_env.core.tasks import DYNAMICS_VERSION, Task
from dataselect_env.policies.options import OPTIONS_VERSION, WIDTH, History, Option
from dataselect_env.policies.policy import Act, Policy

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Network:
    """Layers with rectified linear units, then a linear output.

    Attributes:
        weights: One matrix per layer, (inputs, outputs); the first takes ``options.WIDTH`` features, the last has one
            output.
        biases: One vector per layer, (outputs,).

    Raises:
        InvalidInput: The shapes do not fit together.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    def __post_init__(self) -> None:
        widths = [WIDTH, *(len(bias) for bias in self.biases)]
        if [weight.shape for weight in self.weights] != list(pairwise(widths)) or widths[-1] != 1:
            raise InvalidInput("weights: the layers of a network must lead from the features of an option to a score")

    def scores(self, features: Floats) -> Floats:
        """Return the scores of options, (n,), from their features, (n, WIDTH)."""
        values = features
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = np.maximum(values @ weight + bias, 0.0)
        result: Floats = (values @ self.weights[-1] + self.biases[-1])[:, 0]
        return result


@dataclass(frozen=True, slots=True)
class Scorer:
    """The mean of several networks: predicts by how much an option's final grade exceeds the mean of all options.

    Attributes:
        networks: The networks, at least one.
        paces: Batch sizes that it chooses among, as in ``options.PACES``.
    """

    networks: tuple[Network, ...]
    paces: tuple[float, ...]

    def scores(self, features: Floats) -> Floats:
        """Return the scores of options, (n,), from their features, (n, WIDTH)."""
        result: Floats = np.mean([network.scores(features) for network in self.networks], axis=0)
        return result

    def best(self, history: History) -> Option:
        """Return the option with the highest score; ties go to the first one."""
        options = history.options(self.paces)
        return options[int(self.scores(history.features(options)).argmax())]

    def save(self, path: Path) -> None:
        """Write the scorer to an ``.npz`` file, in half precision."""
        arrays = {
            f"{kind}_{index}_{layer}": array.astype(np.float16)
            for index, network in enumerate(self.networks)
            for kind, layers in (("weight", network.weights), ("bias", network.biases))
            for layer, array in enumerate(layers)
        }
        np.savez_compressed(
            path,
            options_version=OPTIONS_VERSION,
            dynamics_version=DYNAMICS_VERSION,
            paces=np.array(self.paces),
            **arrays,  # type: ignore[arg-type]
        )


def load_scorer(file: Path | IO[bytes]) -> Scorer:
    """Read a scorer from an ``.npz`` file that :meth:`Scorer.save` wrote.

    Raises:
        InvalidInput: It was trained on another version of the features.
    """
    with np.load(file, allow_pickle=False) as arrays:
        if int(arrays["options_version"]) != OPTIONS_VERSION:
            raise InvalidInput("file: trained on other features; train it again (examples/train_general.py)")
        networks: list[Network] = []
        while f"weight_{len(networks)}_0" in arrays.files:
            index = len(networks)
            layers = range(sum(name.startswith(f"weight_{index}_") for name in arrays.files))
            networks.append(
                Network(
                    tuple(arrays[f"weight_{index}_{layer}"].astype(np.float64) for layer in layers),
                    tuple(arrays[f"bias_{index}_{layer}"].astype(np.float64) for layer in layers),
                )
            )
        return Scorer(tuple(networks), tuple(arrays["paces"].tolist()))


@cache
def trained_scorer() -> Scorer:
    """Return the scorer that ships with the package."""
    with resources.files("dataselect_env.policies").joinpath("trained", "general.npz").open("rb") as file:
        return load_scorer(file)


def start_scorer(scorer: Scorer, task: Task) -> Act:
    """Return the function that plays an episode by the scorer's best options; it is deterministic."""
    history = History(task)

    def act(reply: Reply) -> Action:
        history.see(reply)
        return scorer.best(history).action(task.extra_strategies)

    return act


general = Policy(
    "general",
    "A network that scores every strategy and batch size, trained on problems of the task open.",
    lambda task, _rng: start_scorer(trained_scorer(), task),
)
