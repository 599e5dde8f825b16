"""cleanlab's label filter as a filter of this package, to play beside the package's own: ``pip install cleanlab``."""

from __future__ import annotations

import warnings
from typing import Final

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dataselect_env.core.arrays import Floats
from dataselect_env.core.strategies import Candidates, LabelFilter, register_filter
from dataselect_env.core.strategies.filters import FILTERS

CLEANLAB: Final = ("cleanlab_random", "cleanlab_uncertainty")
"""Strategies with cleanlab's filter."""
FOLDS: Final = 5


def offer_cleanlab() -> None:
    """Register cleanlab's filter in this process."""
    if "cleanlab" not in FILTERS:
        described = "in whose given label cleanlab finds no issue"
        register_filter(LabelFilter("cleanlab", described, "cleanlab (PyPI)", credibility))


def credibility(candidates: Candidates) -> Floats:
    """Return cleanlab's label quality score, in [0, 1], less 2 where it finds a label issue.

    As its tutorials do, it is given out-of-fold probabilities of a logistic regression.
    """
    from cleanlab.filter import find_label_issues  # noqa: PLC0415  (only who plays it needs it)
    from cleanlab.rank import get_label_quality_scores  # noqa: PLC0415

    def compute() -> Floats:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rare classes, and fits that stop early
            known = cross_val_predict(model, candidates.X, candidates.labels, cv=folds, method="predict_proba")
            issues = find_label_issues(candidates.labels, known, n_jobs=1)
            quality: Floats = get_label_quality_scores(candidates.labels, known) - 2.0 * issues
        return quality

    return candidates.once("cleanlab", compute)
