/*
 * The two arithmetics of the sampler, from one source.
 *
 * A file that includes this one is compiled twice: with real = float it is the arithmetic that diffusers
 * 0.35.1 keeps on a CPU ("diffusers", the default), with real = double it computes from the config's numbers
 * in double ("f64"). `real` stands wherever diffusers holds a float32 tensor (0-dimensional ones too: sigma,
 * alpha, lambda, h); plain `double` stands where it holds a Python float or a NumPy float64. The public names
 * get the suffix _f32 or _f64 here, so that both live in one library and the code reads as plain C.
 */
#ifndef SCHED_REAL_H
#define SCHED_REAL_H

#ifndef PLUMB_REAL_IS_DOUBLE
#error "compiled twice: the Makefile sets PLUMB_REAL_IS_DOUBLE to 0 and to 1"
#endif

#include "rounded_math.h"
#include "torch_float_math.h"

#include <math.h>

#if PLUMB_REAL_IS_DOUBLE
typedef double real;
#define REAL_NAME(name) name##_f64
#else
typedef float real;
#define REAL_NAME(name) name##_f32
#endif

/* One operation of a tensor: the correctly rounded root, and exp, expm1, log, atan and sin as PyTorch has
 * them for float32 and the long double functions, rounded, for double. */
static inline real real_sqrt(real x)
{
    return (real)sqrt((double)x);
}
static inline real real_exp(real x)
{
    return PLUMB_REAL_IS_DOUBLE ? (real)rounded_exp((double)x) : (real)torch_float_exp((float)x);
}
/* A power in double, rounded. */
static inline real real_rounded_pow(double x, double y)
{
    return PLUMB_REAL_IS_DOUBLE ? (real)rounded_pow(x, y) : (real)rounded_pow_float(x, y);
}
static inline real real_expm1(real x)
{
    return PLUMB_REAL_IS_DOUBLE ? (real)rounded_expm1((double)x) : (real)torch_float_expm1((float)x);
}
static inline real real_log(real x)
{
    return PLUMB_REAL_IS_DOUBLE ? (real)rounded_log((double)x) : (real)torch_float_log((float)x);
}
static inline real real_atan(real x)
{
    return PLUMB_REAL_IS_DOUBLE ? (real)rounded_atan((double)x) : (real)torch_float_atan((float)x);
}
static inline real real_sin(real x)
{
    return PLUMB_REAL_IS_DOUBLE ? (real)rounded_sin((double)x) : (real)torch_float_sin((float)x);
}
static inline real real_atan2(real y, real x)
{
    return (real)rounded_atan2((double)y, (double)x);
}
/* a b + c, rounded once. */
static inline real real_fma(real a, real b, real c)
{
#if PLUMB_REAL_IS_DOUBLE
    return fma(a, b, c);
#else
    return fmaf(a, b, c);
#endif
}

/* How a backend keeps a tensor's element: x rounded to the tensor's dtype where that is narrower than real.
 * NULL keeps it as it is. */
typedef real store(real x);
static inline real real_stored(store *keep, real x)
{
    return keep ? keep(x) : x;
}

#define scheduler_create REAL_NAME(scheduler_create)
#define scheduler_free REAL_NAME(scheduler_free)
#define scheduler_memory REAL_NAME(scheduler_memory)
#define scheduler_set_timesteps REAL_NAME(scheduler_set_timesteps)
#define scheduler_set_begin_index REAL_NAME(scheduler_set_begin_index)
#define scheduler_scale_model_input REAL_NAME(scheduler_scale_model_input)
#define scheduler_needs_noise REAL_NAME(scheduler_needs_noise)
#define scheduler_step REAL_NAME(scheduler_step)
#define scheduler_add_noise REAL_NAME(scheduler_add_noise)
#define scheduler_class_count REAL_NAME(scheduler_class_count)
#define scheduler_class_name REAL_NAME(scheduler_class_name)
#define scheduler_name REAL_NAME(scheduler_name)
#define scheduler_take_timesteps REAL_NAME(scheduler_take_timesteps)
#define scheduler_take_betas REAL_NAME(scheduler_take_betas)
#define scheduler_take_sigmas REAL_NAME(scheduler_take_sigmas)
#define scheduler_clear_state REAL_NAME(scheduler_clear_state)
#define step_index_now REAL_NAME(step_index_now)
#define step_index_with_next REAL_NAME(step_index_with_next)
#define step_index_for_noise REAL_NAME(step_index_for_noise)
#define sigma_table_create REAL_NAME(sigma_table_create)
#define sigma_table_free REAL_NAME(sigma_table_free)
#define sigma_table_interpolate REAL_NAME(sigma_table_interpolate)
#define sigma_to_t REAL_NAME(sigma_to_t)
#define sigma_final REAL_NAME(sigma_final)
#define sigma_of REAL_NAME(sigma_of)
#define sigmas_add_noise REAL_NAME(sigmas_add_noise)
#define noise_schedule_create REAL_NAME(noise_schedule_create)
#define noise_schedule_avoid_zero REAL_NAME(noise_schedule_avoid_zero)
#define noise_schedule_add_noise REAL_NAME(noise_schedule_add_noise)
#define noise_schedule_get_velocity REAL_NAME(noise_schedule_get_velocity)
#define alphas_cumprod_at REAL_NAME(alphas_cumprod_at)
#define torch_linspace REAL_NAME(torch_linspace)
#define threshold_sample REAL_NAME(threshold_sample)
/* With arguments, so that an option of the same name (guidance_rescale) keeps its own. */
#define guidance_combine(...) REAL_NAME(guidance_combine)(__VA_ARGS__)
#define guidance_rescale(...) REAL_NAME(guidance_rescale)(__VA_ARGS__)
#define guidance_combine_stored(...) REAL_NAME(guidance_combine_stored)(__VA_ARGS__)
#define guidance_rescale_stored(...) REAL_NAME(guidance_rescale_stored)(__VA_ARGS__)

#endif
