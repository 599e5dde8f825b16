/* The best samples of a pool, found without sorting it. */

#ifndef BEST_H
#define BEST_H

#include "draws.h" /* index_t */

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

#endif
