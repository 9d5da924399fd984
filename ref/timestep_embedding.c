#include "kernels/real.h"

#include "arena.h"
#include "timestep_embedding.h"
#include "vector_math.h"

#include <math.h>

/* y[n, offset + i] = x[n, i] */
static void place_half(const float *x, int64_t rows, int64_t half, real *y, int64_t dim, int64_t offset)
{
    for (int64_t n = 0; n < rows; n++)
        for (int64_t i = 0; i < half; i++) y[n * dim + offset + i] = (real)x[n * half + i];
}

/* t: [rows] -> embedding: [rows, dim]. Behind the dim / 2 `frequencies` there is room for as many angles and
 * values for each row. */
static void embed(
    const real *t, int64_t rows, const struct sinusoid *sinusoid, float *frequencies, real *embedding)
{
    int64_t dim = sinusoid->dim, half = dim / 2;
    size_t count = (size_t)(rows * half);
    float *angles = frequencies + half, *values = angles + count;

    const float minus_log_max_period = -(float)log(10000.0);
    float divisor = (float)((double)half - sinusoid->freq_shift);
    for (int64_t i = 0; i < half; i++) frequencies[i] = minus_log_max_period * (float)i / divisor;
    vector_expf(frequencies, (size_t)half, frequencies);
    for (int64_t n = 0; n < rows; n++)
        for (int64_t i = 0; i < half; i++) angles[n * half + i] = (float)t[n] * frequencies[i];

    int64_t sin_at = sinusoid->flip_sin_to_cos ? half : 0, cos_at = half - sin_at;
    vector_sinf(angles, count, values);
    place_half(values, rows, half, embedding, dim, sin_at);
    vector_cosf(angles, count, values);
    place_half(values, rows, half, embedding, dim, cos_at);
    if (dim % 2 == 1)
        for (int64_t n = 0; n < rows; n++) embedding[n * dim + dim - 1] = 0;
}

struct tensor timestep_embedding(struct forward *f, struct tensor timesteps, const struct sinusoid *sinusoid)
{
    int64_t rows = timesteps.shape[0], half = sinusoid->dim / 2;
    struct tensor embedding = forward_tensor(f, 2, (int64_t[]){rows, sinusoid->dim});
    if (f->status != STATUS_OK) return embedding;

    size_t bytes = (size_t)(half + 2 * rows * half) * sizeof(float);
    float *room = arena_alloc(f->arena, bytes);
    if (!room)
        f->status = error_memory(f->error, bytes);
    else if (forward_runs(
                 f, &(struct kernel_call){.kernel = "timestep_embedding", .x = timesteps, .y = embedding}))
        embed(timesteps.data, rows, sinusoid, room, embedding.data);
    arena_drop(f->arena, room);
    return embedding;
}
