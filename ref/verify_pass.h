/*
 * One run with the recorded values in the place of its own: who watches it (observer.h).
 */
#ifndef REF_VERIFY_PASS_H
#define REF_VERIFY_PASS_H

#include "verify_kept.h"
#include "verify_values.h"
#include "verify_variation.h"

enum verify_purpose {
    VERIFY_PASS_OURS,      /* in their precision: the targets' values are kept */
    VERIFY_PASS_EXACT,     /* in double: the targets are judged */
    VERIFY_PASS_FREE,      /* nothing but the random numbers is replaced: how far they have drifted */
    VERIFY_PASS_ROUNDINGS, /* in their precision with other roundings: how far the targets are from ours */
    VERIFY_PASS_ONE_VALUE, /* the one target's value is copied out */
};

struct verify_pass {
    const struct pipeline *pipeline;
    const struct recipe *recipe;
    const struct tensor_set *theirs;
    const struct verify_options *options;
    const struct variation *variation; /* NULL: none */
    struct verify_values *values;
    struct verify_needs *needs; /* NULL: every model is run */
    struct verify_kept *kept;
    struct verification *verification;
    struct tensor_set *out;      /* of VERIFY_PASS_ONE_VALUE */
    bool with_exact_sinusoid;    /* in VERIFY_PASS_OURS: verify_sinusoid.h */
    struct roundings *roundings; /* of VERIFY_PASS_ROUNDINGS: verify_roundings.h */
};

/* Runs it. A target that depends on what is neither recorded nor known gets its reason. */
enum status verify_pass_run(struct verify_pass *pass, enum verify_purpose purpose, bool exact,
    struct warnings *warnings, struct error *error);

#endif
