#include "real.h"

#include "custom_schedule.h"
#include "solver.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `_semantics`, which is no option of diffusers': "diffusers" or "documented". */
static enum status read_semantics(const cJSON *config, enum semantics *semantics, struct error *error)
{
    const char *name = "diffusers";
    enum status status = json_get_string(config, "_semantics", &name, NULL, error);
    if (status != STATUS_OK) return status;
    if (strcmp(name, "documented") == 0)
        *semantics = SEMANTICS_DOCUMENTED;
    else if (strcmp(name, "diffusers") != 0)
        return option_refuse("_semantics", name, "\"diffusers\" or \"documented\"", error);
    return STATUS_OK;
}

enum status scheduler_create(
    const cJSON *config, struct scheduler **out, struct warnings *warnings, struct error *error)
{
    *out = NULL;
    const struct solver *solver = NULL;
    enum status status = scheduler_class_of_config(config, &solver, error);
    if (status != STATUS_OK) return status;

    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (!scheduler) return error_memory(error, sizeof *scheduler);
    scheduler->solver = solver;
    scheduler->init_noise_sigma = 1;
    scheduler->step_index = scheduler->begin_index = -1;
    if (solver->state_size) {
        scheduler->state = calloc(1, solver->state_size);
        if (!scheduler->state) status = error_memory(error, solver->state_size);
    }
    if (status == STATUS_OK) status = read_semantics(config, &scheduler->semantics, error);
    if (status == STATUS_OK)
        status = config_read(config, solver->class_name, solver->options, solver->config_size,
            &scheduler->config, warnings, error);
    if (status == STATUS_OK) {
        scheduler->num_train_timesteps = scheduler->config->num_train_timesteps;
        status = solver->create(scheduler, warnings, error);
    }
    if (status != STATUS_OK) {
        scheduler_free(scheduler);
        return status;
    }
    *out = scheduler;
    return STATUS_OK;
}

void scheduler_clear_state(struct scheduler *scheduler)
{
    struct state_memory memory[MAX_STATE_MEMORY];
    if (!scheduler->state || !scheduler->solver->state_memory) return;
    size_t blocks = scheduler->solver->state_memory(scheduler->state, memory);
    for (size_t i = 0; i < blocks; i++) {
        free(*memory[i].block);
        *memory[i].block = NULL;
    }
}

size_t scheduler_memory(const struct scheduler *scheduler)
{
    struct state_memory memory[MAX_STATE_MEMORY];
    size_t bytes = 0, blocks = 0;
    if (scheduler->solver->state_memory) blocks = scheduler->solver->state_memory(scheduler->state, memory);
    for (size_t i = 0; i < blocks; i++)
        if (*memory[i].block) bytes += memory[i].bytes;
    return bytes;
}

void scheduler_free(struct scheduler *scheduler)
{
    if (!scheduler) return;
    scheduler_clear_state(scheduler);
    free(scheduler->state);
    config_free(scheduler->config, scheduler->solver->options);
    free(scheduler->betas);
    free(scheduler->alphas);
    free(scheduler->alphas_cumprod);
    free(scheduler->timesteps);
    free(scheduler->sigmas);
    free(scheduler->noise_seeds);
    free(scheduler);
}

