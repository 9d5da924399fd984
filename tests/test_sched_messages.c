/*
 * Configs, requests and steps that the classes refuse, each with its message. What diffusers refuses by
 * itself, and how, is recorded (test_sched_errors); here is what else the library says, so that each of its
 * messages is said once.
 */
#include "sched/scheduler.h"

#include "sched/call_arguments.h"
#include "sched/generator.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICTURE 12 /* elements of the sample that steps are tried on */
#define IS(name) "\"_class_name\": \"" name "Scheduler\""

static enum status create(const char *members, struct scheduler **scheduler, struct error *error)
{
    char text[512];
    const int length = snprintf(text, sizeof text, "{%s}", members);
    ck_assert(length > 0 && (size_t)length < sizeof text);
    cJSON *config = NULL;
    *scheduler = NULL;
    enum status status = json_parse(text, strlen(text), "config", &config, error);
    ck_assert_msg(status == STATUS_OK, "%s", error->message);
    status = scheduler_create(config, scheduler, NULL, error);
    cJSON_Delete(config);
    return status;
}

static enum status request_timesteps(struct scheduler *scheduler, const char *text, struct error *error)
{
    cJSON *json = NULL;
    struct owned_request owned = {0};
    enum status status = json_parse(text, strlen(text), "request", &json, error);
    if (status == STATUS_OK) status = schedule_request_read(json, &owned, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &owned.request, NULL, error);
    schedule_request_free(&owned);
    cJSON_Delete(json);
    return status;
}

static void set_timesteps(struct scheduler *scheduler, const char *text)
{
    struct error error = {""};
    ck_assert_msg(request_timesteps(scheduler, text, &error) == STATUS_OK, "%s", error.message);
}

/* --- Configs and requests ----------------------------------------------------------------- */

