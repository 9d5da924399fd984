#include "architecture.h"

#include "paths.h"
#include "tensor_files.h"
#include "text_encoder_model.h"
#include "unet_model.h"
#include "vae_model.h"

#include "sched/nearest.h"

#include <stdlib.h>
#include <string.h>

const char *const architecture_models[ARCHITECTURE_MODELS] = {
    "text_encoder", "text_encoder_2", "unet", "vae"};

/* --- Opening ------------------------------------------------------------------------------ */

static enum status refuse_name(const char *name, struct error *error)
{
    const char *names[64];
    char all[512] = "";
    size_t count = 0, used = 0;
    for (const struct architecture_text *text = architecture_texts; text->name && count < 64; text++) {
        names[count++] = text->name;
        if (used < sizeof all)
            used +=
                (size_t)snprintf(all + used, sizeof all - used, "%s%s", count > 1 ? ", " : "", text->name);
    }
    char meant[64];
    return error_input(error,
        "architecture: expected one of %s, or a file of configs/architectures' form whose name ends in "
        ".json; got \"%.100s\"%s",
        all, name, did_you_mean(nearest_name(name, names, count), "", meant, sizeof meant));
}

static enum status read_json(const char *name, cJSON **json, struct error *error)
{
    if (path_ends_with(name, ".json")) return json_read_file(name, json, error);
    for (const struct architecture_text *text = architecture_texts; text->name; text++)
        if (strcmp(name, text->name) == 0)
            return json_parse(text->json, strlen(text->json), name, json, error);
    return refuse_name(name, error);
}

/* Each part that the pipeline's class needs must be an object; what else is there, is misspelt. */
static enum status check_parts(const struct architecture *architecture, struct error *error)
{
    static const struct {
        const char *name;
        bool xl_only;
    } parts[] = {{"model_index", false}, {"scheduler", false}, {"tokenizer", false}, {"tokenizer_2", true},
        {"text_encoder", false}, {"text_encoder_2", true}, {"unet", false}, {"vae", false}};
    enum { PARTS = sizeof parts / sizeof *parts };
    bool xl = architecture_is_xl(architecture);
    for (size_t i = 0; i < PARTS; i++) {
        bool wanted = xl || !parts[i].xl_only;
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(architecture->json, parts[i].name);
        if (wanted ? !cJSON_IsObject(item) : item != NULL)
            return error_input(error, "%s: expected %s", parts[i].name,
                wanted ? "an object" : "none, since the pipeline is no StableDiffusionXLPipeline");
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, architecture->json)
    {
        bool known = strcmp(item->string, "description") == 0;
        for (size_t i = 0; i < PARTS && !known; i++) known = strcmp(item->string, parts[i].name) == 0;
        if (!known) return error_input(error, "%.100s: an architecture has no such part", item->string);
    }
    return STATUS_OK;
}

enum status architecture_open(const char *name, struct architecture *architecture, struct error *error)
{
    *architecture = (struct architecture){.name = strdup(name)};
    if (!architecture->name) return error_memory(error, strlen(name) + 1);
    enum status status = read_json(name, &architecture->json, error);
    if (status == STATUS_OK && !cJSON_IsObject(architecture->json))
        status = error_input(error, "%s: expected a JSON object", name);
    else if (status == STATUS_OK)
        status = error_prefix(error, check_parts(architecture, error), "%s: ", name);
    if (status != STATUS_OK) architecture_close(architecture);
    return status;
}

void architecture_close(struct architecture *architecture)
{
    free(architecture->name);
    cJSON_Delete(architecture->json);
    *architecture = (struct architecture){0};
}

const char *architecture_description(const struct architecture *architecture)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(architecture->json, "description");
    return cJSON_IsString(item) ? item->valuestring : "";
}

const cJSON *architecture_part(const struct architecture *architecture, const char *part)
{
    return cJSON_GetObjectItemCaseSensitive(architecture->json, part);
}

bool architecture_is_xl(const struct architecture *architecture)
{
    const cJSON *index = cJSON_GetObjectItemCaseSensitive(architecture->json, "model_index");
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(index, "_class_name");
    return cJSON_IsString(name) && strcmp(name->valuestring, "StableDiffusionXLPipeline") == 0;
}

/* --- Tensors ------------------------------------------------------------------------------ */

