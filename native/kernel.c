/* One step of an episode: choose a batch, take it out of the pool, train on everything acquired, measure.
 *
 * dataselect_env.core.kernel states the same step in numpy, explains its terms, and compares the two before this file
 * is used. All arrays are contiguous. Sums have one order, that of `dot`, on every processor, and no multiply-add is
 * fused (-ffp-contract=off). Random draws consume the stream of a numpy Generator as numpy's own methods do.
 */

#include <math.h>
#include <string.h>

#include "best.h"
#include "draws.h"

/* Compile the loops over features for several generations of processors; the loader picks the best at start. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

/* What all episodes on a data set share. Nothing writes to it. */
typedef struct {
    const double *X;       /* features, (n, n_features) */
    const int64_t *y;      /* labels before label noise, (n) */
    const double *squares; /* squared norms of the pool samples, (n_pool) */
    const int16_t *packed; /* the features of the pool, rounded; see `pack` */
    const double *scales;  /* by which they were divided, (n_features) */
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
    double distance, redundancy, performance, spread;
} purchase_t;

/* --- products ---------------------------------------------------------------------------------------------------- */

#define LANES 8 /* numbers in a register of the widest processors; narrower ones split them */
typedef double lanes_t __attribute__((vector_size(LANES * sizeof(double)), aligned(sizeof(double)), may_alias));
#define LOAD(pointer) (*(const lanes_t *)(pointer))
#define STORE(pointer, value) (*(lanes_t *)(pointer) = (value))
#define SUM_OF(s) (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])))

/* Inner product. Four times eight partial sums let the additions overlap. */
INLINE double dot(const double *a, const double *b, index_t n)
{
    lanes_t s = {0.0}, t = {0.0}, u = {0.0}, v = {0.0};
    double rest = 0.0;
    index_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES) {
        s += LOAD(a + j) * LOAD(b + j);
        t += LOAD(a + j + LANES) * LOAD(b + j + LANES);
        u += LOAD(a + j + 2 * LANES) * LOAD(b + j + 2 * LANES);
        v += LOAD(a + j + 3 * LANES) * LOAD(b + j + 3 * LANES);
    }
    for (; j + LANES <= n; j += LANES)
        s += LOAD(a + j) * LOAD(b + j);
    for (; j < n; j++)
        rest += a[j] * b[j];
    s = (s + t) + (u + v);
    return SUM_OF(s) + rest;
}

/* --- rounded products --------------------------------------------------------------------------------------------- */

/* Few samples of a pool can be among the best. Products of rounded features, a quarter of the bytes, tell which; only
 * these are then computed exactly. Features are divided by the scale of their column, rounded to 16 bits, and stored in
 * blocks of 16 samples: of each block the first feature of all samples, then the second, and so on. */
#define BLOCK 16
#define LARGEST 32767.0

static index_t padded(index_t n_pool)
{
    return (n_pool + BLOCK - 1) / BLOCK * BLOCK;
}

/* Fill `packed`, (padded(n_pool) x n_features), and `scales` with the features of the pool. */
static void pack(const dataset_t *data, int16_t *packed, double *scales)
{
    const double *X = data->X + data->pool_start * data->n_features;
    index_t n_features = data->n_features;
    for (index_t j = 0; j < n_features; j++) {
        double largest = 0.0;
        for (index_t i = 0; i < data->n_pool; i++)
            largest = fmax(largest, fabs(X[i * n_features + j]));
        scales[j] = largest / LARGEST;
    }
    for (index_t i = 0; i < padded(data->n_pool); i++)
        for (index_t j = 0; j < n_features; j++) {
            int known = i < data->n_pool && scales[j] > 0.0;
            packed[((i / BLOCK) * n_features + j) * BLOCK + i % BLOCK]
                = known ? (int16_t)lrint(X[i * n_features + j] / scales[j]) : 0;
        }
}

/* Write the vector for products with packed features; return a bound on the error of such a product: half a unit for
 * rounding the feature, and for each of n additions in single precision 2^-24 of at most 2^15 units, with a margin. */
static double prepare(const dataset_t *data, const double *vector, float *prepared)
{
    double units = 0.0;
    for (index_t j = 0; j < data->n_features; j++) {
        units += fabs(vector[j]) * data->scales[j];
        prepared[j] = (float)(vector[j] * data->scales[j]);
    }
    double bound = units * (0.5 + ((double)data->n_features + 16.0) / 256.0);
    return bound < 1e30 ? bound : INFINITY; /* where single precision may overflow, nothing is known */
}

