"""Estimates of the share of wrong labels, from evidence that a buyer can see.

With ground truth, the evidence is the number of wrong labels found in the batches bought. Without it, :func:`suspected`
counts label errors by confident learning. Each batch is judged before it is trained on, so the model's probabilities
are out of sample without cross-validation.

References:
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataselect_env.core.arrays import Floats, Indices, Labels, Number
from dataselect_env.core.learner import Learner

NOISE_PRIOR_STRENGTH: Final = 10
"""The declared noise rate weighs as much as this many bought samples."""


def estimate_noise(flip_y: Number, bought: Number, mislabelled: Number) -> Number:
    """Return the posterior mean of the noise rate, in [0, 1]; of arrays, (n,), that of each episode.

    Args:
        flip_y: Declared noise rate, in [0, 0.5); the prior.
        bought: Number of samples with evidence.
        mislabelled: Number of wrong labels among them.
    """
    return (NOISE_PRIOR_STRENGTH * flip_y + mislabelled) / (NOISE_PRIOR_STRENGTH + bought)


def suspected(learner: Learner, X: Floats, labels: Labels, acquired: Indices, batch: Indices) -> tuple[int, int]:
    """Return how many samples of a batch the model can judge, and how many of these look mislabelled.

    A class has a threshold: the mean probability that the model gives it over the acquired samples that carry its
    label. A sample counts as the class of highest probability among those that reach their thresholds. A sample that
    reaches none is not judged.

    The estimate is biased: a weak model doubts right labels (too high), and thresholds come from samples that the model
    was trained on (too low). ``bench/custom/noise_estimate.py`` measures the error where the ground truth is known.

    Args:
        learner: The learner before it is trained on the batch.
        X: Features of the data set, (n, n_features).
        labels: Given labels, (n,).
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
