/*
 * What a scheduler class is to the rest of the sampler. A further class is one file that defines
 *
 *     const struct solver REAL_NAME(ddpm_solver) = {.class_name = "DDPMScheduler", ...};
 *
 * and one line, SOLVER(ddpm), in solvers.h.
 *
 * scheduler.c does what all classes have in common before it calls in: the config is read, the arguments that
 * set_timesteps does not have are refused, sizes and counts are checked, noise is there where needs_noise
 * said so.
 */
#ifndef SCHED_SOLVER_H
#define SCHED_SOLVER_H

#include "config.h"
#include "history.h"
#include "scheduler.h"

/* A block that a solver's state owns: where the state points to it (NULL in there: no block), and its
 * size. */
struct state_memory {
    void **block;
    size_t bytes;
};
enum { MAX_STATE_MEMORY = 6 };

static inline struct state_memory history_memory(struct history *history)
{
    return (struct state_memory){
        (void **)&history->memory, history->capacity * history->size * sizeof *history->memory};
}

struct solver {
    const char *class_name; /* diffusers' name, the config's _class_name */

    /* One step in a line, for readers: from x at sigma (or at t) to x' at the next, D and x_0 being the
     * predicted data, z the noise; behind it in brackets where it is from. */
    const char *equation;

    /* The options (config.h), and the size of the struct that holds them: sizeof(struct scheduler_config), or
     * of a struct that begins with one. */
    struct option_table options[MAX_OPTION_TABLES];
    size_t config_size;

    /* Which arguments set_timesteps has beside num_inference_steps; `strength` stands for itself and
     * original_inference_steps (LCM, TCD). */
    bool takes_timesteps, takes_sigmas, takes_mu, takes_strength, takes_sampling_eps;
    /* The model's output may have twice the sample's size, a variance behind the mean. */
    bool takes_variance;
    /* step() has the argument eta (DDIM, TCD), and its default; scheduler.c puts it in before it calls in. */
    bool takes_eta;
    double default_eta;
    /* Under which name diffusers returns what step() puts into `pred_original_sample`, where it is another
     * than that: "denoised" (LCM). */
    const char *second_output;
    /* A beta_schedule beside those that every class has: "sigmoid" (DDPM), "exp" (Heun). */
    const char *extra_beta_schedule;
    /* Samples are (1 - sigma) x_0 + sigma noise (a rectified flow). Other classes may be told so by an
     * option. */
    bool flow;
    /* Karras sigmas have the range of the spaced ones, and take none from a config that has options of
     * another class (LMS, DPMSolverSDE). */
    bool karras_is_as_spaced;
    /* A timestep may be no number, as it may be in diffusers (DPM2 ancestral). */
    bool undefined_timesteps;
    /* diffusers' class has step_pred() in the place of step(), so that its pipelines for text cannot run
     * it. */
    bool lacks_step;
    /* step() works on the constructor's table too, before any set_timesteps (Euler). */
    bool steps_unset;

    /* set_timesteps makes betas and alphas, and there are no alphas_cumprod (IPNDM). */
    bool makes_betas;

    /* In a model of a narrower dtype diffusers' step() takes the sample to float32, and its result back; it
     * draws its noise in float32. The others compute, and draw, in the model's dtype. */
    bool float32_sample, float32_noise;

    size_t state_size; /* bytes of zeroed memory at scheduler->state */

    /* The constructor: checks option values, makes betas to alphas_cumprod, sets init_noise_sigma and what
     * `timesteps` and `sigmas` are before set_timesteps. */
    enum status (*create)(struct scheduler *scheduler, struct warnings *warnings, struct error *error);

    /* Sets timestep_dtype, num_inference_steps, timesteps (scheduler_take_timesteps), sigmas
     * (scheduler_take_sigmas), init_noise_sigma, and puts `state` back to its beginning. On failure the
     * schedule may be whatever it was. */
    enum status (*set_timesteps)(struct scheduler *scheduler, const struct schedule_request *request,
        struct warnings *warnings, struct error *error);

    /* NULL: the model input is the sample itself. */
    enum status (*scale_model_input)(struct scheduler *scheduler, double timestep, const real *sample,
        size_t n, real *model_input, struct error *error);

    /* NULL: the class never draws. */
    bool (*needs_noise)(struct scheduler *scheduler, double timestep, const struct step_options *options);

    /* NULL: the class takes its noise from the run's generator. As scheduler_make_noise(); the seeds are
     * there or the class refuses. */
    enum status (*make_noise)(struct scheduler *scheduler, double timestep, size_t batch, size_t sample_size,
        real *noise, struct error *error);

    /* As scheduler_step(). A failed step leaves the scheduler's state as it was. */
    enum status (*step)(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
        real *pred_original_sample, struct error *error);

    /* As scheduler_shown_tables(); NULL: there are none. */
    size_t (*shown_tables)(const struct scheduler *scheduler, struct shown_table *tables);

    /* As scheduler_corrected_sample(); NULL: the class does not correct. */
    const real *(*corrected_sample)(const struct scheduler *scheduler);

    /* As scheduler_correct_steps() and scheduler_correct(); NULL: there are none. */
    int (*correct_steps)(const struct scheduler *scheduler);
    enum status (*correct)(
        struct scheduler *scheduler, const struct step_input *input, real *prev_sample, struct error *error);

    /* What the sample is at step `index`, or after the last: alpha data + sigma noise. NULL where sigmas or
     * alphas_cumprod say it. */
    void (*level_at)(const struct scheduler *scheduler, size_t index, double *alpha, double *sigma);

    /* As scheduler_add_noise(); NULL: diffusers' class has no add_noise(). */
    enum status (*add_noise)(struct scheduler *scheduler, const real *original_samples, const real *noise,
        const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error);

    /* As scheduler_get_velocity(); NULL: scheduler_has_velocity() says no. */
    enum status (*get_velocity)(struct scheduler *scheduler, const real *original_samples, const real *noise,
        const double *timesteps, size_t batch, size_t sample_size, real *velocity, struct error *error);

    /* Lists what `state` points to, at most MAX_STATE_MEMORY blocks, and returns how many; NULL where it
     * points to nothing. scheduler.c frees, copies and saves by it, so a state holds no pointer into itself
     * or into its blocks, and a block holds plain numbers. */
    size_t (*state_memory)(void *state, struct state_memory memory[MAX_STATE_MEMORY]);
};

/* Frees what the state points to, by state_memory. The state is for nothing then but to be freed or written
 * anew. */
void scheduler_clear_state(struct scheduler *scheduler);

/* The class of this name; NULL where there is none. */
#define scheduler_class_solver(...) REAL_NAME(scheduler_class_solver)(__VA_ARGS__)
const struct solver *scheduler_class_solver(const char *class_name);

/* The class that `_class_name` of a scheduler's config names. The error of an unknown one says what it is
 * instead, which class it may mean, or why Plumb does not have it. */
#define scheduler_class_of_config(...) REAL_NAME(scheduler_class_of_config)(__VA_ARGS__)
enum status scheduler_class_of_config(const cJSON *config, const struct solver **solver, struct error *error);

/* The schedule becomes the allocated list `timesteps` or `sigmas`, which the scheduler frees from now on. */
void scheduler_take_timesteps(
    struct scheduler *scheduler, double *timesteps, size_t count, enum timestep_dtype dtype);
void scheduler_take_sigmas(struct scheduler *scheduler, real *sigmas, size_t count);
/* So do betas and alphas, where set_timesteps makes them. */
void scheduler_take_betas(struct scheduler *scheduler, real *betas, real *alphas, size_t count);

#endif