/* A request of NULL: the config itself is refused. */
static const struct {
    const char *config, *request, *words;
} refused[] = {
    {IS("CMStochasticIterative") ", \"sigma_min\": -1", NULL,
        "sigma_min, sigma_max: expected numbers from 0 up, got -1 and 80"},
    {IS("CMStochasticIterative") ", \"rho\": 0", NULL, "rho: expected a number other than 0, got 0"},
    {IS("EDMEuler") ", \"rho\": 0", NULL, "rho: expected a number other than 0, got 0"},
    {IS("DPMSolverSDE") ", \"noise_sampler_seed\": 0.5", NULL,
        "noise_sampler_seed: expected null or an integer from 0 to 2^53, got 0.5"},
    {IS("DPMSolverSinglestep") ", \"num_train_timesteps\": 2, \"solver_order\": 3, \"lower_order_final\": "
                               "false",
        NULL, "num_train_timesteps: expected a block of solver_order 3 at least, got 2"},
    {IS("FlowMatchLCM") ", \"scale_factors\": [1, 2]", NULL, "scale_factors: expected null, got 2 factors"},
    {IS("SASolver") ", \"tau_func\": \"x\"", NULL,
        "tau_func: expected null (another is a function), got \"x\""},
    {IS("UniPCMultistep") ", \"solver_p\": \"x\"", NULL,
        "solver_p: expected null (another predictor is an object), got \"x\""},
    {IS("ScoreSdeVe") ", \"sigma_min\": 0", NULL,
        "sigma_min, sigma_max: expected numbers above 0, got 0 and "},
    {IS("IPNDM") ", \"trained_betas\": []", NULL,
        "trained_betas: expected two numbers or more, from one of which to the next a step goes, got 0"},

    {IS("EulerDiscrete") ", \"use_karras_sigmas\": true, \"sigma_min\": -1", "{\"num_inference_steps\": 4}",
        "sigma_min, sigma_max: expected no negative numbers with use_karras_sigmas = true, got -1 and "},
    {IS("EulerDiscrete") ", \"use_exponential_sigmas\": true, \"sigma_min\": 0",
        "{\"num_inference_steps\": 4}",
        "sigma_min, sigma_max: expected positive numbers with use_exponential_sigmas = true, got 0 and "},
    {IS("LCM"), "{\"num_inference_steps\": 4, \"strength\": 1e9}",
        "strength: 1e+09 makes 5e+10 steps, more than 1000000"},
    {IS("LCM"), "{\"num_inference_steps\": 0}", "num_inference_steps: expected at least 1 step, got 0"},
    {IS("DPMSolverMultistep") ", \"use_flow_sigmas\": true, \"flow_shift\": null, \"prediction_type\": "
                              "\"flow_prediction\"",
        "{\"num_inference_steps\": 4}",
        "flow_shift: expected a number with use_flow_sigmas = true, got null"},
    {IS("DPMSolverSinglestep"), "{\"num_inference_steps\": 0}",
        "num_inference_steps: expected at least 1 step, got 0"},
    {IS("EDMEuler") ", \"final_sigmas_type\": \"sigma_min\"", "{\"num_inference_steps\": 0}",
        "expected at least 1 step with final_sigmas_type \"sigma_min\", got 0"},
    {IS("HeunDiscrete"), "{\"num_inference_steps\": 0}",
        "num_inference_steps: expected at least 1 step, got 0"},
    {IS("FlowMatchEulerDiscrete"), "{\"sigmas\": [1, 0.5], \"timesteps\": [1000]}",
        "sigmas, timesteps: expected as many of one as of the other, got 2 and 1"},
    {IS("FlowMatchEulerDiscrete") ", \"shift_terminal\": 0.1", "{\"num_inference_steps\": 0}",
        "num_inference_steps: expected at least 1 step with shift_terminal, got 0"},
    {IS("FlowMatchEulerDiscrete") ", \"shift_terminal\": 0.1", "{\"num_inference_steps\": 1}",
        "shift_terminal: the last sigma of 1 is 1, which nothing stretches to 0.1"},
    {IS("DDIM"), "{\"timesteps\": [999, 500]}", "timesteps: DDIMScheduler takes no custom timesteps"},
    {IS("DDIM"), "{\"num_inference_steps\": 4, \"mu\": 1}", "mu: DDIMScheduler does not have it"},
    {IS("DDIM"), "{\"num_inference_steps\": 4, \"sampling_eps\": 1e-3}",
        "sampling_eps: DDIMScheduler does not have it"},
    {IS("FlowMatchEulerDiscrete") ", \"use_dynamic_shifting\": true",
        "{\"num_inference_steps\": 4, \"mu\": 1e999}", "mu: expected a finite number, got inf"},
    {IS("LCM"), "{\"num_inference_steps\": 4, \"strength\": 1e999}",
        "strength: expected a finite number, got inf"},
    {IS("ScoreSdeVe"), "{\"num_inference_steps\": 4, \"sampling_eps\": 1e999}",
        "sampling_eps: expected a finite number, got inf"},
};

START_TEST(configs_and_requests)
{
    struct scheduler *scheduler;
    struct error error = {""};
    enum status status = create(refused[_i].config, &scheduler, &error);
    if (!refused[_i].request) {
        ck_assert_ptr_null(scheduler);
    } else {
        ck_assert_msg(status == STATUS_OK, "%s: %s", refused[_i].config, error.message);
        status = request_timesteps(scheduler, refused[_i].request, &error);
    }
    expect_error(status, STATUS_BAD_INPUT, &error, refused[_i].words, NULL);
    scheduler_free(scheduler);
}
END_TEST

/* --- Steps -------------------------------------------------------------------------------- */

/* `steps` calls of step(), the last of which is refused, each at the next timestep of the schedule (at the
 * last one for ever) or at `timestep` where that is not 0, and without noise where that is said. */
