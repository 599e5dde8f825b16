# cython: wraparound=False, boundscheck=False, initializedcheck=False
"""The draws and the standardisation of ``generator.c`` for Python.

The package works without it, only slower. ``dataselect_env.core.generator`` states the same in numpy and compares the
draws before using this module.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "generator.c":
    const Py_ssize_t MOST_COLUMNS
    void c_draw "draw"(
        const uint32_t* words,
        int count,
        Py_ssize_t n,
        Py_ssize_t d,
        Py_ssize_t n_informative,
        Py_ssize_t* corners,
        double* normals,
        double* mixing,
        Py_ssize_t* rows,
        Py_ssize_t* columns,
    ) nogil
    void c_standardise "standardise"(
        double* X,
        Py_ssize_t n,
        Py_ssize_t d,
        const Py_ssize_t* rows,
        const Py_ssize_t* columns,
        const uint8_t* known,
        uint8_t* done,
    ) nogil


def draw(
    const uint32_t[::1] words not None,
    Py_ssize_t[::1] corners not None,
    double[:, ::1] normals not None,
    double[:, :, ::1] mixing not None,
    Py_ssize_t[::1] rows not None,
    Py_ssize_t[::1] columns not None,
):
    """Write the draws of a table to the other arguments, whose shapes are those of ``Draws``.

    Args:
        words: The table's number in words of 32 bits, the lowest first, (n,).
        corners, normals, mixing, rows, columns: Arrays to write to.
    """
    cdef Py_ssize_t n = normals.shape[0], d = normals.shape[1], k = mixing.shape[1]
    if corners.shape[0] != 2 or rows.shape[0] != n or columns.shape[0] != d or mixing.shape[0] != 2 or not words.shape[0]:
        raise ValueError("the shapes do not fit each other")
    if n % 2 or n < 2 or not 8 <= k <= 30 or k >= d or mixing.shape[2] != k:
        raise ValueError("an even number of rows, 8 to 30 informative columns and some others are needed")
    with nogil:
        c_draw(&words[0], <int>words.shape[0], n, d, k, &corners[0], &normals[0, 0], &mixing[0, 0, 0], &rows[0], &columns[0])


def standardise(
    double[:, ::1] X not None,
    const Py_ssize_t[::1] rows not None,
    const Py_ssize_t[::1] columns not None,
    const uint8_t[::1] known not None,
    uint8_t[::1] done not None,
):
    """Replace X, (n, d), by ``X[rows][:, columns]`` with mean 0 and standard deviation 1 over known rows.

    Args:
        X: Features, changed in place.
        rows: Order of the rows, (n,), a permutation.
        columns: Order of the columns, (d,), a permutation.
        known: Which rows of the result mean and standard deviation are taken of, (n,).
        done: Working memory, (n,), zeros.
    """
    cdef Py_ssize_t n = X.shape[0], d = X.shape[1]
    if rows.shape[0] != n or columns.shape[0] != d or known.shape[0] != n or done.shape[0] != n or not n or not d:
        raise ValueError("the shapes do not fit each other")
    if d > MOST_COLUMNS:
        raise ValueError(f"at most {MOST_COLUMNS} columns, not {d}")
    with nogil:
        c_standardise(&X[0, 0], n, d, &rows[0], &columns[0], &known[0], &done[0])
