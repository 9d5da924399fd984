#include "uncovered_classes.h"

#include <string.h>

static const struct uncovered_class classes[] = {
    {"AmusedScheduler", "samples tokens of a masked image model, not latents"},
    {"BlockRefinementScheduler", "samples tokens of a language model, not latents (new in 0.40)"},
    {"CogVideoXDDIMScheduler", "video: DDIM with the signal-to-noise shift of CogVideoX"},
    {"CogVideoXDPMScheduler",
        "video: a second-order SDE solver that CogVideoX's pipeline feeds with its own state"},
    {"ConsistencyDecoderScheduler",
        "the two fixed steps of the consistency decoder, which stands in for a VAE"},
    {"DDIMParallelScheduler",
        "DDIM's steps for ParaDiGMS, many timesteps in one call; DDIMScheduler has the numbers"},
    {"DDPMParallelScheduler",
        "DDPM's steps for ParaDiGMS, many timesteps in one call; DDPMScheduler has the numbers"},
    {"DDPMWuerstchenScheduler", "a cosine schedule over continuous time, for Wuerstchen's two stages"},
    {"DiscreteDDIMScheduler", "samples tokens, not latents (new in 0.40)"},
    {"EntropyBoundScheduler", "samples tokens, not latents (new in 0.40)"},
    {"FlowMapEulerDiscreteScheduler",
        "jumps between two times, both of which the model is told (new in 0.40)"},
    {"HeliosDMDScheduler", "video: the distilled steps of Helios (new in 0.40)"},
    {"HeliosScheduler", "video: a pyramid of resolutions, of Helios (new in 0.40)"},
    {"KarrasVeScheduler", "deprecated: pixels, and its pipeline is gone; EDMEulerScheduler is its successor"},
    {"LTXEulerAncestralRFScheduler", "video: ancestral steps of a rectified flow, of LTX (new in 0.40)"},
    {"MiniMaxH3Scheduler", "video: the schedule of MiniMax H3 (new in 0.40)"},
    {"RePaintScheduler", "inpainting of pixels, with steps back that need the picture and its mask"},
    {"SCMScheduler", "TrigFlow's angles, for the distilled Sana Sprint"},
    {"UnCLIPScheduler", "DDPM for the prior of unCLIP, which predicts an embedding"},
    {"VQDiffusionScheduler", "samples tokens of a vector-quantised model, not latents"},
};

size_t uncovered_class_count(void)
{
    return sizeof classes / sizeof *classes;
}

const struct uncovered_class *uncovered_class_at(size_t i)
{
    return &classes[i];
}

const char *why_not_covered(const char *class_name)
{
    for (size_t i = 0; i < uncovered_class_count(); i++)
        if (strcmp(classes[i].class_name, class_name) == 0) return classes[i].reason;
    return NULL;
}
