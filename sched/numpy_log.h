/*
 * NumPy's logarithm of a float32. Timesteps that diffusers finds from sigmas rest on it, and where it cuts
 * them to integers the last bit decides: the first timestep of an exponential schedule is exactly the last of
 * training, or one less.
 */
#ifndef SCHED_NUMPY_LOG_H
#define SCHED_NUMPY_LOG_H

/* np.log of a float32 as NumPy's AVX2 and AVX-512 kernels compute it, bitwise; within 4 ulp of the
 * logarithm. */
float numpy_log(float number);

#endif
