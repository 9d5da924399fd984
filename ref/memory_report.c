#include "memory_report.h"

#include "table.h"

#include <stdio.h>
#include <string.h>

size_t memory_anonymous(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    char line[128];
    size_t kibibytes = 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %zu kB", &kibibytes) == 1) break;
    fclose(file);
    return kibibytes * 1024;
}

const char *show_mebibytes(size_t bytes, char buffer[32])
{
    snprintf(buffer, 32, "%.1f MiB", (double)bytes / 0x1p20);
    return buffer;
}

/* One model and the stage that it runs in. */
struct row {
    const char *stage, *model;
    struct weights_size weights;
    struct stage_memory memory;
};
#define MOST_ROWS (TEXT_ENCODERS + 2)

static size_t make_rows(const struct pipeline *pipeline, const struct memory_plan *plan, struct row *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < pipeline->num_encoders; i++)
        rows[count++] = (struct row){"text encoders", text_encoder_names[i],
            text_encoder_weights(pipeline->text_encoders[i]), plan->stages[STAGE_TEXT_ENCODERS]};
    rows[count++] =
        (struct row){"denoising", "unet", unet_weights(pipeline->unet), plan->stages[STAGE_DENOISING]};
    rows[count++] = (struct row){"decoding", "vae", vae_weights(pipeline->vae), plan->stages[STAGE_DECODING]};
    return count;
}

static const char *show_types(const struct weights_size *weights, char *buffer, size_t size)
{
    size_t used = 0;
    buffer[0] = '\0';
    for (enum dtype dtype = 0; dtype < DTYPES; dtype++)
        if (weights->has_dtype[dtype] && used < size)
            used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? " " : "", dtype_name(dtype));
    return buffer;
}

static void add_row(struct table *table, const struct row *row, bool first_of_stage)
{
    char text[64];
    table_add(table, "%s", first_of_stage ? row->stage : "");
    table_add(table, "%s", row->model);
    table_add(table, "%zu", row->weights.parameters);
    table_add(table, "%s", show_mebibytes(row->weights.bytes, text));
    table_add(table, "%s", show_types(&row->weights, text, sizeof text));
    table_add(table, "%s", first_of_stage ? show_mebibytes(row->memory.activations, text) : "");
    table_add(table, "%s", first_of_stage ? show_mebibytes(row->memory.scratch, text) : "");
}

enum status memory_report_write_table(const struct pipeline *pipeline, const struct memory_plan *plan,
    const char *words, FILE *out, struct error *error)
{
    static const char *const headings[] = {
        "stage", "model", "parameters", "weights", "types", "activations", "of which scratch"};
    struct row rows[MOST_ROWS];
    size_t count = make_rows(pipeline, plan, rows), weights = 0;
    struct table table = {.alignment = "llrrlrr"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++) table_add(&table, "%s", headings[i]);
    for (size_t i = 0; i < count; i++) {
        add_row(&table, &rows[i], i == 0 || strcmp(rows[i].stage, rows[i - 1].stage) != 0);
        weights += rows[i].weights.bytes;
    }
    fprintf(out, "%s: %s\n\n", pipeline->checkpoint.pipeline_class, words);
    enum status status = table_write(&table, out, "", error);
    table_free(&table);
    char mapped[32], arena[32], pictures[32], all[32];
    fprintf(out,
        "\nweights, mapped from their files:  %s\n"
        "anonymous memory:                  %s (arena %s, pictures %s),\n"
        "                                   and what the program and its libraries keep\n",
        show_mebibytes(weights, mapped), show_mebibytes(plan->arena + plan->pictures, all),
        show_mebibytes(plan->arena, arena), show_mebibytes(plan->pictures, pictures));
    return status;
}

static bool add_size(cJSON *object, const char *key, size_t size)
{
    return cJSON_AddNumberToObject(object, key, (double)size) != NULL;
}

static bool add_model(cJSON *models, const struct row *row)
{
    cJSON *model = cJSON_CreateObject();
    char types[64];
    if (!model || !cJSON_AddItemToArray(models, model)) {
        cJSON_Delete(model);
        return false;
    }
    return cJSON_AddStringToObject(model, "model", row->model) &&
           cJSON_AddStringToObject(model, "stage", row->stage) &&
           add_size(model, "parameters", row->weights.parameters) &&
           add_size(model, "weights", row->weights.bytes) &&
           cJSON_AddStringToObject(model, "types", show_types(&row->weights, types, sizeof types)) &&
           add_size(model, "activations", row->memory.activations) &&
           add_size(model, "scratch", row->memory.scratch);
}

enum status memory_report_write_json(const struct pipeline *pipeline, const struct memory_plan *plan,
    const char *words, FILE *out, struct error *error)
{
    struct row rows[MOST_ROWS];
    size_t count = make_rows(pipeline, plan, rows), weights = 0;
    cJSON *report = cJSON_CreateObject();
    bool made = report && cJSON_AddStringToObject(report, "pipeline", pipeline->checkpoint.pipeline_class) &&
                cJSON_AddStringToObject(report, "run", words);
    cJSON *models = cJSON_AddArrayToObject(report, "models");
    for (size_t i = 0; made && i < count; i++) {
        made = models && add_model(models, &rows[i]);
        weights += rows[i].weights.bytes;
    }
    made = made && add_size(report, "weights", weights) && add_size(report, "arena", plan->arena) &&
           add_size(report, "pictures", plan->pictures) &&
           add_size(report, "anonymous", plan->arena + plan->pictures);
    char *text = made ? cJSON_Print(report) : NULL;
    if (text) fprintf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(report);
    return text ? STATUS_OK : error_memory(error, 0);
}
