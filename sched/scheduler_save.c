/*
 * The layout, in the machine's own order of bytes: a header, the config as JSON text, the numbers of the
 * schedule, the solver's state with its pointers cleared, each block that the state owns, and a checksum of
 * all that (FNV-1a, 64 bits).
 */
#include "real.h"
#include "scheduler_save.h"
#include "checksum.h"
#include "solver.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Changes with the layout below and with that of any solver's state. */
static const char magic[16] = "plumb-sched-3";

struct header {
    char magic[16];
    uint64_t size_of_real, config_length;
    uint64_t num_timesteps, num_sigmas, num_noise_seeds, state_size;
    uint64_t num_betas; /* 0 where the constructor makes them */
    double init_noise_sigma;
    int32_t init_noise_sigma_is_f32, semantics, timestep_dtype, timesteps_are_set;
    int32_t num_inference_steps, step_index, begin_index, step_order;
};

/* --- Bytes -------------------------------------------------------------------------------- */

struct writer {
    unsigned char *bytes;
    size_t size, capacity;
    enum status status;
};

static void put(struct writer *w, const void *data, size_t size)
{
    if (w->status != STATUS_OK || size == 0) return;
    if (size > w->capacity - w->size) {
        size_t capacity = 2 * (w->size + size);
        unsigned char *larger = realloc(w->bytes, capacity);
        if (!larger) {
            w->status = STATUS_MACHINE;
            return;
        }
        w->bytes = larger;
        w->capacity = capacity;
    }
    memcpy(w->bytes + w->size, data, size);
    w->size += size;
}

struct reader {
    const unsigned char *bytes;
    size_t left;
};

/* Copies the next `size` bytes out; false where there are fewer. */
static bool take(struct reader *r, void *data, uint64_t size)
{
    if (size > r->left) return false;
    if (size) memcpy(data, r->bytes, size);
    r->bytes += size;
    r->left -= size;
    return true;
}

/* As take(), into new memory; `*data` is NULL where `size` is 0. */
static enum status take_new(struct reader *r, void **data, uint64_t size, struct error *error)
{
    *data = NULL;
    if (size > r->left) return error_input(error, "saved scheduler: cut short");
    if (size == 0) return STATUS_OK;
    *data = malloc(size);
    if (!*data) return error_memory(error, size);
    (void)take(r, *data, size);
    return STATUS_OK;
}

/* --- Saving ------------------------------------------------------------------------------- */

/* The state with its pointers cleared, then each block behind a count of its bytes, 0 for one that is not
 * there. */
static enum status put_state(struct writer *w, const struct scheduler *scheduler, struct error *error)
{
    const struct solver *solver = scheduler->solver;
    if (!solver->state_size) return STATUS_OK;
    void *state = malloc(solver->state_size);
    if (!state) return error_memory(error, solver->state_size);
    memcpy(state, scheduler->state, solver->state_size);
    struct state_memory memory[MAX_STATE_MEMORY];
    void *blocks[MAX_STATE_MEMORY] = {0};
    size_t count = solver->state_memory ? solver->state_memory(state, memory) : 0;
    for (size_t i = 0; i < count; i++) {
        blocks[i] = *memory[i].block;
        *memory[i].block = NULL;
    }
    put(w, state, solver->state_size);
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = blocks[i] ? memory[i].bytes : 0;
        put(w, &bytes, sizeof bytes);
        put(w, blocks[i], bytes);
    }
    free(state);
    return STATUS_OK;
}

enum status scheduler_save(
    const struct scheduler *scheduler, unsigned char **bytes, size_t *size, struct error *error)
{
    const struct solver *solver = scheduler->solver;
    *bytes = NULL;
    *size = 0;
    char *config = NULL;
    enum status status = config_write(scheduler->config, solver->class_name, solver->options, &config, error);
    if (status != STATUS_OK) return status;

    struct header header = {
        .size_of_real = sizeof(real),
        .config_length = strlen(config),
        .num_timesteps = scheduler->num_timesteps,
        .num_sigmas = scheduler->num_sigmas,
        .num_noise_seeds = scheduler->num_noise_seeds,
        .state_size = solver->state_size,
        .num_betas = solver->makes_betas ? scheduler->num_betas : 0,
        .init_noise_sigma = scheduler->init_noise_sigma,
        .init_noise_sigma_is_f32 = scheduler->init_noise_sigma_is_f32,
        .semantics = (int32_t)scheduler->semantics,
        .timestep_dtype = (int32_t)scheduler->timestep_dtype,
        .timesteps_are_set = scheduler->timesteps_are_set,
        .num_inference_steps = scheduler->num_inference_steps,
        .step_index = scheduler->step_index,
        .begin_index = scheduler->begin_index,
        .step_order = scheduler->step_order,
    };
    memcpy(header.magic, magic, sizeof magic);
    struct writer w = {.status = STATUS_OK};
    put(&w, &header, sizeof header);
    put(&w, config, header.config_length);
    put(&w, scheduler->timesteps, scheduler->num_timesteps * sizeof *scheduler->timesteps);
    put(&w, scheduler->sigmas, scheduler->num_sigmas * sizeof *scheduler->sigmas);
    put(&w, scheduler->betas, header.num_betas * sizeof *scheduler->betas);
    put(&w, scheduler->alphas, header.num_betas * sizeof *scheduler->alphas);
    put(&w, scheduler->noise_seeds, scheduler->num_noise_seeds * sizeof *scheduler->noise_seeds);
    status = put_state(&w, scheduler, error);
    uint64_t sum = checksum_of(w.bytes, w.size);
    put(&w, &sum, sizeof sum);
    if (status == STATUS_OK && w.status != STATUS_OK) status = error_memory(error, w.capacity);
    free(config);
    if (status != STATUS_OK) {
        free(w.bytes);
        return status;
    }
    *bytes = w.bytes;
    *size = w.size;
    return STATUS_OK;
}

