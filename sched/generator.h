/*
 * Seeded normal numbers, the same as the libraries' own generators give.
 *
 *   numpy-pcg64      np.random.Generator(np.random.PCG64(seed)).standard_normal: float64 draws, rounded to
 *                    float32 (the documented examples' generator). numpy_pcg64.h
 *   torch-cpu        torch.Generator('cpu').manual_seed(seed), torch.randn as PyTorch's AVX2 kernel computes
 *                    it, bit for bit. torch_mt19937.h
 *   torch-cpu-plain  the same words through PyTorch's portable kernel (normals up to 2e-6 apart)
 *   torch-cuda       torch.Generator('cuda').manual_seed(seed), torch.randn on a device: derived, not run on
 *                    one; exact words, normals to about 1e-6. torch_philox.h
 *   numpy-mt19937    np.random.RandomState(seed).randn: float64 draws, rounded to float32. numpy_mt19937.h
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
    GENERATOR_TORCH_CUDA,
    GENERATOR_NUMPY_MT19937,
    GENERATOR_KINDS
};

/* "numpy-pcg64" and so on; GENERATOR_KINDS where the name is none of them. */
enum generator_kind generator_kind_of(const char *name);
const char *generator_name(enum generator_kind kind);
#define GENERATOR_NAMES                                                                                      \
    "numpy-pcg64, numpy-mt19937, torch-cpu, torch-cpu-plain or torch-cuda" /* for messages */

struct generator; /* opaque */

/* `seed` is a decimal or 0x-hexadecimal integer: of any size for numpy-pcg64, below 2^32 for numpy-mt19937,
 * below 2^64 for torch (which on a CPU uses its low 32 bits alone). STATUS_BAD_INPUT names what is wrong with
 * it; `*out` is then NULL. */
enum status generator_create(
    enum generator_kind kind, const char *seed, struct generator **out, struct error *error);
void generator_free(struct generator *generator); /* accepts NULL */

/* randn / standard_normal of one tensor with `n` elements (torch's numbers depend on how the draws are
 * grouped). */
void generator_normal_f32(struct generator *generator, float *out, size_t n);
void generator_normal_f64(struct generator *generator, double *out, size_t n);

#endif
