/*
 * The fused layers of layers.h one operator after the other, each with a result of its own, for a backend's
 * tensors of another number format (forward.h) and for who watches every result. layers.c calls these where
 * nothing may be fused; it has checked the shapes of those that take a kernel's. Internal to the layers.
 */
#ifndef REF_LAYERS_ROUNDED_H
#define REF_LAYERS_ROUNDED_H

#include "layers.h"

#include "kernels/kernels.h"

#define rounded_linear_gelu KERNEL_NAME(rounded_linear_gelu)
#define rounded_linear_quick_gelu KERNEL_NAME(rounded_linear_quick_gelu)
#define rounded_linear_geglu KERNEL_NAME(rounded_linear_geglu)
#define rounded_linear_onto KERNEL_NAME(rounded_linear_onto)
#define rounded_conv2d_onto KERNEL_NAME(rounded_conv2d_onto)
#define rounded_conv2d_added KERNEL_NAME(rounded_conv2d_added)
#define rounded_conv2d_shifted KERNEL_NAME(rounded_conv2d_shifted)
#define rounded_conv2d_of_doubled KERNEL_NAME(rounded_conv2d_of_doubled)
#define rounded_attention KERNEL_NAME(rounded_attention)

struct tensor rounded_linear_gelu(struct forward *f, struct tensor x, const struct linear *layer);
struct tensor rounded_linear_quick_gelu(struct forward *f, struct tensor x, const struct linear *layer);
struct tensor rounded_linear_geglu(struct forward *f, struct tensor x, const struct linear *layer);
struct tensor rounded_linear_onto(
    struct forward *f, struct tensor x, const struct linear *layer, struct tensor onto);
struct tensor rounded_conv2d_onto(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor onto);
struct tensor rounded_conv2d_added(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor residual);
struct tensor rounded_conv2d_shifted(
    struct forward *f, struct tensor x, const struct conv2d *layer, struct tensor shift);
struct tensor rounded_conv2d_of_doubled(struct forward *f, struct tensor x, const struct conv2d *layer);
/* With every score in memory: kernels/rounded.h. */
struct tensor rounded_attention(struct forward *f, const struct attention_shape *shape, struct tensor q,
    struct tensor k, struct tensor v);

#endif
