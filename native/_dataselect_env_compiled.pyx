# cython: wraparound=False, cdivision=True, initializedcheck=False
"""The compiled loops of a step: training, and choosing the best samples of a pool.

The package works without them, only slower. ``update`` replaces ``SGDClassifier.partial_fit`` with log loss, L2 penalty
and the ``optimal`` learning rate; ``dataselect_env.core.sgd`` compares it with scikit-learn before using it.
``most_uncertain`` and ``farthest`` implement the functions of the same names in
``dataselect_env.core.strategies.sampling``, which documents them.
"""

from libc.math cimport INFINITY, exp, fabs, log, sqrt


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    """Return the inner product of two vectors. Eight independent partial sums let the additions overlap."""
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
    """Train a linear model on ``X[rows]`` with labels ``y[rows]`` in {0, 1}, one update for each row.

    Args:
        weights: Weights of the model, (n_features,); updated in place.
        intercept: Intercept of the model.
        X: Features, (n, n_features).
        y: Labels, (n,).
        rows: Row indices in order of training, (m,), in [0, n).
        alpha: L2 penalty.
        t: Number of updates so far plus one: scikit-learn's ``t_``.

    Returns:
        The new intercept.

    Raises:
        ValueError: The shapes of weights, X and y do not match.
        IndexError: A row index is out of range.
    """
    cdef Py_ssize_t n_features = weights.shape[0]
    cdef Py_ssize_t j, k
    cdef double* w = &weights[0]
    cdef const double* x
    cdef double eta, probability, step, decay
    cdef double t0 = 1.0 / (sqrt(1.0 / sqrt(alpha)) * alpha)  # offset of the learning-rate schedule
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


cdef struct Best:
    # The best samples so far, best first. Samples are offered by ascending index, so ties go to the lower index.
    Py_ssize_t count, limit
    double* utilities
    Py_ssize_t* indices


cdef inline bint offer(Best* best, double utility, Py_ssize_t index) noexcept nogil:
    """Insert a sample if it is among the best so far; return whether it was inserted."""
    cdef Py_ssize_t place = best.count
    if place < best.limit:
        best.count += 1
    elif utility > best.utilities[place - 1]:
        place -= 1
    else:
        return False
    while place > 0 and utility > best.utilities[place - 1]:
        best.utilities[place] = best.utilities[place - 1]
        best.indices[place] = best.indices[place - 1]
        place -= 1
    best.utilities[place] = utility
    best.indices[place] = index
    return True


def most_uncertain(
    const double[::1] log_odds,
    const unsigned char[::1] mislabelled,
    double trap,
    const unsigned char[::1] left,
    double[::1] utilities,
    Py_ssize_t[::1] indices,
):
    """Write the highest utilities and their indices, best first, to the last two arguments, (count,), count >= 1."""
    cdef Best best = Best(0, indices.shape[0], &utilities[0], &indices[0])
    cdef Py_ssize_t k
    cdef double magnitude, shrunk
    # Smallest |log-odds| rejected so far, for right and for wrong labels. Entropy decreases with |log-odds|, and the
    # bar only rises, so that larger ones can be skipped.
    cdef double[2] hopeless
    hopeless[0] = hopeless[1] = INFINITY
    with nogil:
        for k in range(log_odds.shape[0]):
            magnitude = fabs(log_odds[k])
            if not left[k] or magnitude >= hopeless[mislabelled[k]]:
                continue
            shrunk = exp(-magnitude)
            if not offer(&best, log(1 + shrunk) + magnitude * shrunk / (1 + shrunk) + trap * mislabelled[k], k):
                hopeless[mislabelled[k]] = magnitude


def farthest(
    const double[::1] products,
    const double[::1] squares,
    double centroid_square,
    const unsigned char[::1] left,
    double[::1] utilities,
    Py_ssize_t[::1] indices,
):
    """Write the highest utilities and their indices, best first, to the last two arguments, (count,), count >= 1."""
    cdef Best best = Best(0, indices.shape[0], &utilities[0], &indices[0])
    cdef Py_ssize_t k
    with nogil:
        for k in range(products.shape[0]):
            if left[k]:
                offer(&best, squares[k] - 2 * products[k] + centroid_square, k)
