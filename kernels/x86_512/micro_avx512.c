/*
 * The innermost product for x86-64 with AVX-512: 14 rows by 2 vectors are 28 of the 32 registers, with 2 for
 * the panel and 1 for the broadcast. Compiled with those instruction sets, so nothing outside of the table
 * may be called before kernels/cpu.c has found them.
 */
#include "lanes.h"

#define MICRO_ROWS 14
#define MICRO_VECTORS 2
#include "kernels/micro_kernel_loops.h"

const struct micro_kernel *micro_kernel_avx512(void)
{
    return &micro_kernel_loops;
}
