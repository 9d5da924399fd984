/*
 * The sampler, as its users see it: one object that knows a noise schedule, a list of timesteps and one
 * solver.
 *
 *     struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = 20};
 *     scheduler_create(config, &scheduler, &warnings, &error);      a whole Diffusers scheduler config
 *     scheduler_set_timesteps(scheduler, &request, &warnings, &error);
 *     sample = noise * scheduler->init_noise_sigma
 *     for each timestep t of scheduler->timesteps:
 *         scheduler_scale_model_input(scheduler, t, sample, n, model_input, &error);
 *         model_output = the model at (model_input, t)
 *         scheduler_step(scheduler, &step, prev_sample, NULL, &error);
 *
 * The solvers know no random generator: ask scheduler_needs_noise() before a step and hand the draw in.
 * (Two classes make their noise themselves: scheduler_makes_noise().)
 */
#ifndef SCHED_SCHEDULER_H
#define SCHED_SCHEDULER_H

#include "real.h"
#include "error.h"
#include "json.h"
#include "known_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct solver; /* one scheduler class: solver.h */

/* In which type Diffusers keeps `timesteps`; the values here are exact in double either way. */
enum timestep_dtype { TIMESTEP_INT64, TIMESTEP_FLOAT32, TIMESTEP_FLOAT64 };

/* What may be asked of set_timesteps; which combinations a class takes is in golden/sched_errors.json. */
struct schedule_request {
    bool has_num_inference_steps;
    int num_inference_steps;
    const double *timesteps; /* custom timesteps, NULL where not given */
    size_t num_timesteps;
    const double *sigmas; /* custom sigmas, NULL where not given */
    size_t num_sigmas;
    bool has_mu; /* dynamic shifting's argument (flow sigmas) */
    double mu;
    /* LCM, TCD: the schedule that the model was distilled on, and the share of it (from the clean end) to run
     * through. Not given: the option original_inference_steps, and 1. */
    bool has_original_inference_steps, has_strength;
    int original_inference_steps;
    double strength;
    bool has_sampling_eps; /* score-based SDEs: the last timestep, in place of the option */
    double sampling_eps;
};

/* Where diffusers' code departs from what its documentation, or the paper it cites, says: which of the two a
 * scheduler follows (sched/DEVIATIONS.md has each departure). */
enum semantics { SEMANTICS_DIFFUSERS, SEMANTICS_DOCUMENTED };

struct scheduler {
    const struct solver *solver;
    enum semantics
        semantics; /* the config's `_semantics`: "diffusers" (also where it is absent) or "documented" */
    struct scheduler_config *config; /* every option of the class, given or default: config.h */

    /* The noise schedule, num_betas entries each: num_train_timesteps, unless trained_betas has another
     * length. */
    int num_train_timesteps;
    size_t num_betas;
    real *betas, *alphas, *alphas_cumprod;
    real final_alpha_cumprod;     /* DDIM, PNDM: alpha after the last step */
    double init_noise_sigma;      /* the first latents are noise times this */
    bool init_noise_sigma_is_f32; /* as diffusers returns that of a class with sigmas; false in f64 */

    /* What set_timesteps made. */
    enum timestep_dtype timestep_dtype;
    double *timesteps;
    size_t num_timesteps;
    real *sigmas; /* NULL for the classes that have none (DDIM, PNDM) */
    size_t num_sigmas;
    int num_inference_steps; /* 0 before set_timesteps */
    bool timesteps_are_set;  /* set_timesteps has been called; `timesteps` is the constructor's otherwise */

    int step_index;  /* -1 before the first step */
    int begin_index; /* -1: found from the first timestep, as diffusers does */
    int step_order;  /* of the step taken last; 0 before the first: scheduler_step() */
    void *state;     /* the solver's own memory: earlier model outputs and so on */

    uint64_t *noise_seeds; /* scheduler_seed_noise(); NULL before */
    size_t num_noise_seeds;
};

/* Builds a scheduler from a config object with `_class_name`. Refuses what the class's constructor refuses,
 * and values of the wrong type; warns of options the class accepts but ignores. `config` is not kept. */
enum status scheduler_create(
    const cJSON *config, struct scheduler **out, struct warnings *warnings, struct error *error);
void scheduler_free(struct scheduler *scheduler); /* accepts NULL and what was half built */
/* Bytes of what its solver keeps from step to step: earlier predictions, samples, tables of its own. */
size_t scheduler_memory(const struct scheduler *scheduler);

