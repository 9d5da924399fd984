/*
 * Where diffusers departs from its documentation or the papers, in the solvers that step through sigmas: both
 * values of each entry that sched/DEVIATIONS.md has of them, what diffusers does first.
 */
#include "sched/scheduler.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STABLE_DIFFUSION "\"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085, \"beta_end\": 0.012"

static struct scheduler *scheduled(
    const char *class_name, const char *options, bool documented, const struct schedule_request *request)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    cJSON *config = config_from("{\"_class_name\": \"%s\", \"_semantics\": \"%s\", %s}", class_name,
        documented ? "documented" : "diffusers", options);
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    status = scheduler_set_timesteps(scheduler, request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    cJSON_Delete(config);
    return scheduler;
}

static struct scheduler *stepped(const char *class_name, const char *options, bool documented, int steps)
{
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = steps};
    return scheduled(class_name, options, documented, &request);
}

/* One step of one number, 0.5 being what the model says. */
static double step_from(struct scheduler *scheduler, double timestep, double sample)
{
    const real input_sample = (real)sample, model_output = (real)0.5, noise = 0;
    real prev_sample = 0;
    struct error error = {""};
    const struct step_input input = {
        .timestep = timestep,
        .model_output = &model_output,
        .model_output_size = 1,
        .sample = &input_sample,
        .batch = 1,
        .sample_size = 1,
        .noise = &noise,
        .options = STEP_OPTIONS_DEFAULT,
    };
    enum status status = scheduler_step(scheduler, &input, &prev_sample, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return (double)prev_sample;
}

/* LMS that begins at the fourth of 10 steps: with one derivative d = 0.5 only order 1 is right, which goes
 * (sigma' - sigma) d; diffusers takes the first of order 4's coefficients alone. */
START_TEST(lms_begins_in_the_middle)
{
    double moved[2], first_order = 0;
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler = stepped("LMSDiscreteScheduler", STABLE_DIFFUSION, documented, 10);
        scheduler_set_begin_index(scheduler, 3);
        first_order = ((double)scheduler->sigmas[4] - (double)scheduler->sigmas[3]) * 0.5;
        moved[documented] = step_from(scheduler, scheduler->timesteps[3], 2) - 2;
        scheduler_free(scheduler);
    }
    ck_assert_double_eq_tol(moved[0] / first_order, 1.48713, 1e-5);
    ck_assert_double_eq_tol(moved[1] / first_order, 1, 1e-6);
}
END_TEST

/* The cosine schedule's first sigma is 20291, and of 4 steps the second's is 1.75. sigma_down is 1e-4 of
 * that, and the difference of the two squares is below 0. */
START_TEST(ancestral_step_lost_in_rounding)
{
    static const char cosine[] = "\"beta_schedule\": \"squaredcos_cap_v2\"";
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler = stepped("EulerAncestralDiscreteScheduler", cosine, documented, 4);
        const double sigma = (double)scheduler->sigmas[0], next = (double)scheduler->sigmas[1];
        const double prev_sample = step_from(scheduler, scheduler->timesteps[0], 0);
        /* x' = (sigma_down - sigma) 0.5 with sigma_down = sigma'^2 / sigma */
        if (documented)
            ck_assert_double_eq_tol(prev_sample, (next * next / sigma - sigma) * 0.5, 1e-7 * sigma);
        else
            ck_assert(isnan(prev_sample));
        scheduler_free(scheduler);

        scheduler = stepped("KDPM2AncestralDiscreteScheduler", cosine, documented, 4);
        ck_assert_int_eq(isnan(scheduler->timesteps[1]), !documented);
        scheduler_free(scheduler);
    }
}
END_TEST

/* With Karras sigmas DPM2's model is told rounded timesteps where a step begins. */
START_TEST(dpm2_rounds_under_karras)
{
    static const char karras[] = STABLE_DIFFUSION ", \"use_karras_sigmas\": true";
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler = stepped("KDPM2DiscreteScheduler", karras, documented, 5);
        ck_assert_double_eq_tol(scheduler->timesteps[2], documented ? 785.954 : 786, 1e-3);
        scheduler_free(scheduler);
    }
}
END_TEST

/* sigma_max = 5 is an option of Euler's; Heun's range follows it all the same. */
START_TEST(inherited_range_of_sigmas)
{
    static const char options[] = STABLE_DIFFUSION ", \"use_karras_sigmas\": true, \"sigma_max\": 5";
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler = stepped("HeunDiscreteScheduler", options, documented, 5);
        ck_assert_double_eq_tol((double)scheduler->sigmas[0], documented ? 14.614641 : 5, 1e-5);
        scheduler_free(scheduler);
    }
}
END_TEST

/* Karras sigmas of LMS and DPMSolverSDE keep the spaced range in diffusers too; their exponential ones do
 * not. */
