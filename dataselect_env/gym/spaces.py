"""Spaces of the Gymnasium environments, the same for all built-in tasks, and what their observations and actions mean.

Tasks that offer further strategies have wider actions: an entry, a weight or menu choices more for each.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from dataselect_env.core.arrays import Floats, Indices, Mask
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.models import OBSERVED
from dataselect_env.core.strategies.sampling import STRATEGIES
from dataselect_env.core.tasks import TASKS
from dataselect_env.policies.features import (
    ACTIONS,
    FEATURES,
    LARGEST_DIVERSITY,
    Choices,
    Progress,
    batch_sizes,
    decode_lanes,
)

ObservationKind = Literal["flat", "dict"]
ActionKind = Literal["box", "multi_discrete", "discrete"]

SIZES = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0)
"""Batch sizes to choose from, as ``features.batch_sizes`` reads them: smallest, even share, ..., the whole budget."""
WEIGHTS = 5
"""Weights to choose from for each strategy: 0 to 4."""

MENU_SIZES = SIZES[:-1]
MIXES = ((1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, -1))
"""Each strategy on its own, and uncertainty and diversity by halves."""
MENU: Floats = np.array(
    [(1.0, 0.0, 0.0, 0.0, 0.0), *((-1.0, size, *mix) for mix in MIXES for size in MENU_SIZES)], dtype=np.float64
)
"""Whole actions to choose from, (25, 5), as action vectors: stop, then each mix in each size."""


def largest() -> dict[str, float]:
    """Return the upper bounds of what a ``dict`` observation holds, over all tasks; the lower ones are 0."""
    tasks = TASKS.values()
    return {
        "remaining_budget": max(task.budget for task in tasks),
        "diversity_score": LARGEST_DIVERSITY,
        "noise_estimate": 1,
        "current_performance": 1,
        "samples_available": max(task.pool_size for task in tasks),
        "step": max(task.max_steps for task in tasks),
    }


def multi_discrete(extra: tuple[str, ...] = ()) -> tuple[int, ...]:
    """Return how many choices each entry of a ``multi_discrete`` action has: stop or a size, then a weight each.

    Stop is one choice of eight: an untrained policy does not stop at once.
    """
    return (1 + len(SIZES), *(WEIGHTS,) * (len(STRATEGIES) + len(extra)))


def menu(extra: tuple[str, ...] = ()) -> Floats:
    """Return the whole actions to choose from, as action vectors: ``MENU``, then each further strategy in each size."""
    wide = np.hstack([MENU, np.full((len(MENU), len(extra)), -1.0)])
    alone = 2 * np.eye(len(STRATEGIES) + len(extra))[len(STRATEGIES) :] - 1
    more = [(-1.0, size, *mix) for mix in alone for size in MENU_SIZES]
    return np.vstack([wide, np.array(more).reshape(len(more), wide.shape[1])])


def check_kind(name: str, value: str, kinds: Any) -> None:
    """Raise InvalidInput unless ``value`` is one of the values of a literal type."""
    if value not in get_args(kinds):
        raise InvalidInput(f"{name}: should be one of {', '.join(get_args(kinds))}, not {value!r}", field=name)


def observation_space(kind: ObservationKind) -> spaces.Space[Any]:
    """Return a new space: ``flat`` is ``features.FEATURES``, (21,), ``dict`` the observation's own fields and the step.

    Raises:
        InvalidInput: There is no such kind.
    """
    check_kind("observations", kind, ObservationKind)
    if kind == "flat":
        return spaces.Box(-1.0, 1.0, (len(FEATURES),), np.float32)
    return spaces.Dict({name: spaces.Box(0.0, high, (1,), np.float32) for name, high in largest().items()})


def action_space(kind: ActionKind, extra: tuple[str, ...] = ()) -> spaces.Space[Any]:
    """Return a new space: ``box`` is ``features.ACTIONS``, (5,), the others are as :func:`multi_discrete` and the menu.

    Args:
        kind: What an action looks like.
        extra: Strategies that the task offers beside the three.

    Raises:
        InvalidInput: There is no such kind.
    """
    check_kind("actions", kind, ActionKind)
    if kind == "box":
        return spaces.Box(-1.0, 1.0, (len(ACTIONS) + len(extra),), np.float32)
    if kind == "discrete":
        return spaces.Discrete(len(menu(extra)))
    return spaces.MultiDiscrete(list(multi_discrete(extra)))


def observe(kind: ObservationKind, progress: Progress) -> Any:
    """Return new observations of all lanes: an array, (n, 21), or a dictionary of arrays, (n, 1)."""
    if kind == "flat":
        return progress.features().astype(np.float32)
    seen = dict(zip(OBSERVED, progress.observed.T, strict=True)) | {"step": progress.step}
    return {name: np.clip(seen[name], 0.0, high).astype(np.float32)[:, None] for name, high in largest().items()}


def lane(kind: ObservationKind, observations: Any, number: int) -> Any:
    """Return a copy of one lane's observation."""
    if kind == "flat":
        return observations[number].copy()
    return {name: values[number].copy() for name, values in observations.items()}


