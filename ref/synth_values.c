/*
 * Counter-based random weights: element i of a tensor is a function of the tensor's name, the seed and i, so
 * that the same tensor has the same values in every file, shard, order and number of threads.
 *
 *   key      SplitMix64's finaliser of (FNV-1a of the name) + the finaliser of the seed
 *   word     finaliser(key + (floor(i / 2) + 1) g): SplitMix64's stream (Steele, Lea and Flood 2014, figure
 *            17, with Stafford's variant 13 of the finaliser), entered at any place; g = 2^64 / golden ratio
 *   integer  the lower half of the word for even i, the upper half for odd i, as a signed number of 32 bits,
 *            shifted right by 8: uniform in [-2^23, 2^23)
 *   value    centre + scale * integer, each operation rounded to float32
 *
 * The standard deviation of a weight is that which keeps activations of order one:
 *
 *   matrices, kernels    1 / sqrt(fan in): y = W x has the variance of x
 *   the last one of a    half of that, so that the sum of many residual branches grows slowly: a quarter of a
 *   residual branch      branch's variance
 *   embeddings           1 / sqrt(2): token plus position has variance 1
 *   weights of norms     0.1 around 1
 *   biases               0.05
 *
 * Uniform numbers of deviation s lie in [-s sqrt 3, s sqrt 3], so scale = s sqrt(3) / 2^23.
 */
#include "splitmix.h"
#include "synth.h"

#include "paths.h"

#include "kernels/cpu.h"
#include "kernels/half.h"

#include <math.h>
#include <string.h>

/* --- The stream --------------------------------------------------------------------------- */

static uint64_t hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, 64 bits (Fowler, Noll and Vo) */
    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

/* --- The scale ---------------------------------------------------------------------------- */

/* Layers after which a residual is added, by the ends of their names. */
static bool ends_branch(const char *name)
{
    static const char *const endings[] = {".conv2.weight", ".proj_out.weight", ".to_out.0.weight",
        ".ff.net.2.weight", ".out_proj.weight", ".fc2.weight"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (path_ends_with(name, endings[i])) return true;
    return false;
}

static double deviation(const char *name, const struct tensor *shape)
{
    if (shape->rank < 2) return path_ends_with(name, ".bias") ? 0.05 : 0.1;
    if (path_ends_with(name, "_embedding.weight")) return sqrt(0.5);
    double fan_in = 1;
    for (int i = 1; i < shape->rank; i++) fan_in *= (double)shape->shape[i];
    return (ends_branch(name) ? 0.5 : 1.0) / sqrt(fan_in);
}

struct synth_values synth_values_of(const char *name, uint64_t seed, const struct tensor *shape)
{
    bool norm = shape->rank < 2 && !path_ends_with(name, ".bias");
    return (struct synth_values){
        .key = splitmix_finalise(hash_name(name) + splitmix_finalise(seed)),
        .centre = norm ? 1.0f : 0.0f,
        .scale = (float)(deviation(name, shape) * sqrt(3.0) * 0x1p-23),
    };
}

/* --- Filling ------------------------------------------------------------------------------ */

enum { BLOCK = 4096 }; /* elements that one thread makes at a time */

static inline float value_of(const struct synth_values *values, uint64_t half)
{
    return values->centre + values->scale * (float)((int32_t)(uint32_t)half >> 8);
}

/* Elements 2 first .. 2 (first + n) - 1. */
static void make_pairs(const struct synth_values *values, size_t first, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t word = splitmix_finalise(values->key + ((uint64_t)(first + i) + 1) * SPLITMIX_STEP);
        out[2 * i] = value_of(values, word);
        out[2 * i + 1] = value_of(values, word >> 32);
    }
}

static void make_block(
    const struct synth_values *values, size_t first, size_t n, enum dtype dtype, unsigned char *out)
{
    float pairs[BLOCK + 2]; /* one more at each end where that is odd */
    const float *single = pairs + first % 2;
    make_pairs(values, first / 2, (first % 2 + n + 1) / 2, pairs);
    if (dtype == DTYPE_F32) memcpy(out, single, n * sizeof *single);
    for (size_t i = 0; dtype != DTYPE_F32 && i < n; i++) {
        uint16_t narrow = dtype == DTYPE_F16 ? f16_from_f32(single[i]) : bf16_from_f32(single[i]);
        memcpy(out + i * sizeof narrow, &narrow, sizeof narrow);
    }
}

void synth_values_fill(const struct synth_values *values, size_t first, size_t n, enum dtype dtype, void *out)
{
    size_t size = dtype_size(dtype);
#pragma omp parallel for num_threads(kernels_threads()) if (n > BLOCK)
    for (size_t begin = 0; begin < n; begin += BLOCK)
        make_block(values, first + begin, n - begin < BLOCK ? n - begin : BLOCK, dtype,
            (unsigned char *)out + begin * size);
}
