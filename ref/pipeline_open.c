/* Loading a checkpoint's components, and the scheduler config that a run starts from. */
#include "architecture.h"
#include "pipeline.h"

#include "sched/known_options.h"
#include "sched/nearest.h"
#include "sched/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const text_encoder_names[TEXT_ENCODERS] = {"text_encoder", "text_encoder_2"};
static const char *const tokenizer_names[TEXT_ENCODERS] = {"tokenizer", "tokenizer_2"};

static enum status open_text(struct pipeline *p, size_t i, const char *variant, struct error *error)
{
    for (size_t k = 0; k < 2; k++) {
        const char *name = k ? tokenizer_names[i] : text_encoder_names[i];
        if (!checkpoint_has(&p->checkpoint, name))
            return error_input(error, "%s: model_index.json has no %s, which a %s needs",
                p->checkpoint.folder, name, p->checkpoint.pipeline_class);
    }
    char *folder = checkpoint_path(&p->checkpoint, tokenizer_names[i], NULL);
    if (!folder) return error_memory(error, strlen(p->checkpoint.folder));
    enum status status = tokenizer_open(folder, &p->tokenizers[i], error);
    if (status == STATUS_OK)
        status =
            text_encoder_open(&p->checkpoint, text_encoder_names[i], variant, &p->text_encoders[i], error);
    if (status == STATUS_OK &&
        tokenizer_vocabulary_size(p->tokenizers[i]) > text_encoder_vocabulary_size(p->text_encoders[i]))
        status = error_input(error, "%s: %lld ids, but %s embeds only %lld", folder,
            (long long)tokenizer_vocabulary_size(p->tokenizers[i]), text_encoder_names[i],
            (long long)text_encoder_vocabulary_size(p->text_encoders[i]));
    if (status == STATUS_OK &&
        (int64_t)tokenizer_length(p->tokenizers[i]) > text_encoder_positions(p->text_encoders[i]))
        status = error_input(error, "%s: prompts of %zu tokens, but %s has only %lld positions", folder,
            tokenizer_length(p->tokenizers[i]), text_encoder_names[i],
            (long long)text_encoder_positions(p->text_encoders[i]));
    free(folder);
    return status;
}

/* The parts of a pipeline must fit each other: what one hands over is what the next takes. */
static enum status check_fit(const struct pipeline *p, struct error *error)
{
    int64_t width = 0;
    for (size_t i = 0; i < p->num_encoders; i++) width += text_encoder_hidden_size(p->text_encoders[i]);
    if (width != unet_cross_attention_dim(p->unet))
        return error_input(error,
            "%s: unet/config.json: cross_attention_dim: expected %lld, the width of the text "
            "encoders' output, got %lld",
            p->checkpoint.folder, (long long)width, (long long)unet_cross_attention_dim(p->unet));
    if (unet_in_channels(p->unet) != vae_latent_channels(p->vae))
        return error_input(error,
            "%s: unet/config.json: in_channels: expected %lld, the VAE's latent_channels, got %lld%s",
            p->checkpoint.folder, (long long)vae_latent_channels(p->vae),
            (long long)unet_in_channels(p->unet),
            unet_in_channels(p->unet) > vae_latent_channels(p->vae)
                ? " (a model for inpainting or editing: it takes a picture or a mask besides)"
                : "");
    if (p->is_xl) {
        int64_t made = 6 * unet_time_ids_dim(p->unet) + text_encoder_projection_size(p->text_encoders[1]);
        if (made != unet_add_embedding_dim(p->unet))
            return error_input(error,
                "%s: unet/config.json: projection_class_embeddings_input_dim: expected %lld (six "
                "time ids of addition_time_embed_dim and the pooled prompt), got %lld",
                p->checkpoint.folder, (long long)made, (long long)unet_add_embedding_dim(p->unet));
    }
    return STATUS_OK;
}

/* Stable Diffusion UNets saved before 0.9.0 carried a wrong sample_size; the pipeline's constructor makes
 * it 64. */
