/*
 * What each departure of diffusers from its documentation does to a Gaussian: data N(1, 0.5^2), whose best
 * model is known, sampled with both semantics. The rows that this program prints are those of the table in
 * sched/DEVIATIONS.md.
 */
#include "ref/schedule_departures.h"
#include "tests/gaussian_moments.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SD "\"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085, \"beta_end\": 0.012"

static const double given_timesteps[] = {1000, 750, 500, 250}, given_sigmas[] = {80, 20, 5, 1, 0.2},
                    distilled_timesteps[] = {999, 759, 499, 259};

static const struct measured {
    const char *departure; /* its heading */
    const char *shown;     /* class and options */
    const char *config;
    struct schedule_request request;
    size_t begin; /* the step to begin at */
} runs[] = {
#define STEPS(n)                                                                                             \
    {                                                                                                        \
        .has_num_inference_steps = true, .num_inference_steps = (n)                                          \
    }
    {"One step more than was asked for", "DDIM, `trailing`",
        "{\"_class_name\": \"DDIMScheduler\", \"clip_sample\": false, " SD
        ", \"timestep_spacing\": \"trailing\"}",
        STEPS(61), 0},
    {"A stride in the place of the list", "PNDM, `linspace`",
        "{\"_class_name\": \"PNDMScheduler\", " SD ", \"timestep_spacing\": \"linspace\"}", STEPS(20), 0},
    {"The root of a logarithm", "DDPM, `fixed_large_log`",
        "{\"_class_name\": \"DDPMScheduler\", \"clip_sample\": false, " SD
        ", \"variance_type\": \"fixed_large_log\"}",
        STEPS(50), 0},
    {"A last step that adds noise", "LCM, `timesteps` 999 759 499 259, `strength` 0.5",
        "{\"_class_name\": \"LCMScheduler\", " SD "}",
        {.timesteps = distilled_timesteps, .num_timesteps = 4, .has_strength = true, .strength = 0.5}, 0},
    {"A range of sigmas that the class has no options for", "Heun, Karras, `sigma_max` 5",
        "{\"_class_name\": \"HeunDiscreteScheduler\", " SD ", \"use_karras_sigmas\": true, \"sigma_max\": 5}",
        STEPS(10), 0},
    {"Log-linear interpolation that does not interpolate", "Euler, `log_linear`",
        "{\"_class_name\": \"EulerDiscreteScheduler\", " SD ", \"interpolation_type\": \"log_linear\"}",
        STEPS(10), 0},
    {"LMS in the middle of a schedule", "LMS from step 3",
        "{\"_class_name\": \"LMSDiscreteScheduler\", " SD "}", STEPS(10), 3},
    {"A step down that rounding swallows", "EulerAncestral, `squaredcos_cap_v2`",
        "{\"_class_name\": \"EulerAncestralDiscreteScheduler\", \"beta_schedule\": \"squaredcos_cap_v2\"}",
        STEPS(4), 0},
    {"Timesteps rounded in half of the calls", "KDPM2, Karras",
        "{\"_class_name\": \"KDPM2DiscreteScheduler\", " SD ", \"use_karras_sigmas\": true}", STEPS(5), 0},
    {"The shift is applied twice", "FlowMatchEuler, `shift` 3",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift\": 3}", STEPS(10), 0},
    {"Given timesteps are not those of the sigmas", "FlowMatchEuler, `shift` 3, 4 timesteps",
        "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift\": 3}",
        {.timesteps = given_timesteps, .num_timesteps = 4}, 0},
    {"Order 3 takes half of its last term", "DPMSolverMultistep, `solver_order` 3, Lu's sigmas",
        "{\"_class_name\": \"DPMSolverMultistepScheduler\", " SD
        ", \"solver_order\": 3, \"use_lu_lambdas\": true}",
        STEPS(20), 0},
    {"A wrong sign in the third order of the SDE", "DPMSolverMultistep, `sde-dpmsolver++`, `solver_order` 3",
        "{\"_class_name\": \"DPMSolverMultistepScheduler\", " SD
        ", \"solver_order\": 3, \"algorithm_type\": \"sde-dpmsolver++\", \"use_lu_lambdas\": true}",
        STEPS(100), 0},
    {"No third order of sde-dpmsolver", "DPMSolverMultistep, `sde-dpmsolver`, `solver_order` 3",
        "{\"_class_name\": \"DPMSolverMultistepScheduler\", " SD
        ", \"solver_order\": 3, \"algorithm_type\": \"sde-dpmsolver\", \"final_sigmas_type\": \"sigma_min\", "
        "\"use_lu_lambdas\": true}",
        STEPS(50), 0},
    {"Timesteps cut, not rounded", "DPMSolverMultistep, exponential",
        "{\"_class_name\": \"DPMSolverMultistepScheduler\", " SD ", \"use_exponential_sigmas\": true}",
        STEPS(50), 0},
    {"The last step does nothing", "DEIS, Karras",
        "{\"_class_name\": \"DEISMultistepScheduler\", " SD ", \"use_karras_sigmas\": true}", STEPS(10), 0},
    {"The inverse's flow sigmas fall", "DPMSolverMultistepInverse, `use_flow_sigmas`",
        "{\"_class_name\": \"DPMSolverMultistepInverseScheduler\", \"prediction_type\": \"flow_prediction\", "
        "\"use_flow_sigmas\": true}",
        STEPS(20), 0},
    {"Sigmas that are a ramp", "EDMEuler, `sigmas` 80 20 5 1 0.2", "{\"_class_name\": \"EDMEulerScheduler\"}",
        {.sigmas = given_sigmas, .num_sigmas = 5}, 0},
    {"Predictions of the sample", "EDMEuler, `sample`",
        "{\"_class_name\": \"EDMEulerScheduler\", \"prediction_type\": \"sample\"}", STEPS(20), 0},
    {"Noise that is not handed on", "EDMDPMSolverMultistep, `sde-dpmsolver++`, `solver_order` 3",
        "{\"_class_name\": \"EDMDPMSolverMultistepScheduler\", \"algorithm_type\": \"sde-dpmsolver++\", "
        "\"solver_order\": 3}",
        STEPS(50), 0},
    {"A last step without end", "CosineDPMSolverMultistep",
        "{\"_class_name\": \"CosineDPMSolverMultistepScheduler\"}", STEPS(50), 0},
    {"A last step of no length", "CosineDPMSolverMultistep, `sigma_min`",
        "{\"_class_name\": \"CosineDPMSolverMultistepScheduler\", \"final_sigmas_type\": \"sigma_min\"}",
        STEPS(50), 0},
};
enum { RUNS = sizeof runs / sizeof *runs };
static const double mu = 1, s = 0.5;

