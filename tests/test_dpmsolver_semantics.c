/*
 * Where diffusers departs from its documentation in the family of DPM-Solver (sched/DEVIATIONS.md): both
 * values of each departure. Diffusers' own are those of 0.35.1, which the random runs outside this repository
 * agree with; the documented ones follow from the definitions.
 */
#include "sampler_support.h"
#include "sched/scheduler.h"
#include "support.h"

#include <math.h>
#include <string.h>

/* With Stable Diffusion's betas. */
static struct scheduler *need_scheduler(
    const char *class_name, const char *options, bool documented, int steps)
{
    cJSON *config =
        config_from("{\"_class_name\": \"%sScheduler\", \"_semantics\": \"%s\", \"beta_start\": 0.00085, "
                    "\"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\", %s}",
            class_name, documented ? "documented" : "diffusers", options);
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = steps};
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s, %s: %s", class_name, options, error.message);
    cJSON_Delete(config);
    return scheduler;
}

/* --- Schedules ---------------------------------------------------------------------------- */

enum { MOST = 5 };

/* The sigmas to four digits, the timesteps exactly. */
static const struct {
    const char *class_name, *options;
    int steps;
    struct {
        double timesteps[MOST], sigmas[MOST + 1];
    } diffusers, documented;
} schedules[] = {
    /* cut, and rounded */
    {"UniPCMultistep", "\"use_beta_sigmas\": true", 5,
        {{999, 966, 874, 634, 0}, {14.6146, 12.0523, 7.32191, 2.59155, 0.0291675, 0}},
        {{999, 966, 875, 635, 0}, {14.6146, 12.0523, 7.32191, 2.59155, 0.0291675, 0}}},
    {"DPMSolverSinglestep", "\"use_flow_sigmas\": true, \"flow_shift\": 3", 4,
        {{999, 899, 749, 499}, {0.999666, 0.899640, 0.749625, 0.499667, 0}},
        {{999, 900, 750, 500}, {0.999666, 0.899640, 0.749625, 0.499667, 0}}},
    /* a last step of no length, and none */
    {"DEISMultistep", "\"use_karras_sigmas\": true", 4,
        {{999, 687, 146, 0}, {14.6146, 3.16861, 0.446921, 0.0291675, 0.0291675}},
        {{999, 786, 427, 59}, {14.6146, 4.79654, 1.27411, 0.247952, 0.0291675}}},
    {"DPMSolverMultistep", "\"use_karras_sigmas\": true, \"final_sigmas_type\": \"sigma_min\"", 4,
        {{999, 687, 146, 0}, {14.6146, 3.16861, 0.446921, 0.0291675, 0.0291675}},
        {{999, 786, 427, 59}, {14.6146, 4.79654, 1.27411, 0.247952, 0.0291675}}},
    {"SASolver", "\"use_flow_sigmas\": true, \"flow_shift\": 3", 4,
        {{999, 899, 749, 499}, {0.999666, 0.899640, 0.749625, 0.499667, 0.499667}},
        {{999, 900, 750, 500}, {0.999666, 0.899640, 0.749625, 0.499667, 0.00299401}}},
    {"DPMSolverMultistepInverse", "\"use_karras_sigmas\": true", 4,
        {{0, 146, 687, 999}, {0.0291675, 0.446921, 3.16861, 14.6146, 14.6146}},
        {{0, 59, 427, 786}, {0.0291675, 0.247952, 1.27411, 4.79654, 14.6146}}},
    /* from noise to data, and from data to noise */
    {"DPMSolverMultistepInverse", "\"use_flow_sigmas\": true, \"flow_shift\": 3", 4,
        {{999, 899, 749, 499}, {0.999666, 0.899640, 0.749625, 0.499667, 0.499667}},
        {{3, 500, 750, 900}, {0.00299401, 0.499667, 0.749625, 0.899640, 0.999666}}},
};

static void check_schedule(
    const struct scheduler *scheduler, int steps, const double *timesteps, const double *sigmas)
{
    ck_assert_uint_eq(scheduler->num_timesteps, (size_t)steps);
    ck_assert_uint_eq(scheduler->num_sigmas, (size_t)steps + 1);
    for (int i = 0; i <= steps; i++) {
        if (i < steps) ck_assert_double_eq(scheduler->timesteps[i], timesteps[i]);
        ck_assert_double_eq_tol((double)scheduler->sigmas[i], sigmas[i], 1e-5 * sigmas[i] + 1e-12);
    }
}

START_TEST(both_schedules)
{
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler =
            need_scheduler(schedules[_i].class_name, schedules[_i].options, documented, schedules[_i].steps);
        check_schedule(scheduler, schedules[_i].steps,
            documented ? schedules[_i].documented.timesteps : schedules[_i].diffusers.timesteps,
            documented ? schedules[_i].documented.sigmas : schedules[_i].diffusers.sigmas);
        scheduler_free(scheduler);
    }
}
END_TEST

