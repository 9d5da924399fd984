#include "noise.h"

#include "output_file.h"
#include "tensor_set.h"

#include "sched/seed_sequence.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct noise {
    enum generator_kind kind;
    struct generator **generators; /* none where there is a file */
    char **seed_texts;
    uint64_t *seeds;
    size_t num_seeds, too_large; /* the first seed of 2^64 or more, num_seeds where there is none */
    char *path;
    struct tensor_set *file; /* NULL: the generators draw */
    size_t draws_from_file;
    cJSON *log;
};

/* --- Opening ------------------------------------------------------------------------------ */

static enum status take_seed(struct noise *noise, size_t i, const char *text, struct error *error)
{
    uint32_t *words = NULL;
    size_t count = 0;
    noise->seed_texts[i] = strdup(text);
    if (!noise->seed_texts[i]) return error_memory(error, strlen(text) + 1);
    enum status status = seed_words(text, &words, &count, error);
    if (status != STATUS_OK) return status;
    noise->seeds[i] = words[0] | (uint64_t)(count > 1 ? words[1] : 0) << 32;
    if (count > 2 && noise->too_large > i) noise->too_large = i;
    free(words);
    if (noise->file) return STATUS_OK;
    return generator_create(noise->kind, text, &noise->generators[i], error);
}

enum status noise_open(enum generator_kind kind, char *const *seeds, size_t num_seeds, const char *file,
    struct noise **out, struct error *error)
{
    *out = NULL;
    struct noise *noise = calloc(1, sizeof *noise);
    if (!noise) return error_memory(error, sizeof *noise);
    *noise = (struct noise){.kind = kind, .num_seeds = num_seeds, .too_large = num_seeds};
    const size_t room = num_seeds ? num_seeds : 1;
    noise->generators = calloc(room, sizeof(struct generator *));
    noise->seed_texts = calloc(room, sizeof(char *));
    noise->seeds = calloc(room, sizeof *noise->seeds);
    noise->log = cJSON_CreateArray();
    if (file) noise->path = strdup(file);
    enum status status = STATUS_OK;
    if (!noise->generators || !noise->seed_texts || !noise->seeds || !noise->log || (file && !noise->path))
        status = error_memory(error, room * sizeof *noise->seeds);
    if (status == STATUS_OK && file) status = tensor_set_open(file, &noise->file, error);
    for (size_t i = 0; status == STATUS_OK && i < num_seeds; i++)
        status = take_seed(noise, i, seeds[i], error);
    if (status != STATUS_OK) {
        noise_free(noise);
        return status;
    }
    *out = noise;
    return STATUS_OK;
}

void noise_free(struct noise *noise)
{
    if (!noise) return;
    for (size_t i = 0; i < noise->num_seeds; i++) {
        if (noise->generators) generator_free(noise->generators[i]);
        if (noise->seed_texts) free(noise->seed_texts[i]);
    }
    free(noise->generators);
    free(noise->seed_texts);
    free(noise->seeds);
    free(noise->path);
    tensor_set_free(noise->file);
    cJSON_Delete(noise->log);
    free(noise);
}

enum status noise_seeds(const struct noise *noise, const uint64_t **seeds, size_t *count, struct error *error)
{
    *seeds = noise->num_seeds ? noise->seeds : NULL;
    *count = noise->num_seeds;
    if (noise->too_large == noise->num_seeds) return STATUS_OK;
    return error_input(error,
        "seed: expected an integer below 2^64 for the noise that a scheduler makes, got %s",
        noise->seed_texts[noise->too_large]);
}

/* --- The log ------------------------------------------------------------------------------ */

/* In which type a source makes its numbers; all are kept as float32. */
static const char *type_of_draw(const struct noise *noise, size_t count_of_each)
{
    switch (noise->kind) {
    case GENERATOR_NUMPY_PCG64:
    case GENERATOR_NUMPY_MT19937: return "float64";
    case GENERATOR_TORCH_CPU:
    case GENERATOR_TORCH_CPU_PLAIN: return count_of_each < 16 ? "float64" : "float32";
    default: return "float32";
    }
}

