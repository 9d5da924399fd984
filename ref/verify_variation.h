/*
 * Something done in another way than Diffusers does it: a fault, planted to see whether `plumb verify` finds
 * it, or suspected, to see whether it explains what a port recorded.
 *
 * No forward pass knows of variations. They take hold in three places that a run has anyway: the arguments of
 * the call (another scheduler option, another prompt), the values that a run shows to whoever watches it
 * (observer.h: a variation writes its own over them), and the kernels that it is about to call (forward.h: a
 * norm with another epsilon is the same layer called again with that epsilon).
 *
 * To run a pipeline with a variation: run the variation's recipe where it has one, with its replacement in
 * the run's options, and show each value to its observer before anybody else sees it.
 */
#ifndef REF_VERIFY_VARIATION_H
#define REF_VERIFY_VARIATION_H

#include "pipeline.h"

struct variation {
    const struct recipe *recipe;                  /* of a call with other arguments; NULL: the same call */
    const struct observer *observer;              /* writes its values over the run's; NULL: none */
    const struct kernel_replacement *replacement; /* NULL: the kernels compute */
    const char *stays; /* a glob: of these values the run's stay, and recorded ones do not take their place;
                          NULL: none */
};

#endif
