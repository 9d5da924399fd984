/*
 * Models to measure, from a checkpoint or with made weights in memory of our own (synth.h: the values that a
 * written checkpoint would have), and inputs of the size asked for.
 */
#include "bench.h"
#include "synth.h"
#include "text_encoder_model.h"
#include "unet_model.h"
#include "vae_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE, HIDDEN_STATES, TEXT_EMBEDS, TIME_IDS };

/* --- Sources ------------------------------------------------------------------------------ */

bool bench_source_has(const struct bench_source *source, const char *part)
{
    return source->checkpoint.folder ? checkpoint_has(&source->checkpoint, part)
                                     : architecture_part(&source->architecture, part) != NULL;
}

const char *bench_source_name(const struct bench_source *source)
{
    return source->checkpoint.folder ? source->checkpoint.folder : source->architecture.name;
}

/* The part's config; `*owned` is what the caller frees. */
static enum status read_config(const struct bench_source *source, const char *part, const char *file,
    const cJSON **config, cJSON **owned, struct error *error)
{
    *owned = NULL;
    enum status status = STATUS_OK;
    if (source->checkpoint.folder)
        status = checkpoint_read_json(&source->checkpoint, part, file, owned, error);
    *config = source->checkpoint.folder ? *owned : architecture_part(&source->architecture, part);
    return status;
}

enum status bench_source_scheduler(
    const struct bench_source *source, const cJSON **config, cJSON **owned, struct error *error)
{
    return read_config(source, "scheduler", "scheduler_config.json", config, owned, error);
}

enum status bench_source_pixels(const struct bench_source *source, int64_t *side, struct error *error)
{
    const cJSON *json;
    cJSON *owned;
    struct vae_config config;
    enum status status = read_config(source, "vae", "config.json", &json, &owned, error);
    if (status == STATUS_OK) status = vae_config_read(json, &config, error);
    if (status == STATUS_OK) *side = (int64_t)1 << (config.levels - 1);
    cJSON_Delete(owned);
    return error_prefix(error, status, "%s: vae: ", bench_source_name(source));
}

enum status bench_source_size(struct bench_source *source, struct error *error)
{
    const cJSON *json;
    cJSON *owned;
    struct unet_config config;
    enum status status = read_config(source, "unet", "config.json", &json, &owned, error);
    if (status == STATUS_OK) status = unet_config_read(json, &config, error);
    cJSON_Delete(owned);
    error_prefix(error, status, "%s: unet: ", bench_source_name(source));
    if (status != STATUS_OK) return status;
    int64_t side = config.sample_size > 0 ? config.sample_size : 64; /* diffusers' default */
    if (source->height == 0) source->height = side;
    if (source->width == 0) source->width = side;
    return STATUS_OK;
}

/* --- Made weights ------------------------------------------------------------------------- */

/* Memory of one tensor; its data follow on a boundary of 64 bytes. */
struct chunk {
    _Alignas(64) struct chunk *next;
};

struct made {
    struct bench_model *model;
    enum dtype dtype;
    bool with_values;
};

static enum status make_weight(void *context, const char *name, struct tensor *tensor, struct error *error)
{
    struct made *made = context;
    size_t count;
    tensor->dtype = made->dtype;
    if (!tensor_shape_count(tensor->shape, tensor->rank, tensor->dtype, &count))
        return error_input(error, "tensor %s: its shape is more than memory can hold", name);
    made->model->weight_bytes += tensor_bytes(tensor);
    if (!made->with_values) return STATUS_OK;

    size_t bytes = (sizeof(struct chunk) + tensor_bytes(tensor) + 63) / 64 * 64;
    struct chunk *chunk = aligned_alloc(64, bytes);
    if (!chunk) return error_memory(error, bytes);
    chunk->next = made->model->weights;
    made->model->weights = chunk;
    tensor->data = chunk + 1;
    char full[400];
    snprintf(full, sizeof full, "%s.%s", made->model->part, name);
    struct synth_values values = synth_values_of(full, 0, tensor);
    synth_values_fill(&values, 0, count, tensor->dtype, tensor->data);
    return STATUS_OK;
}