/* The arguments that this class's set_timesteps does not have, and numbers that no class can use. */
static enum status check_request(
    const struct solver *solver, const struct schedule_request *request, struct error *error)
{
    const char *name = solver->class_name;
    if (request->timesteps && !solver->takes_timesteps)
        return error_input(error, "timesteps: %s takes no custom timesteps, only num_inference_steps", name);
    if (request->sigmas && !solver->takes_sigmas)
        return error_input(error, "sigmas: %s takes no custom sigmas%s", name,
            solver->takes_timesteps ? ", only num_inference_steps or timesteps"
                                    : ", only num_inference_steps");
    if (request->has_mu && !solver->takes_mu) return error_input(error, "mu: %s does not have it", name);
    if ((request->has_strength || request->has_original_inference_steps) && !solver->takes_strength)
        return error_input(error, "%s: %s does not have it",
            request->has_strength ? "strength" : "original_inference_steps", name);
    if (request->has_sampling_eps && !solver->takes_sampling_eps)
        return error_input(error, "sampling_eps: %s does not have it", name);
    if (!request->has_num_inference_steps && !solver->takes_timesteps && !solver->takes_sigmas)
        return error_input(error, "num_inference_steps: missing; %s needs it", name);
    if (request->has_num_inference_steps &&
        (request->num_inference_steps < 0 || request->num_inference_steps > MAX_INFERENCE_STEPS))
        return error_input(error, "num_inference_steps: expected a count of steps up to %d, got %d",
            MAX_INFERENCE_STEPS, request->num_inference_steps);
    for (size_t i = 0; request->timesteps && i < request->num_timesteps; i++)
        if (!isfinite(request->timesteps[i]) || fabs(request->timesteps[i]) > INT32_MAX)
            return error_input(error, "timesteps[%zu]: expected a timestep of the schedule, got %g", i,
                request->timesteps[i]);
    for (size_t i = 0; request->sigmas && i < request->num_sigmas; i++)
        if (!isfinite(request->sigmas[i]))
            return error_input(error, "sigmas[%zu]: expected a finite number, got %g", i, request->sigmas[i]);
    if (request->has_mu && !isfinite(request->mu))
        return error_input(error, "mu: expected a finite number, got %g", request->mu);
    if (request->has_strength && !isfinite(request->strength))
        return error_input(error, "strength: expected a finite number, got %g", request->strength);
    if (request->has_sampling_eps && !isfinite(request->sampling_eps))
        return error_input(error, "sampling_eps: expected a finite number, got %g", request->sampling_eps);
    return STATUS_OK;
}

/* Options that no model was trained with end in sigmas, and so in timesteps, that are no numbers: betas that
 * are no variances, shifts of a flow that divide by 0. */
static enum status refuse_entry(
    const struct scheduler *scheduler, const char *list, size_t i, double value, struct error *error)
{
    char shown[32];
    const char *what = isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity";
    const char *question = "are sigma_min and sigma_max those of a model";
    if (scheduler->solver->flow) question = "are shift and mu above 0";
    if (scheduler->num_betas > 0)
        question = "are its betas between 0 and 1, and small enough to leave something of the data";
    if (isfinite(value)) {
        snprintf(shown, sizeof shown, "%g", value);
        what = shown;
    }
    return error_input(error, "%s[%zu]: expected a number%s, got %s from this noise schedule; %s?", list, i,
        isfinite(value) ? " that is not negative" : "", what, question);
}

/* A sigma may be below 0 by rounding, as 1 - sigma of a flow is at its end, or where the caller has it so. */
static bool may_be_sigma(double sigma, const struct schedule_request *request)
{
    if (!isfinite(sigma)) return false;
    if (sigma >= -1e-6) return true;
    for (size_t i = 0; request->sigmas && i < request->num_sigmas; i++)
        if (request->sigmas[i] < 0) return true;
    return false;
}

static enum status check_lists(
    const struct scheduler *scheduler, const struct schedule_request *request, struct error *error)
{
    const bool undefined = scheduler->solver->undefined_timesteps;
    for (size_t i = 0; i < scheduler->num_timesteps; i++)
        if (isinf(scheduler->timesteps[i]) || (isnan(scheduler->timesteps[i]) && !undefined))
            return refuse_entry(scheduler, "timesteps", i, scheduler->timesteps[i], error);
    for (size_t i = 0; scheduler->sigmas && i < scheduler->num_sigmas; i++)
        if (!may_be_sigma((double)scheduler->sigmas[i], request))
            return refuse_entry(scheduler, "sigmas", i, (double)scheduler->sigmas[i], error);
    return STATUS_OK;
}

enum status scheduler_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error)
{
    enum status status = check_request(scheduler->solver, request, error);
    if (status != STATUS_OK) return status;
    scheduler->timesteps_are_set = false;
    status = scheduler->solver->set_timesteps(scheduler, request, warnings, error);
    if (status == STATUS_OK) status = check_lists(scheduler, request, error);
    if (status != STATUS_OK) return status;
    scheduler->timesteps_are_set = true;
    scheduler->step_index = scheduler->begin_index = -1;
    scheduler->step_order = 0;
    warn_of_custom_schedule(scheduler, request, warnings);
    return STATUS_OK;
}

