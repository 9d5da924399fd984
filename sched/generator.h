/*
 * Seeded normal numbers, the same as the libraries' own generators give.
 *
 *   numpy-pcg64      np.random.Generator(np.random.PCG64(seed)).standard_normal: float64 draws, rounded to
 *                    float32 (the documented examples' generator). numpy_pcg64.h
 *   torch-cpu        torch.Generator('cpu').manual_seed(seed), torch.randn as PyTorch's AVX2 kernel computes
 *                    it, bit for bit. torch_mt19937.h
 *   torch-cpu-plain  the same words through PyTorch's portable kernel (normals up to 2e-6 apart)
 *
 * One stream in call order: what a call gives depends on all the calls before it. The random words are exact
 * everywhere; the normals rest on libm's logarithms, sines and cosines where the originals do.
 */
#ifndef SCHED_GENERATOR_H
#define SCHED_GENERATOR_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

enum generator_kind {
    GENERATOR_NUMPY_PCG64,
    GENERATOR_TORCH_CPU,
    GENERATOR_TORCH_CPU_PLAIN,
    GENERATOR_KINDS
};

/* "numpy-pcg64" and so on; GENERATOR_KINDS where the name is none of them. */
enum generator_kind generator_kind_of(const char *name);
const char *generator_name(enum generator_kind kind);

struct generator; /* opaque */

/* `seed` is a decimal or 0x-hexadecimal integer, of any size for NumPy, below 2^64 for torch (which uses its
 * low 32 bits alone). STATUS_BAD_INPUT names what is wrong with it; `*out` is then NULL. */
enum status generator_create(
    enum generator_kind kind, const char *seed, struct generator **out, struct error *error);
void generator_free(struct generator *generator); /* accepts NULL */

/* randn / standard_normal of one tensor with `n` elements (torch's numbers depend on how the draws are
 * grouped). */
void generator_normal_f32(struct generator *generator, float *out, size_t n);
void generator_normal_f64(struct generator *generator, double *out, size_t n);

#endif
