/* One step of an episode: choose a batch, take it out of the pool, train on everything acquired, measure.
 *
 * dataselect_env.core.kernel states the same step in numpy, explains its terms, and compares the two before this file
 * is used. All arrays are contiguous. Sums have one order, that of `dot`, on every processor: eight partial sums, no
 * fused multiply-add (-ffp-contract=off). Random draws consume the stream of a numpy Generator as numpy's own methods do.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Compile the loops over features for several generations of processors; the loader picks the best at start. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

typedef intptr_t index_t; /* numpy's intp */

/* Layout of numpy's bit generators (numpy/random/bitgen.h), fixed since numpy 1.17. */
typedef struct {
    void *state;
    uint64_t (*next_uint64)(void *state);
    uint32_t (*next_uint32)(void *state);
    double (*next_double)(void *state);
    uint64_t (*next_raw)(void *state);
} bitgen_t;

/* What all episodes on a data set share. Nothing writes to it. */
typedef struct {
    const double *X;       /* features, (n, n_features) */
    const int64_t *y;      /* labels before label noise, (n) */
    const double *squares; /* squared norms of the pool samples, (n_pool) */
    index_t n_features, pool_start, n_pool, validation_start, n_validation;
} dataset_t;

typedef struct {
    const int64_t *labels;      /* given labels, (n) */
    const uint8_t *mislabelled; /* the noise mask, (n_pool) */
    uint8_t *available;         /* which samples can be bought, (n_pool) */
    double *parameters;         /* weights, then the intercept, (n_features + 1) */
    double *sums;               /* feature sums over the training set, then the sum of squares, (n_features + 1) */
    index_t *rows;              /* rows of the training set, with room for the batch */
    bitgen_t *selection, *training;
    double alpha; /* L2 penalty */
    double trap;  /* nats added to the entropy of mislabelled samples */
} episode_t;

typedef struct {
    index_t counts[3]; /* samples that uncertainty, diversity and random choose */
    index_t size;      /* their sum */
    index_t n_rows;    /* rows of the training set before the purchase */
    index_t passes;    /* passes over the training set */
    index_t updates;   /* updates of the model before the purchase */
    index_t *batch;    /* indices into the pool, (size), in the order of choice */
    /* results */
    index_t mislabelled;
    double distance, redundancy, performance;
} purchase_t;

/* --- products ---------------------------------------------------------------------------------------------------- */

#define LANES 8
typedef double lanes_t __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));

#define LOAD(pointer) (*(const lanes_t *)(pointer))
#define SUM_OF(s) (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])))

INLINE double dot(const double *a, const double *b, index_t n)
{
    lanes_t sums = {0.0};
    index_t j;
    for (j = 0; j + LANES <= n; j += LANES)
        sums += LOAD(a + j) * LOAD(b + j);
    for (; j < n; j++)
        sums[0] += a[j] * b[j];
    return SUM_OF(sums);
}

/* products[i] = X[i] . vector + offset, for n rows */
FOR_EACH_PROCESSOR
static void products_with(const double *X, index_t n, index_t n_features, const double *vector, double offset,
                          double *products)
{
    for (index_t i = 0; i < n; i++)
        products[i] = dot(X + i * n_features, vector, n_features) + offset;
}

/* The same with two vectors, so that the rows are fetched once. */
FOR_EACH_PROCESSOR
static void products_with_both(const double *X, index_t n, index_t n_features, const double *first, double offset,
                               const double *second, double *first_products, double *second_products)
{
    for (index_t i = 0; i < n; i++) {
        const double *x = X + i * n_features;
        first_products[i] = dot(x, first, n_features) + offset;
        second_products[i] = dot(x, second, n_features);
    }
}

/* --- choosing the best samples ------------------------------------------------------------------------------------ */

/* A sample is better than another if its utility is higher; ties go to the lower index. */
typedef struct {
    double utility;
    index_t index;
} sample_t;

static int is_better(sample_t a, sample_t b)
{
    return a.utility > b.utility || (a.utility == b.utility && a.index < b.index);
}

/* A heap of the best samples offered so far, the worst of them at its root. */
typedef struct {
    index_t count, limit;
    sample_t *samples;
} best_t;