static enum status read_sample_size(struct pipeline *p, struct error *error)
{
    p->sample_size = unet_sample_size(p->unet);
    if (p->is_xl || p->sample_size >= 64) return STATUS_OK;
    cJSON *config = NULL;
    enum status status = checkpoint_read_json(&p->checkpoint, "unet", "config.json", &config, error);
    if (status != STATUS_OK) return status;
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(config, "_diffusers_version");
    /* "0.8.1" and what came before */
    if (cJSON_IsString(version) && strncmp(version->valuestring, "0.", 2) == 0 &&
        strspn(version->valuestring + 2, "0123456789") == 1 && version->valuestring[2] != '9')
        p->sample_size = 64;
    cJSON_Delete(config);
    return STATUS_OK;
}

static enum status open_parts(
    struct pipeline *p, const char *folder, const char *variant, bool shapes_alone, struct error *error)
{
    *p = (struct pipeline){0};
    enum status status = checkpoint_open(folder, &p->checkpoint, error);
    if (status != STATUS_OK) return status;
    p->checkpoint.leave_values_unread = shapes_alone;
    p->is_xl = strcmp(p->checkpoint.pipeline_class, "StableDiffusionXLPipeline") == 0;
    p->num_encoders = p->is_xl ? 2 : 1;
    for (size_t i = 0; i < p->num_encoders && status == STATUS_OK; i++)
        status = open_text(p, i, variant, error);
    if (status == STATUS_OK) status = unet_open(&p->checkpoint, variant, &p->unet, error);
    if (status == STATUS_OK) status = vae_open(&p->checkpoint, variant, &p->vae, error);
    if (status == STATUS_OK)
        status = checkpoint_read_json(
            &p->checkpoint, "scheduler", "scheduler_config.json", &p->scheduler_config, error);
    if (status == STATUS_OK) status = check_fit(p, error);
    if (status == STATUS_OK) status = read_sample_size(p, error);
    if (status != STATUS_OK) pipeline_close(p);
    return status;
}

enum status pipeline_open(
    const char *folder, const char *variant, struct pipeline *pipeline, struct error *error)
{
    return open_parts(pipeline, folder, variant, false, error);
}

enum status pipeline_open_shapes(
    const char *folder, const char *variant, struct pipeline *pipeline, struct error *error)
{
    return open_parts(pipeline, folder, variant, true, error);
}

/* A tensor of a stored type, and nothing in it. */
static enum status make_shape(void *context, const char *name, struct tensor *tensor, struct error *error)
{
    size_t count;
    tensor->dtype = *(const enum dtype *)context;
    if (tensor_shape_count(tensor->shape, tensor->rank, tensor->dtype, &count)) return STATUS_OK;
    return error_input(error, "tensor %s: its shape is more than memory can hold", name);
}

enum status pipeline_of_architecture(
    const char *name, enum dtype dtype, struct pipeline *pipeline, struct error *error)
{
    struct pipeline *p = pipeline;
    *p = (struct pipeline){0};
    struct architecture architecture = {0};
    const struct weights_maker maker = {make_shape, &dtype};
    enum status status = architecture_open(name, &architecture, error);
    if (status != STATUS_OK) return status;
    p->is_xl = architecture_is_xl(&architecture);
    p->num_encoders = p->is_xl ? 2 : 1;
    p->checkpoint.folder = strdup(name);
    p->checkpoint.pipeline_class = strdup(p->is_xl ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline");
    p->scheduler_config = cJSON_Duplicate(architecture_part(&architecture, "scheduler"), true);
    if (!p->checkpoint.folder || !p->checkpoint.pipeline_class || !p->scheduler_config)
        status = error_memory(error, strlen(name) + 1);
    for (size_t i = 0; i < p->num_encoders && status == STATUS_OK; i++)
        status = architecture_text_encoder(
            &architecture, text_encoder_names[i], &maker, &p->text_encoders[i], error);
    if (status == STATUS_OK) status = architecture_unet(&architecture, &maker, &p->unet, error);
    if (status == STATUS_OK) status = architecture_vae(&architecture, &maker, &p->vae, error);
    if (status == STATUS_OK) status = check_fit(p, error);
    if (status == STATUS_OK) p->sample_size = unet_sample_size(p->unet);
    architecture_close(&architecture);
    if (status != STATUS_OK) pipeline_close(p);
    return status;
}

void pipeline_close(struct pipeline *pipeline)
{
    for (size_t i = 0; i < TEXT_ENCODERS; i++) {
        tokenizer_free(pipeline->tokenizers[i]);
        text_encoder_free(pipeline->text_encoders[i]);
    }
    unet_free(pipeline->unet);
    vae_free(pipeline->vae);
    cJSON_Delete(pipeline->scheduler_config);
    checkpoint_close(&pipeline->checkpoint);
    *pipeline = (struct pipeline){0};
}

/* Puts `value` (which it takes over) under `key`, over what stands there. */
static enum status set_key(cJSON *object, const char *key, cJSON *value, struct error *error)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (value && cJSON_AddItemToObject(object, key, value)) return STATUS_OK;
    cJSON_Delete(value);
    return error_memory(error, 0);
}