/* --- Restoring ---------------------------------------------------------------------------- */

static enum status take_header(struct reader *r, struct header *header, struct error *error)
{
    if (r->left < sizeof *header + sizeof(uint64_t))
        return error_input(error, "saved scheduler: expected at least %zu bytes, got %zu",
            sizeof *header + sizeof(uint64_t), r->left);
    uint64_t sum;
    memcpy(&sum, r->bytes + r->left - sizeof sum, sizeof sum);
    memcpy(header, r->bytes, sizeof *header);
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return error_input(error, "saved scheduler: not a scheduler that this version saved");
    if (sum != checksum_of(r->bytes, r->left - sizeof sum))
        return error_input(error, "saved scheduler: damaged, or cut short");
    if (header->size_of_real != sizeof(real))
        return error_input(error, "saved scheduler: of the other arithmetic (%s)",
            header->size_of_real == sizeof(float) ? "diffusers" : "f64");
    r->bytes += sizeof *header;
    r->left -= sizeof *header + sizeof sum;
    return STATUS_OK;
}

static enum status take_state(struct reader *r, struct scheduler *scheduler, struct error *error)
{
    const struct solver *solver = scheduler->solver;
    if (!solver->state_size) return STATUS_OK;
    scheduler_clear_state(scheduler);
    if (!take(r, scheduler->state, solver->state_size))
        return error_input(error, "saved scheduler: cut short");
    struct state_memory memory[MAX_STATE_MEMORY];
    size_t count = solver->state_memory ? solver->state_memory(scheduler->state, memory) : 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = 0;
        if (!take(r, &bytes, sizeof bytes) || (bytes != 0 && bytes != memory[i].bytes))
            return error_input(error, "saved scheduler: not the memory of %s", solver->class_name);
        enum status status = take_new(r, memory[i].block, bytes, error);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

static enum status take_schedule(
    struct reader *r, const struct header *header, struct scheduler *scheduler, struct error *error)
{
    void *timesteps = NULL, *sigmas = NULL, *betas = NULL, *alphas = NULL, *noise_seeds = NULL;
    enum status status = take_new(r, &timesteps, header->num_timesteps * sizeof(double), error);
    if (status == STATUS_OK) status = take_new(r, &sigmas, header->num_sigmas * sizeof(real), error);
    if (status == STATUS_OK) status = take_new(r, &betas, header->num_betas * sizeof(real), error);
    if (status == STATUS_OK) status = take_new(r, &alphas, header->num_betas * sizeof(real), error);
    if (status == STATUS_OK)
        status = take_new(r, &noise_seeds, header->num_noise_seeds * sizeof(uint64_t), error);
    if (status != STATUS_OK) {
        free(timesteps);
        free(sigmas);
        free(betas);
        free(alphas);
        return status;
    }
    if (betas) scheduler_take_betas(scheduler, betas, alphas, header->num_betas);
    scheduler_take_timesteps(
        scheduler, timesteps, header->num_timesteps, (enum timestep_dtype)header->timestep_dtype);
    scheduler_take_sigmas(scheduler, sigmas, header->num_sigmas);
    scheduler->noise_seeds = noise_seeds;
    scheduler->num_noise_seeds = header->num_noise_seeds;
    scheduler->init_noise_sigma = header->init_noise_sigma;
    scheduler->init_noise_sigma_is_f32 = header->init_noise_sigma_is_f32 != 0;
    scheduler->timesteps_are_set = header->timesteps_are_set != 0;
    scheduler->num_inference_steps = header->num_inference_steps;
    scheduler->step_index = header->step_index;
    scheduler->begin_index = header->begin_index;
    scheduler->step_order = header->step_order;
    return STATUS_OK;
}

enum status scheduler_restore(
    const unsigned char *bytes, size_t size, struct scheduler **out, struct error *error)
{
    *out = NULL;
    struct reader r = {bytes, size};
    struct header header;
    enum status status = take_header(&r, &header, error);
    if (status != STATUS_OK) return status;

    struct scheduler *scheduler = NULL;
    cJSON *config = NULL;
    void *text = NULL;
    status = take_new(&r, &text, header.config_length, error);
    if (status == STATUS_OK)
        status = json_parse(text, header.config_length, "saved scheduler", &config, error);
    if (status == STATUS_OK && header.semantics == SEMANTICS_DOCUMENTED &&
        !cJSON_AddStringToObject(config, "_semantics", "documented"))
        status = error_memory(error, sizeof(cJSON));
    if (status == STATUS_OK) status = scheduler_create(config, &scheduler, NULL, error);
    if (status == STATUS_OK && header.state_size != scheduler->solver->state_size)
        status = error_input(error, "saved scheduler: of another build");
    if (status == STATUS_OK) status = take_schedule(&r, &header, scheduler, error);
    if (status == STATUS_OK) status = take_state(&r, scheduler, error);
    cJSON_Delete(config);
    free(text);
    if (status != STATUS_OK) {
        scheduler_free(scheduler);
        return status;
    }
    *out = scheduler;
    return STATUS_OK;
}

enum status scheduler_copy(const struct scheduler *scheduler, struct scheduler **copy, struct error *error)
{
    unsigned char *bytes;
    size_t size;
    *copy = NULL;
    enum status status = scheduler_save(scheduler, &bytes, &size, error);
    if (status != STATUS_OK) return status;
    status = scheduler_restore(bytes, size, copy, error);
    free(bytes);
    return status;
}
