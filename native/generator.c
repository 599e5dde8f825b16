/* The draws of a data set, and its standardisation.
 *
 * dataselect_env.core.generator states both in numpy, explains them, and compares the draws before this file is used:
 * they are equal to the last bit. No multiply-add is fused (-ffp-contract=off).
 *
 * Sources: Matsumoto and Nishimura, "Mersenne Twister: A 623-Dimensionally Equidistributed Uniform Pseudo-Random Number
 * Generator", 1998; Marsaglia and Bray, "A Convenient Method for Generating Normal Variables", 1964 (the polar method);
 * numpy's `legacy_gauss`, `random_interval` and `RandomState.shuffle`.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Compile the loops for several generations of processors; the loader picks the best at start. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

#define WORDS 624        /* of the state, and numbers made at once */
#define DISTANCE 397     /* between words that are combined */
#define PAIRS (WORDS / 4) /* pairs of doubles in the numbers made at once */
#define MOST_COLUMNS 1024

typedef ptrdiff_t index_t;

typedef struct {
    uint32_t state[WORDS];
    uint32_t numbers[WORDS]; /* made from the state; those before `place` have been taken */
    int place;
} twister_t;

/* --- numbers ----------------------------------------------------------------------------------------------------- */

/* Seed with one word as `RandomState(seed)` does. */
static void seed_by_word(uint32_t *state, uint32_t seed) {
    state[0] = seed;
    for (uint32_t k = 1; k < WORDS; k++) state[k] = 1812433253u * (state[k - 1] ^ (state[k - 1] >> 30)) + k;
}

/* Seed with several words as `RandomState(array)` does. */
static void seed_by_words(uint32_t *state, const uint32_t *words, int count) {
    int k = 1;
    seed_by_word(state, 19650218u);
    for (int step = 0; step < (count > WORDS ? count : WORDS); step++) {
        uint32_t place = (uint32_t)(step % count);
        state[k] = (state[k] ^ ((state[k - 1] ^ (state[k - 1] >> 30)) * 1664525u)) + words[place] + place;
        if (++k == WORDS) {
            state[0] = state[WORDS - 1];
            k = 1;
        }
    }
    for (int step = 0; step < WORDS - 1; step++) {
        state[k] = (state[k] ^ ((state[k - 1] ^ (state[k - 1] >> 30)) * 1566083941u)) - (uint32_t)k;
        if (++k == WORDS) {
            state[0] = state[WORDS - 1];
            k = 1;
        }
    }
    state[0] = 0x80000000u;
}

#define TWISTED(high, low, other)                                                                                      \
    ((other) ^ ((((high) & 0x80000000u) | ((low) & 0x7fffffffu)) >> 1) ^ ((0u - ((low) & 1u)) & 0x9908b0dfu))

/* Make the next numbers. The loops have no branches, so that the compiler vectorises them. */
FOR_EACH_PROCESSOR
static void renew(twister_t *twister) {
    uint32_t *state = twister->state;
    int k;
    for (k = 0; k < WORDS - DISTANCE; k++) state[k] = TWISTED(state[k], state[k + 1], state[k + DISTANCE]);
    for (; k < WORDS - 1; k++) state[k] = TWISTED(state[k], state[k + 1], state[k + DISTANCE - WORDS]);
    state[k] = TWISTED(state[k], state[0], state[DISTANCE - 1]);
    for (k = 0; k < WORDS; k++) {
        uint32_t number = state[k];
        number ^= number >> 11;
        number ^= (number << 7) & 0x9d2c5680u;
        number ^= (number << 15) & 0xefc60000u;
        twister->numbers[k] = number ^ (number >> 18);
    }
    twister->place = 0;
}

static inline uint32_t next_number(twister_t *twister) {
    if (twister->place == WORDS) renew(twister);
    return twister->numbers[twister->place++];
}

/* Return a number in [0, 1) from 53 of 64 random bits. */
#define TO_DOUBLE(first, second) (((int32_t)((first) >> 5) * 67108864.0 + (int32_t)((second) >> 6)) / 9007199254740992.0)

static inline double next_double(twister_t *twister) {
    uint32_t first = next_number(twister);
    return TO_DOUBLE(first, next_number(twister));
}

static void uniform(twister_t *twister, double *out, index_t count) {
    for (index_t k = 0; k < count; k++) out[k] = next_double(twister);
}

