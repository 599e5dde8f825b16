"""What a policy's choice is worth: cross-validation of the whole curation on the trusted rows.

Each fold of the trusted rows is put aside, and the curation is repeated with the other folds alone: estimate of the
noise, learner, purchases and model. The model is judged on the fold, which nothing has seen. So the figures are those
of a curation with somewhat fewer trusted rows than there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from dataselect_env.core.arrays import Floats, Indices, Labels, Mask
from dataselect_env.curation.buying import Audit, buy
from dataselect_env.curation.model import best_penalty, fit_on_chosen, losses
from dataselect_env.curation.problem import NoisyTable, Settings, make_task
from dataselect_env.curation.report import Comparison, Contender, CurvePoint
from dataselect_env.evaluation.cluster import Cluster
from dataselect_env.evaluation.statistics import corrected, difference
from dataselect_env.evaluation.workers import run
from dataselect_env.policies import get_policy
from dataselect_env.policies.policy import Policy

RIVALS = ("held_out_uncertainty", "confident_random", "random")
"""Policies that the chosen one is compared with."""
NOTHING, EVERYTHING = "trusted rows alone", "every row of the table"
MOST_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """The outcome of one contender on a fold.

    Attributes:
        right: Which trusted rows of the fold the final model predicts, (k,).
        points: The rows bought, hits and summed losses at the start and after each step, (steps + 1, 3).
    """

    right: Mask
    points: Floats


@dataclass
class _Tally:
    """The outcome of one contender on all folds.

    Attributes:
        right: Which trusted rows the final model predicts, (m,).
        folds: The points of each fold.
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
    *,
    cluster: Cluster | None = None,
) -> Comparison:
    """Return how models on the policy's rows do against models on other rows.

    Args:
        table: The table; each class has at least three trusted rows.
        policy: The policy.
        settings: How rows are bought.
        audit: Reveals the right labels of the rows that any contender buys; None trains on the given labels.
        progress: Called after each fold.
        cluster: Cluster that the folds are played on. Default: in this process.
    """
    folds = fold_rows(table.y_trusted, settings.seed)
    play = partial(_play_fold, table=table, policy=policy, settings=settings, audit=audit, folds=folds)
    places = range(len(folds))
    found: dict[int, dict[str, _Fold]] = {}
    with closing(run(places, play, processes=1 if cluster is None else cluster, tasks=())) as results:
        for place, outcome in results:
            found[place] = outcome
            if progress is not None:
                progress(1)
    tallies = {name: _Tally(np.zeros(len(table.y_trusted))) for name in found[0]}
    for place, rows in enumerate(folds):
        for name, one in found[place].items():
            tallies[name].right[rows] = one.right
            tallies[name].folds.append(one.points)
    return Comparison(folds=len(folds), contenders=_contenders(tallies, policy.name))


def _play_fold(
    place: int, *, table: NoisyTable, policy: Policy, settings: Settings, audit: Audit | None, folds: Sequence[Indices]
) -> tuple[int, dict[str, _Fold]]:
    """Return the place of a fold, and the outcome of each contender on it."""
    policies = {policy.name: policy} | {name: get_policy(name) for name in RIVALS if name != policy.name}
    rest = table.only(np.setdiff1d(np.arange(len(table.y_trusted)), folds[place]))
    held_out = table.only(folds[place])
    with threadpool_limits(1):  # many small fits: threads would wait for each other, and round differently
        task = make_task(rest, settings, audited=audit is not None)
        choices: dict[str, list[Choice]] = {}
        for name, one in policies.items():
            assert isinstance(one, Policy)  # noqa: S101  (the rivals are, and so is the policy)
            choices[name] = [(step.batch.rows, step.batch.labels) for step in buy(one, task, settings.seed, audit)]
        choices |= {NOTHING: [], EVERYTHING: [(np.arange(len(table.X)), table.given)]}
        return place, {name: _judge(rest, held_out, batches, settings.seed) for name, batches in choices.items()}


def fold_rows(y: Labels, seed: int) -> list[Indices]:
    """Return the folds of the trusted rows, stratified by class, as indices into their labels ``y``, (m,).

    There are at most ``MOST_FOLDS``, and not more than the smallest class has rows.
    """
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415  (slow to import)

    count = int(min(MOST_FOLDS, np.unique(y, return_counts=True)[1].min()))
    folds = StratifiedKFold(count, shuffle=True, random_state=seed)
    return [fold for _, fold in folds.split(np.zeros((len(y), 1)), y)]


def _judge(rest: NoisyTable, held_out: NoisyTable, batches: Sequence[Choice], seed: int) -> _Fold:
    """Fit a model after each batch, and judge it on the trusted rows held out."""
    nothing = np.empty(0, dtype=np.intp)
    rows = np.concatenate([nothing, *(batch for batch, _ in batches)])
    labels = np.concatenate([nothing, *(given for _, given in batches)])
    penalty = best_penalty(rest, rows, labels, seed)
    points = []
    for count in np.cumsum([0, *(len(batch) for batch, _ in batches)]):
        model = fit_on_chosen(rest, rows[:count], labels[:count], penalty)
        right = model.predict(held_out.X_trusted) == held_out.y_trusted
        points.append((count, right.sum(), losses(model, held_out.X_trusted, held_out.y_trusted).sum()))
    return _Fold(right, np.array(points, dtype=np.float64))


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
