/*
 * The sinusoidal embedding of timesteps and of SDXL's sizes (Vaswani et al. 2017, arXiv:1706.03762,
 * section 3.5; Ho et al. 2020, arXiv:2006.11239, appendix B):
 *
 *     embedding(t) = [cos(t f_0), ..., cos(t f_(h-1)) | sin(t f_0), ..., sin(t f_(h-1))],
 *     f_i = 10000^(-i / (h - shift))
 *
 * for h = dim / 2, with the halves the other way round without flip_sin_to_cos and a zero after them where
 * dim is odd.
 */
#ifndef REF_TIMESTEP_EMBEDDING_H
#define REF_TIMESTEP_EMBEDDING_H

#include "forward.h"

#define timestep_embedding KERNEL_NAME(timestep_embedding)

struct sinusoid {
    int64_t dim;
    bool flip_sin_to_cos;
    double freq_shift; /* not dim / 2 */
};

/* timesteps: [N], of type real, possibly fractional -> [N, dim].
 *
 * Diffusers computes frequencies, products, sines and cosines in float32 whatever the precision of the model,
 * so both builds do; at t = 999 the float32 products are off by up to 3e-5, which is more than all rounding
 * of the network. The bits are those of PyTorch on a machine with fused multiply-add (vector_math.h). */
struct tensor timestep_embedding(struct forward *f, struct tensor timesteps, const struct sinusoid *sinusoid);

#endif
