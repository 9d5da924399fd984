/*
 * What a value's name in a trace (golden/README.md, observer.h) says of it: which stage makes it, and at
 * which step.
 */
#ifndef REF_VERIFY_NAMES_H
#define REF_VERIFY_NAMES_H

#include "verify.h"

struct verify_place {
    enum verify_stage stage;
    int step;        /* of the loop, from 0; -1 outside it */
    bool is_module;  /* act.*, of whichever step and prompt */
    bool negative;   /* of the negative prompt */
    size_t encoder;  /* of TOKENS and TEXT_ENCODER: 0 or 1 */
    const char *key; /* the name without the step's prefix: "noise_pred" of "step.03.noise_pred" */
};

/* False where it is the name of no value of any run; `*place` is then of no use. */
bool verify_place(const char *name, struct verify_place *place);

#endif