static enum status make_model(const struct architecture *architecture, const struct weights_maker *maker,
    struct bench_model *model, struct error *error)
{
    if (strcmp(model->part, "unet") == 0) return architecture_unet(architecture, maker, &model->unet, error);
    if (strcmp(model->part, "vae") == 0) return architecture_vae(architecture, maker, &model->vae, error);
    return architecture_text_encoder(architecture, model->part, maker, &model->encoder, error);
}

/* What the system says it could give without swapping; 0 where it does not say. */
static size_t memory_available(void)
{
    char line[128];
    size_t kilobytes = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %zu kB", &kilobytes) == 1) break;
    if (file) fclose(file);
    return kilobytes * 1024;
}

/* A system that promises more memory than it has would end the program in the middle of a measurement. */
static enum status check_memory(const struct bench_source *source, const char *part, struct error *error)
{
    struct bench_model shapes = {.part = part};
    struct made made = {&shapes, source->dtype, false};
    struct weights_maker maker = {make_weight, &made};
    size_t available = memory_available();
    enum status status = make_model(&source->architecture, &maker, &shapes, error);
    size_t needed = shapes.weight_bytes;
    bench_model_close(&shapes);
    if (status != STATUS_OK || available == 0 || needed < available) return status;
    return error_machine(error,
        "%s: the weights of %s take %.1f GB in %s, and the machine has %.1f GB free; try --dtype f16, or "
        "--checkpoint with a folder of plumb synth, whose weights stay on the disk",
        source->architecture.name, part, 1e-9 * (double)needed, dtype_name(source->dtype),
        1e-9 * (double)available);
}

static enum status open_made(const struct bench_source *source, const char *part, bool with_values,
    struct bench_model *model, struct error *error)
{
    struct made made = {model, source->dtype, with_values};
    struct weights_maker maker = {make_weight, &made};
    enum status status = with_values ? check_memory(source, part, error) : STATUS_OK;
    if (status == STATUS_OK) status = make_model(&source->architecture, &maker, model, error);
    return status;
}

static enum status open_stored(
    const struct bench_source *source, const char *part, struct bench_model *model, struct error *error)
{
    struct checkpoint checkpoint = source->checkpoint;
    checkpoint.leave_values_unread = true; /* plumb inspect is there to find what is not finite */
    if (strcmp(part, "unet") == 0) return unet_open(&checkpoint, source->variant, &model->unet, error);
    if (strcmp(part, "vae") == 0) return vae_open(&checkpoint, source->variant, &model->vae, error);
    return text_encoder_open(&checkpoint, part, source->variant, &model->encoder, error);
}

/* --- Inputs ------------------------------------------------------------------------------- */

/* Uniform numbers of deviation one. */
static enum status make_input(
    struct bench_model *model, int i, int rank, const int64_t *shape, struct error *error)
{
    struct tensor *input = &model->inputs[i];
    *input = (struct tensor){.dtype = DTYPE_F32, .rank = rank};
    memcpy(input->shape, shape, (size_t)rank * sizeof *shape);
    size_t count;
    if (!tensor_shape_count(shape, rank, DTYPE_F32, &count))
        return error_input(error, "%s: an input that is more than memory can hold", model->part);
    input->data = malloc(tensor_bytes(input));
    if (!input->data) return error_memory(error, tensor_bytes(input));
    struct synth_values values = {.key = (uint64_t)i, .scale = BENCH_UNIT_SCALE};
    synth_values_fill(&values, 0, count, DTYPE_F32, input->data);
    return STATUS_OK;
}

