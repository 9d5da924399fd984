/*
 * The vector kernels for x86-64 with AVX-512 (F, BW, DQ, VL), FMA and F16C. Compiled with those instruction
 * sets, so nothing outside of the table may be called before kernels/cpu.c has found them.
 */
#include "lanes.h"

#include "kernels/vector_loops.h"

const struct vector_set *vector_avx512(void)
{
    return &vector_loops;
}
