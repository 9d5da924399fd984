/*
 * Whole checkpoints with deterministic weights: full-size models for tests and benchmarks, without a
 * download. Files, names and shapes are those of a published Diffusers folder of the architecture; the
 * values are uniform random numbers, scaled so that activations stay of order one from the tokens to the
 * picture, in the range of binary16 too. The picture is noise.
 */
#ifndef REF_SYNTH_H
#define REF_SYNTH_H

#include "architecture.h"

#include <stdio.h>

/* --- Values (synth_values.c) -------------------------------------------------------------- */

/* What the values of a tensor are made from: nothing else. */
struct synth_values {
    uint64_t key;        /* of the name and the seed */
    float centre, scale; /* the value is centre + scale * an integer in [-2^23, 2^23) */
};

/* `name` is the tensor's with its component's in front: "unet.conv_in.weight". */
struct synth_values synth_values_of(const char *name, uint64_t seed, const struct tensor *shape);
/* Elements first .. first + n - 1 of the flat tensor into `out`, as F32, F16 or BF16; the narrow types hold
 * the F32 value rounded to nearest even. On the kernels' threads; the bytes do not depend on how many. */
void synth_values_fill(
    const struct synth_values *values, size_t first, size_t n, enum dtype dtype, void *out);

/* --- A tokenizer (synth_tokenizer.c) ------------------------------------------------------ */

#define SYNTH_SMALLEST_VOCABULARY 514 /* every byte, every byte at a word's end, two special tokens */

/* Writes vocab.json, merges.txt, special_tokens_map.json and tokenizer_config.json of a vocabulary of
 * `size` pieces into `folder`, which is there. Every text has tokens; a lower-case word has about one for
 * three letters, as in English text with CLIP's own vocabulary, which is not copied. */
enum status synth_tokenizer(const char *folder, size_t size, const char *pad_token, struct error *error);

/* --- A checkpoint (synth.c) --------------------------------------------------------------- */

struct synth_request {
    const char *folder; /* nothing may be there but an empty folder */
    uint64_t seed;
    enum dtype dtype;    /* F32, F16 or BF16 */
    const char *variant; /* "fp16": <stem>.fp16.safetensors; NULL for none */
    uint64_t shard_size; /* bytes of tensors in one file; more are split as the hub splits them */
    FILE *progress;      /* where to say how far it is; NULL: nowhere */
};

/* Writes the folder whole or not at all. Memory does not grow with the model. */
enum status synth_write(
    const struct architecture *architecture, const struct synth_request *request, struct error *error);

/* The weights of one component into its folder, which is there: one file, or shards and their index
 * (synth_weights.c). `tensors` has the names inside the component, in the order of the model. */
enum status synth_weights(const char *folder, const char *component, const struct tensor_set *tensors,
    const struct synth_request *request, struct error *error);

/* "<folder>/<name>", allocated; NULL where memory is out. */
char *synth_path(const char *folder, const char *name);
enum status synth_json(const char *folder, const char *name, const cJSON *json, struct error *error);

#endif
