"""How many bought labels look wrong, for data whose truth nobody knows.

Each batch is judged before it is trained on, by the model that has never seen it: such probabilities are out of sample
without any cross-validation. What they say is counted as confident learning does.

References:
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021.
"""

from __future__ import annotations

import numpy as np

from dataselect_env.arrays import Floats, Indices, Labels
from dataselect_env.learner import Learner


def suspected(learner: Learner, X: Floats, labels: Labels, acquired: Indices, batch: Indices) -> float:
    """Return how many labels of a batch look wrong, between 0 and the size of the batch.

    A sample counts as of the class whose probability is highest among those that reach the class's threshold: the mean
    probability that the model gives a class over the acquired samples that carry its label. Samples of no such class
    are left out, and the share found among the others stands for the whole batch.

    It is biased: a weak model doubts right labels (too high), and its thresholds come from samples that it was trained
    on (too low). docs/own-data.md says by how much it was off where the truth is known.

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
    if not judged.any():
        return 0.0
    wrong = confident.argmax(axis=1)[judged] != labels[batch][judged]
    return float(wrong.mean()) * len(batch)