START_TEST(karras_without_the_inherited_range)
{
    static const char *const classes[] = {"LMSDiscreteScheduler", "DPMSolverSDEScheduler"};
    for (int i = 0; i < 4; i++) {
        char options[160];
        snprintf(options, sizeof options, "%s, \"use_%s_sigmas\": true, \"sigma_max\": 5", STABLE_DIFFUSION,
            i / 2 ? "exponential" : "karras");
        struct scheduler *scheduler = stepped(classes[i % 2], options, false, 5);
        ck_assert_double_eq_tol((double)scheduler->sigmas[0], i / 2 ? 5 : 14.614641, 1e-5);
        scheduler_free(scheduler);
    }
}
END_TEST

/* shift 3 takes the smallest sigma of training, 0.001, to 3 * 0.001 / (1 + 2 * 0.001) = 0.002994; once more,
 * to 0.008929. */
START_TEST(flow_shifts_twice)
{
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler =
            stepped("FlowMatchEulerDiscreteScheduler", "\"shift\": 3.0", documented, 4);
        ck_assert_double_eq_tol((double)scheduler->sigmas[3], documented ? 0.00299401 : 0.00892857, 1e-8);
        ck_assert_double_eq(scheduler->timesteps[0], 1000);
        scheduler_free(scheduler);
    }
}
END_TEST

/* Given timesteps stay, though their sigmas are shifted: at 500 sigma becomes 0.75, whose timestep is 750. */
START_TEST(flow_keeps_given_timesteps)
{
    static const double timesteps[] = {1000, 500};
    const struct schedule_request request = {.timesteps = timesteps, .num_timesteps = 2};
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler =
            scheduled("FlowMatchEulerDiscreteScheduler", "\"shift\": 3.0", documented, &request);
        ck_assert_double_eq_tol((double)scheduler->sigmas[1], 0.75, 1e-7);
        ck_assert_double_eq(scheduler->timesteps[1], documented ? 750 : 500);
        scheduler_free(scheduler);
    }
}
END_TEST

/* Flow Heun's scale_noise() takes one timestep for all pictures, and sets where the run begins. */
START_TEST(flow_heun_noises_and_begins)
{
    static const real original[] = {1, 1}, noise[] = {0, 0};
    for (int documented = 0; documented < 2; documented++) {
        real noisy[2] = {0, 0};
        struct error error = {""};
        struct scheduler *scheduler =
            stepped("FlowMatchHeunDiscreteScheduler", "\"shift\": 1.0", documented, 4);
        const double timesteps[] = {scheduler->timesteps[0], scheduler->timesteps[1]};
        enum status status = scheduler_add_noise(scheduler, original, noise, timesteps, 2, 1, noisy, &error);
        if (documented) {
            ck_assert_int_eq(status, STATUS_OK);
            ck_assert_double_eq_tol((double)noisy[0], 0, 1e-7);
            ck_assert_double_eq_tol((double)noisy[1], 1 - 0.667, 1e-6);
        } else {
            expect_error(status, STATUS_BAD_INPUT, &error, "one timestep for all pictures", NULL);
        }
        status = scheduler_add_noise(scheduler, original, noise, timesteps, 1, 2, noisy, &error);
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_int_eq(scheduler->step_index, documented ? -1 : 0);
        scheduler_free(scheduler);
    }
}
END_TEST

/* Euler's log_linear makes N + 1 sigmas between the ends of training, so that the last step, the Nth, ends at
 * the smallest of training and not at 0, and the sigmas are not those of the timesteps. At 499.5, half way
 * between two timesteps, the documented sigma is their geometric mean. */
START_TEST(euler_log_linear)
{
    static const char options[] = STABLE_DIFFUSION ", \"interpolation_type\": \"log_linear\"";
    for (int documented = 0; documented < 2; documented++) {
        struct scheduler *scheduler = stepped("EulerDiscreteScheduler", options, documented, 3);
        const double a = (double)scheduler->alphas_cumprod[499], b = (double)scheduler->alphas_cumprod[500];
        const double mean = pow((1 - a) / a * (1 - b) / b, 0.25),
                     ends = pow(14.6146, 2.0 / 3) * pow(0.02917, 1.0 / 3);
        ck_assert_double_eq(scheduler->timesteps[1], 499.5);
        ck_assert_uint_eq(scheduler->num_sigmas, documented ? 4 : 5);
        ck_assert_double_eq_tol((double)scheduler->sigmas[1], documented ? mean : ends, 1e-3);
        ck_assert_double_eq_tol((double)scheduler->sigmas[3], documented ? 0 : 0.02917, 1e-5);
        scheduler_free(scheduler);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sigma_semantics");
    TCase *tcase = tcase_create("both values");
    tcase_add_test(tcase, lms_begins_in_the_middle);
    tcase_add_test(tcase, ancestral_step_lost_in_rounding);
    tcase_add_test(tcase, dpm2_rounds_under_karras);
    tcase_add_test(tcase, inherited_range_of_sigmas);
    tcase_add_test(tcase, karras_without_the_inherited_range);
    tcase_add_test(tcase, flow_shifts_twice);
    tcase_add_test(tcase, flow_keeps_given_timesteps);
    tcase_add_test(tcase, flow_heun_noises_and_begins);
    tcase_add_test(tcase, euler_log_linear);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