/* Products of all samples of the pool with two vectors. */
FOR_EACH_PROCESSOR
static void rounded_products(const dataset_t *data, const float *first, const float *second, float *first_products,
                             float *second_products)
{
    for (index_t block = 0; block < data->n_pool; block += BLOCK) {
        const int16_t *packed = data->packed + block * data->n_features;
        float sums[BLOCK] = {0.0f}, second_sums[BLOCK] = {0.0f};
        for (index_t j = 0; j < data->n_features; j++)
            for (int i = 0; i < BLOCK; i++) {
                float x = (float)packed[j * BLOCK + i];
                sums[i] += x * first[j];
                second_sums[i] += x * second[j];
            }
        memcpy(first_products + block, sums, sizeof sums);
        memcpy(second_products + block, second_sums, sizeof second_sums);
    }
}

/* --- choosing the best samples ------------------------------------------------------------------------------------ */

/* Uncertainty: H(p) + trap x [mislabelled], with H(p) = ln(1 + e^-|z|) + |z| e^-|z| / (1 + e^-|z|) for log-odds z. */
FOR_EACH_PROCESSOR
static void choose_uncertain(best_t *best, const dataset_t *data, const episode_t *episode, const float *products,
                             double bound, const uint8_t *left)
{
    const double *X = data->X + data->pool_start * data->n_features, *weights = episode->parameters;
    double intercept = weights[data->n_features];
    /* Entropy falls with |z|, and the bar only rises: of two samples with right labels, or two with wrong ones, the
     * second is refused if the first was refused at a smaller |z|. */
    double refused[2] = {INFINITY, INFINITY};
    for (index_t i = 0; i < data->n_pool; i++) {
        int wrong = episode->mislabelled[i];
        if (!left[i] || fabs(products[i] + intercept) - bound >= refused[wrong])
            continue;
        double magnitude = fabs(dot(X + i * data->n_features, weights, data->n_features) + intercept);
        double shrunk = exp(-magnitude);
        double entropy = log(1 + shrunk) + magnitude * shrunk / (1 + shrunk);
        if (!offer(best, entropy + episode->trap * wrong, i))
            refused[wrong] = magnitude < refused[wrong] ? magnitude : refused[wrong];
    }
}

/* Diversity: squared distance from the centroid c of the training set, |x|^2 - 2 x.c + |c|^2. */
FOR_EACH_PROCESSOR
static void choose_distant(best_t *best, const dataset_t *data, const double *centroid, double centroid_square,
                           const float *products, double bound, const uint8_t *left)
{
    const double *X = data->X + data->pool_start * data->n_features;
    for (index_t i = 0; i < data->n_pool; i++) {
        double at_most = data->squares[i] - 2 * (products[i] - bound) + centroid_square;
        if (!left[i] || (best->count == best->limit && at_most <= best->samples[0].utility))
            continue;
        double product = dot(X + i * data->n_features, centroid, data->n_features);
        offer(best, data->squares[i] - 2 * product + centroid_square, i);
    }
}

/* --- the parts of a step ------------------------------------------------------------------------------------------ */

