#include "verify_subject.h"

#include "support.h"

#include "ref/tensor_files.h"
#include "ref/verify_recipe.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <string.h>

const char *const golden_traces[GOLDEN_TRACES] = {"sd-pndm6", "sd-ddim5", "sd-ddim5-torchgen",
    "sd21v-ddim10-zsnr-rescale", "sd21v-ddim6-leading", "sdxl-ays10-sde", "sdxl-ays10-sde-torchgen",
    "sdxl-batch2-nonsquare", "sdxl-dpm5-leading", "sdxl-dpm5-trailing", "sdxl-euler-sigmas",
    "sdxl-euler4-fp16weights", "sdxl-noguidance3", "sdxl-sde-karras10", "shapes-ays10-sde",
    "shapes-dpm5-leading", "shapes-dpm5-trailing", "shapes-euler-sigmas", "shapes-sde-karras20"};

/* The checkpoint's folder under golden/models, from the trace's `info`. */
static const char *model_of(const struct tensor_set *tensors, const char *name)
{
    struct error error = {""};
    cJSON *info = NULL;
    const char *text = tensor_set_metadata(tensors, "info");
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(json_parse(text, strlen(text), name, &info, &error), STATUS_OK);
    const char *model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(info, "model"));
    const cJSON *load = cJSON_GetObjectItemCaseSensitive(info, "load");
    const char *path = golden_path("models/%s%s", model, cJSON_HasObjectItem(load, "variant") ? "-fp16" : "");
    cJSON_Delete(info);
    return path;
}

void subject_open(const char *name, struct subject *subject)
{
    struct error error = {""};
    struct warnings warnings = {0};
    cJSON *json = NULL;
    *subject = (struct subject){.name = name, .options = VERIFY_OPTIONS_DEFAULT};
    subject->options.free_run = false;
    subject->options.diagnose = false;
    subject->tensors = golden_tensors("models/traces/%s.safetensors", name);
    enum status status = verify_recipe_of_metadata(subject->tensors, &json, &warnings, &error);
    ck_assert_msg(status == STATUS_OK && json, "%s: %s", name, error.message);
    const cJSON *variant = cJSON_GetObjectItemCaseSensitive(json, "variant");
    status = pipeline_open(
        model_of(subject->tensors, name), cJSON_GetStringValue(variant), &subject->pipeline, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", name, error.message);
    status = verify_recipe_complete(subject->tensors, &subject->pipeline, json, &subject->options, &error);
    if (status == STATUS_OK) status = recipe_read(json, &subject->recipe, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", name, error.message);
    ck_assert_uint_eq(warnings.count, 0);
    cJSON_Delete(json);
}

void subject_close(struct subject *subject)
{
    recipe_free(&subject->recipe);
    pipeline_close(&subject->pipeline);
    tensor_set_free(subject->tensors);
}

struct tensor_set *subject_part(const struct subject *subject, ...)
{
    struct error error = {""};
    struct tensor_set *part = NULL;
    ck_assert_int_eq(tensor_set_create(&part, &error), STATUS_OK);
    for (size_t i = 0; i < tensor_set_count(subject->tensors); i++) {
        const char *name = tensor_set_name(subject->tensors, i), *glob;
        bool fits = false;
        va_list globs;
        va_start(globs, subject);
        while ((glob = va_arg(globs, const char *)) != NULL) fits = fits || fnmatch(glob, name, 0) == 0;
        va_end(globs);
        if (!fits || strncmp(name, "f64.", 4) == 0) continue;
        ck_assert_int_eq(tensor_set_add(part, name, tensor_set_at(subject->tensors, i), &error), STATUS_OK);
    }
    return part;
}

struct tensor *part_tensor(const struct tensor_set *part, const char *name)
{
    for (size_t i = 0; i < part->count; i++)
        if (strcmp(part->entries[i]->name, name) == 0) return &part->entries[i]->tensor;
    ck_abort_msg("no tensor %s", name);
}

struct verification subject_verify(const struct subject *subject, const struct tensor_set *theirs)
{
    struct error error = {""};
    struct verification verification;
    enum status status =
        verify(&subject->pipeline, &subject->recipe, theirs, &subject->options, &verification, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", subject->name, error.message);
    return verification;
}

const struct verify_row *row_of(const struct verification *verification, const char *name)
{
    for (size_t i = 0; i < verification->count; i++)
        if (strcmp(verification->rows[i].name, name) == 0) return &verification->rows[i];
    ck_abort_msg("no row for %s", name);
}
