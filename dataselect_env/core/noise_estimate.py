"""How many bought labels look wrong, for data whose truth nobody knows.

Each batch is judged before it is trained on, by the model that has never seen it: such probabilities are out of sample
without any cross-validation. What they say is counted as confident learning does.

References:
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021.
"""

from __future__ import annotations

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels
from dataselect_env.core.learner import Learner


def suspected(learner: Learner, X: Floats, labels: Labels, acquired: Indices, batch: Indices) -> tuple[int, int]:
    """Return how many samples of a batch the model is sure about, and how many of these look wrong.

    A sample counts as of the class whose probability is highest among those that reach the class's threshold: the mean
    probability that the model gives a class over the acquired samples that carry its label. Samples of no such class
    say nothing.

    It is biased: a weak model doubts right labels (too high), and its thresholds come from samples that it was trained
    on (too low). ``bench/owndata/doubt.py`` measures by how much it is off where the truth is known.

    Args:
        learner: Before it is trained on the batch.
        X: Features of the data set, (n, n_features).
        labels: As they are trained on, (n,).
        acquired: Rows acquired before the batch, (m,).
        batch: Rows of the batch, (k,).
    """
    known, given = learner.probabilities(X[acquired]), labels[acquired]
    thresholds = np.array(
        [known[given == label, label].mean() if (given == label).any() else 1.0 for label in range(learner.n_classes)]
    )
    probabilities = learner.probabilities(X[batch])
    confident = np.where(probabilities >= thresholds, probabilities, 0.0)
    judged = confident.any(axis=1)
    wrong = confident.argmax(axis=1) != labels[batch]
    return int(np.count_nonzero(judged)), int(np.count_nonzero(judged & wrong))