def read_actions(
    kind: ActionKind, budget: Floats, max_steps: Floats, actions: Any, extra: tuple[str, ...] = ()
) -> Choices:
    """Return what the actions of k lanes stand for.

    Args:
        kind: Of the action space.
        budget: Of the lanes' tasks, (k,).
        max_steps: Of the lanes' tasks, (k,).
        actions: One for each lane: (k, 5), (k, 4) or (k,), each wider by the number of further strategies.
        extra: Strategies that the tasks offer beside the three.

    Raises:
        InvalidInput: They are no actions of this kind.
    """
    if kind == "box":
        return decode_lanes(budget, max_steps, np.asarray(actions, dtype=np.float64), extra)
    choices = _whole(kind, np.asarray(actions), extra)
    if kind == "discrete":
        return decode_lanes(budget, max_steps, menu(extra)[choices], extra)
    first, weights = choices[:, 0], choices[:, 1:].astype(np.float64)
    weights[weights.sum(axis=1) == 0] = 1.0
    return Choices(first == 0, batch_sizes(budget, max_steps, np.array(SIZES)[first - 1]), weights, extra)


def _whole(kind: ActionKind, actions: NDArray[Any], extra: tuple[str, ...]) -> NDArray[Any]:
    """Return actions that are whole numbers within the bounds of their kind, as they are."""
    bounds = np.array(len(menu(extra)) if kind == "discrete" else multi_discrete(extra))
    if actions.shape[1:] != bounds.shape or not np.issubdtype(actions.dtype, np.integer):
        form = "one integer" if kind == "discrete" else f"{len(bounds)} integers"
        raise InvalidInput(f"action: a {kind} action should be {form}", field="action")
    if (actions < 0).any() or (actions >= bounds).any():
        raise InvalidInput(f"action: a {kind} action should be at least 0 and below {bounds.tolist()}", field="action")
    return actions


def masks(kind: ActionKind, progress: Progress, extra: tuple[str, ...] = ()) -> Mask:
    """Return which choices mean something, for all lanes: (n, 25) of ``discrete``, (n, 23) of ``multi_discrete``.

    With further strategies there are more, as :func:`action_space` says.

    Those of a ``multi_discrete`` space stand one after the other. Masked are a stop before anything was bought, which
    is graded about 0, and a batch size when a smaller one already buys all that is left.

    Raises:
        InvalidInput: Box actions have no masks.
    """
    if kind == "box":
        raise InvalidInput("actions: only discrete and multi_discrete actions have masks", field="actions")
    left = progress.observed[:, OBSERVED.index("remaining_budget")]
    entries = MENU_SIZES if kind == "discrete" else SIZES
    sizes: Indices = batch_sizes(progress.budget[:, None], progress.max_steps[:, None], np.array(entries))
    useful = np.column_stack([np.ones(len(left), np.bool_), sizes[:, :-1] < left[:, None]])
    stop = (left < progress.budget) | (progress.step > 0)
    if kind == "discrete":
        return np.column_stack([stop, np.tile(useful, len(MIXES) + len(extra))])
    weights = np.ones((len(left), WEIGHTS * (len(STRATEGIES) + len(extra))), np.bool_)
    return np.column_stack([stop, useful, weights])