/* "mean / deviation", "refused", "NaN". */
static void show(enum status status, const struct gaussian_moments *moments, char text[64])
{
    if (status != STATUS_OK)
        snprintf(text, 64, "refused");
    else if (isnan(moments->deviation))
        snprintf(text, 64, "NaN");
    else
        snprintf(text, 64, "%.5f / %.5f", moments->mean, moments->deviation);
}

static enum status measure(
    const struct measured *run, const char *semantics, struct gaussian_moments *moments)
{
    struct error error;
    cJSON *config = cJSON_Parse(run->config);
    ck_assert_msg(config != NULL, "%s", run->config);
    ck_assert(cJSON_AddStringToObject(config, "_semantics", semantics) != NULL);
    *moments = (struct gaussian_moments){0};
    enum status status = gaussian_moments_f32(config, &run->request, run->begin, mu, s, moments, &error);
    cJSON_Delete(config);
    return status;
}

/* The row of the table, up to the columns that are no numbers. */
static void measure_row(const struct measured *run, char row[400])
{
    static const char *const semantics[] = {"diffusers", "documented"};
    char shown[2][64];
    const int steps = run->request.has_num_inference_steps
                          ? run->request.num_inference_steps
                          : (int)(run->request.num_timesteps + run->request.num_sigmas);
    for (int k = 0; k < 2; k++) {
        struct gaussian_moments moments;
        const enum status status = measure(run, semantics[k], &moments);
        show(status, &moments, shown[k]);
    }
    ck_assert_msg(strcmp(shown[0], shown[1]) != 0, "%s: both semantics end at %s", run->departure, shown[0]);
    snprintf(row, 400, "| %s | %s | %d | %s | %s |", run->departure, run->shown, steps, shown[0], shown[1]);
}

START_TEST(what_departures_do_to_a_gaussian)
{
    char *text = read_whole_text("sched/DEVIATIONS.md");
    for (size_t r = 0; r < RUNS; r++) {
        char row[400];
        measure_row(&runs[r], row);
        printf("%s\n", row);
        ck_assert_msg(strstr(text, row) != NULL, "DEVIATIONS.md does not have: %s", row);
    }
    free(text);
}
END_TEST

/* Every departure that plumb schedule marks has a row, or is named as one without numbers. */
START_TEST(every_departure_is_measured)
{
    static const char *const without[] = {
        "DEIS divides by the wrong sigma for a flow", "Predicted noise cannot be thresholded"};
    for (size_t d = 0; d < departure_count(); d++) {
        bool there = false;
        for (size_t r = 0; r < RUNS; r++) there = there || !strcmp(runs[r].departure, departure_heading(d));
        for (size_t k = 0; k < 2; k++) there = there || !strcmp(without[k], departure_heading(d));
        ck_assert_msg(there, "%s", departure_heading(d));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("departures");
    TCase *tcase = tcase_create("departures");
    tcase_add_test(tcase, what_departures_do_to_a_gaussian);
    tcase_add_test(tcase, every_departure_is_measured);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
