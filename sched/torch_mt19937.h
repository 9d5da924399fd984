/*
 * torch.Generator('cpu').manual_seed(seed): raw words, uniforms, and torch.randn in float32 and float64.
 */
#ifndef SCHED_TORCH_MT19937_H
#define SCHED_TORCH_MT19937_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT19937_WORDS 624

struct torch_mt19937 {
    uint32_t words[MT19937_WORDS];
    int next; /* index of the next word to give; MT19937_WORDS where a fresh block is due */
    /* The second normal of a float64 pair, kept by draws of fewer than 16 elements for the next such draw. */
    bool has_cached_normal;
    double cached_normal;
};

/* manual_seed(seed) of its low 32 bits: Matsumoto and Nishimura's init_genrand. */
void torch_mt19937_seed(struct torch_mt19937 *generator, uint32_t seed);

uint32_t torch_mt19937_next(struct torch_mt19937 *generator); /* one 32-bit word */
/* rand(n): 24 bits of one word each */
void torch_mt19937_uniforms_f32(struct torch_mt19937 *generator, float *out, size_t n);
double torch_mt19937_uniform_f64(struct torch_mt19937 *generator); /* rand(float64): 53 bits of two words */

/* torch.randn(n) as one tensor. `avx2` selects the arithmetic of PyTorch's AVX2 kernel for n >= 16 in
 * float32; below 16, and in float64, PyTorch has only one. */
void torch_randn_f32(struct torch_mt19937 *generator, bool avx2, float *out, size_t n);
void torch_randn_f64(struct torch_mt19937 *generator, double *out, size_t n);

#endif
