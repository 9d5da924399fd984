/*
 * A scheduler config's options: values of the wrong type, requests and steps that no class can serve, and the
 * warnings for options that do nothing.
 */
#include "sched/scheduler.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Elements of the sample that the steps are tried on. */
#define PICTURE 12

static enum status create_from_text(
    const char *text, struct scheduler **scheduler, struct warnings *warnings, struct error *error)
{
    cJSON *config = NULL;
    *scheduler = NULL;
    enum status status = json_parse(text, strlen(text), "config", &config, error);
    if (status == STATUS_OK) status = scheduler_create(config, scheduler, warnings, error);
    cJSON_Delete(config);
    return status;
}

/* --- Values of the wrong type ------------------------------------------------------------- */

START_TEST(wrong_types)
{
    static const struct {
        const char *options, *name, *expected;
    } cases[] = {
        {"\"num_train_timesteps\": \"1000\"", "num_train_timesteps: ", "\"1000\""},
        {"\"num_train_timesteps\": 0", "num_train_timesteps: ", "got 0"},
        {"\"num_train_timesteps\": 1e9", "num_train_timesteps: ", "1000000"},
        {"\"num_train_timesteps\": 10.5", "num_train_timesteps: ", "10.5"},
        {"\"beta_start\": true", "beta_start: expected a number", "true"},
        {"\"beta_start\": null", "beta_start: expected a number", "null"},
        {"\"beta_end\": Infinity", "beta_end: expected a finite number", "Infinity"},
        {"\"beta_start\": -0.1, \"beta_schedule\": \"scaled_linear\"", "beta_start", "negative"},
        {"\"beta_schedule\": null", "beta_schedule: expected a string", "null"},
        {"\"trained_betas\": []", "trained_betas: ", "[]"},
        {"\"trained_betas\": [0.1, \"a\"]", "trained_betas[1]: expected a number", "\"a\""},
        {"\"use_karras_sigmas\": 1", "use_karras_sigmas: expected true or false", "1"},
        {"\"use_karras_sigmas\": null", "use_karras_sigmas: expected true or false", "null"},
        {"\"prediction_type\": 3", "prediction_type: expected a string", "3"},
        {"\"steps_offset\": [1]", "steps_offset: expected an integer", "[1]"},
        {"\"solver_order\": 0", "solver_order: expected an integer from 1", "got 0"},
        {"\"lambda_min_clipped\": \"-inf\"", "lambda_min_clipped: expected a number", "\"-inf\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(
            text, sizeof text, "{\"_class_name\": \"DPMSolverMultistepScheduler\", %s}", cases[i].options);
        struct scheduler *scheduler = NULL;
        struct error error = {""};
        enum status status = create_from_text(text, &scheduler, NULL, &error);
        ck_assert(scheduler == NULL);
        expect_error(status, STATUS_BAD_INPUT, &error, cases[i].name, cases[i].expected, NULL);
    }
}
END_TEST

START_TEST(accepted_nulls_and_infinities)
{
    static const char *const options[] = {
        "\"trained_betas\": null",
        "\"variance_type\": null",
        "\"use_lu_lambdas\": null",
        "\"use_flow_sigmas\": null",
        "\"flow_shift\": null",
        "\"lambda_min_clipped\": -Infinity",
        "\"_diffusers_version\": \"0.35.1\"",
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"_class_name\": \"DPMSolverMultistepScheduler\", %s}", options[i]);
        struct scheduler *scheduler = NULL;
        struct warnings warnings = {0};
        struct error error = {""};
        ck_assert_msg(
            create_from_text(text, &scheduler, &warnings, &error) == STATUS_OK, "%s", error.message);
        ck_assert_uint_eq(warnings.count, 0);
        scheduler_free(scheduler);
    }
}
END_TEST

START_TEST(unknown_classes)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    expect_error(create_from_text("{\"_class_name\": \"EulerScheduler\"}", &scheduler, NULL, &error),
        STATUS_BAD_INPUT, &error, "_class_name", "\"EulerScheduler\"", "EulerDiscreteScheduler", NULL);
    expect_error(
        create_from_text("{}", &scheduler, NULL, &error), STATUS_BAD_INPUT, &error, "_class_name", NULL);
    expect_error(create_from_text("[]", &scheduler, NULL, &error), STATUS_BAD_INPUT, &error, "object", NULL);
}
END_TEST

/* --- Requests and steps that no class can serve ------------------------------------------- */

