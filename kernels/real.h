/*
 * The precision of the kernels and of the model: a file that includes this one is compiled twice, for float
 * and for double ("the oracle"), from the same source. Public names get the suffix _f32 or _f64 here.
 */
#ifndef KERNELS_REAL_H
#define KERNELS_REAL_H

#ifndef PLUMB_REAL_IS_DOUBLE
#error "compiled twice: the Makefile sets PLUMB_REAL_IS_DOUBLE to 0 and to 1"
#endif

#if PLUMB_REAL_IS_DOUBLE
typedef double real;
#define KERNEL_NAME(name) name##_f64
#else
typedef float real;
#define KERNEL_NAME(name) name##_f32
#endif

#define kernel_linear KERNEL_NAME(kernel_linear)
#define kernel_linear_scratch KERNEL_NAME(kernel_linear_scratch)
#define kernel_conv2d KERNEL_NAME(kernel_conv2d)
#define kernel_conv2d_scratch KERNEL_NAME(kernel_conv2d_scratch)
#define kernel_upsample_conv2d KERNEL_NAME(kernel_upsample_conv2d)
#define kernel_upsample_conv2d_scratch KERNEL_NAME(kernel_upsample_conv2d_scratch)
#define kernel_attention KERNEL_NAME(kernel_attention)
#define kernel_attention_scratch KERNEL_NAME(kernel_attention_scratch)
#define kernel_group_norm KERNEL_NAME(kernel_group_norm)
#define kernel_layer_norm KERNEL_NAME(kernel_layer_norm)
#define kernel_silu KERNEL_NAME(kernel_silu)
#define kernel_gelu KERNEL_NAME(kernel_gelu)
#define kernel_gelu_tanh KERNEL_NAME(kernel_gelu_tanh)
#define kernel_quick_gelu KERNEL_NAME(kernel_quick_gelu)
#define kernel_geglu KERNEL_NAME(kernel_geglu)
#define kernel_add KERNEL_NAME(kernel_add)
#define kernel_add_channels KERNEL_NAME(kernel_add_channels)
#define kernel_transpose KERNEL_NAME(kernel_transpose)
#define kernel_upsample_nearest KERNEL_NAME(kernel_upsample_nearest)
#define kernel_from_f16 KERNEL_NAME(kernel_from_f16)
#define kernel_from_bf16 KERNEL_NAME(kernel_from_bf16)
#define kernel_from_f32 KERNEL_NAME(kernel_from_f32)

#endif