/* Puts in front of a message which part of which architecture it is about. */
static enum status prefix(
    const struct architecture *architecture, const char *part, enum status status, struct error *error)
{
    return error_prefix(error, status, "%s: %s: ", architecture->name, part);
}

enum status architecture_text_encoder(const struct architecture *architecture, const char *part,
    const struct weights_maker *maker, struct text_encoder **out, struct error *error)
{
    struct text_encoder_config config;
    struct weights *weights = NULL;
    bool has_projection = strcmp(part, "text_encoder_2") == 0;
    enum status status = text_encoder_config_read(architecture_part(architecture, part), &config, error);
    if (status == STATUS_OK) status = weights_create(part, maker, &weights, error);
    if (status == STATUS_OK) status = text_encoder_create(&config, part, has_projection, weights, out, error);
    return prefix(architecture, part, status, error);
}

enum status architecture_unet(const struct architecture *architecture, const struct weights_maker *maker,
    struct unet **out, struct error *error)
{
    struct unet_config config;
    struct weights *weights = NULL;
    enum status status = unet_config_read(architecture_part(architecture, "unet"), &config, error);
    if (status == STATUS_OK) status = weights_create("unet", maker, &weights, error);
    if (status == STATUS_OK) status = unet_create(&config, weights, out, error);
    return prefix(architecture, "unet", status, error);
}

enum status architecture_vae(const struct architecture *architecture, const struct weights_maker *maker,
    struct vae **out, struct error *error)
{
    struct vae_config config;
    struct weights *weights = NULL;
    enum status status = vae_config_read(architecture_part(architecture, "vae"), &config, error);
    if (status == STATUS_OK) status = weights_create("vae", maker, &weights, error);
    if (status == STATUS_OK) status = vae_create(&config, weights, out, error);
    return prefix(architecture, "vae", status, error);
}

/* The autoencoder's encoder, which only files hold. */
static enum status visit_vae_encoder(
    const struct architecture *architecture, const struct weights_maker *maker, struct error *error)
{
    const cJSON *json = architecture_part(architecture, "vae");
    struct vae_config config;
    struct weights *weights = NULL;
    enum status status = vae_config_read(json, &config, error);
    if (status == STATUS_OK) status = weights_create("vae", maker, &weights, error);
    if (status == STATUS_OK) status = vae_encoder_take(json, &config, weights, error);
    if (status == STATUS_OK) status = weights_finish(weights, error);
    weights_close(weights);
    return prefix(architecture, "vae", status, error);
}

enum status architecture_visit(const struct architecture *architecture, const char *part,
    const struct weights_maker *maker, struct error *error)
{
    struct text_encoder *encoder = NULL;
    struct unet *unet = NULL;
    struct vae *vae = NULL;
    enum status status;
    if (strcmp(part, "unet") == 0) {
        status = architecture_unet(architecture, maker, &unet, error);
    } else if (strcmp(part, "vae") == 0) {
        status = visit_vae_encoder(architecture, maker, error);
        if (status == STATUS_OK) status = architecture_vae(architecture, maker, &vae, error);
    } else {
        status = architecture_text_encoder(architecture, part, maker, &encoder, error);
    }
    text_encoder_free(encoder);
    unet_free(unet);
    vae_free(vae);
    return status;
}

struct list {
    struct tensor_set *set;
    enum dtype dtype;
};

static enum status list_tensor(void *context, const char *name, struct tensor *tensor, struct error *error)
{
    struct list *list = context;
    tensor->dtype = list->dtype;
    size_t count;
    if (!tensor_shape_count(tensor->shape, tensor->rank, tensor->dtype, &count))
        return error_input(error, "tensor %s: its shape is more than memory can hold", name);
    return tensor_set_append(list->set, name, strlen(name), tensor, NULL, error);
}

enum status architecture_tensors(const struct architecture *architecture, const char *part, enum dtype dtype,
    struct tensor_set **out, struct error *error)
{
    struct list list = {.dtype = dtype};
    enum status status = tensor_set_create(&list.set, error);
    struct weights_maker maker = {list_tensor, &list};
    if (status == STATUS_OK) status = architecture_visit(architecture, part, &maker, error);
    if (status == STATUS_OK)
        *out = list.set;
    else
        tensor_set_free(list.set);
    return status;
}
