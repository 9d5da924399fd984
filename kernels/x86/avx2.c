/*
 * The vector kernels for x86-64 with AVX2, FMA and F16C. Compiled with those instruction sets, so nothing
 * outside of the table may be called before kernels/cpu.c has found them.
 */
#include "lanes.h"

#include "kernels/vector_loops.h"

const struct vector_set *vector_avx2(void)
{
    return &vector_loops;
}