/* Makes timesteps and sigmas of a run, and forgets the run before. Refuses what the class refuses, with the
 * request's or the option's name; the schedule is then not to be used. */
enum status scheduler_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error);

/* Without this the first step finds its index from its timestep, and of a repeated timestep takes the
 * second. */
void scheduler_set_begin_index(struct scheduler *scheduler, int begin_index);

/* What the model is given for `sample` at `timestep`: [n] in, [n] out; may be in place. */
enum status scheduler_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error);

/* The keyword arguments of Diffusers' step(); a class ignores those that it does not have. */
struct step_options {
    double eta;                    /* DDIM: 0 deterministic .. 1 DDPM; TCD: gamma. NAN: the class's default */
    bool use_clipped_model_output; /* DDIM */
    double s_churn, s_tmin, s_tmax,
        s_noise; /* Euler: stochastic churn; s_tmax is INFINITY by default, s_noise 1 */
    int order;   /* LMS: of the multistep method, 4 by default */
};
#define STEP_OPTIONS_DEFAULT                                                                                 \
    ((struct step_options){.eta = (double)NAN, .s_tmax = (double)INFINITY, .s_noise = 1, .order = 4})

struct step_input {
    double timestep;
    const real *model_output;  /* [batch, model_output_size] */
    size_t model_output_size;  /* sample_size, or 2 * sample_size where the model also predicts a variance */
    const real *sample;        /* [batch, sample_size] */
    size_t batch, sample_size; /* elements of one picture's latents: C*H*W */
    const real *noise;         /* [batch, sample_size], NULL where scheduler_needs_noise() says no, or where
                                  the class is to make its own */
    struct step_options options;
};

/* Whether the next step, at `timestep` with `options`, takes noise: normal numbers from the run's generator
 * (diffusers draws even where the coefficient is zero, and the stream must stay in step with it), or what the
 * class makes itself. */
bool scheduler_needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options);

/* Whether the class makes its noise itself and takes none from the generator: DPMSolverSDE and
 * CosineDPMSolverMultistep, on Brownian paths that seeds decide (brownian_interval.h). */
#define scheduler_makes_noise(...) REAL_NAME(scheduler_makes_noise)(__VA_ARGS__)
bool scheduler_makes_noise(const struct scheduler *scheduler);

/* The seeds of a run's generators, one, or one a picture (what diffusers asks of the generators that it is
 * given), for the classes that make their noise. They are copied, and last until others are given. */
#define scheduler_seed_noise(...) REAL_NAME(scheduler_seed_noise)(__VA_ARGS__)
enum status scheduler_seed_noise(
    struct scheduler *scheduler, const uint64_t *seeds, size_t count, struct error *error);

/* The noise that the next step, at `timestep`, makes for itself where it is handed none: [batch,
 * sample_size]. For the classes that make their noise, where scheduler_needs_noise() says yes. */
#define scheduler_make_noise(...) REAL_NAME(scheduler_make_noise)(__VA_ARGS__)
enum status scheduler_make_noise(struct scheduler *scheduler, double timestep, size_t batch,
    size_t sample_size, real *noise, struct error *error);

/* One step: from `sample` at this timestep to `prev_sample` [batch, sample_size] at the next. It leaves in
 * `step_order` of which order it was: of a multistep method the number of predictions that it combined (of a
 * predictor and corrector those of the predictor), of a method that calls the model several times a step the
 * method's order at the last call, and 1 at those before, which go to a point in between; 1 for a method of
 * order 1.
 * `pred_original_sample` is filled where the class returns one (DDIM, Euler), or what
 * scheduler_second_output() names, and the pointer is not NULL. `prev_sample` must not overlap the inputs. */
enum status scheduler_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error);

/* A table that diffusers' class shows beside betas .. sigmas, under its name there. */
struct shown_table {
    const char *name;
    enum { SHOWN_NUMBER, SHOWN_LIST, SHOWN_INTEGERS } kind; /* a number alone, or a list */
    size_t count;
    /* Entry `index` < count of this scheduler's; a `real`, or an integer, exactly. */
    double (*at)(const struct scheduler *scheduler, size_t index);
};
enum { MAX_SHOWN_TABLES = 4 };

