/*
 * Layers that compute something else than Diffusers' do: the faults that ports are found to have, each a rule
 * of which layers it touches and what they do instead. One replacement of kernels (forward.h) carries them
 * out.
 */
#ifndef REF_VARIATION_KERNELS_H
#define REF_VARIATION_KERNELS_H

#include "layer_names.h"
#include "verify_variation.h"

enum layer_change {
    LAYER_EPS,               /* a norm's epsilon is `number` */
    LAYER_GROUPS,            /* a group norm has `number` groups */
    LAYER_NO_BIAS,           /* of a linear layer, a convolution or a norm */
    LAYER_TRANSPOSED,        /* a square weight, of a linear layer or between a convolution's channels */
    LAYER_KERNEL_TRANSPOSED, /* a convolution's kernel with height and width exchanged */
    LAYER_KERNEL_FLIPPED,    /* upside down and left to right: a convolution in the mathematical sense */
    LAYER_PADDING,           /* the rows and columns of padding before go behind: (0, 1, 0, 1) for 1 */
    LAYER_LEFT_OUT,          /* the output is the input, where their shapes are the same */
    LAYER_NO_RESIDUAL,       /* what the result should be added to, or a resnet's embedding, is forgotten */
    LAYER_NOTHING_ADDED,     /* what is added to has nothing added to it */
    LAYER_GELU_ERF,          /* the activation behind this layer */
    LAYER_GELU_TANH,
    LAYER_QUICK_GELU,
    LAYER_SILU_GATE,      /* SiLU in place of GELU on the gate (SwiGLU for GEGLU) */
    LAYER_GATES_FIRST,    /* GEGLU: the first half is the gate */
    LAYER_NO_SILU,        /* the activation of a norm that has one */
    LAYER_NO_SILU_APART,  /* the activation that stands alone behind this layer */
    LAYER_SCALE,          /* attention behind this layer: the scores times this power of the heads' size, for
                             -1/2 */
    LAYER_SCALE_OF_WIDTH, /* attention: 1 / sqrt(all heads' size together) */
    LAYER_HEADS_AS_SIZE,  /* attention: the number of heads is taken for their size */
    LAYER_HEADS_INTERLEAVED, /* attention: a head's elements are every heads-th one */
    LAYER_NOT_CAUSAL,
    LAYER_CAUSAL,
    LAYER_BILINEAR,          /* the enlargement before an upsampler's convolution */
    LAYER_CONCAT_ORDER,      /* what is put behind stands in front */
    LAYER_SIN_COS_EXCHANGED, /* of the sinusoid before this layer */
    LAYER_FREQ_SHIFT,        /* the sinusoid's downscale_freq_shift is `number` */
    LAYER_TIMESTEP           /* the UNet is told `number` */
};

struct layer_rule {
    /* A glob of layers' names. What has no weight, attention or an activation, goes by the layer that is run
     * before it; the sinusoid of the timestep by "unet.time_proj", that of SDXL's sizes by
     * "unet.add_time_proj". */
    const char *layers;
    enum layer_change change;
    double number;
};

/* The places that a run comes by: each layer once, and what has no weight where it stands. */
struct layer_visits {
    const char **items; /* the names' own strings */
    size_t count, capacity;
    bool failed; /* memory is out: some are missing */
};

struct layer_variation {
    struct kernel_replacement replacement;
    const struct layer_names *names;
    const struct pipeline *pipeline;
    const struct layer_rule *rules;
    size_t count;
    struct layer_visits *visits; /* where they are noted; NULL: nowhere */
    const char *place;           /* the layer that was run last; NULL before the first */
};

/* Fills `variation`, whose `replacement` then is one for a run; everything is borrowed. */
void layer_variation_init(struct layer_variation *variation, const struct pipeline *pipeline,
    const struct layer_names *names, const struct layer_rule *rules, size_t count);

/* Notes that a run comes by `place`, which may be NULL. */
void layer_visits_add(struct layer_visits *visits, const char *place);
void layer_visits_free(struct layer_visits *visits); /* accepts an empty one */

/* What layer_variation_init() puts into the replacement. */
bool layer_variation_replace_f32(void *context, struct forward *f, const struct kernel_call *call);
bool layer_variation_replace_f64(void *context, struct forward *f, const struct kernel_call *call);

#endif