/* What StableDiffusionPipeline's constructor does to an outdated config: steps_offset becomes 1 and
 * clip_sample false. A key that the file does not hold is corrected only in the scheduler that the checkpoint
 * names: from_config() hands a new class the keys that were written down, not the old class's defaults. */
static enum status correct_outdated(
    cJSON *config, bool in_place, struct warnings *warnings, struct error *error)
{
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(config, "steps_offset");
    const cJSON *clip = cJSON_GetObjectItemCaseSensitive(config, "clip_sample");
    const cJSON *class_name = cJSON_GetObjectItemCaseSensitive(config, "_class_name");
    const char *name = cJSON_IsString(class_name) ? class_name->valuestring : "";
    bool clips = clip ? cJSON_IsTrue(clip) : scheduler_class_has_option(name, "clip_sample");
    bool offset_is_one = offset ? cJSON_IsNumber(offset) && offset->valuedouble == 1
                                : !scheduler_class_has_option(name, "steps_offset");
    enum status status = STATUS_OK;
    if (!offset_is_one && (offset || in_place)) {
        warnings_add(
            warnings, "scheduler_config.json: steps_offset: taken as 1, as StableDiffusionPipeline does");
        status = set_key(config, "steps_offset", cJSON_CreateNumber(1), error);
    }
    if (status == STATUS_OK && clips && (clip || in_place)) {
        warnings_add(
            warnings, "scheduler_config.json: clip_sample: taken as false, as StableDiffusionPipeline does");
        status = set_key(config, "clip_sample", cJSON_CreateFalse(), error);
    }
    return status;
}

/* A misspelt option would be silently ignored by Diffusers; what a person wrote down is checked. */
static enum status check_overrides(const cJSON *overrides, struct error *error)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, overrides)
    {
        const char *nearest = NULL;
        if (item->string[0] == '_' || scheduler_option_is_known(item->string, &nearest)) continue;
        char meant[64];
        if (strcmp(item->string, "class_name") == 0) nearest = "_class_name";
        return error_input(error, "scheduler: %.80s: no scheduler has this option%s", item->string,
            did_you_mean(nearest, "", meant, sizeof meant));
    }
    return STATUS_OK;
}

/* What a model predicts is how it was trained: a recipe that says otherwise than the checkpoint is right only
 * where the checkpoint's file is wrong. */
static void warn_of_prediction_type(const cJSON *file, const cJSON *overrides, struct warnings *warnings)
{
    const char *their_class = "", *our_class = "";
    json_get_string(file, "_class_name", &their_class, NULL, NULL);
    json_get_string(overrides, "_class_name", &our_class, NULL, NULL);
    bool is_theirs_flow = strncmp(their_class, "FlowMatch", strlen("FlowMatch")) == 0;
    if (strncmp(our_class, "FlowMatch", strlen("FlowMatch")) == 0 && !is_theirs_flow)
        warnings_add(warnings,
            "scheduler: %.80s: right only for a model that was trained by flow matching; the "
            "checkpoint's scheduler is a %.80s",
            our_class, their_class);
    const char *theirs = "epsilon", *ours = NULL; /* the default of every class */
    json_get_string(file, "prediction_type", &theirs, NULL, NULL);
    json_get_string(overrides, "prediction_type", &ours, NULL, NULL);
    if (ours && strcmp(ours, theirs) != 0)
        warnings_add(warnings,
            "scheduler: prediction_type: \"%.40s\", but the checkpoint's scheduler has "
            "\"%.40s\": right only for a model that was trained so",
            ours, theirs);
}

