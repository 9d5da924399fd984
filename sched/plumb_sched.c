#include "plumb_sched.h"

#include "checksum.h"
#include "generator.h"
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plumb_scheduler {
    enum plumb_arithmetic arithmetic;
    const struct library *library;
    void *scheduler; /* a struct scheduler of the arithmetic */
    struct step_options options;
    struct warnings warnings;
    struct error error;
};

const char *plumb_sched_version(void)
{
    return PLUMB_SCHED_VERSION;
}

size_t plumb_scheduler_class_count(void)
{
    return scheduler_class_count();
}

const char *plumb_scheduler_class_name(size_t i)
{
    return scheduler_class_name(i);
}

/* --- Making and freeing ------------------------------------------------------------------- */

static void tell(char *message, const struct error *error)
{
    if (message) snprintf(message, PLUMB_MESSAGE_SIZE, "%s", error->message);
}

static const struct library *library_of(enum plumb_arithmetic arithmetic)
{
    return arithmetic == PLUMB_F64 ? &library_f64 : &library_f32;
}

/* Parses `text`, named `what` in errors. */
static enum status parse(const char *text, const char *what, cJSON **json, struct error *error)
{
    if (!text) return error_input(error, "%s: expected JSON text, got NULL", what);
    return json_parse(text, strlen(text), what, json, error);
}

static plumb_scheduler *new_scheduler(enum plumb_arithmetic arithmetic, struct error *error)
{
    plumb_scheduler *s = calloc(1, sizeof *s);
    if (!s) {
        error_memory(error, sizeof *s);
        return NULL;
    }
    s->arithmetic = arithmetic;
    s->library = library_of(arithmetic);
    s->options = STEP_OPTIONS_DEFAULT;
    return s;
}

plumb_scheduler *plumb_scheduler_create(
    const char *config, enum plumb_arithmetic arithmetic, char message[PLUMB_MESSAGE_SIZE])
{
    struct error error = {""};
    cJSON *json = NULL;
    plumb_scheduler *s = new_scheduler(arithmetic, &error);
    enum status status = s ? STATUS_OK : STATUS_MACHINE;
    if (status == STATUS_OK) status = parse(config, "config", &json, &error);
    if (status == STATUS_OK) status = s->library->create(json, &s->scheduler, &s->warnings, &error);
    cJSON_Delete(json);
    if (status == STATUS_OK) return s;
    tell(message, &error);
    plumb_scheduler_free(s);
    return NULL;
}

void plumb_scheduler_free(plumb_scheduler *s)
{
    if (!s) return;
    if (s->scheduler) s->library->free(s->scheduler);
    warnings_free(&s->warnings);
    free(s);
}

const char *plumb_scheduler_message(const plumb_scheduler *s)
{
    return s->error.message;
}

size_t plumb_scheduler_warning_count(const plumb_scheduler *s)
{
    return s->warnings.count;
}

const char *plumb_scheduler_warning(const plumb_scheduler *s, size_t i)
{
    return i < s->warnings.count ? s->warnings.items[i] : NULL;
}

/* --- The schedule ------------------------------------------------------------------------- */

/* The statuses of the library are those of the sampler. */
static enum plumb_status result(enum status status)
{
    return (enum plumb_status)status;
}

/* Parses `arguments`, which must be an object. */
static enum status parse_arguments(plumb_scheduler *s, const char *arguments, cJSON **json)
{
    enum status status = parse(arguments, "arguments", json, &s->error);
    if (status == STATUS_OK && !cJSON_IsObject(*json)) {
        cJSON_Delete(*json);
        *json = NULL;
        status = error_input(&s->error, "arguments: expected an object, got %.80s", arguments);
    }
    return status;
}

enum plumb_status plumb_scheduler_set_timesteps(plumb_scheduler *s, const char *arguments)
{
    cJSON *json = NULL;
    struct owned_request owned = {0};
    enum status status = parse_arguments(s, arguments, &json);
    if (status == STATUS_OK) status = schedule_request_read(json, &owned, &s->error);
    if (status == STATUS_OK)
        status = s->library->set_timesteps(s->scheduler, &owned.request, &s->warnings, &s->error);
    schedule_request_free(&owned);
    cJSON_Delete(json);
    return result(status);
}