/* Prompts that fill the context: begin, words, end. */
static enum status make_ids(struct bench_model *model, int64_t batch, struct error *error)
{
    int64_t length = text_encoder_positions(model->encoder);
    int64_t size = text_encoder_vocabulary_size(model->encoder);
    size_t bytes = (size_t)(batch * length) * sizeof *model->ids;
    model->ids = malloc(bytes);
    if (!model->ids) return error_memory(error, bytes);
    for (int64_t i = 0; i < batch * length; i++) {
        int64_t at = i % length;
        int64_t word = (i * 7919 + 320) % size; /* a prime apart: any words do */
        model->ids[i] = at == 0 && size > 1 ? size - 2 : at + 1 == length ? size - 1 : word;
    }
    model->inputs[SAMPLE] = (struct tensor){DTYPE_I64, 2, {batch, length}, NULL};
    return STATUS_OK;
}

static enum status make_inputs(
    const struct bench_source *source, int64_t batch, struct bench_model *model, struct error *error)
{
    const struct unet *unet = model->unet;
    if (model->encoder) return make_ids(model, batch, error);
    int64_t channels = unet ? unet_in_channels(unet) : vae_latent_channels(model->vae);
    enum status status =
        make_input(model, SAMPLE, 4, (int64_t[]){batch, channels, source->height, source->width}, error);
    if (!unet || status != STATUS_OK) return status;

    const int64_t tokens = 77; /* CLIP's context */
    status = make_input(
        model, HIDDEN_STATES, 3, (int64_t[]){batch, tokens, unet_cross_attention_dim(unet)}, error);
    int64_t pooled = unet_add_embedding_dim(unet) - 6 * unet_time_ids_dim(unet);
    if (status != STATUS_OK || unet_time_ids_dim(unet) == 0) return status;
    if (pooled < 1)
        return error_input(error, "projection_class_embeddings_input_dim: leaves no room for a pooled text");
    status = make_input(model, TEXT_EMBEDS, 2, (int64_t[]){batch, pooled}, error);
    if (status == STATUS_OK) status = make_input(model, TIME_IDS, 2, (int64_t[]){batch, 6}, error);
    return status;
}

/* --- Opening and running ------------------------------------------------------------------ */

enum status bench_model_open(const struct bench_source *source, const char *part, int64_t batch,
    bool with_values, struct bench_model *model, struct error *error)
{
    *model = (struct bench_model){.part = part};
    enum status status = source->checkpoint.folder ? open_stored(source, part, model, error)
                                                   : open_made(source, part, with_values, model, error);
    if (status == STATUS_OK) status = make_inputs(source, batch, model, error);
    if (status != STATUS_OK) bench_model_close(model);
    return status;
}

void bench_model_close(struct bench_model *model)
{
    text_encoder_free(model->encoder);
    unet_free(model->unet);
    vae_free(model->vae);
    for (struct chunk *chunk = model->weights, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    for (int i = 0; i < BENCH_INPUTS; i++) free(model->inputs[i].data);
    free(model->ids);
    *model = (struct bench_model){0};
}

struct tensor bench_model_forward(struct forward *f, const struct bench_model *model)
{
    const struct tensor *inputs = model->inputs;
    if (model->encoder)
        return text_encoder_forward(f, model->encoder, model->ids, inputs[SAMPLE].shape[0],
            inputs[SAMPLE].shape[1], text_encoder_layers(model->encoder))
            .last_hidden_state;
    if (model->vae) return vae_decode(f, model->vae, inputs[SAMPLE]);
    struct unet_input input = {
        .sample = inputs[SAMPLE],
        .timestep = 500, /* of 1000; no operator's work depends on it */
        .encoder_hidden_states = inputs[HIDDEN_STATES],
        .text_embeds = inputs[TEXT_EMBEDS],
        .time_ids = inputs[TIME_IDS],
    };
    return unet_forward(f, model->unet, &input);
}

enum status bench_model_plan(const struct bench_model *model, size_t *bytes, struct error *error)
{
    struct forward dry = {.error = error};
    dry.status = arena_create_plan(&dry.arena, error);
    (void)bench_model_forward(&dry, model);
    if (dry.status == STATUS_OK) *bytes = arena_peak(dry.arena);
    arena_free(dry.arena);
    return dry.status;
}
