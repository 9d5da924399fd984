/*
 * A convolution with all that kernel_conv2d and kernel_upsample_conv2d want of it. Internal to kernels/.
 */
#ifndef KERNELS_CONV2D_H
#define KERNELS_CONV2D_H

#include "gemm_tile.h"
#include "kernels.h"

#define convolve KERNEL_NAME(convolve)
#define convolve_scratch KERNEL_NAME(convolve_scratch)

#define weight_rows KERNEL_NAME(weight_rows)
#define convolution KERNEL_NAME(convolution)

/* Numbers of the matrix of weights: `rows` of [out_channels, K] at `k`, as gemm_rows gives them. */
typedef struct matrix weight_rows(const struct micro_kernel *blocks, const void *weights,
    const struct conv2d_shape *shape, struct tile row, struct tile k, real *room);

struct convolution {
    const struct conv2d_shape *shape;
    const real *x;
    weight_rows *rows;
    const void *weights;                 /* as `rows` understands them */
    const real *bias, *shift, *residual; /* of kernel_conv2d; residual with a step of 1 only */
    real *y;
    /* Position (i, j) of the output goes to row i * step + first_row and column j * step + first_column of
     * planes of step^2 as many positions. */
    size_t step, first_row, first_column;
};

/* Numbers of scratch for the threads that are set, and the convolution: c->y [batch, out_channels, H' * step,
 * W' * step] gets what kernel_conv2d() says, at every step-th row and column. y must not overlap x. */
size_t convolve_scratch(const struct conv2d_shape *shape);
void convolve(const struct convolution *c, real *scratch);

#endif
