/*
 * torch.randn on a CUDA device (ATen/native/cuda/DistributionTemplates.h): T threads, each with a Philox
 * stream of its own. Thread i's next block of four words is the cipher of the counter (offset, i) under the
 * seed as the key; Box and Muller's transform makes four float32 normals of them, or two float64 ones
 * (cuRAND: curand_normal4, curand_normal2_double), the sine first. They go to elements i, i + T, i + 2T, i +
 * 3T; then all threads take another block. T is the number of elements rounded up to blocks of 256 threads,
 * or what the GPU runs at once, where that is less.
 */
#include "torch_philox.h"

#include <math.h>

#define PI 3.14159265358979323846

enum { ROUNDS = 10, THREADS_OF_BLOCK = 256 };

void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4])
{
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]}, k[2] = {key[0], key[1]};
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t a = (uint64_t)c[0] * UINT32_C(0xd2511f53), b = (uint64_t)c[2] * UINT32_C(0xcd9e8d57);
        const uint32_t next[4] = {
            (uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        for (int i = 0; i < 4; i++) c[i] = next[i];
        k[0] += UINT32_C(0x9e3779b9); /* the golden ratio */
        k[1] += UINT32_C(0xbb67ae85); /* sqrt 3 - 1 */
    }
    for (int i = 0; i < 4; i++) words[i] = c[i];
}

/* The block that a thread takes at an offset. */
static void thread_words(uint64_t seed, uint64_t offset, uint64_t thread, uint32_t words[4])
{
    const uint32_t counter[4] = {
        (uint32_t)offset, (uint32_t)(offset >> 32), (uint32_t)thread, (uint32_t)(thread >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    philox4x32_10(counter, key, words);
}

/* curand_box_muller: two normals from two words, each operation rounded to float32. */
static void box_muller_f32(uint32_t first, uint32_t second, float normals[2])
{
    const float scale = 2.3283064e-10f, turn = 2.3283064e-10f * 6.2831855f; /* 2^-32, 2 pi 2^-32 */
    const float u = (float)first * scale + scale / 2, v = (float)second * turn + turn / 2;
    const float radius = sqrtf(-2 * (float)log((double)u));
    normals[0] = radius * (float)sin((double)v);
    normals[1] = radius * (float)cos((double)v);
}

/* curand_box_muller_double: 53 bits each from two words. */
static void box_muller_f64(const uint32_t words[4], double normals[2])
{
    const uint64_t x = words[0] ^ (uint64_t)words[1] << 21, y = words[2] ^ (uint64_t)words[3] << 21;
    const double u = (double)x * 0x1p-53 + 0x1p-54, v = ((double)y * 0x1p-52 + 0x1p-53) * PI;
    const double radius = sqrt(-2 * log(u));
    normals[0] = radius * sin(v);
    normals[1] = radius * cos(v);
}

static size_t threads_for(const struct torch_philox *generator, size_t n)
{
    const size_t whole_blocks = (n + THREADS_OF_BLOCK - 1) / THREADS_OF_BLOCK * THREADS_OF_BLOCK;
    return whole_blocks < generator->max_threads ? whole_blocks : generator->max_threads;
}

void torch_philox_randn_f32(struct torch_philox *generator, float *out, size_t n)
{
    const size_t threads = threads_for(generator, n);
    for (size_t base = 0; base < n; base += 4 * threads, generator->offset++)
        for (size_t i = 0; i < threads && base + i < n; i++) {
            uint32_t words[4];
            float normals[4];
            thread_words(generator->seed, generator->offset, i, words);
            box_muller_f32(words[0], words[1], normals);
            box_muller_f32(words[2], words[3], normals + 2);
            for (size_t k = 0; k < 4 && base + i + k * threads < n; k++)
                out[base + i + k * threads] = normals[k];
        }
}

void torch_philox_randn_f64(struct torch_philox *generator, double *out, size_t n)
{
    const size_t threads = threads_for(generator, n);
    for (size_t base = 0; base < n; base += 2 * threads, generator->offset++)
        for (size_t i = 0; i < threads && base + i < n; i++) {
            uint32_t words[4];
            double normals[2];
            thread_words(generator->seed, generator->offset, i, words);
            box_muller_f64(words, normals);
            for (size_t k = 0; k < 2 && base + i + k * threads < n; k++)
                out[base + i + k * threads] = normals[k];
        }
}
