/*
 * A checkpoint: a Diffusers folder as it is published.
 *
 *     model_index.json  scheduler/scheduler_config.json  tokenizer[_2]/  text_encoder[_2]/  unet/  vae/
 *
 * A component's weights are `<stem>.safetensors`, a variant `<stem>.<variant>.safetensors`, or shards listed
 * in `<stem>.safetensors.index[.<variant>].json`; stem is `model` for the text encoders,
 * `diffusion_pytorch_model` otherwise. They are memory-mapped, in F32, F16 or BF16.
 */
#ifndef REF_CHECKPOINT_H
#define REF_CHECKPOINT_H

#include "sched/error.h"
#include "sched/json.h"
#include "tensor.h"

struct checkpoint {
    char *folder;
    char *pipeline_class; /* "StableDiffusionPipeline" or "StableDiffusionXLPipeline" */
    cJSON *model_index;
    bool force_zeros_for_empty_prompt; /* SDXL; true where model_index.json does not say */
    bool leave_values_unread; /* false; set before weights are opened: names and shapes alone count */
};

/* Reads model_index.json and checks that its components are of classes that Plumb knows; says what the folder
 * looks like instead where it is no Diffusers folder (a single .safetensors file, an original-format
 * checkpoint, SD3, Flux). */
enum status checkpoint_open(const char *folder, struct checkpoint *checkpoint, struct error *error);
void checkpoint_close(struct checkpoint *checkpoint);

/* Whether model_index.json lists the component ("text_encoder_2") and not as null. */
bool checkpoint_has(const struct checkpoint *checkpoint, const char *component);

/* "<folder>/<component>/<file>", allocated; NULL where memory is out. A part that is NULL is left out. */
char *checkpoint_path(const struct checkpoint *checkpoint, const char *component, const char *file);
/* Reads <component>/config.json (or scheduler/scheduler_config.json and so on). */
enum status checkpoint_read_json(const struct checkpoint *checkpoint, const char *component, const char *file,
    cJSON **out, struct error *error);
/* Puts "<folder>/<component>/<file>: " in front of a message, as error_prefix() does. */
enum status checkpoint_prefix(const struct checkpoint *checkpoint, const char *component, const char *file,
    enum status status, struct error *error);

/* The weights of one component: one mapped file, or shards. */
struct weights;
/* Maps them; `variant` may be NULL. Refuses a component without weights of the variant, naming those that
 * there are, and files that are no whole safetensors. */
enum status weights_open(const struct checkpoint *checkpoint, const char *component, const char *variant,
    struct weights **out, struct error *error);
/* Weights that come from no file: each tensor that is taken is made by `make`, which gets its name and a
 * tensor with its shape, and fills in type and data (NULL where only names and shapes matter). The data stay
 * the maker's. `name` is what a message says where others name a file. */
struct weights_maker {
    enum status (*make)(void *context, const char *name, struct tensor *tensor, struct error *error);
    void *context;
};
enum status weights_create(
    const char *name, const struct weights_maker *maker, struct weights **out, struct error *error);
void weights_close(struct weights *weights); /* accepts NULL; tensors taken from it die with it */

/* The tensor `name`, which must have this shape and type F32, F16 or BF16. Marks it as used. A missing or
 * misshapen tensor is an error that names file and tensor; the first one stays, the takes after it do
 * nothing, and weights_finish() returns it. `*out` then has the shape that was asked for, and no data
 * (NULL). */
void weights_take(struct weights *weights, struct tensor *out, int rank, const int64_t *shape,
    const char *name_format, ...) PRINTF_LIKE(5, 6);
/* Whether the component holds a tensor of this name (old and new names of one thing). */
bool weights_has(const struct weights *weights, const char *name_format, ...) PRINTF_LIKE(2, 3);
/* A tensor that may be there and is not used (CLIP's position_ids; a VAE's encoder). Globs: '*' matches
 * anything. */
void weights_ignore(struct weights *weights, const char *glob);
/* After the last take: the first failure, or an error for a tensor that nobody took, or, unless the
 * checkpoint says that values are left unread, for a non-finite value. */
enum status weights_finish(struct weights *weights, struct error *error);

/* What was taken, in the stored types. */
struct weights_size {
    size_t parameters, bytes;
    bool has_dtype[DTYPES];
};
struct weights_size weights_size(const struct weights *weights);

/* For `plumb inspect`. */
size_t weights_file_count(const struct weights *weights);
const char *weights_file_name(const struct weights *weights, size_t i);
size_t weights_tensor_count(const struct weights *weights);
const char *weights_tensor_at(const struct weights *weights, size_t i, struct tensor *tensor); /* its name */

#endif