START_TEST(extra_step)
{
    static const char *const classes[] = {
        "DPMSolverMultistep", "DEISMultistep", "UniPCMultistep", "SASolver"};
    for (size_t i = 0; i < 4; i++) {
        struct scheduler *actual =
            need_scheduler(classes[i], "\"timestep_spacing\": \"trailing\"", false, 61);
        struct scheduler *documented =
            need_scheduler(classes[i], "\"timestep_spacing\": \"trailing\"", true, 61);
        ck_assert_uint_eq(actual->num_timesteps, 62);
        ck_assert_double_eq(actual->timesteps[61], -1);
        ck_assert_uint_eq(documented->num_timesteps, 61);
        ck_assert_double_eq(documented->timesteps[60], actual->timesteps[60]);
        scheduler_free(actual);
        scheduler_free(documented);
    }
}
END_TEST

/* --- Steps -------------------------------------------------------------------------------- */

enum { SIZE = 4 };

/* `count` steps; the model gives half of its input, twice as long where `variance`. */
static enum status steps(
    struct scheduler *scheduler, int count, bool variance, real *sample, struct error *error)
{
    static const real noise[SIZE] = {1, -1, (real)0.5, 2};
    enum status status = STATUS_OK;
    for (int i = 0; status == STATUS_OK && i < count; i++) {
        real model_output[2 * SIZE] = {0}, prev_sample[SIZE];
        for (size_t j = 0; j < SIZE; j++) model_output[j] = sample[j] / 2;
        const struct step_input input = {
            .timestep = scheduler->timesteps[i],
            .model_output = model_output,
            .model_output_size = variance ? 2 * SIZE : SIZE,
            .sample = sample,
            .batch = 1,
            .sample_size = SIZE,
            .noise = noise,
            .options = STEP_OPTIONS_DEFAULT,
        };
        status = scheduler_step(scheduler, &input, prev_sample, NULL, error);
        if (status == STATUS_OK) memcpy(sample, prev_sample, sizeof prev_sample);
    }
    return status;
}

static const struct {
    const char *class_name, *options;
    bool variance;
    int steps;
    const char *message;
} refusals[] = {
    {"DPMSolverMultistep",
        "\"algorithm_type\": \"sde-dpmsolver\", \"solver_order\": 3, \"final_sigmas_type\": \"sigma_min\"",
        false, 4, "no update of order 3"},
    {"DPMSolverMultistepInverse", "\"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 3", false, 4,
        "no update of order 3"},
    {"DPMSolverSinglestep",
        "\"algorithm_type\": \"dpmsolver\", \"thresholding\": true, \"final_sigmas_type\": \"sigma_min\"",
        false, 1, "thresholding: expected false"},
    {"SASolver", "\"algorithm_type\": \"noise_prediction\", \"thresholding\": true", false, 1,
        "thresholding: expected false"},
    {"SASolver", "\"variance_type\": \"learned_range\"", true, 1, "model_output: expected 4"},
};

/* What diffusers fails at, and the documentation promises. */
START_TEST(refused_and_done)
{
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler =
            need_scheduler(refusals[_i].class_name, refusals[_i].options, documented, 10);
        real sample[SIZE] = {1, 2, 3, 4};
        struct error error = {""};
        enum status status = steps(scheduler, refusals[_i].steps, refusals[_i].variance, sample, &error);
        if (documented)
            ck_assert_msg(status == STATUS_OK, "%s", error.message);
        else
            expect_error(status, STATUS_BAD_INPUT, &error, refusals[_i].message, NULL);
        scheduler_free(scheduler);
    }
}
END_TEST

/* The first step of DEIS from sigma 14.6, the level's 0.9977, to the next: the noise that the model means is
 * (x - alpha x_0) / sigma with x_0 = x - 14.6 v and the one sigma or the other. */
START_TEST(flow_in_deis)
{
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler =
            need_scheduler("DEISMultistep", "\"prediction_type\": \"flow_prediction\"", documented, 10);
        const double s = (double)scheduler->sigmas[0], t = (double)scheduler->sigmas[1];
        const double alpha_s = 1 / sqrt(s * s + 1), alpha_t = 1 / sqrt(t * t + 1);
        real sample[SIZE] = {1, 1, 1, 1};
        struct error error = {""};
        ck_assert_int_eq(steps(scheduler, 1, false, sample, &error), STATUS_OK);
        const double x0 = 1 - s * 0.5, noise = (1 - alpha_s * x0) / (documented ? s * alpha_s : s);
        const double expected = alpha_t / alpha_s * (1 - s * alpha_s * noise) + t * alpha_t * noise;
        ck_assert_double_eq_tol((double)sample[0], expected, 1e-5 * fabs(expected) + 1e-5);
        scheduler_free(scheduler);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dpmsolver semantics");
    TCase *tcase = tcase_create("departures");
    tcase_add_loop_test(tcase, both_schedules, 0, sizeof schedules / sizeof *schedules);
    tcase_add_test(tcase, extra_step);
    tcase_add_loop_test(tcase, refused_and_done, 0, sizeof refusals / sizeof *refusals);
    tcase_add_test(tcase, flow_in_deis);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