static void sink(sample_t *heap, index_t count, index_t place)
{
    sample_t sinking = heap[place];
    for (index_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && is_better(heap[child], heap[child + 1]))
            child++;
        if (!is_better(sinking, heap[child]))
            break;
        heap[place] = heap[child];
    }
    heap[place] = sinking;
}

/* Offer a sample; return whether it is among the best so far. */
static int offer(best_t *best, double utility, index_t index)
{
    sample_t sample = {utility, index};
    if (best->count < best->limit) {
        best->samples[best->count++] = sample;
        if (best->count == best->limit)
            for (index_t place = best->limit / 2; place-- > 0;)
                sink(best->samples, best->limit, place);
        return 1;
    }
    if (!is_better(sample, best->samples[0]))
        return 0;
    best->samples[0] = sample;
    sink(best->samples, best->limit, 0);
    return 1;
}

/* Write the indices of the samples, the best first, and take them out of `left`. */
static void take(best_t *best, uint8_t *left, index_t *batch)
{
    while (best->count > 0) {
        index_t index = best->samples[0].index;
        batch[best->count - 1] = index;
        left[index] = 0;
        best->samples[0] = best->samples[--best->count];
        sink(best->samples, best->count, 0);
    }
}

/* Uncertainty: H(p) + trap x [mislabelled], with H(p) = ln(1 + e^-|z|) + |z| e^-|z| / (1 + e^-|z|) for log-odds z. */
static void choose_uncertain(best_t *best, const double *log_odds, const episode_t *episode, const uint8_t *left,
                             index_t n_pool)
{
    /* Entropy falls with |z|, and the bar only rises: of two samples with right labels, or two with wrong ones, the
     * second needs no logarithm if the first was refused at a smaller |z|. */
    double refused[2] = {INFINITY, INFINITY};
    for (index_t i = 0; i < n_pool; i++) {
        double magnitude = fabs(log_odds[i]);
        int wrong = episode->mislabelled[i];
        if (!left[i] || magnitude >= refused[wrong])
            continue;
        double shrunk = exp(-magnitude);
        double entropy = log(1 + shrunk) + magnitude * shrunk / (1 + shrunk);
        if (!offer(best, entropy + episode->trap * wrong, i))
            refused[wrong] = magnitude;
    }
}

/* Diversity: squared distance from the centroid of the training set, |x|^2 - 2 x.c + |c|^2. */
static void choose_distant(best_t *best, const double *products, const double *squares, double centroid_square,
                           const uint8_t *left, index_t n_pool)
{
    for (index_t i = 0; i < n_pool; i++)
        if (left[i])
            offer(best, squares[i] - 2 * products[i] + centroid_square, i);
}

/* --- random draws, as numpy's Generator makes them ---------------------------------------------------------------- */

/* Return a number in [0, most], by Lemire's method: what Generator.choice draws with. */
static uint64_t draw_up_to(bitgen_t *stream, uint32_t most)
{
    if (most == 0)
        return 0;
    uint32_t range = most + 1;
    uint64_t scaled = (uint64_t)stream->next_uint32(stream->state) * range;
    if ((uint32_t)scaled < range) {
        uint32_t threshold = (UINT32_MAX - most) % range;
        while ((uint32_t)scaled < threshold)
            scaled = (uint64_t)stream->next_uint32(stream->state) * range;
    }
    return scaled >> 32;
}

static void swap(index_t *values, index_t i, index_t j)
{
    index_t held = values[i];
    values[i] = values[j];
    values[j] = held;
}

/* Write `count` of the `n` values, drawn without replacement: Generator.choice(values, count, replace=False). */
static void draw_without_replacement(bitgen_t *stream, index_t *values, index_t n, index_t count, index_t *drawn)
{
    if (n > 10000 && count > n / 50) { /* numpy shuffles the tail */
        index_t first = n - count > 1 ? n - count : 1;
        for (index_t i = n - 1; i >= first; i--)
            swap(values, i, (index_t)draw_up_to(stream, (uint32_t)i));
        memcpy(drawn, values + n - count, count * sizeof *drawn);
        return;
    }
    /* Floyd's algorithm; a place that was drawn before is marked in `values` itself. */
    for (index_t j = n - count; j < n; j++) {
        index_t place = (index_t)draw_up_to(stream, (uint32_t)j);
        if (values[place] < 0)
            place = j;
        drawn[j - n + count] = values[place];
        values[place] = -1;
    }
    for (index_t i = count - 1; i >= 1; i--)
        swap(drawn, i, (index_t)draw_up_to(stream, (uint32_t)i));
}