/* Return the bytes of scratch memory that `choose` and `learn` need. */
static size_t scratch_size(const dataset_t *data, const purchase_t *purchase)
{
    size_t n_pool = (size_t)padded(data->n_pool), n_features = (size_t)data->n_features;
    size_t choosing = n_features * sizeof(double) + (size_t)purchase->size * sizeof(sample_t)
                      + n_pool * (sizeof(index_t) + 2 * sizeof(float) + 1) + 2 * n_features * sizeof(float);
    size_t learning = (size_t)(purchase->n_rows + purchase->size) * (size_t)purchase->passes * sizeof(index_t)
                      + n_features * sizeof(double);
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
    index_t n_pool = padded(data->n_pool), n_features = data->n_features, *batch = purchase->batch;
    const index_t *counts = purchase->counts;
    double *centroid = scratch;
    best_t best = {0, counts[0], (sample_t *)(centroid + n_features)};
    index_t *remaining = (index_t *)(best.samples + purchase->size), n_left = 0;
    float *log_odds = (float *)(remaining + n_pool), *products = log_odds + n_pool;
    float *weights = products + n_pool, *centre = weights + n_features;
    uint8_t *left = (uint8_t *)(centre + n_features);

    memcpy(left, episode->available, (size_t)data->n_pool);
    double centroid_square = centroid_of(episode, purchase->n_rows, n_features, centroid);
    double log_odds_bound = prepare(data, episode->parameters, weights), bound = prepare(data, centroid, centre);
    if (counts[0] || counts[1])
        rounded_products(data, weights, centre, log_odds, products);
    if (counts[0]) {
        choose_uncertain(&best, data, episode, log_odds, log_odds_bound, left);
        take(&best, left, batch);
    }
    if (counts[1]) {
        best.limit = counts[1];
        choose_distant(&best, data, centroid, centroid_square, products, bound, left);
        take(&best, left, batch + counts[0]);
    }
    if (counts[2]) {
        for (index_t i = 0; i < data->n_pool; i++)
            if (left[i])
                remaining[n_left++] = i;
        draw_without_replacement(episode->selection, remaining, n_left, counts[2], batch + counts[0] + counts[1]);
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

/* Stochastic gradient descent on log loss with an L2 penalty alpha, learning rate 1 / (alpha (t0 + updates so far)): for
 * each row, w <- d w + s x and b <- b + s, where s = eta (y - p(x)) and d = 1 - eta alpha. Labels are compared with
 * `positive`. One loop over the features updates the weights and multiplies them with the next row. */
FOR_EACH_PROCESSOR
static void train(double *parameters, const double *X, index_t n_features, const int64_t *labels, int64_t positive,
                  const index_t *order, index_t n, double alpha, index_t updates)
{
    double *w = parameters, intercept = parameters[n_features];
    double t0 = 1.0 / (sqrt(1.0 / sqrt(alpha)) * alpha);
    double product = dot(w, X + order[0] * n_features, n_features);
    for (index_t k = 0; k < n; k++) {
        const double *x = X + order[k] * n_features, *next = X + order[k + 1 < n ? k + 1 : k] * n_features;
        double eta = 1.0 / (alpha * (t0 + (double)(updates + k))), decay = 1.0 - eta * alpha;
        double probability = 1.0 / (1.0 + exp(-(product + intercept)));
        double step = eta * ((labels[order[k]] == positive) - probability);
        lanes_t s = {0.0}, t = {0.0};
        index_t j = 0;
        for (; j + 2 * LANES <= n_features; j += 2 * LANES) {
            lanes_t first = decay * LOAD(w + j) + step * LOAD(x + j);
            lanes_t second = decay * LOAD(w + j + LANES) + step * LOAD(x + j + LANES);
            s += first * LOAD(next + j);
            t += second * LOAD(next + j + LANES);
            STORE(w + j, first);
            STORE(w + j + LANES, second);
        }
        product = 0.0;
        for (; j < n_features; j++) {
            w[j] = decay * w[j] + step * x[j];
            product += w[j] * next[j];
        }
        s += t;
        product += SUM_OF(s);
        intercept += step;
    }
    parameters[n_features] = intercept;
}

/* 1 / (1 + log loss) on the validation split. The loss of a row is ln(1 + e^m), m = z if y = 0, -z if y = 1. */
FOR_EACH_PROCESSOR
static double performance_of(const dataset_t *data, const double *parameters)
{
    index_t n = data->n_validation, n_features = data->n_features;
    double losses = 0.0, factors = 1.0; /* sum of ln(f) = ln(product of f); each factor is at most 2 */
    for (index_t i = 0; i < n; i++) {
        index_t row = data->validation_start + i;
        double log_odds = dot(data->X + row * n_features, parameters, n_features) + parameters[n_features];
        double margin = data->y[row] == 1 ? -log_odds : log_odds;
        losses += margin > 0.0 ? margin : 0.0;
        factors *= 1.0 + exp(-fabs(margin));
        if (i % 512 == 511) { /* long before the product overflows */
            losses += log(factors);
            factors = 1.0;
        }
    }
    return 1.0 / (1.0 + (losses + log(factors)) / (double)n);
}

/* Standard deviation over all entries of the training set's features. Rounding can make its square negative. */
static double spread_of(const episode_t *episode, index_t n_rows, index_t n_features)
{
    double entries = (double)(n_rows * n_features), sum = 0.0;
    for (index_t j = 0; j < n_features; j++)
        sum += episode->sums[j];
    double mean = sum / entries, square = episode->sums[n_features] / entries - mean * mean;
    return sqrt(square > 0.0 ? square : 0.0);
}

/* Buy the batch: compare it with the training set, add it there, train on everything, measure. */
static void learn(const dataset_t *data, episode_t *episode, purchase_t *purchase, void *scratch)
{
    index_t n_rows = purchase->n_rows + purchase->size;
    double *centroid = scratch;
    index_t *order = (index_t *)(centroid + data->n_features);
    compare(data, episode, purchase, centroid);
    acquire(data, episode, purchase);
    purchase->spread = spread_of(episode, n_rows, data->n_features);
    for (index_t pass = 0; pass < purchase->passes; pass++) {
        memcpy(order + pass * n_rows, episode->rows, (size_t)n_rows * sizeof *order);
        shuffle(episode->training, order + pass * n_rows, n_rows);
    }
    train(episode->parameters, data->X, data->n_features, episode->labels, 1, order, n_rows * purchase->passes,
          episode->alpha, purchase->updates);
    purchase->performance = performance_of(data, episode->parameters);
}