static const struct {
    const char *config, *request, *options;
    int steps;
    double timestep;
    size_t model_output_size, sample_size;
    bool noiseless;
    const char *words;
} refused_steps[] = {
    {IS("DDIM"), NULL, "{}", 1, 999, PICTURE, PICTURE, false,
        "num_inference_steps: not set; set_timesteps comes before the first step"},
    {IS("DDIM"), "{\"num_inference_steps\": 2}", "{}", 1, 0, PICTURE, 0, false,
        "expected a sample of one picture or more, got 1 pictures of 0 numbers"},
    {IS("DDIM"), "{\"num_inference_steps\": 2}", "{}", 1, 0, PICTURE + 1, PICTURE, false,
        "model_output: expected 12 numbers a picture, got 13"},
    {IS("DDPM"), "{\"num_inference_steps\": 2}", "{}", 1, 0, PICTURE, PICTURE, true,
        "noise: missing; this step of DDPMScheduler draws"},
    {IS("DDPM") ", \"variance_type\": \"fixed_small\"", "{\"num_inference_steps\": 2}", "{}", 1, 0,
        2 * PICTURE, PICTURE, false,
        "expected \"learned\" or \"learned_range\" for such a model, got \"fixed_small\""},
    {IS("DDPM") ", \"variance_type\": null", "{\"num_inference_steps\": 2}", "{}", 1, 0, 2 * PICTURE, PICTURE,
        false, "expected \"learned\" or \"learned_range\" for such a model, got \"null\""},
    {IS("DDIMInverse") ", \"_semantics\": \"documented\"", "{\"num_inference_steps\": 2}", "{}", 1, 7,
        PICTURE, PICTURE, false, "timestep: 7 is not on the schedule of 2 timesteps"},
    {IS("CMStochasticIterative"), "{\"num_inference_steps\": 2}", "{}", 3, 0, PICTURE, PICTURE, false,
        "step 2: the schedule has only 2 steps"},
    {IS("CosineDPMSolverMultistep"), "{\"num_inference_steps\": 2}", "{}", 3, 0, PICTURE, PICTURE, false,
        "step 2: the schedule has only 2 steps"},
    {IS("IPNDM"), "{\"num_inference_steps\": 2}", "{}", 3, 0, PICTURE, PICTURE, false,
        "step 2: the schedule has only 2 steps"},
    {IS("LCM"), "{\"num_inference_steps\": 2}", "{}", 1, 998.5, PICTURE, PICTURE, false,
        "timestep: 998.5 is not on the schedule of 2 timesteps"},
    {IS("DDIM") ", \"timestep_spacing\": \"linspace\"", "{\"num_inference_steps\": 0}", "{}", 1, 999, PICTURE,
        PICTURE, false, "num_inference_steps: a schedule of 0 steps has no step to take"},
    {IS("ScoreSdeVp"), "{\"num_inference_steps\": 0}", "{}", 1, 0.5, PICTURE, PICTURE, false,
        "num_inference_steps: a schedule of 0 steps has no step to take"},
    {IS("LMSDiscrete"), "{\"num_inference_steps\": 2}", "{\"order\": 1000}", 1, 0, PICTURE, PICTURE, false,
        "order: expected 0 to "},
    {IS("TCD"), "{\"num_inference_steps\": 2}", "{\"eta\": 1.5}", 1, 0, PICTURE, PICTURE, false,
        "eta: expected 0 to 1, got 1.5"},
    {IS("SASolver") ", \"predictor_order\": 5, \"lower_order_final\": false", "{\"num_inference_steps\": 9}",
        "{}", 9, 0, PICTURE, PICTURE, false,
        "predictor_order: there is no predictor of order 5; expected 4 at most"},
    {IS("SASolver"), "{\"num_inference_steps\": 2}", "{}", 1, 0, 2 * PICTURE, PICTURE, false,
        "diffusers draws noise for a predicted variance too"},
    {IS("UniPCMultistep") ", \"solver_order\": 30, \"lower_order_final\": false",
        "{\"num_inference_steps\": 40}", "{}", 40, 0, PICTURE, PICTURE, false,
        "solver_order: the weights of order "},
};

