/*
 * torch.Generator('cuda').manual_seed(seed): the counter-based Philox4x32-10, and torch.randn over it.
 *
 * Derived from the published algorithm and from PyTorch's and cuRAND's sources, not run on a GPU. What is
 * certain are the words: they are Random123's known answers. A GPU's normals differ from these by about 1e-6,
 * since it takes approximate sines and cosines; and where a tensor has more elements than the GPU runs
 * threads at once, which number goes where depends on the GPU's model.
 */
#ifndef SCHED_TORCH_PHILOX_H
#define SCHED_TORCH_PHILOX_H

#include <stddef.h>
#include <stdint.h>

/* Salmon et al. 2011 ("Parallel random numbers: as easy as 1, 2, 3", SC'11): four words from a counter of
 * four and a key of two. */
void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t words[4]);

struct torch_philox {
    uint64_t seed;
    uint64_t offset; /* blocks of four words that every thread has taken */
    size_t
        max_threads; /* that the GPU runs at once: multiprocessors times threads on each, a multiple of 256 */
};

/* An A100's: 108 multiprocessors of 2048 threads. */
#define TORCH_PHILOX_A100_THREADS ((size_t)221184)

/* torch.randn(n) as one tensor on the device. */
void torch_philox_randn_f32(struct torch_philox *generator, float *out, size_t n);
void torch_philox_randn_f64(struct torch_philox *generator, double *out, size_t n);

#endif