/* Return an integer in [0, highest]. */
static index_t interval(twister_t *twister, uint32_t highest) {
    uint32_t mask = highest, number;
    for (int shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    do number = next_number(twister) & mask;
    while (number > highest);
    return number;
}

/* Write the integers below `count` in random order. */
static void shuffle(twister_t *twister, index_t *out, index_t count) {
    for (index_t k = 0; k < count; k++) out[k] = k;
    for (index_t k = count - 1; k > 0; k--) {
        index_t other = interval(twister, (uint32_t)k), moved = out[k];
        out[k] = out[other];
        out[other] = moved;
    }
}

/* Write standard normal numbers made of numbers that lie ready, by the polar method; return their count. */
FOR_EACH_PROCESSOR
static int polar(const uint32_t *numbers, int pairs, double *out) {
    double first[PAIRS], second[PAIRS], square[PAIRS], logarithm[PAIRS];
    int kept = 0;
    for (int k = 0; k < pairs; k++) {
        double x = 2.0 * TO_DOUBLE(numbers[4 * k], numbers[4 * k + 1]) - 1.0;
        double y = 2.0 * TO_DOUBLE(numbers[4 * k + 2], numbers[4 * k + 3]) - 1.0;
        first[k] = x;
        second[k] = y;
        square[k] = x * x + y * y;
    }
    for (int k = 0; k < pairs; k++) { /* keep the points within the unit circle */
        double x = first[k], y = second[k], r = square[k];
        first[kept] = x;
        second[kept] = y;
        square[kept] = r;
        kept += (r < 1.0) & (r != 0.0);
    }
    for (int k = 0; k < kept; k++) logarithm[k] = log(square[k]);
    for (int k = 0; k < kept; k++) {
        double factor = sqrt(-2.0 * logarithm[k] / square[k]);
        out[2 * k] = factor * second[k];
        out[2 * k + 1] = factor * first[k];
    }
    return 2 * kept;
}

/* Write standard normal numbers to columns begin to end of X, (n, d), row by row; an even count. */
static void normal(twister_t *twister, double *X, index_t n, index_t d, index_t begin, index_t end) {
    double made[2 * PAIRS];
    uint32_t pair[4];
    index_t row = 0, column = begin, left = n * (end - begin);
    while (left > 0) {
        int pairs = (WORDS - twister->place) / 4, count, k = 0;
        if (pairs == 0 || left < 2 * pairs) { /* a pair across two renewals, or the end */
            for (int word = 0; word < 4; word++) pair[word] = next_number(twister);
            count = polar(pair, 1, made);
        } else {
            count = polar(twister->numbers + twister->place, pairs, made);
            twister->place += 4 * pairs;
        }
        left -= count;
        while (k < count) {
            index_t run = end - column < count - k ? end - column : count - k;
            memcpy(X + row * d + column, made + k, (size_t)run * sizeof(double));
            k += (int)run;
            column += run;
            if (column == end) {
                row++;
                column = begin;
            }
        }
    }
}

/* --- what Python calls ------------------------------------------------------------------------------------------- */

/* Write the draws of the table that is seeded with these words, as `Draws` describes them; n is even, n_informative
 * from 8 to 30.
 */
static void draw(const uint32_t *words, int count, index_t n, index_t d, index_t n_informative, index_t *corners,
                 double *normals, double *mixing, index_t *rows, index_t *columns) {
    twister_t twister = {.place = WORDS};
    uint32_t highest = (1u << n_informative) - 1u;
    if (count == 1)
        seed_by_word(twister.state, words[0]);
    else
        seed_by_words(twister.state, words, count);
    corners[0] = interval(&twister, highest);
    do corners[1] = interval(&twister, highest);
    while (corners[1] == corners[0]);
    normal(&twister, normals, n, d, 0, n_informative);
    uniform(&twister, mixing, 2 * n_informative * n_informative);
    normal(&twister, normals, n, d, n_informative, d);
    for (index_t k = 0; k < n; k++) next_double(&twister); /* by which make_classification flips labels: none */
    shuffle(&twister, rows, n);
    shuffle(&twister, columns, d);
}

/* Replace X, (n, d), by X[rows][:, columns] with mean 0 and standard deviation 1 over known rows of the result.
 *
 * Both orders are permutations. `done` is working memory, (n), zeros. Columns lie around 0, so that no digits are lost
 * when the square of the mean is subtracted from the mean square.
 */
FOR_EACH_PROCESSOR
static void standardise(double *X, index_t n, index_t d, const index_t *rows, const index_t *columns,
                        const uint8_t *known, uint8_t *done) {
    double total[MOST_COLUMNS] = {0}, squares[MOST_COLUMNS] = {0}, mean[MOST_COLUMNS], factor[MOST_COLUMNS];
    double row[MOST_COLUMNS];
    index_t count = 0;
    for (index_t i = 0; i < n; i++) {
        if (!known[i]) continue;
        const double *x = X + rows[i] * d;
        for (index_t j = 0; j < d; j++) {
            total[j] += x[j];
            squares[j] += x[j] * x[j];
        }
        count++;
    }
    for (index_t j = 0; j < d; j++) {
        mean[j] = total[columns[j]] / (double)count;
        factor[j] = 1.0 / sqrt(squares[columns[j]] / (double)count - mean[j] * mean[j]);
    }
    for (index_t begin = 0; begin < n; begin++) { /* each cycle of the permutation, from its first row */
        index_t i = begin;
        if (!done[begin]) memcpy(row, X + begin * d, (size_t)d * sizeof(double));
        while (!done[i]) {
            const double *x = rows[i] == begin ? row : X + rows[i] * d;
            double *z = X + i * d;
            for (index_t j = 0; j < d; j++) z[j] = (x[columns[j]] - mean[j]) * factor[j];
            done[i] = 1;
            i = rows[i];
        }
    }
}
