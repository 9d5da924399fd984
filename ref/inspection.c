#include "inspection.h"

#include "paths.h"
#include "text_encoder.h"
#include "tokenizer.h"
#include "unet.h"
#include "vae.h"

#include "sched/scheduler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <limits.h>
#include <string.h>

/* --- One component of each kind ----------------------------------------------------------- */

static enum status load_scheduler(
    const struct checkpoint *checkpoint, const char *variant, struct inspected *c, struct warnings *warnings)
{
    (void)variant;
    cJSON *config = NULL;
    struct scheduler *scheduler = NULL;
    enum status status =
        checkpoint_read_json(checkpoint, c->name, "scheduler_config.json", &config, &c->error);
    if (status == STATUS_OK) {
        status = scheduler_create(config, &scheduler, warnings, &c->error);
        error_prefix(&c->error, status, "%s/%s/scheduler_config.json: ", checkpoint->folder, c->name);
    }
    const char *class_name = "", *prediction = "epsilon", *schedule = "linear", *spacing = NULL;
    if (status == STATUS_OK)
        status = json_get_string(config, "prediction_type", &prediction, NULL, &c->error);
    if (status == STATUS_OK) status = json_get_string(config, "_class_name", &class_name, NULL, &c->error);
    if (status == STATUS_OK) status = json_get_string(config, "beta_schedule", &schedule, NULL, &c->error);
    if (status == STATUS_OK) status = json_get_string(config, "timestep_spacing", &spacing, NULL, &c->error);
    if (status == STATUS_OK) {
        snprintf(c->class_name, sizeof c->class_name, "%s", class_name);
        snprintf(c->figures, sizeof c->figures, "%s prediction, %s betas, %d training timesteps%s%s",
            prediction, schedule, scheduler->num_train_timesteps, spacing ? ", spacing " : "",
            spacing ? spacing : "");
    }
    scheduler_free(scheduler);
    cJSON_Delete(config);
    return status;
}

static enum status load_tokenizer(
    const struct checkpoint *checkpoint, const char *variant, struct inspected *c, struct warnings *warnings)
{
    (void)variant, (void)warnings;
    struct tokenizer *tokenizer = NULL;
    char *folder = checkpoint_path(checkpoint, c->name, NULL);
    if (!folder) return error_memory(&c->error, strlen(c->name));
    enum status status = tokenizer_open(folder, &tokenizer, &c->error);
    free(folder);
    if (status == STATUS_OK)
        snprintf(c->figures, sizeof c->figures, "%" PRId64 " tokens, prompts of %zu",
            tokenizer_vocabulary_size(tokenizer), tokenizer_length(tokenizer));
    tokenizer_free(tokenizer);
    return status;
}

static enum status load_text_encoder(
    const struct checkpoint *checkpoint, const char *variant, struct inspected *c, struct warnings *warnings)
{
    (void)warnings;
    struct text_encoder *encoder = NULL;
    enum status status = text_encoder_open(checkpoint, c->name, variant, &encoder, &c->error);
    if (status == STATUS_OK) {
        int used = snprintf(c->figures, sizeof c->figures,
            "%" PRId64 " layers, hidden size %" PRId64 ", %" PRId64 " tokens", text_encoder_layers(encoder),
            text_encoder_hidden_size(encoder), text_encoder_vocabulary_size(encoder));
        if (text_encoder_projection_size(encoder) > 0)
            snprintf(c->figures + used, sizeof c->figures - (size_t)used, ", projection to %" PRId64,
                text_encoder_projection_size(encoder));
    }
    text_encoder_free(encoder);
    return status;
}

static enum status load_unet(
    const struct checkpoint *checkpoint, const char *variant, struct inspected *c, struct warnings *warnings)
{
    (void)warnings;
    struct unet *unet = NULL;
    enum status status = unet_open(checkpoint, variant, &unet, &c->error);
    if (status == STATUS_OK)
        snprintf(c->figures, sizeof c->figures,
            "latents of %" PRId64 " x %" PRId64 " x %" PRId64 ", cross-attention to %" PRId64 "%s",
            unet_in_channels(unet), unet_sample_size(unet), unet_sample_size(unet),
            unet_cross_attention_dim(unet), unet_time_ids_dim(unet) > 0 ? ", text_time conditioning" : "");
    unet_free(unet);
    return status;
}

static enum status load_vae(
    const struct checkpoint *checkpoint, const char *variant, struct inspected *c, struct warnings *warnings)
{
    (void)warnings;
    struct vae *vae = NULL;
    enum status status = vae_open(checkpoint, variant, &vae, &c->error);
    if (status == STATUS_OK)
        snprintf(c->figures, sizeof c->figures, "%" PRId64 " latent channels, %" PRId64 " pixels a latent",
            vae_latent_channels(vae), vae_scale_factor(vae));
    vae_free(vae);
    return status;
}

static const struct {
    const char *name, *class_name; /* NULL: its own config says */
    const char *config;            /* the file that shows that the component is there */
    bool has_weights;
    enum status (*load)(const struct checkpoint *checkpoint, const char *variant, struct inspected *c,
        struct warnings *warnings);
} kinds[INSPECTED_COMPONENTS] = {
    {"scheduler", NULL, "scheduler_config.json", false, load_scheduler},
    {"tokenizer", "CLIPTokenizer", "vocab.json", false, load_tokenizer},
    {"tokenizer_2", "CLIPTokenizer", "vocab.json", false, load_tokenizer},
    {"text_encoder", "CLIPTextModel", "config.json", true, load_text_encoder},
    {"text_encoder_2", "CLIPTextModelWithProjection", "config.json", true, load_text_encoder},
    {"unet", "UNet2DConditionModel", "config.json", true, load_unet},
    {"vae", "AutoencoderKL", "config.json", true, load_vae},
};

