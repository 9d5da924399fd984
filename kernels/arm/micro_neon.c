/*
 * The innermost product for AArch64: 6 rows by 4 vectors are 24 of the 32 registers, with 4 for the panel and
 * 1 for the broadcast.
 */
#include "lanes.h"

#define MICRO_ROWS 6
#define MICRO_VECTORS 4
#include "kernels/micro_kernel_loops.h"

const struct micro_kernel *micro_kernel_neon(void)
{
    return &micro_kernel_loops;
}