/* Shuffle: Generator.permutation, which draws by masks and rejection. */
static void shuffle(bitgen_t *stream, index_t *values, index_t n)
{
    uint32_t mask = 1;
    while (mask < (uint32_t)n)
        mask = mask << 1 | 1;
    for (index_t i = n - 1; i >= 1; i--) {
        uint32_t drawn;
        while (mask >> 1 >= (uint32_t)i)
            mask >>= 1;
        while ((drawn = stream->next_uint32(stream->state) & mask) > (uint32_t)i)
            ;
        swap(values, i, drawn);
    }
}

/* --- the parts of a step ------------------------------------------------------------------------------------------ */

/* Return the bytes of scratch memory that `choose` and `learn` need. */
static size_t scratch_size(const dataset_t *data, const purchase_t *purchase)
{
    size_t choosing = (size_t)data->n_pool * (2 * sizeof(double) + sizeof(index_t) + 1)
                      + (size_t)purchase->size * sizeof(sample_t) + (size_t)data->n_features * sizeof(double);
    size_t learning = (size_t)(purchase->n_rows + purchase->size) * (size_t)purchase->passes * sizeof(index_t)
                      + (size_t)(data->n_validation + data->n_features) * sizeof(double);
    return choosing > learning ? choosing : learning;
}

/* Write the centroid of the training set; return its squared norm. */
static double centroid_of(const episode_t *episode, index_t n_rows, index_t n_features, double *centroid)
{
    for (index_t j = 0; j < n_features; j++)
        centroid[j] = episode->sums[j] / (double)n_rows;
    return dot(centroid, centroid, n_features);
}

/* Choose a batch. The strategies pick one after the other, each from the samples still left. */
static void choose(const dataset_t *data, const episode_t *episode, purchase_t *purchase, void *scratch)
{
    index_t n_pool = data->n_pool, n_features = data->n_features, *batch = purchase->batch;
    const double *X = data->X + data->pool_start * n_features, *weights = episode->parameters;
    double *log_odds = scratch, *products = log_odds + n_pool, *centroid = products + n_pool;
    index_t *remaining = (index_t *)(centroid + n_features);
    best_t best = {0, purchase->counts[0], (sample_t *)(remaining + n_pool)};
    uint8_t *left = (uint8_t *)(best.samples + purchase->size);
    double centroid_square = centroid_of(episode, purchase->n_rows, n_features, centroid);

    memcpy(left, episode->available, (size_t)n_pool);
    if (purchase->counts[0] && purchase->counts[1])
        products_with_both(X, n_pool, n_features, weights, weights[n_features], centroid, log_odds, products);
    else if (purchase->counts[0])
        products_with(X, n_pool, n_features, weights, weights[n_features], log_odds);
    else if (purchase->counts[1])
        products_with(X, n_pool, n_features, centroid, 0.0, products);

    if (purchase->counts[0]) {
        choose_uncertain(&best, log_odds, episode, left, n_pool);
        take(&best, left, batch);
        batch += purchase->counts[0];
    }
    if (purchase->counts[1]) {
        best.limit = purchase->counts[1];
        choose_distant(&best, products, data->squares, centroid_square, left, n_pool);
        take(&best, left, batch);
        batch += purchase->counts[1];
    }
    if (purchase->counts[2]) {
        index_t n_left = 0;
        for (index_t i = 0; i < n_pool; i++)
            if (left[i])
                remaining[n_left++] = i;
        draw_without_replacement(episode->selection, remaining, n_left, purchase->counts[2], batch);
    }
}

/* Distance and redundancy of the batch, against the centroid before the purchase. */
static void compare(const dataset_t *data, const episode_t *episode, purchase_t *purchase, double *centroid)
{
    double centroid_square = centroid_of(episode, purchase->n_rows, data->n_features, centroid);
    double distances = 0.0, cosines = 0.0;
    for (index_t k = 0; k < purchase->size; k++) {
        index_t i = purchase->batch[k];
        double product = dot(data->X + (data->pool_start + i) * data->n_features, centroid, data->n_features);
        double square = data->squares[i] - 2 * product + centroid_square;
        double length = sqrt(data->squares[i] * centroid_square);
        distances += sqrt(square > 0.0 ? square : 0.0);
        cosines += length > 0.0 ? product / length : 0.0;
    }
    double redundancy = (1 + cosines / (double)purchase->size) / 2;
    purchase->distance = distances / (double)purchase->size;
    purchase->redundancy = redundancy < 0.0 ? 0.0 : redundancy > 1.0 ? 1.0 : redundancy;
}