void scheduler_set_begin_index(struct scheduler *scheduler, int begin_index)
{
    scheduler->begin_index = begin_index;
}

enum status scheduler_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error)
{
    if (scheduler->solver->scale_model_input)
        return scheduler->solver->scale_model_input(scheduler, timestep, sample, n, model_input, error);
    if (model_input != sample) memcpy(model_input, sample, n * sizeof *sample);
    return STATUS_OK;
}

/* The options with the class's defaults in the place of what is not given. */
static struct step_options options_of_step(
    const struct scheduler *scheduler, const struct step_options *options)
{
    struct step_options whole = *options;
    if (isnan(whole.eta)) whole.eta = scheduler->solver->default_eta;
    return whole;
}

bool scheduler_needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    const struct step_options whole = options_of_step(scheduler, options);
    return scheduler->solver->needs_noise && scheduler->solver->needs_noise(scheduler, timestep, &whole);
}

/* What a step and a correction have to be given. */
static enum status check_step(
    const struct scheduler *scheduler, const struct step_input *input, struct error *error)
{
    const struct solver *solver = scheduler->solver;
    if (!scheduler->timesteps_are_set && !solver->steps_unset)
        return error_input(error, "num_inference_steps: not set; set_timesteps comes before the first step");
    if (input->batch == 0 || input->sample_size == 0 || input->sample_size > SIZE_MAX / input->batch / 16)
        return error_input(error, "expected a sample of one picture or more, got %zu pictures of %zu numbers",
            input->batch, input->sample_size);
    bool with_variance = solver->takes_variance && input->model_output_size == 2 * input->sample_size;
    if (input->model_output_size != input->sample_size && !with_variance)
        return error_input(error, "model_output: expected %zu numbers a picture%s, got %zu",
            input->sample_size, solver->takes_variance ? ", or twice as many with a predicted variance" : "",
            input->model_output_size);
    return STATUS_OK;
}

/* The solver's step. A solver whose order changes from step to step sets it. */
static enum status take_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    const int order_before = scheduler->step_order;
    scheduler->step_order = 1;
    enum status status = scheduler->solver->step(scheduler, input, prev_sample, pred_original_sample, error);
    if (status != STATUS_OK) scheduler->step_order = order_before;
    return status;
}

enum status scheduler_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error)
{
    const struct solver *solver = scheduler->solver;
    enum status status = check_step(scheduler, input, error);
    if (status != STATUS_OK) return status;
    struct step_input whole = *input;
    whole.options = options_of_step(scheduler, &input->options);
    if (input->noise || !scheduler_needs_noise(scheduler, input->timestep, &input->options))
        return take_step(scheduler, &whole, prev_sample, pred_original_sample, error);
    if (!solver->make_noise)
        return error_input(error, "noise: missing; this step of %s draws", solver->class_name);

    real *noise = malloc(input->batch * input->sample_size * sizeof *noise);
    if (!noise) return error_memory(error, input->batch * input->sample_size * sizeof *noise);
    whole.noise = noise;
    status = scheduler_make_noise(scheduler, input->timestep, input->batch, input->sample_size, noise, error);
    if (status == STATUS_OK) status = take_step(scheduler, &whole, prev_sample, pred_original_sample, error);
    free(noise);
    return status;
}

bool scheduler_makes_noise(const struct scheduler *scheduler)
{
    return scheduler->solver->make_noise != NULL;
}

enum status scheduler_seed_noise(
    struct scheduler *scheduler, const uint64_t *seeds, size_t count, struct error *error)
{
    if (count > SIZE_MAX / sizeof(uint64_t)) return error_memory(error, SIZE_MAX);
    uint64_t *copy = malloc((count ? count : 1) * sizeof *copy);
    if (!copy) return error_memory(error, count * sizeof *copy);
    for (size_t i = 0; i < count; i++) copy[i] = seeds[i];
    free(scheduler->noise_seeds);
    scheduler->noise_seeds = copy;
    scheduler->num_noise_seeds = count;
    return STATUS_OK;
}