enum plumb_status plumb_scheduler_set_step_arguments(plumb_scheduler *s, const char *arguments)
{
    cJSON *json = NULL;
    struct step_options options;
    enum status status = parse_arguments(s, arguments, &json);
    if (status == STATUS_OK) status = step_options_read(json, &options, &s->error);
    if (status == STATUS_OK) s->options = options;
    cJSON_Delete(json);
    return result(status);
}

void plumb_scheduler_set_begin_index(plumb_scheduler *s, int begin_index)
{
    s->library->set_begin_index(s->scheduler, begin_index);
}

size_t plumb_scheduler_count(const plumb_scheduler *s)
{
    return s->library->count(s->scheduler);
}

const double *plumb_scheduler_timesteps(const plumb_scheduler *s)
{
    return s->library->timesteps(s->scheduler);
}

size_t plumb_scheduler_sigma_count(const plumb_scheduler *s)
{
    return s->library->sigma_count(s->scheduler);
}

double plumb_scheduler_sigma(const plumb_scheduler *s, size_t i)
{
    return s->library->sigma(s->scheduler, i);
}

double plumb_scheduler_init_noise_sigma(const plumb_scheduler *s)
{
    return s->library->init_noise_sigma(s->scheduler);
}

/* --- Steps -------------------------------------------------------------------------------- */

enum plumb_status plumb_scheduler_scale_model_input(
    plumb_scheduler *s, double timestep, const void *sample, size_t n, void *model_input)
{
    if (!sample || !model_input)
        return result(error_input(&s->error, "scale_model_input: expected sample and model_input, got NULL"));
    return result(s->library->scale_model_input(s->scheduler, timestep, sample, n, model_input, &s->error));
}

int plumb_scheduler_needs_noise(plumb_scheduler *s, double timestep)
{
    return s->library->needs_noise(s->scheduler, timestep, &s->options);
}

int plumb_scheduler_makes_noise(const plumb_scheduler *s)
{
    return s->library->makes_noise(s->scheduler);
}

enum plumb_status plumb_scheduler_seed_noise(plumb_scheduler *s, const uint64_t *seeds, size_t count)
{
    if (count && !seeds)
        return result(error_input(&s->error, "seeds: expected %zu of them, got NULL", count));
    return result(s->library->seed_noise(s->scheduler, seeds, count, &s->error));
}

static enum status check_arrays(const struct plumb_step *step, const void *prev_sample, struct error *error)
{
    if (step && step->model_output && step->sample && prev_sample) return STATUS_OK;
    return error_input(error, "step: expected model_output, sample and prev_sample, got NULL");
}

enum plumb_status plumb_scheduler_step(
    plumb_scheduler *s, const struct plumb_step *step, void *prev_sample, void *pred_original_sample)
{
    const enum status status = check_arrays(step, prev_sample, &s->error);
    if (status != STATUS_OK) return result(status);
    return result(
        s->library->step(s->scheduler, step, &s->options, prev_sample, pred_original_sample, &s->error));
}

int plumb_scheduler_correct_steps(const plumb_scheduler *s)
{
    return s->library->correct_steps(s->scheduler);
}

enum plumb_status plumb_scheduler_correct(
    plumb_scheduler *s, const struct plumb_step *step, void *prev_sample)
{
    const enum status status = check_arrays(step, prev_sample, &s->error);
    if (status != STATUS_OK) return result(status);
    return result(s->library->correct(s->scheduler, step, prev_sample, &s->error));
}

enum plumb_status plumb_scheduler_add_noise(plumb_scheduler *s, const void *original_samples,
    const void *noise, const double *timesteps, size_t batch, size_t sample_size, void *noisy_samples)
{
    if (!original_samples || !noise || !timesteps || !noisy_samples)
        return result(error_input(
            &s->error, "add_noise: expected original_samples, noise, timesteps and noisy_samples, got NULL"));
    return result(s->library->add_noise(
        s->scheduler, original_samples, noise, timesteps, batch, sample_size, noisy_samples, &s->error));
}

/* --- Branching, stopping and going on ----------------------------------------------------- */

