#include "run_files.h"

#include "output_file.h"
#include "png_file.h"
#include "version.h"

#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const precision_names[] = {"f32", "f64", "f16", "bf16", "tf32", NULL};

enum number_format precision_format(enum precision precision)
{
    static const enum number_format formats[] = {
        FORMAT_F32, FORMAT_F32, FORMAT_F16, FORMAT_BF16, FORMAT_TF32};
    return formats[precision];
}

/* --- Metadata ----------------------------------------------------------------------------- */

static enum status put_json(struct trace *trace, const char *key, const cJSON *value, struct error *error)
{
    char *text = cJSON_PrintUnformatted(value);
    if (!text) return error_memory(error, 0);
    enum status status = trace_put_metadata(trace, key, text, error);
    cJSON_free(text);
    return status;
}

static enum status put_machine(struct trace *trace, struct error *error)
{
    char cpu[128];
    cJSON *machine = cJSON_CreateObject();
    bool made = machine && cJSON_AddStringToObject(machine, "cpu", kernels_cpu_name(cpu, sizeof cpu)) &&
                cJSON_AddStringToObject(machine, "kernels", kernels_set_name(kernels_in_use())) &&
                cJSON_AddStringToObject(machine, "gemm", kernels_gemm_name(kernels_gemm_in_use())) &&
                cJSON_AddStringToObject(machine, "blas", kernels_blas_description()) &&
                cJSON_AddStringToObject(machine, "blas_core", kernels_blas_core());
    enum status status = made ? put_json(trace, "machine", machine, error) : error_memory(error, 0);
    cJSON_Delete(machine);
    return status;
}

enum status run_files_metadata(struct trace *trace, const struct pipeline *pipeline,
    const struct recipe *recipe, enum precision precision, struct error *error)
{
    cJSON *schedule = NULL;
    cJSON *seeds = cJSON_CreateStringArray((const char *const *)recipe->seeds, (int)recipe->num_seeds);
    enum status status = seeds ? STATUS_OK : error_memory(error, 0);
    if (status == STATUS_OK) status = put_json(trace, "seed", seeds, error);
    if (status == STATUS_OK) status = put_json(trace, "recipe", recipe->source, error);
    if (status == STATUS_OK) status = pipeline_scheduler_config(pipeline, recipe, &schedule, NULL, error);
    if (status == STATUS_OK) status = put_json(trace, "schedule", schedule, error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "generator", generator_name(recipe->generator), error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "pipeline", pipeline->checkpoint.pipeline_class, error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "precision", precision_names[precision], error);
    if (status == STATUS_OK)
        status = trace_put_metadata(trace, "versions", "{\"plumb\":\"" PLUMB_VERSION "\"}", error);
    if (status == STATUS_OK) status = put_machine(trace, error);
    cJSON_Delete(schedule);
    cJSON_Delete(seeds);
    return status;
}

/* --- Pictures ----------------------------------------------------------------------------- */

char *run_files_picture(const char *out, size_t i, size_t count)
{
    const char *dot = strrchr(out, '.'), *slash = strrchr(out, '/');
    int stem = (int)(dot && (!slash || dot > slash) ? (size_t)(dot - out) : strlen(out));
    char *path = NULL;
    int length =
        count == 1 ? asprintf(&path, "%s", out) : asprintf(&path, "%.*s-%zu%s", stem, out, i, out + stem);
    return length < 0 ? NULL : path;
}

size_t run_files_pictures(const struct recipe *recipe)
{
    return recipe->prompt.count * (size_t)recipe->num_images_per_prompt;
}

enum status run_files_write_pictures(
    const char *out, const struct pictures *pictures, const struct recipe *recipe, struct error *error)
{
    char *text = cJSON_PrintUnformatted(recipe->source);
    enum status status = text ? STATUS_OK : error_memory(error, 0);
    char software_key[] = "Software", software[] = "Plumb " PLUMB_VERSION, recipe_key[] = "recipe";
    struct png_text texts[] = {{software_key, software}, {recipe_key, text}};
    size_t bytes = pictures->height * pictures->width * 3;
    for (size_t i = 0; i < pictures->count && status == STATUS_OK; i++) {
        char *path = run_files_picture(out, i, pictures->count);
        status = path ? png_write(path, pictures->pixels + i * bytes, (int)pictures->width,
                            (int)pictures->height, texts, 2, error)
                      : error_memory(error, strlen(out));
        free(path);
    }
    cJSON_free(text);
    return status;
}

/* --- Before the run ----------------------------------------------------------------------- */

static enum status check_writable(const char *path, struct error *error)
{
    struct output_file file = {0};
    size_t length = strlen(path);
    if (length > 0 && path[length - 1] == '/')
        return STATUS_OK; /* a folder of .npy, made when it is written */
    enum status status = output_file_open(&file, path, error);
    output_file_abandon(&file);
    return status;
}

enum status run_files_check(const char *out, const char *trace, const char *noise_log,
    const struct recipe *recipe, struct error *error)
{
    enum status status = trace ? check_writable(trace, error) : STATUS_OK;
    if (status == STATUS_OK && noise_log) status = check_writable(noise_log, error);
    size_t count = run_files_pictures(recipe);
    for (size_t i = 0; out && i < count && status == STATUS_OK; i++) {
        char *path = run_files_picture(out, i, count);
        status = path ? check_writable(path, error) : error_memory(error, strlen(out));
        free(path);
    }
    return status;
}