/* Lin et al. 2023 (arXiv 2305.08891), section 3.1: where no signal is left, the noise says nothing of the
 * picture. */
static void warn_of_zero_snr(const cJSON *config, struct warnings *warnings)
{
    const char *type = "epsilon";
    bool zero_snr = false;
    json_get_string(config, "prediction_type", &type, NULL, NULL);
    json_get_bool(config, "rescale_betas_zero_snr", &zero_snr, NULL, NULL);
    if (zero_snr && strcmp(type, "epsilon") == 0)
        warnings_add(warnings,
            "scheduler: rescale_betas_zero_snr: expected a model with prediction_type "
            "\"v_prediction\", got \"epsilon\": the last timestep is noise alone, which the noise "
            "says nothing of");
}

/* Published files carry a handful of options of other classes (SD 1.5's PNDM has clip_sample). Those that
 * neither the file's own class nor the run's has are dropped: nobody asked for them, and nothing is lost, so
 * that the scheduler warns only of what the recipe named and of what a change of class loses. */
static void drop_leftovers(cJSON *config, const cJSON *file, const cJSON *overrides)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(file, "_class_name");
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(config, "_class_name");
    if (!cJSON_IsString(own) || !cJSON_IsString(run)) return;
    /* Every class that Plumb knows has this one; what another class would have honoured, it cannot say. */
    if (!scheduler_class_has_option(own->valuestring, "num_train_timesteps")) return;
    const cJSON *item;
    cJSON_ArrayForEach(item, file)
    {
        const char *key = item->string;
        if (key[0] == '_' || !scheduler_option_is_known(key, NULL)) continue;
        if (cJSON_GetObjectItemCaseSensitive(overrides, key)) continue;
        if (scheduler_class_has_option(own->valuestring, key)) continue;
        if (scheduler_class_has_option(run->valuestring, key)) continue;
        cJSON_DeleteItemFromObjectCaseSensitive(config, key);
    }
}

enum status pipeline_scheduler_config(const struct pipeline *pipeline, const struct recipe *recipe,
    cJSON **config, struct warnings *warnings, struct error *error)
{
    *config = cJSON_Duplicate(pipeline->scheduler_config, true);
    if (!*config) return error_memory(error, 0);
    const cJSON *overrides = recipe->scheduler;
    bool in_place = overrides == NULL;
    enum status status = check_overrides(overrides, error);
    if (status == STATUS_OK && !pipeline->is_xl)
        status = correct_outdated(*config, in_place, warnings, error);
    const cJSON *item;
    cJSON_ArrayForEach(item, overrides)
    {
        if (status == STATUS_OK) status = set_key(*config, item->string, cJSON_Duplicate(item, true), error);
    }
    warn_of_prediction_type(pipeline->scheduler_config, overrides, warnings);
    warn_of_zero_snr(*config, warnings);
    drop_leftovers(*config, pipeline->scheduler_config, overrides);
    if (status != STATUS_OK) {
        cJSON_Delete(*config);
        *config = NULL;
    }
    return status;
}

enum status pipeline_scheduler_error(
    const struct pipeline *pipeline, const struct recipe *recipe, enum status status, struct error *error)
{
    if (status != STATUS_BAD_INPUT) return status;
    const cJSON *own = pipeline->scheduler_config;
    if (json_has_key_of_error(recipe->scheduler, error)) return error_prefix(error, status, "scheduler: ");
    if (json_has_key_of_error(own, error) || !cJSON_HasObjectItem(own, "_class_name"))
        error_prefix(error, status, "%s/scheduler/scheduler_config.json: ", pipeline->checkpoint.folder);
    return status;
}