/* What stands in front of what the sampler saves. */
struct saved {
    enum plumb_arithmetic arithmetic;
    struct step_options options;
    uint64_t checksum; /* of this struct with 0 in this place */
};

size_t plumb_scheduler_save(plumb_scheduler *s, void *bytes, size_t capacity)
{
    unsigned char *inner = NULL;
    size_t size = 0;
    if (s->library->save(s->scheduler, &inner, &size, &s->error) != STATUS_OK) return 0;
    struct saved front;
    memset(&front, 0, sizeof front); /* with what lies between the members */
    front.arithmetic = s->arithmetic;
    front.options = s->options;
    front.checksum = checksum_of(&front, sizeof front);
    if (!bytes) capacity = 0;
    const size_t front_room = capacity < sizeof front ? capacity : sizeof front;
    const size_t room = capacity - front_room;
    if (front_room) memcpy(bytes, &front, front_room);
    if (room) memcpy((unsigned char *)bytes + sizeof front, inner, room < size ? room : size);
    free(inner);
    return sizeof front + size;
}

plumb_scheduler *plumb_scheduler_restore(const void *bytes, size_t size, char message[PLUMB_MESSAGE_SIZE])
{
    struct error error = {""};
    struct saved front;
    plumb_scheduler *s = NULL;
    if (!bytes || size < sizeof front) {
        error_input(&error, "saved scheduler: cut short");
        tell(message, &error);
        return NULL;
    }
    memcpy(&front, bytes, sizeof front);
    const uint64_t sum = front.checksum;
    front.checksum = 0;
    if (sum != checksum_of(&front, sizeof front)) {
        error_input(&error, "saved scheduler: damaged, or not of this version");
        tell(message, &error);
        return NULL;
    }
    s = new_scheduler(front.arithmetic, &error);
    enum status status = s ? STATUS_OK : STATUS_MACHINE;
    if (status == STATUS_OK)
        status = s->library->restore(
            (const unsigned char *)bytes + sizeof front, size - sizeof front, &s->scheduler, &error);
    if (status != STATUS_OK) {
        tell(message, &error);
        plumb_scheduler_free(s);
        return NULL;
    }
    s->options = front.options;
    return s;
}

plumb_scheduler *plumb_scheduler_copy(const plumb_scheduler *s)
{
    plumb_scheduler *copy = new_scheduler(s->arithmetic, NULL);
    if (!copy || s->library->copy(s->scheduler, &copy->scheduler, NULL) != STATUS_OK) {
        plumb_scheduler_free(copy);
        return NULL;
    }
    copy->options = s->options;
    return copy;
}

/* --- Guidance and generators -------------------------------------------------------------- */

void plumb_guidance(enum plumb_arithmetic arithmetic, const void *uncond, const void *text, size_t batch,
    size_t n, double scale, double rescale, void *out)
{
    library_of(arithmetic)->guide(uncond, text, batch, n, scale, rescale, out);
}

struct plumb_generator {
    struct generator *generator;
};

plumb_generator *plumb_generator_create(const char *name, const char *seed, char message[PLUMB_MESSAGE_SIZE])
{
    struct error error = {""};
    enum generator_kind kind = name ? generator_kind_of(name) : GENERATOR_KINDS;
    plumb_generator *g = NULL;
    enum status status = STATUS_OK;
    if (kind == GENERATOR_KINDS)
        status = error_input(&error, "no generator is called \"%.60s\"", name ? name : "NULL");
    if (status == STATUS_OK && !seed) status = error_input(&error, "seed: expected an integer, got NULL");
    if (status == STATUS_OK && !(g = calloc(1, sizeof *g))) status = error_memory(&error, sizeof *g);
    if (status == STATUS_OK) status = generator_create(kind, seed, &g->generator, &error);
    if (status == STATUS_OK) return g;
    tell(message, &error);
    free(g);
    return NULL;
}

void plumb_generator_free(plumb_generator *g)
{
    if (!g) return;
    generator_free(g->generator);
    free(g);
}

void plumb_generator_normal_f32(plumb_generator *g, float *out, size_t n)
{
    generator_normal_f32(g->generator, out, n);
}

void plumb_generator_normal_f64(plumb_generator *g, double *out, size_t n)
{
    generator_normal_f64(g->generator, out, n);
}
