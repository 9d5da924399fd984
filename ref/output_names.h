/*
 * Names of outputs that promise another format than the one that is written, or that would cost an input.
 */
#ifndef REF_OUTPUT_NAMES_H
#define REF_OUTPUT_NAMES_H

#include "sched/error.h"

/* Refuse a name such as cat.jpg for a picture, which is always PNG, and t.pt for tensors, which are
 * safetensors, .npz, .npy or a folder. Any other ending, and none, is let pass, and so is a `path` that is
 * NULL. `option` ("--out") is for the message. */
enum status check_picture_name(const char *option, const char *path, struct error *error);
enum status check_tensors_name(const char *option, const char *path, struct error *error);

/* Refuses to write over what the same command reads: `output` and `input` (either may be NULL) are one
 * file. */
enum status check_input_is_kept(const char *output_option, const char *output, const char *input_option,
    const char *input, struct error *error);

#endif
