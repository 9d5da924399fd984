/*
 * What the processor can do, found once at run time, and how many threads the kernels use.
 */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include <stdbool.h>
#include <stddef.h>

enum kernel_set { KERNELS_SCALAR, KERNELS_AVX2, KERNELS_AVX512, KERNELS_NEON, KERNEL_SETS };

/* The best set this processor has. */
enum kernel_set kernels_best(void);
/* Whether this processor has `set`. */
bool kernels_available(enum kernel_set set);
/* Chooses the set that the float kernels use from now on; false, and no change, where the processor lacks
 * it. */
bool kernels_use(enum kernel_set set);
enum kernel_set kernels_in_use(void);
/* The names of the sets in their order, then NULL. */
const char *const *kernels_set_names(void);
const char *kernels_set_name(enum kernel_set set); /* "scalar", "avx2", "avx512", "neon" */

/* Whose matrix products the float kernels compute with: OpenBLAS's, whose bits depend on the processor, or
 * those of kernels/micro_kernel.h, whose bits depend on nothing. Attention takes the latter in both cases.
 * The double kernels use OpenBLAS's. */
enum gemm_kind { GEMM_OPENBLAS, GEMM_PORTABLE, GEMM_KINDS };
void kernels_use_gemm(enum gemm_kind kind);
enum gemm_kind kernels_gemm_in_use(void);
/* The names of the kinds in their order, then NULL. */
const char *const *kernels_gemm_names(void);
const char *kernels_gemm_name(enum gemm_kind kind); /* "openblas", "portable" */

/* Threads for the kernels, at least 1. Also keeps OpenBLAS to one thread inside each tile. */
void kernels_set_threads(int threads);
int kernels_threads(void);

/* Starts the threads, and with_blas has OpenBLAS take the memory that it packs into: neither can report that
 * there is none. Returns 0, or how many bytes were asked for in vain. To be called before work that cannot
 * end halfway, and again after a large allocation; costs little. */
size_t kernels_start(bool with_blas);
/* Whether the float kernels, or with f64 the double ones, use OpenBLAS. */
bool kernels_need_blas(bool f64);

/* The CPU's model name ("unknown" where it does not say), and OpenBLAS's own description (version, core), for
 * `plumb info`. */
const char *kernels_cpu_name(char *buffer, size_t size);
const char *kernels_blas_description(void);
const char *kernels_blas_core(void);

/* OpenBLAS's kernels by the names that OPENBLAS_CORETYPE takes (blas_core.c): whether this processor can run
 * those of `name`, in capitals or not; those that it can, up to `most` of them; and the ones that most
 * machines of this architecture have in common, NULL where this one does not have them or none are. */
bool kernels_blas_core_runs(const char *name);
size_t kernels_blas_cores(const char **names, size_t most);
const char *kernels_common_blas_core(void);

#endif
