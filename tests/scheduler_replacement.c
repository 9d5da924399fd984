#include "sched/real.h"

#include "tests/scheduler_replacement.h"

#include "sched/scheduler_save.h"
#include "sched/solver.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define check_replaced_schedulers REAL_NAME(check_replaced_schedulers)
#define check_damaged_schedulers REAL_NAME(check_damaged_schedulers)

enum { BATCH = 2, SIZE = 6, ELEMENTS = BATCH * SIZE, STEPS = 7 };

/* Beside each class with its defaults: the options with which it remembers the most, or something else. */
static const struct {
    const char *class_name, *options;
} variants[] = {
    {"DDIMScheduler", "\"thresholding\": true, \"rescale_betas_zero_snr\": true"},
    {"DDPMScheduler", "\"variance_type\": \"fixed_small_log\", \"timestep_spacing\": \"trailing\""},
    {"PNDMScheduler", "\"skip_prk_steps\": true"},
    {"EulerDiscreteScheduler", "\"use_karras_sigmas\": true, \"final_sigmas_type\": \"sigma_min\""},
    {"HeunDiscreteScheduler", "\"use_karras_sigmas\": true, \"clip_sample\": true"},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 3, \"thresholding\": true"},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 3, \"algorithm_type\": \"sde-dpmsolver++\""},
    {"DPMSolverMultistepInverseScheduler", "\"solver_order\": 3, \"use_karras_sigmas\": true"},
    {"DPMSolverSinglestepScheduler", "\"solver_order\": 3, \"lower_order_final\": false"},
    {"DPMSolverSinglestepScheduler", "\"solver_order\": 3, \"algorithm_type\": \"sde-dpmsolver++\""},
    {"DPMSolverSDEScheduler", "\"noise_sampler_seed\": 7, \"use_karras_sigmas\": true"},
    {"DEISMultistepScheduler", "\"solver_order\": 3, \"thresholding\": true"},
    {"UniPCMultistepScheduler", "\"solver_order\": 5, \"disable_corrector\": [0, 3]"},
    {"UniPCMultistepScheduler", "\"solver_order\": 3, \"solver_type\": \"bh1\", \"thresholding\": true"},
    {"SASolverScheduler", "\"predictor_order\": 4, \"corrector_order\": 4"},
    {"SASolverScheduler",
        "\"predictor_order\": 2, \"corrector_order\": 3, \"algorithm_type\": \"noise_prediction\""},
    {"LCMScheduler", "\"original_inference_steps\": 20, \"thresholding\": true"},
    {"TCDScheduler", "\"original_inference_steps\": 20, \"thresholding\": true"},
    {"IPNDMScheduler", "\"trained_betas\": [1, 0.9, 0.8, 0.6, 0.4, 0.3, 0.1]"},
    {"EDMEulerScheduler", "\"sigma_schedule\": \"exponential\""},
    {"EDMDPMSolverMultistepScheduler", "\"solver_order\": 3, \"thresholding\": true"},
    {"EDMDPMSolverMultistepScheduler", "\"solver_order\": 2, \"algorithm_type\": \"sde-dpmsolver++\""},
    {"CosineDPMSolverMultistepScheduler", "\"solver_order\": 2, \"solver_type\": \"heun\""},
    {"FlowMatchEulerDiscreteScheduler", "\"stochastic_sampling\": true, \"shift_terminal\": 0.1"},
    {"FlowMatchLCMScheduler", "\"shift\": 3, \"use_beta_sigmas\": true"},
    {"ScoreSdeVpScheduler", "\"beta_max\": 10"},
    {"LMSDiscreteScheduler", "\"use_exponential_sigmas\": true, \"_semantics\": \"documented\""},
    {"KDPM2AncestralDiscreteScheduler", "\"use_karras_sigmas\": true, \"_semantics\": \"documented\""},
};

static struct scheduler *need_scheduler(const char *class_name, const char *options)
{
    struct error error = {""};
    struct scheduler *scheduler = NULL;
    cJSON *config = config_from("{\"_class_name\": \"%s\"%s%s}", class_name, *options ? ", " : "", options);
    struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = STEPS};
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s, %s: %s", class_name, options, error.message);
    scheduler_set_begin_index(scheduler, 0);
    cJSON_Delete(config);
    return scheduler;
}

/* Numbers of call `call` that are for `what`: the model's output, the noise. */
static void fill(size_t call, size_t what, real *values)
{
    char seed[32];
    double normals[ELEMENTS];
    snprintf(seed, sizeof seed, "%zu", 10 * call + what);
    fill_normals(seed, normals, ELEMENTS);
    for (size_t i = 0; i < ELEMENTS; i++) values[i] = (real)normals[i];
}