START_TEST(absurd_requests)
{
    const double nan_list[] = {(double)NAN}, huge_list[] = {1e300};
    const struct {
        struct schedule_request request;
        const char *word;
    } cases[] = {
        {{.has_num_inference_steps = true, .num_inference_steps = -1}, "num_inference_steps"},
        {{.has_num_inference_steps = true, .num_inference_steps = 2000000000}, "num_inference_steps"},
        {{.timesteps = nan_list, .num_timesteps = 1}, "timesteps[0]"},
        {{.timesteps = huge_list, .num_timesteps = 1}, "timesteps[0]"},
        {{.sigmas = nan_list, .num_sigmas = 1}, "sigmas[0]"},
        {{.sigmas = huge_list, .num_sigmas = 0}, "sigmas"},
        {{.has_mu = true, .mu = 0.5}, "mu"},
    };
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    ck_assert_int_eq(
        create_from_text("{\"_class_name\": \"EulerDiscreteScheduler\"}", &scheduler, NULL, &error),
        STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(scheduler_set_timesteps(scheduler, &cases[i].request, NULL, &error), STATUS_BAD_INPUT,
            &error, cases[i].word, NULL);
    scheduler_free(scheduler);
}
END_TEST

START_TEST(steps_that_do_not_fit)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    ck_assert_int_eq(create_from_text("{\"_class_name\": \"DPMSolverMultistepScheduler\", "
                                      "\"algorithm_type\": \"sde-dpmsolver++\"}",
                         &scheduler, NULL, &error),
        STATUS_OK);
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = 3};
    ck_assert_int_eq(scheduler_set_timesteps(scheduler, &request, NULL, &error), STATUS_OK);
    const real numbers[2 * PICTURE] = {1};
    real prev_sample[PICTURE];
    struct step_input input = {
        .timestep = scheduler->timesteps[0],
        .model_output = numbers,
        .model_output_size = PICTURE,
        .sample = numbers,
        .batch = 1,
        .sample_size = PICTURE,
        .options = STEP_OPTIONS_DEFAULT,
    };
    expect_error(scheduler_step(scheduler, &input, prev_sample, NULL, &error), STATUS_BAD_INPUT, &error,
        "noise", NULL);
    input.noise = numbers;
    input.model_output_size = PICTURE + 1;
    expect_error(scheduler_step(scheduler, &input, prev_sample, NULL, &error), STATUS_BAD_INPUT, &error,
        "model_output", NULL);
    input.model_output_size = 2 * PICTURE; /* a variance that this config does not expect */
    expect_error(scheduler_step(scheduler, &input, prev_sample, NULL, &error), STATUS_BAD_INPUT, &error,
        "variance_type", NULL);
    input.model_output_size = PICTURE;
    ck_assert_int_eq(scheduler->step_index, -1); /* nothing has been done yet */
    ck_assert_int_eq(scheduler_step(scheduler, &input, prev_sample, NULL, &error), STATUS_OK);
    input.sample_size = input.model_output_size = PICTURE / 2; /* another size than the history's */
    expect_error(scheduler_step(scheduler, &input, prev_sample, NULL, &error), STATUS_BAD_INPUT, &error,
        "sample", NULL);
    scheduler_free(scheduler);
}
END_TEST

/* --- Warnings ----------------------------------------------------------------------------- */

