/*
 * The innermost product for x86-64 with AVX2 and FMA: 6 rows by 2 vectors are 12 of the 16 registers, with 2
 * for the panel and 1 for the broadcast. Compiled with those instruction sets, so nothing outside of the
 * table may be called before kernels/cpu.c has found them.
 */
#include "lanes.h"

#define MICRO_ROWS 6
#define MICRO_VECTORS 2
#include "kernels/micro_kernel_loops.h"

const struct micro_kernel *micro_kernel_avx2(void)
{
    return &micro_kernel_loops;
}
