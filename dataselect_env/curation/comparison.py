"""What a policy's choice is worth: cross-validation of the whole curation on the trusted rows.

Each fold of the trusted rows is put aside, and the curation is repeated with the other folds alone: estimate of the
noise, learner, purchases and model. The model is judged on the fold, which nothing has seen. So the figures are those
of a curation with somewhat fewer trusted rows than there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels, Mask
from dataselect_env.curation.buying import Audit, buy
from dataselect_env.curation.model import best_penalty, fit_on_chosen, losses
from dataselect_env.curation.problem import NoisyTable, Settings, make_task
from dataselect_env.curation.report import Comparison, Contender, CurvePoint
from dataselect_env.evaluation.statistics import corrected, difference
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Policy

RIVALS = ("held_out_uncertainty", "confident_random", "random")
"""Policies that the chosen one is compared with."""
NOTHING, EVERYTHING = "trusted rows alone", "every row of the table"
MOST_FOLDS = 5


@dataclass
class _Tally:
    """The outcome of one contender on all folds.

    Attributes:
        right: Which trusted rows the final model predicts, (m,).
        folds: For each fold, the rows bought, hits and summed losses at the start and after each step, (steps + 1, 3).
    """

    right: Floats
    folds: list[Floats] = field(default_factory=list)


Advance = Callable[[int], None]
"""Takes how many more parts are done."""
Choice = tuple[Indices, Labels]
"""Rows of the table, (k,), and the labels that are learned from them, (k,)."""


def compare(
    table: NoisyTable,
    policy: Policy,
    settings: Settings,
    audit: Audit | None = None,
    progress: Advance | None = None,
) -> Comparison:
    """Return how models on the policy's rows do against models on other rows.

    Args:
        table: The table; each class has at least three trusted rows.
        policy: The policy.
        settings: How rows are bought.
        audit: Reveals the right labels of the rows that any contender buys; None trains on the given labels.
        progress: Called after each fold.
    """
    policies = {policy.name: policy} | {name: get_policy(name) for name in RIVALS if name != policy.name}
    tallies = {name: _Tally(np.zeros(len(table.y_trusted))) for name in (*policies, NOTHING, EVERYTHING)}
    folds = fold_rows(table.y_trusted, settings.seed)
    for fold in folds:
        rest = table.only(np.setdiff1d(np.arange(len(table.y_trusted)), fold))
        held_out = table.only(fold)
        task = make_task(rest, settings, audited=audit is not None)
        choices: dict[str, list[Choice]] = {NOTHING: [], EVERYTHING: [(np.arange(len(table.X)), table.given)]}
        for name, one in policies.items():
            assert isinstance(one, Policy)  # noqa: S101  (the rivals are, and so is the policy)
            steps = buy(one, task, settings.seed, audit)
            choices[name] = [(step.batch.rows, step.batch.labels) for step in steps]
        for name, batches in choices.items():
            tally = tallies[name]
            tally.right[fold], points = _judge(rest, held_out, batches, settings.seed)
            tally.folds.append(points)
        if progress is not None:
            progress(1)
    return Comparison(folds=len(folds), contenders=_contenders(tallies, policy.name))


def fold_rows(y: Labels, seed: int) -> list[Indices]:
    """Return the folds of the trusted rows, stratified by class, as indices into their labels ``y``, (m,).

    There are at most ``MOST_FOLDS``, and not more than the smallest class has rows.
    """
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  (slow to import)

    count = int(min(MOST_FOLDS, np.unique(y, return_counts=True)[1].min()))
    folds = StratifiedKFold(count, shuffle=True, random_state=seed)
    return [fold for _, fold in folds.split(np.zeros((len(y), 1)), y)]


def _judge(rest: NoisyTable, held_out: NoisyTable, batches: Sequence[Choice], seed: int) -> tuple[Mask, Floats]:
    """Fit a model after each batch, and judge it on the trusted rows held out.

    Returns:
        Which of them the last model predicts, and a point of the tally for each model.
    """
    nothing = np.empty(0, dtype=np.intp)
    rows = np.concatenate([nothing, *(batch for batch, _ in batches)])
    labels = np.concatenate([nothing, *(given for _, given in batches)])
    penalty = best_penalty(rest, rows, labels, seed)
    points = []
    for count in np.cumsum([0, *(len(batch) for batch, _ in batches)]):
        model = fit_on_chosen(rest, rows[:count], labels[:count], penalty)
        right = model.predict(held_out.X_trusted) == held_out.y_trusted
        points.append((count, right.sum(), losses(model, held_out.X_trusted, held_out.y_trusted).sum()))
    return right, np.array(points, dtype=np.float64)


def _contenders(tallies: dict[str, _Tally], chosen: str) -> tuple[Contender, ...]:
    ours = tallies[chosen].right.tolist()
    others = [name for name in tallies if name != chosen]
    gaps = corrected([difference(ours, tallies[name].right.tolist()) for name in others])
    advantage = dict(zip(others, gaps, strict=True))
    curves = {name: _curve(tally) for name, tally in tallies.items()}
    curves = {name: (curves[NOTHING][-1], *curve[1:]) for name, curve in curves.items()}  # all start without a choice
    return tuple(
        Contender(
            name=name,
            rows=curve[-1][0],
            accuracy=curve[-1][1],
            performance=curve[-1][2],
            curve=curve,
            advantage=advantage.get(name),
        )
        for name, curve in curves.items()
    )


def _curve(tally: _Tally) -> tuple[CurvePoint, ...]:
    """Return the curve over all folds; a fold that took fewer steps stays where it ended."""
    length, count = max(map(len, tally.folds)), len(tally.right)
    padded = [np.concatenate([points, np.repeat(points[-1:], length - len(points), axis=0)]) for points in tally.folds]
    rows = np.mean([points[:, 0] for points in padded], axis=0)
    right, loss = np.sum([points[:, 1:] for points in padded], axis=0).T / count
    return tuple(zip(rows.tolist(), right.tolist(), (1 / (1 + loss)).tolist(), strict=True))
