# cython: wraparound=False, boundscheck=False, initializedcheck=False
"""The compiled kernel for Python: checks what it is given, holds the arrays, and calls ``kernel.c``.

The package works without it, only slower. ``dataselect_env.core.kernel`` states the same in numpy and compares the two
before using this module.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int16_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

cdef extern from "kernel.c":
    ctypedef struct bitgen_t:
        pass

    ctypedef struct dataset_t:
        const double* X
        const int64_t* y
        const double* squares
        const int16_t* packed
        const double* scales
        Py_ssize_t n_features, pool_start, n_pool, validation_start, n_validation

    ctypedef struct episode_t:
        const int64_t* labels
        const uint8_t* mislabelled
        uint8_t* available
        double* parameters
        double* sums
        Py_ssize_t* rows
        bitgen_t* selection
        bitgen_t* training
        double alpha, trap

    ctypedef struct purchase_t:
        Py_ssize_t counts[3]
        Py_ssize_t size, n_rows, passes, updates
        Py_ssize_t* batch
        Py_ssize_t mislabelled
        double distance, redundancy, performance, spread

    Py_ssize_t padded(Py_ssize_t n_pool) nogil
    void pack(const dataset_t* data, int16_t* packed, double* scales) nogil
    size_t scratch_size(const dataset_t* data, const purchase_t* purchase) nogil
    void choose(const dataset_t* data, const episode_t* episode, purchase_t* purchase, void* scratch) nogil
    void learn(const dataset_t* data, episode_t* episode, purchase_t* purchase, void* scratch) nogil
    void train(
        double* parameters,
        const double* X,
        Py_ssize_t n_features,
        const int64_t* labels,
        int64_t positive,
        const Py_ssize_t* order,
        Py_ssize_t n,
        double alpha,
        Py_ssize_t updates,
    ) nogil


ORDER = 6
"""Numbers of an order: samples by uncertainty, diversity and random, rows of the training set, passes, updates."""
OUTCOME = 5
"""Numbers of an outcome: mislabelled samples, distance, redundancy, performance, spread."""


cdef class Dataset:
    """The arrays of a data set, shared by its episodes: features (n, n_features), labels (n,), squares (n_pool,)."""

    cdef dataset_t data
    cdef Py_ssize_t n_rows
    cdef int16_t* packed
    cdef double* scales
    cdef object arrays  # kept alive

    def __init__(
        self,
        const double[:, ::1] X not None,
        const int64_t[::1] y not None,
        const double[::1] squares not None,
        Py_ssize_t pool_start,
        Py_ssize_t validation_start,
        Py_ssize_t n_validation,
    ):
        n = X.shape[0]
        if y.shape[0] != n or min(pool_start, validation_start, squares.shape[0] - 1, n_validation - 1) < 0:
            raise ValueError("the arrays of the data set do not fit each other")
        if pool_start + squares.shape[0] > n or validation_start + n_validation > n or X.shape[1] < 1:
            raise ValueError("pool or validation split lies outside the data set")
        self.arrays, self.n_rows = (X, y, squares), n
        self.data = dataset_t(
            &X[0, 0], &y[0], &squares[0], NULL, NULL,
            X.shape[1], pool_start, squares.shape[0], validation_start, n_validation,
        )
        self.packed = <int16_t*>malloc(padded(squares.shape[0]) * X.shape[1] * sizeof(int16_t))
        self.scales = <double*>malloc(X.shape[1] * sizeof(double))
        if self.packed == NULL or self.scales == NULL:
            raise MemoryError
        pack(&self.data, self.packed, self.scales)
        self.data.packed, self.data.scales = self.packed, self.scales

    def __dealloc__(self):
        free(self.packed)
        free(self.scales)


cdef class Episode:
    """The arrays of an episode. They are changed in place; ``rows`` has room for all that will be bought."""

    cdef episode_t episode
    cdef Py_ssize_t n_labels, n_pool, n_parameters, room
    cdef object arrays

    def __init__(
        self,
        const int64_t[::1] labels not None,
        const uint8_t[::1] mislabelled not None,
        uint8_t[::1] available not None,
        double[::1] parameters not None,
        double[::1] sums not None,
        Py_ssize_t[::1] rows not None,
        selection,
        training,
        double alpha,
        double trap,
    ):
        if sums.shape[0] != parameters.shape[0] or available.shape[0] != mislabelled.shape[0]:
            raise ValueError("the arrays of the episode do not fit each other")
        self.arrays = (labels, mislabelled, available, parameters, sums, rows, selection, training)
        self.n_labels, self.n_pool = labels.shape[0], available.shape[0]
        self.n_parameters, self.room = parameters.shape[0], rows.shape[0]
        self.episode = episode_t(
            &labels[0],
            &mislabelled[0],
            &available[0],
            &parameters[0],
            &sums[0],
            &rows[0],
            <bitgen_t*>PyCapsule_GetPointer(selection.capsule, "BitGenerator"),
            <bitgen_t*>PyCapsule_GetPointer(training.capsule, "BitGenerator"),
            alpha,
            trap,
        )


def play(
    list datasets not None,
    list episodes not None,
    const Py_ssize_t[:, ::1] orders not None,
    Py_ssize_t[:, ::1] batches not None,
    double[:, ::1] outcomes not None,
    bint choosing,
    bint learning,
):
    """Play one purchase in each of n episodes; see :mod:`dataselect_env.core.kernel`, which documents the arguments.

    The GIL is released, unless there is a single episode: its few microseconds are shorter than the wait for another
    thread to give the GIL back.

    Raises:
        ValueError: The arguments do not fit each other, or an episode has too few samples or too little room left.
    """
    cdef Py_ssize_t n = len(datasets), k
    cdef size_t needed = 0
    cdef void* scratch = NULL
    cdef dataset_t** data = NULL
    cdef episode_t** states = NULL
    cdef purchase_t* purchases = NULL
    if len(episodes) != n or orders.shape[0] != n or batches.shape[0] != n or outcomes.shape[0] != n:
        raise ValueError("there should be one of each for every episode")
    if orders.shape[1] != ORDER or outcomes.shape[1] != OUTCOME:
        raise ValueError(f"an order has {ORDER} numbers, an outcome {OUTCOME}")
    try:
        data = <dataset_t**>malloc(n * sizeof(dataset_t*))
        states = <episode_t**>malloc(n * sizeof(episode_t*))
        purchases = <purchase_t*>malloc(n * sizeof(purchase_t))
        if n and (data == NULL or states == NULL or purchases == NULL):
            raise MemoryError
        for k in range(n):
            data[k], states[k] = &(<Dataset?>datasets[k]).data, &(<Episode?>episodes[k]).episode
            purchases[k] = checked(datasets[k], episodes[k], orders[k], batches[k], choosing)
            needed = max(needed, scratch_size(data[k], &purchases[k]))
        scratch = malloc(needed)
        if scratch == NULL:
            raise MemoryError
        if n == 1:
            play_all(data, states, purchases, n, scratch, choosing, learning)
        else:
            with nogil:
                play_all(data, states, purchases, n, scratch, choosing, learning)
        for k in range(n):
            outcomes[k, 0], outcomes[k, 1] = purchases[k].mislabelled, purchases[k].distance
            outcomes[k, 2], outcomes[k, 3] = purchases[k].redundancy, purchases[k].performance
            outcomes[k, 4] = purchases[k].spread
    finally:
        free(data)
        free(states)
        free(purchases)
        free(scratch)


cdef void play_all(
    dataset_t** data,
    episode_t** states,
    purchase_t* purchases,
    Py_ssize_t n,
    void* scratch,
    bint choosing,
    bint learning,
) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        if choosing:
            choose(data[k], states[k], &purchases[k], scratch)
        if learning:
            learn(data[k], states[k], &purchases[k], scratch)


cdef purchase_t checked(
    Dataset dataset, Episode episode, const Py_ssize_t[::1] order, Py_ssize_t[::1] batch, bint choosing
) except *:
    """Return an order as a purchase, after checks that keep the kernel inside its arrays."""
    cdef purchase_t purchase = purchase_t(
        [order[0], order[1], order[2]], order[0] + order[1] + order[2], order[3], order[4], order[5], &batch[0], 0, 0, 0, 0, 0
    )
    cdef Py_ssize_t left = 0, place
    if (
        dataset.n_rows != episode.n_labels
        or dataset.data.n_pool != episode.n_pool
        or dataset.data.n_features + 1 != episode.n_parameters
    ):
        raise ValueError("the episode does not fit the data set")
    for place in range(episode.n_pool):
        left += episode.episode.available[place]
    if min(order[0], order[1], order[2]) < 0 or not 0 < purchase.size <= min(left, batch.shape[0]):
        raise ValueError("the size of the batch is not positive, or larger than what is left")
    if purchase.n_rows < 1 or purchase.passes < 1 or purchase.n_rows + purchase.size > episode.room:
        raise ValueError("the training set has no room for the batch")
    for place in range(0 if choosing else purchase.size):
        if not 0 <= batch[place] < episode.n_pool:
            raise ValueError("a sample is outside the pool")
    return purchase


def update(
    double[:, ::1] parameters not None,
    const double[:, ::1] X not None,
    const int64_t[::1] y not None,
    const Py_ssize_t[::1] rows not None,
    double alpha,
    Py_ssize_t updates,
):
    """Train a linear model on ``X[rows]``, one update for each row; see :data:`dataselect_env.core.sgd.Update`.

    Raises:
        ValueError: The shapes do not match.
        IndexError: A row index is out of range.
    """
    cdef Py_ssize_t label, n_features = X.shape[1], k
    if parameters.shape[1] != n_features + 1 or y.shape[0] != X.shape[0]:
        raise ValueError("parameters, rows and labels do not fit each other")
    for k in range(rows.shape[0]):
        if not 0 <= rows[k] < X.shape[0]:
            raise IndexError("a row is outside the data set")
    if not rows.shape[0]:
        return
    for label in range(parameters.shape[0]):
        train(
            &parameters[label, 0], &X[0, 0], n_features, &y[0], 1 if parameters.shape[0] == 1 else label,
            &rows[0], rows.shape[0], alpha, updates,
        )
