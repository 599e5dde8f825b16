/* Random draws that consume the stream of a numpy Generator as numpy's own methods do. */

#ifndef DRAWS_H
#define DRAWS_H

#include <stdint.h>
#include <string.h>

typedef intptr_t index_t; /* numpy's intp */

/* Layout of numpy's bit generators (numpy/random/bitgen.h), fixed since numpy 1.17. */
typedef struct {
    void *state;
    uint64_t (*next_uint64)(void *state);
    uint32_t (*next_uint32)(void *state);
    double (*next_double)(void *state);
    uint64_t (*next_raw)(void *state);
} bitgen_t;

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

#endif
