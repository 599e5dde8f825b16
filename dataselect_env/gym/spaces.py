"""Observation and action spaces of the Gymnasium environments, and the conversion from and to them.

All tasks have the same observation spaces. Each extra strategy of a task widens the action space: by an entry of
``box``, a weight of ``multi_discrete`` or ``len(MENU_SIZES)`` items of ``discrete``.
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
from dataselect_env.policies.options import state_width

ObservationKind = Literal["flat", "dict", "options"]
ActionKind = Literal["box", "multi_discrete", "discrete"]

SIZES = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0)
"""Batch sizes of ``multi_discrete`` actions, on the scale of ``features.batch_sizes``.

-1 is the smallest batch, 0 an even share of the budget for each step, 1 the whole budget.
"""
WEIGHTS = 5
"""Number of weights of each strategy in ``multi_discrete`` actions: 0 to 4."""

MENU_SIZES = SIZES[:-1]
"""Batch sizes of ``discrete`` actions."""
MIXES = ((1, -1, -1), (-1, 1, -1), (-1, -1, 1), (1, 1, -1))
"""Strategy mixes of ``discrete`` actions: each strategy alone, and equal parts of uncertainty and diversity."""
MENU: Floats = np.array(
    [(1.0, 0.0, 0.0, 0.0, 0.0), *((-1.0, size, *mix) for mix in MIXES for size in MENU_SIZES)], dtype=np.float64
)
"""``discrete`` actions as action vectors, (25, 5): stop, followed by every mix in every size."""


def largest() -> dict[str, float]:
    """Return the upper bound of each field of a ``dict`` observation over all tasks; the lower bounds are 0."""
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
    """Return the number of values of each entry of a ``multi_discrete`` action.

    The first entry is 0 for stop or 1 to 7 for a batch size; each of the others is the weight of a strategy. Since stop
    is one value of eight, an untrained policy rarely stops at once.
    """
    return (1 + len(SIZES), *(WEIGHTS,) * (len(STRATEGIES) + len(extra)))


def menu(extra: tuple[str, ...] = ()) -> Floats:
    """Return the ``discrete`` actions as action vectors: ``MENU``, followed by each extra strategy in each size."""
    wide = np.hstack([MENU, np.full((len(MENU), len(extra)), -1.0)])
    alone = 2 * np.eye(len(STRATEGIES) + len(extra))[len(STRATEGIES) :] - 1
    more = [(-1.0, size, *mix) for mix in alone for size in MENU_SIZES]
    return np.vstack([wide, np.array(more).reshape(len(more), wide.shape[1])])


def check_kind(name: str, value: str, kinds: Any) -> None:
    """Raise InvalidInput unless ``value`` is one of the values of the Literal type ``kinds``."""
    if value not in get_args(kinds):
        raise InvalidInput(f"{name}: should be one of {', '.join(get_args(kinds))}, not {value!r}", field=name)


def observation_space(kind: ObservationKind, extra: tuple[str, ...] = ()) -> spaces.Space[Any]:
    """Return a new observation space.

    Args:
        kind: ``flat`` is the features ``features.FEATURES``, (21,); ``dict`` is the unscaled fields of an observation
            and the step, each (1,); ``options`` is the vector of :meth:`.History.state`, with the statistics of the
            pool and a row for each strategy.
        extra: Names of the extra strategies of the task.

    Raises:
        InvalidInput: There is no such kind of observation.
    """
    check_kind("observations", kind, ObservationKind)
    if kind == "flat":
        return spaces.Box(-1.0, 1.0, (len(FEATURES),), np.float32)
    if kind == "options":
        return spaces.Box(-1.0, 1.0, (state_width(len(STRATEGIES) + len(extra)),), np.float32)
    return spaces.Dict({name: spaces.Box(0.0, high, (1,), np.float32) for name, high in largest().items()})


def action_space(kind: ActionKind, extra: tuple[str, ...] = ()) -> spaces.Space[Any]:
    """Return a new action space.

    Args:
        kind: ``box`` is an action vector, ``features.ACTIONS``, (5 + f,) for f extra strategies; ``multi_discrete`` is
            described by :func:`multi_discrete`; ``discrete`` is an index into :func:`menu`.
        extra: Names of the extra strategies of the task.

    Raises:
        InvalidInput: There is no such kind of action.
    """
    check_kind("actions", kind, ActionKind)
    if kind == "box":
        return spaces.Box(-1.0, 1.0, (len(ACTIONS) + len(extra),), np.float32)
    if kind == "discrete":
        return spaces.Discrete(len(menu(extra)))
    return spaces.MultiDiscrete(list(multi_discrete(extra)))


def observe(kind: ObservationKind, progress: Progress) -> Any:
    """Return new observations of all lanes, float32: an array, (n, 21), or a dictionary of arrays, (n, 1)."""
    if kind == "flat":
        return progress.features().astype(np.float32)
    fields = dict(zip(OBSERVED, progress.observed.T, strict=True)) | {"step": progress.step}
    return {name: np.clip(fields[name], 0.0, high).astype(np.float32)[:, None] for name, high in largest().items()}


def lane(kind: ObservationKind, observations: Any, number: int) -> Any:
    """Return a copy of the observation of one lane."""
    if kind == "flat":
        return observations[number].copy()
    return {name: values[number].copy() for name, values in observations.items()}


def read_actions(
    kind: ActionKind, budget: Floats, max_steps: Floats, actions: Any, extra: tuple[str, ...] = ()
) -> Choices:
    """Decode Gymnasium actions of k lanes.

    Args:
        kind: Kind of the action space.
        budget: Budgets of the lanes' tasks, (k,).
        max_steps: Step limits of the lanes' tasks, (k,).
        actions: One action for each lane. With f extra strategies: (k, 5 + f) for ``box``, (k, 4 + f) for
            ``multi_discrete``, (k,) for ``discrete``.
        extra: Names of the extra strategies of the tasks.

    Raises:
        InvalidInput: The actions are not valid for this kind of space.
    """
    if kind == "box":
        return decode_lanes(budget, max_steps, np.asarray(actions, dtype=np.float64), extra)
    choices = _checked_integers(kind, np.asarray(actions), extra)
    if kind == "discrete":
        return decode_lanes(budget, max_steps, menu(extra)[choices], extra)
    first, weights = choices[:, 0], choices[:, 1:].astype(np.float64)
    weights[weights.sum(axis=1) == 0] = 1.0
    return Choices(first == 0, batch_sizes(budget, max_steps, np.array(SIZES)[first - 1]), weights, extra)


def _checked_integers(kind: ActionKind, actions: NDArray[Any], extra: tuple[str, ...]) -> NDArray[Any]:
    """Return ``actions`` if they are integers within the bounds of their space; raise InvalidInput otherwise."""
    bounds = np.array(len(menu(extra)) if kind == "discrete" else multi_discrete(extra))
    if actions.shape[1:] != bounds.shape or not np.issubdtype(actions.dtype, np.integer):
        form = "one integer" if kind == "discrete" else f"{len(bounds)} integers"
        raise InvalidInput(f"action: a {kind} action should be {form}", field="action")
    if (actions < 0).any() or (actions >= bounds).any():
        raise InvalidInput(f"action: a {kind} action should be at least 0 and below {bounds.tolist()}", field="action")
    return actions


def masks(kind: ActionKind, progress: Progress, extra: tuple[str, ...] = ()) -> Mask:
    """Return masks of the useful actions for all lanes: (n, 25) for ``discrete``, (n, 23) for ``multi_discrete``.

    The mask of a ``multi_discrete`` space is the concatenation of the masks of its entries. Extra strategies widen both
    masks as they widen the space. Two kinds of actions are masked out: stop in the first step, which scores about 0,
    and a batch size if the next smaller one already buys all that is left of the budget.

    Args:
        kind: Kind of the action space.
        progress: Progress of the lanes' episodes.
        extra: Names of the extra strategies of the tasks.

    Raises:
        InvalidInput: ``box`` actions have no masks.
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
