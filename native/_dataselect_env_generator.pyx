# cython: wraparound=False, boundscheck=False, cdivision=True, initializedcheck=False
"""The compiled draws of a data set: numpy's ``RandomState`` as far as ``make_classification`` uses it.

``draw`` implements ``by_numpy`` of ``dataselect_env.core.generator``, which documents it, compares both at first use, and
works without it, only slower. The numbers are equal to the last bit.

Sources: Matsumoto and Nishimura, "Mersenne Twister: A 623-Dimensionally Equidistributed Uniform Pseudo-Random Number
Generator", 1998; numpy's ``legacy_gauss`` (the polar method of Marsaglia and Bray, 1964), ``random_interval`` and
``RandomState.shuffle``.
"""

from libc.math cimport log, sqrt
from libc.stdint cimport int32_t, uint32_t
from libc.string cimport memcpy

cdef enum:
    WORDS = 624  # of the state, and numbers made at once
    SHIFT = 397
    PAIRS = 156  # pairs of doubles in them
    MOST_COLUMNS = 1024


cdef struct Twister:
    uint32_t[WORDS] state
    uint32_t[WORDS] numbers  # made from the state; those before the place have been taken
    int place


cdef void start(Twister* twister, uint32_t seed) noexcept nogil:
    """Seed as ``RandomState(seed)`` does."""
    cdef uint32_t k
    twister.state[0] = seed
    for k in range(1, WORDS):
        twister.state[k] = 1812433253u * (twister.state[k - 1] ^ (twister.state[k - 1] >> 30)) + k
    twister.place = WORDS


cdef inline uint32_t twist(uint32_t high, uint32_t low, uint32_t other) noexcept nogil:
    cdef uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu)
    return other ^ (mixed >> 1) ^ ((0u - (mixed & 1u)) & 0x9908b0dfu)


cdef void renew(Twister* twister) noexcept nogil:
    """Make the next numbers. The loops have no branches, so that the C compiler can vectorise them."""
    cdef uint32_t* state = twister.state
    cdef uint32_t number
    cdef int k
    for k in range(WORDS - SHIFT):
        state[k] = twist(state[k], state[k + 1], state[k + SHIFT])
    for k in range(WORDS - SHIFT, WORDS - 1):
        state[k] = twist(state[k], state[k + 1], state[k + SHIFT - WORDS])
    state[WORDS - 1] = twist(state[WORDS - 1], state[0], state[SHIFT - 1])
    for k in range(WORDS):
        number = state[k]
        number ^= number >> 11
        number ^= (number << 7) & 0x9d2c5680u
        number ^= (number << 15) & 0xefc60000u
        twister.numbers[k] = number ^ (number >> 18)
    twister.place = 0


cdef inline uint32_t next_number(Twister* twister) noexcept nogil:
    if twister.place == WORDS:
        renew(twister)
    twister.place += 1
    return twister.numbers[twister.place - 1]


cdef inline double to_double(uint32_t first, uint32_t second) noexcept nogil:
    """Return a number in [0, 1) from 53 of 64 random bits."""
    return (<int32_t>(first >> 5) * 67108864.0 + <int32_t>(second >> 6)) / 9007199254740992.0


cdef inline double next_double(Twister* twister) noexcept nogil:
    cdef uint32_t first = next_number(twister)
    return to_double(first, next_number(twister))


