/*
 * The vector kernels for AArch64, whose baseline has NEON.
 */
#include "lanes.h"

#include "kernels/vector_loops.h"

const struct vector_set *vector_neon(void)
{
    return &vector_loops;
}