enum status scheduler_make_noise(struct scheduler *scheduler, double timestep, size_t batch,
    size_t sample_size, real *noise, struct error *error)
{
    if (!scheduler->solver->make_noise)
        return error_input(
            error, "noise: %s makes none; it takes the run's generator's", scheduler_name(scheduler));
    return scheduler->solver->make_noise(scheduler, timestep, batch, sample_size, noise, error);
}

int scheduler_correct_steps(const struct scheduler *scheduler)
{
    return scheduler->solver->correct_steps ? scheduler->solver->correct_steps(scheduler) : 0;
}

enum status scheduler_correct(
    struct scheduler *scheduler, const struct step_input *input, real *prev_sample, struct error *error)
{
    if (!scheduler->solver->correct)
        return error_input(error, "step_correct: %s does not have it", scheduler_name(scheduler));
    enum status status = check_step(scheduler, input, error);
    if (status != STATUS_OK) return status;
    if (!input->noise) return error_input(error, "noise: missing; a correction draws");
    return scheduler->solver->correct(scheduler, input, prev_sample, error);
}

bool scheduler_has_step(const struct scheduler *scheduler)
{
    return !scheduler->solver->lacks_step;
}

enum status scheduler_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error)
{
    if (!scheduler->solver->add_noise)
        return error_input(error, "add_noise: %s does not have it", scheduler_name(scheduler));
    return scheduler->solver->add_noise(
        scheduler, original_samples, noise, timesteps, batch, sample_size, noisy_samples, error);
}

bool scheduler_has_velocity(const struct scheduler *scheduler)
{
    return scheduler->solver->get_velocity != NULL;
}

enum status scheduler_get_velocity(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *velocity,
    struct error *error)
{
    if (!scheduler_has_velocity(scheduler))
        return error_input(error, "get_velocity: %s does not have it", scheduler_name(scheduler));
    return scheduler->solver->get_velocity(
        scheduler, original_samples, noise, timesteps, batch, sample_size, velocity, error);
}

const char *scheduler_name(const struct scheduler *scheduler)
{
    return scheduler->solver->class_name;
}

void scheduler_take_timesteps(
    struct scheduler *scheduler, double *timesteps, size_t count, enum timestep_dtype dtype)
{
    free(scheduler->timesteps);
    scheduler->timesteps = timesteps;
    scheduler->num_timesteps = count;
    scheduler->timestep_dtype = dtype;
}

void scheduler_take_betas(struct scheduler *scheduler, real *betas, real *alphas, size_t count)
{
    free(scheduler->betas);
    free(scheduler->alphas);
    scheduler->betas = betas;
    scheduler->alphas = alphas;
    scheduler->num_betas = count;
}

void scheduler_take_sigmas(struct scheduler *scheduler, real *sigmas, size_t count)
{
    free(scheduler->sigmas);
    scheduler->sigmas = sigmas;
    scheduler->num_sigmas = count;
}

size_t scheduler_shown_tables(const struct scheduler *scheduler, struct shown_table *tables)
{
    return scheduler->solver->shown_tables ? scheduler->solver->shown_tables(scheduler, tables) : 0;
}

const real *scheduler_corrected_sample(const struct scheduler *scheduler)
{
    return scheduler->solver->corrected_sample ? scheduler->solver->corrected_sample(scheduler) : NULL;
}

const char *scheduler_second_output(const struct scheduler *scheduler)
{
    const char *name = scheduler->solver->second_output;
    return name ? name : "pred_original_sample";
}

bool scheduler_has_float32_sample(const struct scheduler *scheduler)
{
    return scheduler->solver->float32_sample;
}

bool scheduler_has_float32_noise(const struct scheduler *scheduler)
{
    return scheduler->solver->float32_noise;
}

bool scheduler_takes_eta(const struct scheduler *scheduler)
{
    return scheduler->solver->takes_eta;
}

bool scheduler_class_has_option(const char *class_name, const char *option)
{
    const struct solver *solver = scheduler_class_solver(class_name);
    for (size_t table = 0; solver && table < MAX_OPTION_TABLES && solver->options[table].rows; table++)
        for (size_t row = 0; row < solver->options[table].count; row++)
            if (strcmp(solver->options[table].rows[row].name, option) == 0) return true;
    return false;
}
