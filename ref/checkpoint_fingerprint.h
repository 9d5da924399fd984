/*
 * What tells one checkpoint from another by its content: a number for each component.
 */
#ifndef REF_CHECKPOINT_FINGERPRINT_H
#define REF_CHECKPOINT_FINGERPRINT_H

#include "checkpoint.h"

/* An object: component ("unet"; "model_index.json" for that file) -> 16 hexadecimal digits, the checksum of
 * its .json and .txt files and, where it has weights, of their names, types, shapes and data. Reads every
 * weight once. The caller's; `variant` may be NULL. */
enum status checkpoint_fingerprint(
    const struct checkpoint *checkpoint, const char *variant, cJSON **out, struct error *error);

#endif