START_TEST(steps)
{
    struct scheduler *scheduler;
    struct error error = {""};
    float sample[2 * PICTURE], model_output[2 * PICTURE + 1], noise[2 * PICTURE], next[2 * PICTURE];
    for (size_t i = 0; i < 2 * PICTURE; i++) sample[i] = noise[i] = (float)i / 8 - 1;
    for (size_t i = 0; i < 2 * PICTURE + 1; i++) model_output[i] = 1 - (float)i / 8;
    enum status status = create(refused_steps[_i].config, &scheduler, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    if (refused_steps[_i].request) set_timesteps(scheduler, refused_steps[_i].request);
    struct step_input input = {
        .model_output = model_output,
        .model_output_size = refused_steps[_i].model_output_size,
        .sample = sample,
        .batch = 1,
        .sample_size = refused_steps[_i].sample_size,
        .noise = refused_steps[_i].noiseless ? NULL : noise,
        .options = STEP_OPTIONS_DEFAULT,
    };
    cJSON *options = NULL;
    ck_assert_int_eq(
        json_parse(refused_steps[_i].options, strlen(refused_steps[_i].options), "options", &options, &error),
        STATUS_OK);
    ck_assert_int_eq(step_options_read(options, &input.options, &error), STATUS_OK);
    cJSON_Delete(options);
    size_t i = 0;
    for (int k = 0; k < refused_steps[_i].steps && status == STATUS_OK; k++) {
        input.timestep =
            refused_steps[_i].timestep != 0 ? refused_steps[_i].timestep : scheduler->timesteps[i];
        if (i + 1 < scheduler->num_timesteps) i++;
        status = scheduler_step(scheduler, &input, next, NULL, &error);
    }
    expect_error(status, STATUS_BAD_INPUT, &error, refused_steps[_i].words, NULL);
    scheduler_free(scheduler);
}
END_TEST

/* --- What a class does not have, and what is saved ---------------------------------------- */

START_TEST(other_calls)
{
    struct scheduler *scheduler;
    struct error error = {""};
    float x[PICTURE] = {0}, y[PICTURE];
    const double timestep = 999;
    ck_assert_int_eq(create(IS("DDIM"), &scheduler, &error), STATUS_OK);
    expect_error(scheduler_make_noise(scheduler, timestep, 1, PICTURE, y, &error), STATUS_BAD_INPUT, &error,
        "noise: DDIMScheduler makes none; it takes the run's generator's", NULL);
    scheduler_free(scheduler);

    const uint64_t seed = 1;
    ck_assert_int_eq(create(IS("CosineDPMSolverMultistep"), &scheduler, &error), STATUS_OK);
    set_timesteps(scheduler, "{\"num_inference_steps\": 2}");
    scheduler_set_begin_index(scheduler, 2);
    ck_assert_int_eq(scheduler_seed_noise(scheduler, &seed, 1, &error), STATUS_OK);
    expect_error(scheduler_make_noise(scheduler, scheduler->timesteps[1], 1, PICTURE, y, &error),
        STATUS_BAD_INPUT, &error, "step 2: the schedule has only 2 steps", NULL);
    scheduler_free(scheduler);

    ck_assert_int_eq(create(IS("ScoreSdeVp"), &scheduler, &error), STATUS_OK);
    expect_error(scheduler_add_noise(scheduler, x, x, &timestep, 1, PICTURE, y, &error), STATUS_BAD_INPUT,
        &error, "add_noise: ScoreSdeVpScheduler does not have it", NULL);
    expect_error(scheduler_get_velocity(scheduler, x, x, &timestep, 1, PICTURE, y, &error), STATUS_BAD_INPUT,
        &error, "get_velocity: ScoreSdeVpScheduler does not have it", NULL);
    scheduler_free(scheduler);

    ck_assert_int_eq(create(IS("ScoreSdeVe"), &scheduler, &error), STATUS_OK);
    set_timesteps(scheduler, "{\"num_inference_steps\": 2}");
    const struct step_input input = {.timestep = scheduler->timesteps[0],
        .model_output = x,
        .model_output_size = PICTURE,
        .sample = x,
        .batch = 1,
        .sample_size = PICTURE,
        .options = STEP_OPTIONS_DEFAULT};
    expect_error(scheduler_correct(scheduler, &input, y, &error), STATUS_BAD_INPUT, &error,
        "noise: missing; a correction draws", NULL);
    scheduler_free(scheduler);

    struct generator *generator;
    expect_error(generator_create(GENERATOR_KINDS, "1", &generator, &error), STATUS_BAD_INPUT, &error,
        "generator: expected one of the kinds", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sched_messages");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, configs_and_requests, 0, sizeof refused / sizeof *refused);
    tcase_add_loop_test(all, steps, 0, sizeof refused_steps / sizeof *refused_steps);
    tcase_add_test(all, other_calls);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