/* Which there are for the schedule as it is: at most MAX_SHOWN_TABLES. Returns how many. */
#define scheduler_shown_tables(...) REAL_NAME(scheduler_shown_tables)(__VA_ARGS__)
size_t scheduler_shown_tables(const struct scheduler *scheduler, struct shown_table *tables);

/* Of a class that corrects the sample which a step is called with (UniPC, SASolver): that of the last step,
 * corrected, [batch, sample_size], until the next; NULL for the others, and before the first. */
#define scheduler_corrected_sample(...) REAL_NAME(scheduler_corrected_sample)(__VA_ARGS__)
const real *scheduler_corrected_sample(const struct scheduler *scheduler);

/* Predictor-corrector sampling: before each step the loop calls scheduler_correct() so many times, each with
 * a model output for the sample that it is given and always with noise. 0 for all classes but ScoreSdeVe. */
#define scheduler_correct_steps(...) REAL_NAME(scheduler_correct_steps)(__VA_ARGS__)
#define scheduler_correct(...) REAL_NAME(scheduler_correct)(__VA_ARGS__)
int scheduler_correct_steps(const struct scheduler *scheduler);
enum status scheduler_correct(
    struct scheduler *scheduler, const struct step_input *input, real *prev_sample, struct error *error);

/* The class's name. */
const char *scheduler_name(const struct scheduler *scheduler);

/* Whether diffusers' class has a step(), as its text-to-image pipelines need it; two have step_pred()
 * instead, which scheduler_step() is for them. */
#define scheduler_has_step(...) REAL_NAME(scheduler_has_step)(__VA_ARGS__)
bool scheduler_has_step(const struct scheduler *scheduler);

/* The scheduler classes that there are: "DDIMScheduler" ... */
size_t scheduler_class_count(void);
const char *scheduler_class_name(size_t i);

/* original_samples noised to the level of each picture's timestep: [batch, sample_size]. A few classes of
 * diffusers have no add_noise(), and are refused. */
enum status scheduler_add_noise(struct scheduler *scheduler, const real *original_samples, const real *noise,
    const double *timesteps, size_t batch, size_t sample_size, real *noisy_samples, struct error *error);

/* What a model with prediction_type "v_prediction" learns to say of such a sample (Salimans and Ho 2022,
 * arXiv:2202.00512): [batch, sample_size]. Only where scheduler_has_velocity(): diffusers' class has a
 * get_velocity() that takes these timesteps (Euler's takes none of its own). */
#define scheduler_has_velocity(...) REAL_NAME(scheduler_has_velocity)(__VA_ARGS__)
#define scheduler_get_velocity(...) REAL_NAME(scheduler_get_velocity)(__VA_ARGS__)
bool scheduler_has_velocity(const struct scheduler *scheduler);
enum status scheduler_get_velocity(struct scheduler *scheduler, const real *original_samples,
    const real *noise, const double *timesteps, size_t batch, size_t sample_size, real *velocity,
    struct error *error);

/* Diffusers' name of what a step returns beside prev_sample: "pred_original_sample", or what the class has in
 * its place (LCM: "denoised"). A class that returns nothing there leaves the memory alone. */
#define scheduler_second_output(...) REAL_NAME(scheduler_second_output)(__VA_ARGS__)
const char *scheduler_second_output(const struct scheduler *scheduler);

/* Where the model is of a dtype narrower than float32: whether diffusers' step() takes the sample to float32
 * for its computation, and whether its noise is float32 (the model's dtype otherwise). */
#define scheduler_has_float32_sample(...) REAL_NAME(scheduler_has_float32_sample)(__VA_ARGS__)
bool scheduler_has_float32_sample(const struct scheduler *scheduler);
#define scheduler_has_float32_noise(...) REAL_NAME(scheduler_has_float32_noise)(__VA_ARGS__)
bool scheduler_has_float32_noise(const struct scheduler *scheduler);

/* Whether the class's step() has the argument eta; another ignores it. */
#define scheduler_takes_eta(...) REAL_NAME(scheduler_takes_eta)(__VA_ARGS__)
bool scheduler_takes_eta(const struct scheduler *scheduler);

/* Whether the class has the option; false for a class that there is not. */
#define scheduler_class_has_option(...) REAL_NAME(scheduler_class_has_option)(__VA_ARGS__)
bool scheduler_class_has_option(const char *class_name, const char *option);

#endif
