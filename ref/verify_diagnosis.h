/*
 * Which known fault explains a tensor that is wrong. For the first wrong tensor of each stage the usual
 * suspects are tried: each says what the tensor would be with that fault, in double and on their inputs, and
 * fits where what they recorded is as near to that as rounding lets it be, while it is far from the truth.
 *
 * The suspects stand in tables, cheap ones first: what the numbers alone show (suspects_values.c), what the
 * stages between the models may get wrong (suspects_stages.c), another argument of the call
 * (suspects_call.c), a layer that computes something else (suspects_layers.c).
 */
#ifndef REF_VERIFY_DIAGNOSIS_H
#define REF_VERIFY_DIAGNOSIS_H

#include "verify.h"

/* Fills the `diagnosis` of those rows. */
enum status verify_diagnose(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const struct verify_options *options, struct verification *verification,
    struct error *error);

#endif