/* A step of `batch` pictures, with arguments that the classes that have them use. */
static enum status try_step(struct scheduler *scheduler, size_t call, size_t data, size_t batch,
    const real *sample, real *prev_sample, struct error *error)
{
    real model_output[ELEMENTS], noise[ELEMENTS];
    fill(call, data, model_output);
    fill(call, data + 1, noise);
    struct step_input input = {
        .timestep = scheduler->timesteps[call],
        .model_output = model_output,
        .model_output_size = SIZE,
        .sample = sample,
        .batch = batch,
        .sample_size = SIZE,
        .noise = noise,
        .options = STEP_OPTIONS_DEFAULT,
    };
    input.options.eta = 0.5;
    input.options.s_churn = 3;
    input.options.order = 3;
    return scheduler_step(scheduler, &input, prev_sample, NULL, error);
}

static void take_step(struct scheduler *scheduler, size_t call, size_t data, real *sample)
{
    struct error error = {""};
    real prev_sample[ELEMENTS];
    enum status status = try_step(scheduler, call, data, BATCH, sample, prev_sample, &error);
    ck_assert_msg(status == STATUS_OK, "%s, step %zu: %s", scheduler_name(scheduler), call, error.message);
    memcpy(sample, prev_sample, sizeof prev_sample);
}

static struct scheduler *need_copy(const struct scheduler *scheduler)
{
    struct error error = {""};
    struct scheduler *copy = NULL;
    enum status status = scheduler_copy(scheduler, &copy, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", scheduler_name(scheduler), error.message);
    return copy;
}

/* Where a step of another size fails, as it does in a class that remembers its outputs, it leaves the run as
 * it was. `copy` and `scheduler` are at the same point. Returns whether it failed. */
static bool fail_step(struct scheduler *copy, struct scheduler *scheduler, size_t call, const real *sample)
{
    struct error error = {""};
    real prev_sample[ELEMENTS];
    if (try_step(copy, call, 2, BATCH - 1, sample, prev_sample, &error) == STATUS_OK) return false;
    const enum status status = try_step(scheduler, call, 2, BATCH - 1, sample, prev_sample, &error);
    ck_assert_msg(status == STATUS_BAD_INPUT && error.message[0], "%s", scheduler_name(scheduler));
    return true;
}

/* Returns how many steps failed on the way. */
static size_t check_class(const char *class_name, const char *options)
{
    struct scheduler *plain = need_scheduler(class_name, options);
    struct scheduler *replaced = need_scheduler(class_name, options);
    size_t failures = 0;
    real sample[ELEMENTS], same[ELEMENTS], other[ELEMENTS];
    fill(1000, 0, sample);
    memcpy(same, sample, sizeof same);
    for (size_t call = 0; call < plain->num_timesteps; call++) {
        struct scheduler *copy = need_copy(replaced), *branch = need_copy(replaced);
        failures += fail_step(replaced, copy, call, same);
        scheduler_free(replaced);
        replaced = copy;
        fill(2000 + call, 0, other);
        take_step(branch, call, 2, other);
        take_step(plain, call, 0, sample);
        take_step(replaced, call, 0, same);
        scheduler_free(branch);
        ck_assert_msg(memcmp(sample, same, sizeof same) == 0, "%s, %s: step %zu of a copy differs",
            class_name, options, call);
    }
    scheduler_free(plain);
    scheduler_free(replaced);
    return failures;
}

void check_replaced_schedulers(void)
{
    size_t failures = 0;
    for (size_t i = 0; i < scheduler_class_count(); i++) failures += check_class(scheduler_class_name(i), "");
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        failures += check_class(variants[i].class_name, variants[i].options);
    ck_assert_uint_gt(failures, 100);
}

static void check_refused(const unsigned char *bytes, size_t size, const char *what, size_t where)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    enum status status = scheduler_restore(bytes, size, &scheduler, &error);
    ck_assert_msg(
        status == STATUS_BAD_INPUT && !scheduler && error.message[0], "%s at %zu is accepted", what, where);
}

void check_damaged_schedulers(void)
{
    struct scheduler *scheduler = need_scheduler("DPMSolverMultistepScheduler", "");
    real sample[ELEMENTS];
    fill(1000, 0, sample);
    for (size_t call = 0; call < 3; call++) take_step(scheduler, call, 0, sample);
    unsigned char *bytes;
    size_t size;
    ck_assert_int_eq(scheduler_save(scheduler, &bytes, &size, NULL), STATUS_OK);
    scheduler_free(scheduler);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 1;
        check_refused(bytes, size, "a changed byte", i);
        bytes[i] ^= 1;
        unsigned char *cut = malloc(i ? i : 1); /* of this size, so that reading past it is seen */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes, i);
        check_refused(cut, i, "an end", i);
        free(cut);
    }
    free(bytes);
}
