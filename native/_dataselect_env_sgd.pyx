# cython: wraparound=False, cdivision=True, initializedcheck=False
"""The updates of ``SGDClassifier.partial_fit`` as one compiled loop: log loss, L2 penalty, ``optimal`` learning rate.

The package works without it, slower; ``dataselect_env.sgd`` tells when it is used and holds it against scikit-learn.
"""

from libc.math cimport exp, sqrt


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    """Return the inner product, in eight sums side by side: a single one would wait for itself at every term."""
    cdef double[8] sums
    cdef Py_ssize_t i, j
    for i in range(8):
        sums[i] = 0.0
    for j in range(0, n - n % 8, 8):
        for i in range(8):
            sums[i] += a[j + i] * b[j + i]
    for j in range(n - n % 8, n):
        sums[0] += a[j] * b[j]
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


def update(
    double[::1] weights,
    double intercept,
    const double[:, ::1] X,
    const Py_ssize_t[::1] y,
    const Py_ssize_t[::1] rows,
    double alpha,
    double t,
):
    """Train on rows ``X[rows]`` with labels ``y[rows]`` in {0, 1}, one after the other.

    Args:
        weights: Of the linear model, (n_features,); changed in place.
        intercept: Of the linear model.
        X: Features, (n, n_features).
        y: Labels, (n,).
        rows: Which rows in which order, (m,), in [0, n).
        alpha: L2 penalty.
        t: Updates so far, and one more: what scikit-learn calls ``t_``.

    Returns:
        The intercept afterwards.
    """
    cdef Py_ssize_t n_features = weights.shape[0]
    cdef Py_ssize_t j, k
    cdef double* w = &weights[0]
    cdef const double* x
    cdef double eta, probability, step, decay
    cdef double t0 = 1.0 / (sqrt(1.0 / sqrt(alpha)) * alpha)  # where the schedule begins
    if X.shape[1] != n_features or y.shape[0] != X.shape[0]:
        raise ValueError("weights, rows and labels do not fit each other")
    with nogil:
        for k in range(rows.shape[0]):
            x = &X[rows[k], 0]
            eta = 1.0 / (alpha * (t0 + t + k - 1.0))
            probability = 1.0 / (1.0 + exp(-(dot(w, x, n_features) + intercept)))
            step = eta * (y[rows[k]] - probability)
            decay = 1.0 - eta * alpha
            for j in range(n_features):
                w[j] = decay * w[j] + step * x[j]
            intercept += step
    return intercept