START_TEST(options_that_do_nothing)
{
    static const struct {
        const char *config, *warning; /* NULL: none */
    } cases[] = {
        {"\"_class_name\": \"DDIMScheduler\", \"use_karras_sigmas\": true",
            "option use_karras_sigmas is ignored by DDIMScheduler"},
        {"\"_class_name\": \"EulerDiscreteScheduler\", \"clip_sample\": false",
            "option clip_sample is ignored by EulerDiscreteScheduler"},
        {"\"_class_name\": \"PNDMScheduler\", \"timestep_spacng\": \"leading\"",
            "did you mean timestep_spacing?"},
        {"\"_class_name\": \"PNDMScheduler\", \"qwertyuiop\": 1", "option qwertyuiop is unknown"},
        {"\"_class_name\": \"PNDMScheduler\", \"_anything\": 1", NULL},
        {"\"_class_name\": \"DDIMScheduler\", \"beta_schedule\": \"cosine\", \"num_train_timesteps\": 2, "
         "\"trained_betas\": [0.1, 0.2]",
            "beta_schedule is ignored"},
        {"\"_class_name\": \"DDIMScheduler\", \"trained_betas\": [0.1, 0.2]", "num_train_timesteps is 1000"},
        {"\"_class_name\": \"EulerDiscreteScheduler\", \"timestep_type\": \"other\"", "timestep_type"},
        {"\"_class_name\": \"EulerDiscreteScheduler\", \"interpolation_type\": \"log_linear\"", "log_linear"},
        {"\"_class_name\": \"EulerDiscreteScheduler\", \"sigma_max\": 10", "sigma_max"},
        {"\"_class_name\": \"EulerDiscreteScheduler\", \"sigma_max\": 10, \"use_karras_sigmas\": true", NULL},
        {"\"_class_name\": \"DPMSolverMultistepScheduler\", \"solver_order\": 4", "solver_order"},
        {"\"_class_name\": \"DPMSolverMultistepScheduler\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{%s}", cases[i].config);
        struct scheduler *scheduler = NULL;
        struct warnings warnings = {0};
        struct error error = {""};
        ck_assert_msg(
            create_from_text(text, &scheduler, &warnings, &error) == STATUS_OK, "%s", error.message);
        ck_assert_msg(warnings.count == (cases[i].warning ? 1 : 0), "%s: %zu warnings", text, warnings.count);
        if (cases[i].warning)
            ck_assert_msg(strstr(warnings.items[0], cases[i].warning) != NULL, "%s", warnings.items[0]);
        warnings_free(&warnings);
        scheduler_free(scheduler);
    }
}
END_TEST

/* Of two kinds of sigmas one wins, and custom sigmas win over all. */
START_TEST(sigma_kinds_that_lose)
{
    static const double sigmas[] = {10, 1, 0};
    const struct schedule_request steps = {.has_num_inference_steps = true, .num_inference_steps = 3};
    const struct schedule_request custom = {.sigmas = sigmas, .num_sigmas = 3};
    const struct {
        const char *config;
        const struct schedule_request *request;
        const char *warning;
    } cases[] = {
        {"{\"_class_name\": \"DPMSolverMultistepScheduler\", \"use_karras_sigmas\": true, "
         "\"use_lu_lambdas\": true}",
            &steps, "use_lu_lambdas"},
        {"{\"_class_name\": \"DPMSolverMultistepScheduler\", \"use_karras_sigmas\": true, "
         "\"use_flow_sigmas\": true}",
            &steps, "use_flow_sigmas"},
        {"{\"_class_name\": \"DPMSolverMultistepScheduler\", \"use_lu_lambdas\": true, \"use_beta_sigmas\": "
         "true}",
            &steps, "use_beta_sigmas"},
        {"{\"_class_name\": \"EulerDiscreteScheduler\", \"use_karras_sigmas\": true}", &custom,
            "use_karras_sigmas"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scheduler *scheduler = NULL;
        struct warnings warnings = {0};
        struct error error = {""};
        ck_assert_int_eq(create_from_text(cases[i].config, &scheduler, &warnings, &error), STATUS_OK);
        ck_assert_uint_eq(warnings.count, 0);
        ck_assert_int_eq(scheduler_set_timesteps(scheduler, cases[i].request, &warnings, &error), STATUS_OK);
        ck_assert_uint_eq(warnings.count, 1);
        ck_assert_msg(strstr(warnings.items[0], cases[i].warning) != NULL, "%s", warnings.items[0]);
        warnings_free(&warnings);
        scheduler_free(scheduler);
    }
}
END_TEST

START_TEST(names_of_options)
{
    const char *nearest = NULL;
    ck_assert(scheduler_option_is_known("use_karras_sigmas", &nearest));
    ck_assert_str_eq(nearest, "use_karras_sigmas");
    ck_assert(!scheduler_option_is_known("use_karas_sigmas", &nearest));
    ck_assert_str_eq(nearest, "use_karras_sigmas");
    ck_assert(!scheduler_option_is_known("zzzzzzzzzzzzzzzzzzzz", &nearest));
    ck_assert(nearest == NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sched_options");
    TCase *tcase = tcase_create("options");
    tcase_add_test(tcase, wrong_types);
    tcase_add_test(tcase, accepted_nulls_and_infinities);
    tcase_add_test(tcase, unknown_classes);
    tcase_add_test(tcase, absurd_requests);
    tcase_add_test(tcase, steps_that_do_not_fit);
    tcase_add_test(tcase, options_that_do_nothing);
    tcase_add_test(tcase, sigma_kinds_that_lose);
    tcase_add_test(tcase, names_of_options);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