/* --- The folder --------------------------------------------------------------------------- */

static enum status count_weights(
    const struct checkpoint *checkpoint, const char *variant, struct inspected *c)
{
    struct weights *weights = NULL;
    enum status status = weights_open(checkpoint, c->name, variant, &weights, &c->error);
    if (status != STATUS_OK) return status;
    c->files = weights_file_count(weights);
    c->tensors = weights_tensor_count(weights);
    for (size_t i = 0; i < c->tensors; i++) {
        struct tensor tensor;
        weights_tensor_at(weights, i, &tensor);
        c->parameters += tensor_count(&tensor);
        c->bytes += tensor_bytes(&tensor);
        c->has_dtype[tensor.dtype] = true;
    }
    weights_close(weights);
    return STATUS_OK;
}

/* The error is that nobody can tell. */
static enum status look_for(const struct checkpoint *checkpoint, const char *component, const char *file,
    bool *there, struct error *error)
{
    char path[PATH_MAX]; /* the system takes no longer one */
    int length = snprintf(
        path, sizeof path, "%s/%s%s%s", checkpoint->folder, component, file ? "/" : "", file ? file : "");
    *there = false;
    if (length < 0 || (size_t)length >= sizeof path) return STATUS_OK;
    return path_look(path, there, error);
}

/* Looks at component `kind`, whatever model_index.json says of it. */
static void inspect_component(struct inspection *inspection, size_t kind, const char *variant)
{
    struct inspected *c = &inspection->components[inspection->count++];
    *c = (struct inspected){.name = kinds[kind].name};
    if (kinds[kind].class_name) snprintf(c->class_name, sizeof c->class_name, "%s", kinds[kind].class_name);
    if (kinds[kind].has_weights) c->status = count_weights(&inspection->checkpoint, variant, c);
    if (c->status == STATUS_OK)
        c->status = kinds[kind].load(&inspection->checkpoint, variant, c, inspection->warnings);
}

/* Looks at those components that lie in the folder; with a name, at that one. */
static enum status inspect_those_there(
    struct inspection *inspection, const char *name, const char *variant, struct error *error)
{
    for (size_t i = 0; i < INSPECTED_COMPONENTS; i++) {
        bool there;
        if (name && strcmp(name, kinds[i].name) != 0) continue;
        enum status status = look_for(&inspection->checkpoint, kinds[i].name, kinds[i].config, &there, error);
        if (status != STATUS_OK) return status;
        if (there) inspect_component(inspection, i, variant);
    }
    return STATUS_OK;
}

/* A folder without model_index.json: the components that lie in it; or, where it is a component's own folder
 * (`unet/`), that one. There may be none. */
static enum status inspect_loose(
    struct inspection *inspection, const char *folder, const char *variant, struct error *error)
{
    struct checkpoint *checkpoint = &inspection->checkpoint;
    checkpoint->folder = strdup(folder);
    if (!checkpoint->folder) return error_memory(error, strlen(folder) + 1);
    enum status status = inspect_those_there(inspection, NULL, variant, error);
    if (status != STATUS_OK || inspection->count > 0) return status;

    char *folder_end = checkpoint->folder + strlen(checkpoint->folder);
    while (folder_end > checkpoint->folder + 1 && folder_end[-1] == '/') *--folder_end = '\0';
    char name[64];
    snprintf(name, sizeof name, "%s", path_base_name(checkpoint->folder));
    char *slash = strrchr(checkpoint->folder, '/');
    char *parent = slash ? strndup(checkpoint->folder, (size_t)(slash - checkpoint->folder)) : strdup(".");
    if (!parent) return error_memory(error, strlen(checkpoint->folder));
    free(checkpoint->folder);
    checkpoint->folder = parent;
    return inspect_those_there(inspection, name, variant, error);
}

enum status inspection_make(const char *folder, const char *variant, struct inspection *inspection,
    struct warnings *warnings, struct error *error)
{
    *inspection = (struct inspection){.warnings = warnings};
    struct checkpoint bare = {.folder = (char *)(uintptr_t)folder};
    bool there;
    enum status status = look_for(&bare, "model_index.json", NULL, &there, error);
    if (status != STATUS_OK) return status;
    if (!there) {
        status = inspect_loose(inspection, folder, variant, error);
        if (status == STATUS_OK && inspection->count > 0) return STATUS_OK;
        inspection_close(inspection);
        if (status != STATUS_OK) return status;
        return checkpoint_open(
            folder, &inspection->checkpoint, error); /* it says what the folder is instead */
    }
    status = checkpoint_open(folder, &inspection->checkpoint, error);
    if (status != STATUS_OK) return status;
    inspection->has_model_index = true;
    for (size_t i = 0; i < INSPECTED_COMPONENTS; i++)
        if (checkpoint_has(&inspection->checkpoint, kinds[i].name)) inspect_component(inspection, i, variant);
    return STATUS_OK;
}

void inspection_close(struct inspection *inspection)
{
    checkpoint_close(&inspection->checkpoint);
    inspection->count = 0;
}
