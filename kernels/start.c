/*
 * What the kernels need before their first call. Where the system has no memory for a thread or for
 * OpenBLAS's buffers, libgomp ends the program and OpenBLAS asks again for ever; neither can be told to
 * report it. So the same memory is asked for here first, and then the threads and the buffers are made.
 */
#include "cpu.h"
#include "gemm.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* What OpenBLAS maps for each thread in a product (its BUFFER_SIZE, 32 << 22 at most), of which it touches
 * little; and of a thread's own, beside its stack, its first heap. */
enum { BLAS_BUFFER = 32 << 22, THREAD_HEAP = 4 << 20, LARGEST_STACK = 64 << 20 };

static size_t stack_size(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur > LARGEST_STACK) return LARGEST_STACK;
    return (size_t)limit.rlim_cur;
}

/* Whether `pieces` mappings of `size` are to be had at the same time. */
static bool is_there(size_t pieces, size_t size)
{
    void **places = malloc(pieces * sizeof *places);
    size_t count = 0;
    while (places && count < pieces) {
        places[count] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (places[count] == MAP_FAILED) break;
        count++;
    }
    bool all = places && count == pieces;
    while (count > 0) munmap(places[--count], size);
    free(places);
    return all;
}

/* A product that is large enough for OpenBLAS to take a buffer, which it keeps. */
static void multiply_once(void)
{
    enum { SIDE = 128 };
    static const real ones[SIDE * SIDE];
    real *product = malloc(SIDE * SIDE * sizeof *product);
    if (!product) return;
    struct matrix matrix = {ones, SIDE};
    gemm(SIDE, SIDE, SIDE, 1, matrix, matrix, 0, product, SIDE);
    free(product);
}

bool kernels_need_blas(bool f64)
{
    return f64 || kernels_gemm_in_use() == GEMM_OPENBLAS;
}

size_t kernels_start(bool with_blas)
{
    size_t threads = (size_t)kernels_threads();
    size_t each = stack_size() + THREAD_HEAP + (with_blas ? BLAS_BUFFER : 0);
    if (!is_there(threads, each)) return threads * each;
    if (with_blas) multiply_once();
#pragma omp parallel num_threads(kernels_threads())
    {
        /* Only that they are there. OpenBLAS takes a further buffer when two products meet. */
    }
    return 0;
}