/* One entry. `source` and `type` are the strings of the log; the seeds stand where they decide. */
static enum status note(struct noise *noise, const struct noise_draw *draw, const char *source,
    const char *type, bool seeded, struct error *error)
{
    cJSON *entry = cJSON_CreateObject(), *shape = NULL, *seeds = NULL;
    bool made = entry && cJSON_AddNumberToObject(entry, "draw", cJSON_GetArraySize(noise->log)) &&
                cJSON_AddStringToObject(entry, "who", draw->who) &&
                (draw->has_timestep ? cJSON_AddNumberToObject(entry, "timestep", draw->timestep)
                                    : cJSON_AddNullToObject(entry, "timestep")) &&
                cJSON_AddNumberToObject(entry, "numbers", (double)tensor_count(draw->tensor)) &&
                (shape = cJSON_AddArrayToObject(entry, "shape"));
    for (int i = 0; made && i < draw->tensor->rank; i++) {
        cJSON *side = cJSON_CreateNumber((double)draw->tensor->shape[i]);
        made = side && cJSON_AddItemToArray(shape, side);
    }
    made = made && cJSON_AddStringToObject(entry, "source", source) &&
           cJSON_AddStringToObject(entry, "type", type) && (seeds = cJSON_AddArrayToObject(entry, "seeds"));
    for (size_t i = 0; made && seeded && i < noise->num_seeds; i++) {
        cJSON *seed = cJSON_CreateString(noise->seed_texts[i]);
        made = seed && cJSON_AddItemToArray(seeds, seed);
    }
    if (made && cJSON_AddItemToArray(noise->log, entry)) return STATUS_OK;
    cJSON_Delete(entry);
    return error_memory(error, sizeof(cJSON));
}

enum status noise_note(
    struct noise *noise, const struct noise_draw *draw, const char *source, struct error *error)
{
    return note(noise, draw, source, "float32", false, error);
}

cJSON *noise_log(const struct noise *noise)
{
    return cJSON_Duplicate(noise->log, true);
}

enum status noise_log_write(const cJSON *log, const char *path, struct error *error)
{
    struct output_file file = {0};
    char *text = cJSON_Print(log);
    if (!text) return error_memory(error, 0);
    enum status status = output_file_open(&file, path, error);
    if (status == STATUS_OK) {
        fprintf(file.stream, "%s\n", text);
        status = output_file_commit(&file, error);
    }
    output_file_abandon(&file);
    cJSON_free(text);
    return status;
}

/* --- Draws -------------------------------------------------------------------------------- */

bool noise_is_given(const struct noise *noise, const struct noise_draw *draw)
{
    return noise->file && tensor_set_find(noise->file, draw->who);
}

static enum status read_draw(
    struct noise *noise, const struct noise_draw *draw, double *numbers, struct error *error)
{
    char by_count[2][32], expected[96], got[96];
    const size_t k = noise->draws_from_file++;
    snprintf(by_count[0], sizeof by_count[0], "noise.%zu", k);
    snprintf(by_count[1], sizeof by_count[1], "arr_%zu", k);
    const struct tensor *given = tensor_set_find(noise->file, draw->who);
    for (int i = 0; i < 2 && !given; i++) given = tensor_set_find(noise->file, by_count[i]);
    tensor_show_shape(draw->tensor, expected, sizeof expected);
    if (!given)
        return error_input(error, "%s: no tensor is named %s, %s or %s, of shape %s", noise->path, draw->who,
            by_count[0], by_count[1], expected);
    if (!dtype_is_float(given->dtype) || !tensor_same_shape(given, draw->tensor))
        return error_input(error, "%s: expected noise of shape %s for %s, got %s %s", noise->path, expected,
            draw->who, dtype_name(given->dtype), tensor_show_shape(given, got, sizeof got));
    for (size_t i = 0; i < tensor_count(given); i++) {
        numbers[i] = tensor_get_double(given, i);
        if (!isfinite(numbers[i]))
            return error_input(error, "%s: %s: element %zu: expected a finite number, got %f", noise->path,
                draw->who, i, numbers[i]);
    }
    return note(noise, draw, "file", dtype_name(given->dtype), false, error);
}

/* The generators' next draw; `numbers` may be NULL. */
static enum status generate(struct noise *noise, size_t count, double *numbers, struct error *error)
{
    const size_t each = count / noise->num_seeds;
    float *drawn = malloc((each ? each : 1) * sizeof *drawn);
    if (!drawn) return error_memory(error, each * sizeof *drawn);
    for (size_t i = 0; i < noise->num_seeds; i++) {
        generator_normal_f32(noise->generators[i], drawn, each);
        for (size_t k = 0; numbers && k < each; k++) numbers[i * each + k] = (double)drawn[k];
    }
    free(drawn);
    return STATUS_OK;
}

enum status noise_next(
    struct noise *noise, const struct noise_draw *draw, double *numbers, struct error *error)
{
    if (noise->file) return read_draw(noise, draw, numbers, error);
    if (!noise->num_seeds) return error_input(error, "%s: there is no seed to draw it with", draw->who);
    const size_t count = tensor_count(draw->tensor);
    enum status status = generate(noise, count, numbers, error);
    if (status != STATUS_OK) return status;
    const char *type = type_of_draw(noise, count / noise->num_seeds);
    return note(noise, draw, generator_name(noise->kind), type, true, error);
}

enum status noise_skip(struct noise *noise, const struct noise_draw *draw, struct error *error)
{
    enum status status = STATUS_OK;
    if (!noise->file && noise->num_seeds) status = generate(noise, tensor_count(draw->tensor), NULL, error);
    return status == STATUS_OK ? noise_note(noise, draw, "recorded", error) : status;
}
