"""The model that a curation ends with: logistic regression on the trusted and the chosen rows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.curation.problem import NoisyTable, trusted_halves

PENALTIES: Final = (0.3, 0.03, 0.003, 0.0003)
"""Candidate L2 penalties per sample; on equal losses the first is used."""
MAX_ITERATIONS = 1_000


def best_penalty(table: NoisyTable, rows: Indices, labels: Labels, seed: int) -> float:
    """Return the penalty of the model with the lowest log loss on half of the trusted rows.

    The models are fitted on the chosen rows and the other half.

    Args:
        table: The table with its trusted rows.
        rows: The chosen rows, (k,).
        labels: Their labels, (k,), codes.
        seed: Seed of the halves, which are those of the task.
    """
    known, validation = trusted_halves(table.y_trusted, seed)
    X = np.concatenate([table.X[rows], table.X_trusted[known]])
    y = np.concatenate([labels, table.y_trusted[known]])

    def loss(penalty: float) -> float:
        model = fit_classifier(X, y, penalty)
        return float(losses(model, table.X_trusted[validation], table.y_trusted[validation]).mean())

    return min(PENALTIES, key=loss)


def fit_on_chosen(table: NoisyTable, rows: Indices, labels: Labels, penalty: float) -> Any:
    """Return the model on the chosen rows and all trusted rows, whose labels are codes."""
    X = np.concatenate([table.X[rows], table.X_trusted])
    return fit_classifier(X, np.concatenate([labels, table.y_trusted]), penalty)


def fit_classifier(X: Floats, y: Any, penalty: float) -> Any:
    """Return a logistic regression, fitted until it converges.

    Args:
        X: Features, (n, n_features).
        y: Labels, (n,), of any type; at least two classes.
        penalty: L2 penalty per sample: mean loss + penalty / 2 |w|^2 is minimised.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (slow to import)

    return LogisticRegression(C=1 / (penalty * len(X)), max_iter=MAX_ITERATIONS).fit(X, y)


def losses(classifier: Any, X: Floats, y: Labels) -> Floats:
    """Return the log loss of each row, (n,), in nats; the classifier knows every label in ``y``, (n,)."""
    probabilities = classifier.predict_proba(X)[np.arange(len(y)), np.searchsorted(classifier.classes_, y)]
    found: Floats = -np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return found
