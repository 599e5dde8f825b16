"""The curation of a noisy table in one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.errors import InvalidInput
from dataselect_env.core.selection import strategies_of
from dataselect_env.core.tasks import Task
from dataselect_env.curation import picture
from dataselect_env.curation.buying import Audit, Step, buy
from dataselect_env.curation.checks import check_columns, check_lengths, check_trusted, checked_settings, repeated_rows
from dataselect_env.curation.comparison import Advance, compare
from dataselect_env.curation.encoder import TableEncoder, as_frame
from dataselect_env.curation.labels import Classes, code_labels
from dataselect_env.curation.model import best_penalty, fit_classifier
from dataselect_env.curation.problem import EXTRA_STRATEGIES, NoisyTable, Settings, make_task
from dataselect_env.curation.report import CurationReport, StepReport
from dataselect_env.evaluation.cluster import Cluster
from dataselect_env.evaluation.records import Versions
from dataselect_env.policies import Policy, get_policy

if TYPE_CHECKING:
    from pathlib import Path

    import pandas
    from matplotlib.figure import Figure

DEFAULT_POLICY = "general"
AskedAudit = Callable[[Indices, npt.NDArray[Any]], Any]
"""Returns the right labels, (k,), of a batch: its rows in the table, (k,), and their given labels, (k,)."""


@dataclass(frozen=True, eq=False)
class Curation:
    """The rows that were chosen, and the model fitted on them.

    Attributes:
        rows: Chosen rows, (k,), as positions in the table, in the order of choice.
        given: Their labels in the table, (k,).
        labels: Their labels that the model was fitted on, (k,): the right ones if there was an audit, else ``given``.
        steps: Step in which each was bought, (k,), from 1.
        strategies: Query strategy that chose each, (k,).
        suspicion: Suspicion of each given label, (k,), in [0, 1]: one minus its probability, by the learner before it
            was trained on it.
        model: A fitted scikit-learn pipeline: it predicts rows with the columns of the table. It has seen the trusted
            rows and the chosen ones.
        report: What was bought, and the comparison.
    """

    rows: Indices
    given: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    steps: Indices
    strategies: npt.NDArray[Any]
    suspicion: Floats
    model: Any
    report: CurationReport

    def to_frame(self) -> pandas.DataFrame:
        """Return one line for each chosen row: row, step, strategy, suspicion, label, and what the audit found."""
        import pandas  # noqa: PLC0415  (an extra)

        columns = {
            "row": self.rows,
            "step": self.steps,
            "strategy": self.strategies,
            "suspicion": self.suspicion,
            "label": self.labels,
        }
        if self.report.audited:
            columns |= {"given": self.given, "wrong": self.labels != self.given}
        return pandas.DataFrame(columns)

    def figure(self) -> Figure:
        """Return a picture of the comparison, or of the steps if there was none; needs matplotlib."""
        return picture.figure(self.report)

    def save_model(self, path: str | Path) -> None:
        """Write the model into a file for ``joblib.load``, which needs this package and the same scikit-learn."""
        import joblib  # noqa: PLC0415  (slow to import)

        joblib.dump(self.model, path)


def curate(
    X: Any,
    y: Any,
    X_trusted: Any,
    y_trusted: Any,
    *,
    budget: int,
    policy: str | Policy = DEFAULT_POLICY,
    steps: int = 10,
    seed: int = 0,
    audit: AskedAudit | Any | None = None,
    noise_rate: float | None = None,
    compare_with_others: bool = True,
    columns: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    categorical: Sequence[str] = (),
    classes: Sequence[Any] | None = None,
    progress: Advance | None = None,
    cluster: Cluster | None = None,
) -> Curation:
    """Choose rows of a noisy table to learn from.

    A policy buys rows step by step. It is driven by the performance of a linear learner on half of the trusted rows;
    the other half warm-starts the learner. The final model is a logistic regression on all trusted and all chosen rows.

    Args:
        X: The table, (n, n_columns): a DataFrame, or an array. Missing values are allowed.
        y: Its labels, (n,), of any type; some are wrong.
        X_trusted: Rows whose labels can be trusted, (m, n_columns), with the columns of the table.
        y_trusted: Their labels, (m,).
        budget: Rows to choose at most.
        policy: Name of a policy, or a policy; see :func:`~dataselect_env.policies.get_policy`.
        steps: Steps at most; the policy sees after each how the learner does.
        seed: Seed of all draws, in [0, 2^32). The same arguments give the same result.
        audit: The right labels, if they are revealed for the rows that are bought: an array, (n,), or a function that
            returns those of a batch. They correct the labels that are trained on, and tell the policy how many were
            wrong. None if nobody audits.
        noise_rate: Expected share of wrong labels, in [0, 0.5); None estimates it.
        compare_with_others: Whether to compare the policy with others by cross-validation on the trusted rows. If
            ``audit`` is a function, there is no comparison.
        columns: Names of the features; None for every column.
        exclude: Names of columns that are no features.
        categorical: Names of features that are categories even if they are written as numbers.
        classes: All classes that may occur; None allows any. Labels such as "None" or "NA" count as missing unless they
            are among them.
        progress: Called with 1 after the choice, and after each fold of the comparison.
        cluster: Cluster that the folds of the comparison are played on. Default: in this process.

    Raises:
        InvalidInput: An argument cannot be used; the message says what to change.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> curation = curate(X[::2], y[::2], X[1::4], y[1::4], budget=20, steps=4, compare_with_others=False)
        >>> len(curation.rows), curation.model.predict(X[:2]).tolist()
        (20, [0, 0])
    """
    player = find(policy)
    frame, trusted = as_frame(X), as_frame(X_trusted, "X_trusted")
    settings = checked_settings(budget=budget, steps=steps, noise_rate=noise_rate, seed=seed, rows=len(frame))
    settings = replace(settings, extra_strategies=tuple(dict.fromkeys([*EXTRA_STRATEGIES, *player.needs])))
    revealed = None if audit is None or callable(audit) else audit
    arguments = {"y": y, "y_trusted": y_trusted} | ({} if revealed is None else {"audit": revealed})
    names, codes = code_labels(arguments, classes)
    check_columns(X, X_trusted)
    check_lengths(codes, {"y": len(frame), "y_trusted": len(trusted), "audit": len(frame)})
    check_trusted(codes, names)
    encoder = TableEncoder(columns, exclude, categorical).fit(frame)
    table = NoisyTable(
        X=encoder.transform(frame),
        given=codes["y"],
        X_trusted=_encoded(encoder, trusted),
        y_trusted=codes["y_trusted"],
        n_classes=len(names.names),
    )
    auditor = _auditor(codes["audit"] if revealed is not None else audit, names)
    with threadpool_limits(1):  # many small fits: threads would wait for each other, and round differently
        task = make_task(table, settings, audited=auditor is not None)
        bought = list(buy(player, task, settings.seed, auditor))
        if progress is not None:
            progress(1)
        comparison = None
        if compare_with_others and not callable(audit):
            comparison = compare(table, player, settings, auditor, progress, cluster=cluster)
        report = _report(player, task, table, classes=names, settings=settings, steps=bought)
        return _curation(bought, table, names, encoder, report.model_copy(update={"comparison": comparison}))


def find(policy: str | Policy) -> Policy:
    """Return a policy that can choose rows.

    Raises:
        InvalidInput: There is no such policy, or it needs to see hidden labels.
    """
    found = get_policy(policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy):
        raise InvalidInput(f"policy: {policy} sees hidden labels, which a curation does not have", field="policy")
    return found


# --- parts ----------------------------------------------------------------------------------------------------------


def _encoded(encoder: TableEncoder, trusted: pandas.DataFrame) -> Floats:
    """Return the trusted rows, encoded as the table is."""
    try:
        return encoder.transform(trusted)
    except InvalidInput as error:
        raise InvalidInput(f"X_trusted: {error.message}", field="X_trusted") from None


def _auditor(audit: Labels | AskedAudit | None, classes: Classes) -> Audit | None:
    """Return an audit in codes: of an array of codes, (n,), or of a function of labels."""
    if audit is None:
        return None
    if not callable(audit):
        right = audit
        return lambda rows, _given: right[rows]
    ask = audit

    def asked(rows: Indices, given: Labels) -> Labels:
        answers = list(ask(rows, classes.values[given]))
        if len(answers) != len(rows):
            message = f"audit: returned {len(answers):,} labels for {len(rows):,} rows"
            raise InvalidInput(message, field="audit")
        return np.array([classes.code(answer) for answer in answers], dtype=np.int64)

    return asked


def _report(
    policy: Policy, task: Task, table: NoisyTable, *, classes: Classes, settings: Settings, steps: Sequence[Step]
) -> CurationReport:
    def wrong(step: Step) -> int | None:
        return int((step.batch.labels != step.batch.given).sum()) if task.has_ground_truth else None

    counts = [Counter(step.strategies) for step in steps]
    bought = np.cumsum([len(step.batch.rows) for step in steps]).tolist()
    offered = strategies_of(task)
    total = sum(counts, Counter[str]())
    return CurationReport(
        policy=policy.name,
        table_rows=len(table.X),
        trusted_rows=len(table.X_trusted),
        repeated=repeated_rows(table.X, table.X_trusted),
        features=table.X.shape[1],
        classes=classes.names,
        budget=settings.budget,
        max_steps=settings.steps,
        seed=settings.seed,
        noise_rate=task.flip_y,
        audited=task.has_ground_truth,
        bought=bought[-1] if bought else 0,
        wrong=sum(wrong(step) or 0 for step in steps) if task.has_ground_truth else None,
        bought_by={name: total[name] for name in offered if total[name]},
        steps=tuple(
            StepReport(
                bought=so_far,
                bought_by={name: count[name] for name in offered if count[name]},
                performance=step.performance,
                noise_estimate=step.noise_estimate,
                wrong=wrong(step),
            )
            for so_far, count, step in zip(bought, counts, steps, strict=True)
        ),
        comparison=None,
        versions=Versions.current(),
    )


def _curation(
    steps: Sequence[Step], table: NoisyTable, classes: Classes, encoder: TableEncoder, report: CurationReport
) -> Curation:
    from sklearn.pipeline import Pipeline  # noqa: PLC0415  (slow to import)

    batches = [step.batch for step in steps]
    nothing = np.empty(0, dtype=np.intp)
    rows = np.concatenate([nothing, *(batch.rows for batch in batches)])
    labels = np.concatenate([nothing, *(batch.labels for batch in batches)])
    given = np.concatenate([nothing, *(batch.given for batch in batches)])
    penalty = best_penalty(table, rows, labels, report.seed)
    X = np.concatenate([table.X[rows], table.X_trusted])
    known = classes.values[np.concatenate([labels, table.y_trusted])]
    return Curation(
        rows=rows,
        given=classes.values[given],
        labels=classes.values[labels],
        steps=np.repeat(np.arange(1, len(batches) + 1), [len(batch.rows) for batch in batches]),
        strategies=np.array([name for step in steps for name in step.strategies], dtype=object),
        suspicion=np.concatenate([np.empty(0), *(batch.suspicion for batch in batches)]),
        model=Pipeline([("columns", encoder), ("classifier", fit_classifier(X, known, penalty))]),
        report=report,
    )