cdef void uniform(Twister* twister, double* out, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(count):
        out[k] = next_double(twister)


cdef Py_ssize_t interval(Twister* twister, uint32_t highest) noexcept nogil:
    """Return an integer in [0, highest]."""
    cdef uint32_t mask = highest, number
    mask |= mask >> 1
    mask |= mask >> 2
    mask |= mask >> 4
    mask |= mask >> 8
    mask |= mask >> 16
    while True:
        number = next_number(twister) & mask
        if number <= highest:
            return number


cdef void shuffle(Twister* twister, Py_ssize_t[::1] out) noexcept nogil:
    """Write the integers below the length of ``out`` in random order."""
    cdef Py_ssize_t k, other
    for k in range(out.shape[0]):
        out[k] = k
    for k in range(out.shape[0] - 1, 0, -1):
        other = interval(twister, k)
        out[k], out[other] = out[other], out[k]


cdef void normal(Twister* twister, double[:, ::1] X, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Write standard normal numbers to the columns from ``begin`` to ``end`` by the polar method; an even count.

    Numbers are taken as many at once as have been made, in loops of one kind of operation each, so that logarithms,
    roots and divisions of several pairs overlap.
    """
    cdef double[PAIRS] first, second, square, logarithm
    cdef double[2 * PAIRS] normals
    cdef const uint32_t* numbers
    cdef double x, y, r, factor
    cdef Py_ssize_t row = 0, column = begin, left = X.shape[0] * (end - begin)
    cdef int pairs, kept, k, run
    while left:
        if twister.place == WORDS:
            renew(twister)
        pairs = (WORDS - twister.place) // 4
        if pairs == 0 or left < 2 * pairs:  # a pair across two renewals, or the end
            pairs = 1
            first[0] = 2.0 * next_double(twister) - 1.0
            second[0] = 2.0 * next_double(twister) - 1.0
            square[0] = first[0] * first[0] + second[0] * second[0]
        else:
            numbers = twister.numbers + twister.place
            for k in range(pairs):
                x = 2.0 * to_double(numbers[4 * k], numbers[4 * k + 1]) - 1.0
                y = 2.0 * to_double(numbers[4 * k + 2], numbers[4 * k + 3]) - 1.0
                first[k], second[k], square[k] = x, y, x * x + y * y
            twister.place += 4 * pairs
        kept = 0
        for k in range(pairs):
            x, y, r = first[k], second[k], square[k]
            first[kept], second[kept], square[kept] = x, y, r
            kept += r < 1.0 and r != 0.0
        for k in range(kept):
            logarithm[k] = log(square[k])
        for k in range(kept):
            factor = sqrt(-2.0 * logarithm[k] / square[k])
            normals[2 * k] = factor * second[k]
            normals[2 * k + 1] = factor * first[k]
        left -= 2 * kept
        k = 0
        while k < 2 * kept:
            run = min(end - column, 2 * kept - k)
            memcpy(&X[row, column], normals + k, run * sizeof(double))
            k, column = k + run, column + run
            if column == end:
                row, column = row + 1, begin


def draw(
    uint32_t number,
    Py_ssize_t[::1] corners,
    double[:, ::1] normals,
    double[:, :, ::1] mixing,
    Py_ssize_t[::1] rows,
    Py_ssize_t[::1] columns,
):
    """Write the draws of table ``number`` to the other arguments. The number of rows is even."""
    cdef Twister twister
    cdef Py_ssize_t k, n = normals.shape[0], d = normals.shape[1], n_informative = mixing.shape[1]
    cdef uint32_t highest = (1u << n_informative) - 1u
    with nogil:
        start(&twister, number)
        corners[0] = corners[1] = interval(&twister, highest)
        while corners[1] == corners[0]:
            corners[1] = interval(&twister, highest)
        normal(&twister, normals, 0, n_informative)
        uniform(&twister, &mixing[0, 0, 0], 2 * n_informative * n_informative)
        normal(&twister, normals, n_informative, d)
        for k in range(n):  # of which make_classification decides which labels are flipped
            next_double(&twister)
        shuffle(&twister, rows)
        shuffle(&twister, columns)


def standardise(
    double[:, ::1] X,
    const Py_ssize_t[::1] rows,
    const Py_ssize_t[::1] columns,
    const unsigned char[::1] known,
    unsigned char[::1] done,
):
    """Replace X by ``X[rows][:, columns]`` with mean 0 and standard deviation 1 over known rows, without a copy.

    Args:
        X: Features, (n, d), d at most ``MOST_COLUMNS``; changed in place.
        rows: Order of the rows, (n,), a permutation.
        columns: Order of the columns, (d,), a permutation.
        known: Which rows of the result mean and standard deviation are taken of, (n,).
        done: Working memory, (n,), zeros.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1], i, j, begin, source, count = 0
    cdef double[MOST_COLUMNS] total, squares, mean, factor, row
    cdef const double* x
    if d > MOST_COLUMNS:
        raise ValueError(f"at most {MOST_COLUMNS} columns, not {d}")
    with nogil:
        for j in range(d):
            total[j] = squares[j] = 0.0
        for i in range(n):
            if known[i]:
                count += 1
                x = &X[rows[i], 0]
                for j in range(d):
                    total[j] += x[j]
                    squares[j] += x[j] * x[j]  # columns lie around 0, so that no digits are lost
        for j in range(d):
            mean[j] = total[columns[j]] / count
            factor[j] = 1.0 / sqrt(squares[columns[j]] / count - mean[j] * mean[j])
        for begin in range(n):  # each cycle of the permutation, from its first row
            if done[begin]:
                continue
            for j in range(d):
                row[j] = X[begin, j]
            i = begin
            while not done[i]:
                done[i] = True
                source = rows[i]
                if source == begin:
                    x = &row[0]
                else:
                    x = &X[source, 0]
                for j in range(d):
                    X[i, j] = (x[columns[j]] - mean[j]) * factor[j]
                i = source
