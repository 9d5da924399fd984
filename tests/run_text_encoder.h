/*
 * A text encoder run by itself, in either precision: everything that it gives, as a set of tensors.
 */
#ifndef TESTS_RUN_TEXT_ENCODER_H
#define TESTS_RUN_TEXT_ENCODER_H

#include "ref/checkpoint.h"
#include "ref/trace.h"

/* ids: I64 [batch, length]. Adds to `trace`: "act.<component>.<module>" for each module output,
 * "hidden_states.<n>" for each n from 0 to the number of layers, "final_norm.<n>" (the final norm of that),
 * "last_hidden_state", and "text_embeds" where there is a projection. The double one is the oracle. */
enum status run_text_encoder_f32(const struct checkpoint *checkpoint, const char *component,
    const char *variant, const struct tensor *ids, struct trace *trace, struct error *error);
enum status run_text_encoder_f64(const struct checkpoint *checkpoint, const char *component,
    const char *variant, const struct tensor *ids, struct trace *trace, struct error *error);

#endif