/* Take the batch out of the pool and put it into the training set. */
static void acquire(const dataset_t *data, episode_t *episode, purchase_t *purchase)
{
    double *sums = episode->sums;
    purchase->mislabelled = 0;
    for (index_t k = 0; k < purchase->size; k++) {
        index_t i = purchase->batch[k], row = data->pool_start + i;
        const double *x = data->X + row * data->n_features;
        episode->available[i] = 0;
        episode->rows[purchase->n_rows + k] = row;
        purchase->mislabelled += episode->mislabelled[i];
        for (index_t j = 0; j < data->n_features; j++)
            sums[j] += x[j];
        sums[data->n_features] += data->squares[i];
    }
}

/* Stochastic gradient descent on log loss with an L2 penalty alpha, learning rate 1 / (alpha (t0 + updates so far)): for each
 * row, w <- (1 - eta alpha) w + eta (y - p(x)) x and b <- b + eta (y - p(x)). Labels are compared with `positive`. */
FOR_EACH_PROCESSOR
static void train(double *parameters, const double *X, index_t n_features, const int64_t *labels, int64_t positive,
                  const index_t *order, index_t n, double alpha, index_t updates)
{
    double *w = parameters, intercept = parameters[n_features];
    double t0 = 1.0 / (sqrt(1.0 / sqrt(alpha)) * alpha);
    for (index_t k = 0; k < n; k++) {
        const double *x = X + order[k] * n_features;
        double eta = 1.0 / (alpha * (t0 + (double)(updates + k)));
        double probability = 1.0 / (1.0 + exp(-(dot(w, x, n_features) + intercept)));
        double step = eta * ((labels[order[k]] == positive) - probability), decay = 1.0 - eta * alpha;
        index_t j;
        for (j = 0; j + LANES <= n_features; j += LANES)
            *(lanes_t *)(w + j) = decay * LOAD(w + j) + step * LOAD(x + j);
        for (; j < n_features; j++)
            w[j] = decay * w[j] + step * x[j];
        intercept += step;
    }
    parameters[n_features] = intercept;
}

/* 1 / (1 + log loss) on the validation split. The loss of a row is ln(1 + e^m), m = z if y = 0, -z if y = 1. */
static double performance_of(const dataset_t *data, const double *parameters, double *log_odds)
{
    index_t n = data->n_validation, n_features = data->n_features;
    double losses = 0.0, factors = 1.0; /* sum of ln(f) = ln(product of f); each factor is at most 2 */
    products_with(data->X + data->validation_start * n_features, n, n_features, parameters, parameters[n_features],
                  log_odds);
    for (index_t i = 0; i < n; i++) {
        double margin = data->y[data->validation_start + i] == 1 ? -log_odds[i] : log_odds[i];
        losses += margin > 0.0 ? margin : 0.0;
        factors *= 1.0 + exp(-fabs(margin));
        if (i % 512 == 511) { /* long before the product overflows */
            losses += log(factors);
            factors = 1.0;
        }
    }
    return 1.0 / (1.0 + (losses + log(factors)) / (double)n);
}

/* Buy the batch: compare it with the training set, add it there, train on everything, measure. */
static void learn(const dataset_t *data, episode_t *episode, purchase_t *purchase, void *scratch)
{
    index_t n_rows = purchase->n_rows + purchase->size;
    index_t *order = scratch;
    double *numbers = (double *)(order + n_rows * purchase->passes);
    compare(data, episode, purchase, numbers);
    acquire(data, episode, purchase);
    for (index_t pass = 0; pass < purchase->passes; pass++) {
        memcpy(order + pass * n_rows, episode->rows, (size_t)n_rows * sizeof *order);
        shuffle(episode->training, order + pass * n_rows, n_rows);
    }
    train(episode->parameters, data->X, data->n_features, episode->labels, 1, order, n_rows * purchase->passes,
          episode->alpha, purchase->updates);
    purchase->performance = performance_of(data, episode->parameters, numbers);
}
