/*
 * What the sampler must do whatever the model and the numbers, in both arithmetics: no recorded number here.
 * (Orders of convergence are in test_convergence.c, the generators' identities in test_generators.c.)
 */
#include "tests/guidance_identities.h"
#include "tests/sampler_run.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STABLE_DIFFUSION "\"beta_schedule\": \"scaled_linear\", \"beta_start\": 0.00085, \"beta_end\": 0.012"

/* Half a unit in the last place of 1, in the two arithmetics. */
static const double unit_f32 = (double)FLT_EPSILON / 2, unit_f64 = DBL_EPSILON / 2;

static cJSON *config_of(const char *class_name, const char *options)
{
    return config_from(
        "{\"_class_name\": \"%s\", %s%s%s}", class_name, STABLE_DIFFUSION, *options ? ", " : "", options);
}

/* --- Zero terminal SNR -------------------------------------------------------------------- */

enum { TIMESTEPS = 1000 };
typedef size_t schedule_of(const cJSON *config, double *alphas_cumprod, size_t capacity);

/* Lin et al. 2023, Algorithm 1: of sqrt(alphas_cumprod) the last becomes 0, the first stays, and between them
 * the map is linear. alphas_cumprod are then made again from betas, of which each is rounded, so that the
 * units add up as a random walk does under a falling product: the gate on the curve is 10 units of 1, on its
 * first entry 4. */
static void check_zero_terminal_snr(const char *schedule, schedule_of *of, double unit)
{
    double plain[TIMESTEPS], rescaled[TIMESTEPS];
    cJSON *without = config_of("DDIMScheduler", "\"clip_sample\": false");
    cJSON *with = config_of("DDIMScheduler", "\"clip_sample\": false, \"rescale_betas_zero_snr\": true");
    cJSON_ReplaceItemInObject(without, "beta_schedule", cJSON_CreateString(schedule));
    cJSON_ReplaceItemInObject(with, "beta_schedule", cJSON_CreateString(schedule));
    ck_assert_uint_eq(of(without, plain, TIMESTEPS), TIMESTEPS);
    ck_assert_uint_eq(of(with, rescaled, TIMESTEPS), TIMESTEPS);

    ck_assert_double_eq(rescaled[TIMESTEPS - 1], 0);
    ck_assert_double_eq_tol(rescaled[0], plain[0], 4 * unit);
    const double first = sqrt(plain[0]), last = sqrt(plain[TIMESTEPS - 1]);
    for (int t = 1; t < TIMESTEPS; t++) {
        double root = (sqrt(plain[t]) - last) * first / (first - last);
        ck_assert_msg(rescaled[t] < rescaled[t - 1], "%s: timestep %d is not noisier", schedule, t);
        ck_assert_msg(fabs(rescaled[t] - root * root) <= 10 * unit, "%s: timestep %d: %.9g, not %.9g",
            schedule, t, rescaled[t], root * root);
    }
    cJSON_Delete(without);
    cJSON_Delete(with);
}

START_TEST(zero_terminal_snr)
{
    static const char *const schedules[] = {"linear", "scaled_linear"};
    for (int i = 0; i < 2; i++) {
        check_zero_terminal_snr(schedules[i], noise_schedule_of_f32, unit_f32);
        check_zero_terminal_snr(schedules[i], noise_schedule_of_f64, unit_f64);
    }
}
END_TEST

/* The classes that divide by the last entry keep 2^-24 there, and all others as they are. */
START_TEST(nearly_zero_terminal_snr)
{
    static const char *const classes[] = {"EulerDiscreteScheduler", "DPMSolverMultistepScheduler"};
    static schedule_of *const of[] = {noise_schedule_of_f32, noise_schedule_of_f64};
    cJSON *ddim = config_of("DDIMScheduler", "\"rescale_betas_zero_snr\": true");
    for (int i = 0; i < 4; i++) {
        double exact[TIMESTEPS], kept[TIMESTEPS];
        cJSON *config = config_of(classes[i / 2], "\"rescale_betas_zero_snr\": true");
        of[i % 2](ddim, exact, TIMESTEPS);
        of[i % 2](config, kept, TIMESTEPS);
        ck_assert_mem_eq(kept, exact, (TIMESTEPS - 1) * sizeof *kept);
        ck_assert_double_eq(kept[TIMESTEPS - 1], 0x1p-24);
        cJSON_Delete(config);
    }
    cJSON_Delete(ddim);
}
END_TEST

/* --- One exact step ----------------------------------------------------------------------- */

/* Each class with a schedule of one step, from the timestep that stands for %d down to zero noise. */
static const struct {
    const char *class_name, *options;
    bool by_timesteps; /* the step is asked for as a custom timestep, not as N = 1 with an offset */
} one_step[] = {
    {"DDIMScheduler", "\"clip_sample\": false, \"steps_offset\": %d", false},
    {"DDIMScheduler", "\"clip_sample\": false, \"prediction_type\": \"sample\", \"steps_offset\": %d", false},
    {"DDIMScheduler", "\"clip_sample\": false, \"prediction_type\": \"v_prediction\", \"steps_offset\": %d",
        false},
    {"PNDMScheduler", "\"skip_prk_steps\": true, \"set_alpha_to_one\": true, \"steps_offset\": %d", false},
    {"PNDMScheduler",
        "\"skip_prk_steps\": true, \"set_alpha_to_one\": true, \"prediction_type\": \"v_prediction\", "
        "\"steps_offset\": %d",
        false},
    {"EulerDiscreteScheduler", "\"timestep_spacing\": \"leading\", \"steps_offset\": %d", false},
    {"EulerDiscreteScheduler",
        "\"timestep_spacing\": \"leading\", \"prediction_type\": \"sample\", \"steps_offset\": %d", false},
    {"EulerDiscreteScheduler",
        "\"timestep_spacing\": \"leading\", \"prediction_type\": \"v_prediction\", \"steps_offset\": %d",
        false},
    {"DPMSolverMultistepScheduler", "\"steps_offset\": %d", true},
    {"DPMSolverMultistepScheduler", "\"prediction_type\": \"sample\", \"steps_offset\": %d", true},
    {"DPMSolverMultistepScheduler", "\"prediction_type\": \"v_prediction\", \"steps_offset\": %d", true},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 3, \"steps_offset\": %d", true},
};

enum { ONE_STEP_SIZE = 64 };

/* The data come back from x = sqrt(a) x_0 + sqrt(1 - a) noise as (x - sqrt(1 - a) noise) / sqrt(a): the
 * rounding is that of the terms, magnified by 1 / sqrt(a), which is 14.6 at the last timestep of Stable
 * Diffusion. 4 units of the terms are allowed, for two products, two sums and the roots. */
static void check_one_step(
    const cJSON *config, const struct schedule_request *request, bool single, const char *what)
{
    double original[ONE_STEP_SIZE], noise[ONE_STEP_SIZE], back[ONE_STEP_SIZE];
    fill_normals("11", original, ONE_STEP_SIZE);
    fill_normals("12", noise, ONE_STEP_SIZE);
    const double a = (single ? noise_and_step_f32 : noise_and_step_f64)(
        config, request, original, noise, ONE_STEP_SIZE, back);
    const double sigma = sqrt((1 - a) / a), unit = single ? unit_f32 : unit_f64;
    for (int j = 0; j < ONE_STEP_SIZE; j++) {
        double tolerance = 4 * unit * (fabs(original[j]) + sigma * fabs(noise[j]));
        ck_assert_msg(fabs(back[j] - original[j]) <= tolerance,
            "%s, level %g: %.9g came back as %.9g (%g of the tolerance)", what, a, original[j], back[j],
            fabs(back[j] - original[j]) / tolerance);
    }
}

START_TEST(noise_added_is_removed)
{
    static const int timesteps[] = {999, 500, 20, 1};
    for (size_t i = 0; i < sizeof timesteps / sizeof *timesteps; i++) {
        const double timestep = timesteps[i];
        char options[300];
        snprintf(options, sizeof options, one_step[_i].options, timesteps[i]);
        cJSON *config = config_of(one_step[_i].class_name, options);
        struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = 1};
        if (one_step[_i].by_timesteps)
            request = (struct schedule_request){.timesteps = &timestep, .num_timesteps = 1};
        check_one_step(config, &request, true, one_step[_i].class_name);
        check_one_step(config, &request, false, one_step[_i].class_name);
        cJSON_Delete(config);
    }
}
END_TEST

/* --- Whole runs --------------------------------------------------------------------------- */

/* Data that are one point: every prediction of them is exact, on a trajectory or off it. */
static const double point = 0.7;

static struct prediction point_model(const void *context, double a, double x)
{
    (void)context;
    return (struct prediction){.epsilon = (x - sqrt(a) * point) / sqrt(1 - a), .original = point};
}

static double point_solution(const void *context, double a, double z)
{
    (void)context;
    return sqrt(a) * point + sqrt(1 - a) * z;
}

/* Data that are two bells, N(-1, s^2) and N(1, s^2): the posterior's weight of the right one less that of the
 * left is tanh(sqrt(a) x / v), v = a s^2 + 1 - a, and each bell's own mean given x is as for one Gaussian.
 * The model is smooth and not linear, and the runs end spread out. */
static struct prediction bells_model(const void *context, double a, double x)
{
    (void)context;
    const double s2 = 0.25, v = a * s2 + 1 - a, centre = tanh(sqrt(a) * x / v);
    const double original = centre + sqrt(a) * s2 * (x - sqrt(a) * centre) / v;
    return (struct prediction){.epsilon = (x - sqrt(a) * original) / sqrt(1 - a), .original = original};
}

/* Not on an exact flow: a start of about the right size, the same at every level. */
static double bells_start(const void *context, double a, double z)
{
    (void)context, (void)a;
    return z;
}

static const struct {
    const char *class_name, *options;
    double eta, s_churn;
} run_cases[] = {
    {"DDIMScheduler", "\"clip_sample\": false, \"steps_offset\": 1", 0, 0},
    {"DDIMScheduler", "\"clip_sample\": true, \"timestep_spacing\": \"trailing\"", 1, 0},
    {"DDIMScheduler",
        "\"thresholding\": true, \"sample_max_value\": 1.5, \"dynamic_thresholding_ratio\": 0.9", 0.5, 0},
    {"PNDMScheduler", "\"skip_prk_steps\": true, \"steps_offset\": 1", 0, 0},
    {"PNDMScheduler", "\"prediction_type\": \"v_prediction\"", 0, 0},
    {"EulerDiscreteScheduler", "\"timestep_spacing\": \"leading\", \"steps_offset\": 1", 0, 0},
    {"EulerDiscreteScheduler", "\"use_karras_sigmas\": true, \"prediction_type\": \"v_prediction\"", 0, 0},
    {"EulerDiscreteScheduler", "\"timestep_spacing\": \"trailing\"", 0, 5},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 1", 0, 0},
    {"DPMSolverMultistepScheduler", "\"use_karras_sigmas\": true", 0, 0},
    {"DPMSolverMultistepScheduler", "\"solver_order\": 3, \"prediction_type\": \"v_prediction\"", 0, 0},
    {"DPMSolverMultistepScheduler", "\"algorithm_type\": \"sde-dpmsolver++\"", 0, 0},
    {"DPMSolverMultistepScheduler", "\"algorithm_type\": \"dpmsolver\", \"final_sigmas_type\": \"sigma_min\"",
        0, 0},
    {"DPMSolverMultistepScheduler",
        "\"algorithm_type\": \"sde-dpmsolver\", \"final_sigmas_type\": \"sigma_min\"", 0, 0},
    {"DPMSolverSinglestepScheduler", "\"solver_order\": 3", 0, 0},
    {"DPMSolverSinglestepScheduler", "\"algorithm_type\": \"sde-dpmsolver++\"", 0, 0},
    {"DEISMultistepScheduler", "\"use_karras_sigmas\": true", 0, 0},
    {"UniPCMultistepScheduler", "\"prediction_type\": \"v_prediction\"", 0, 0},
    {"UniPCMultistepScheduler", "\"solver_order\": 3", 0, 0},
    {"SASolverScheduler", "\"predictor_order\": 1, \"corrector_order\": 1", 0, 0},
};

enum {
    RUN_STEPS = 20,
    MOST_CALLS = RUN_STEPS + 9,
    RUN_BATCH = 2,
    RUN_SIZE = 48,
    RUN_COUNT = RUN_BATCH * RUN_SIZE
};

static struct sampler_run run_of(int i, const cJSON *config, size_t batch, const double *noise)
{
    struct sampler_run run = {
        .config = config,
        .request = {.has_num_inference_steps = true, .num_inference_steps = RUN_STEPS},
        .options = STEP_OPTIONS_DEFAULT,
        .batch = batch,
        .size = RUN_SIZE,
        .noise = noise,
        .model = bells_model,
        .solution = bells_start,
    };
    run.options.eta = run_cases[i].eta;
    run.options.s_churn = run_cases[i].s_churn;
    return run;
}

/* The two arithmetics differ by rounding alone: float32's tables are off by some 1e-6 after a product of 1000
 * factors, and each of 20 steps rounds a few times. The worst of these cases is 1.6e-6 of the largest value;
 * a wrong coefficient shows at 1e-3 and above. */
START_TEST(arithmetics_agree)
{
    double *noise = malloc(MOST_CALLS * RUN_COUNT * sizeof *noise);
    double z[RUN_COUNT], single[RUN_COUNT], truth[RUN_COUNT], peak = 0, worst = 0;
    ck_assert_ptr_nonnull(noise);
    fill_normals("21", noise, MOST_CALLS * RUN_COUNT);
    fill_normals("22", z, RUN_COUNT);
    cJSON *config = config_of(run_cases[_i].class_name, run_cases[_i].options);
    struct sampler_run run = run_of(_i, config, RUN_BATCH, noise);
    run_sampler_f32(&run, z, single);
    run_sampler_f64(&run, z, truth);
    for (int j = 0; j < RUN_COUNT; j++) {
        peak = fmax(peak, fabs(truth[j]));
        worst = fmax(worst, fabs(single[j] - truth[j]));
    }
    ck_assert_double_le(worst, 5e-6 * peak);
    ck_assert_double_gt(worst, 0); /* they are two */
    cJSON_Delete(config);
    free(noise);
}
END_TEST

/* A batch of two is two runs of one, bit for bit. */
START_TEST(batch_invariance)
{
    double *noise = malloc(MOST_CALLS * RUN_COUNT * sizeof *noise),
           *one_noise = malloc(MOST_CALLS * RUN_SIZE * sizeof *noise);
    double z[RUN_COUNT], together[RUN_COUNT], alone[RUN_SIZE];
    ck_assert(noise && one_noise);
    fill_normals("31", noise, MOST_CALLS * RUN_COUNT);
    fill_normals("32", z, RUN_COUNT);
    cJSON *config = config_of(run_cases[_i].class_name, run_cases[_i].options);
    for (int precision = 0; precision < 2; precision++) {
        double (*run_sampler)(const struct sampler_run *, const double *, double *) =
            precision ? run_sampler_f64 : run_sampler_f32;
        struct sampler_run run = run_of(_i, config, RUN_BATCH, noise);
        run_sampler(&run, z, together);
        for (size_t b = 0; b < RUN_BATCH; b++) {
            for (size_t k = 0; k < MOST_CALLS * RUN_SIZE; k++)
                one_noise[k] = noise[k / RUN_SIZE * RUN_COUNT + b * RUN_SIZE + k % RUN_SIZE];
            run = run_of(_i, config, 1, one_noise);
            run_sampler(&run, z + b * RUN_SIZE, alone);
            ck_assert_mem_eq(alone, together + b * RUN_SIZE, sizeof alone);
        }
    }
    cJSON_Delete(config);
    free(noise);
    free(one_noise);
}
END_TEST

/* --- Stochastic steps --------------------------------------------------------------------- */

static const struct {
    const char *class_name, *options;
    double eta, s_churn;
} stochastic[] = {
    {"DDIMScheduler", "\"clip_sample\": false, \"set_alpha_to_one\": false", 1, 0},
    {"DDIMScheduler",
        "\"clip_sample\": false, \"set_alpha_to_one\": false, \"prediction_type\": \"v_prediction\"", 0.3, 0},
    /* Euler's churn moves the sample after the model saw it; only a prediction of the data is as good
     * there. */
    {"EulerDiscreteScheduler", "\"final_sigmas_type\": \"sigma_min\", \"prediction_type\": \"sample\"", 0, 8},
    {"DPMSolverMultistepScheduler",
        "\"final_sigmas_type\": \"sigma_min\", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 1",
        0, 0},
    {"DPMSolverMultistepScheduler",
        "\"final_sigmas_type\": \"sigma_min\", \"algorithm_type\": \"sde-dpmsolver++\", \"solver_order\": 2",
        0, 0},
};

enum { SDE_STEPS = 10, SDE_SIZE = SDE_STEPS + 2 };

/* On data that are one point a stochastic step is linear in the noise of the start and of each draw, and must
 * leave the marginal of the level that it reaches: the mean sqrt(a) x_0 where all noise is zero, and the
 * squares of the noise's weights summing to 1 - a. Element 0 has the start's noise, element i that of step i
 * - 1, the last none. */
START_TEST(marginals_are_kept)
{
    double noise[SDE_STEPS * SDE_SIZE] = {0}, z[SDE_SIZE] = {1}, end[SDE_SIZE], squares = 0;
    for (size_t i = 0; i < SDE_STEPS; i++) noise[i * SDE_SIZE + i + 1] = 1;
    cJSON *config = config_of(stochastic[_i].class_name, stochastic[_i].options);
    struct sampler_run run = {
        .config = config,
        .request = {.has_num_inference_steps = true, .num_inference_steps = SDE_STEPS},
        .options = STEP_OPTIONS_DEFAULT,
        .batch = 1,
        .size = SDE_SIZE,
        .noise = noise,
        .model = point_model,
        .solution = point_solution,
    };
    run.options.eta = stochastic[_i].eta;
    run.options.s_churn = stochastic[_i].s_churn;
    const double a = run_sampler_f64(&run, z, end), mean = end[SDE_SIZE - 1];
    ck_assert_double_eq_tol(mean, sqrt(a) * point, 1e-14);
    for (int j = 0; j < SDE_SIZE - 1; j++) squares += (end[j] - mean) * (end[j] - mean);
    ck_assert_double_eq_tol(squares / (1 - a), 1, 1e-11); /* 1 - a, some 1e-3, cancels three digits */
    squares -= (end[0] - mean) * (end[0] - mean);
    ck_assert_double_gt(squares / (1 - a), 0.1); /* much of it was drawn on the way */
    cJSON_Delete(config);
}
END_TEST

/* --- One algorithm under three names ------------------------------------------------------ */

/* DDIM without noise, Euler's method in sigma and DPM-Solver++ of order 1 are the same step (Lu et al. 2022,
 * arXiv:2211.01095, section 4.1; Karras et al. 2022, appendix C.3), written three ways. */
START_TEST(first_order_classes_agree)
{
    static const double timesteps[] = {999, 899, 799, 699, 599, 499, 399, 299, 199, 99};
    double z[RUN_SIZE], ddim_end[RUN_SIZE], euler_end[RUN_SIZE], dpm_end[RUN_SIZE];
    fill_normals("41", z, RUN_SIZE);
    cJSON *ddim = config_of("DDIMScheduler", "\"clip_sample\": false, \"timestep_spacing\": \"trailing\"");
    cJSON *euler = config_of("EulerDiscreteScheduler", "");
    cJSON *dpm = config_of("DPMSolverMultistepScheduler", "\"solver_order\": 1");
    struct sampler_run run = {
        .config = ddim,
        .request = {.has_num_inference_steps = true, .num_inference_steps = 10},
        .options = STEP_OPTIONS_DEFAULT,
        .batch = 1,
        .size = RUN_SIZE,
        .model = bells_model,
        .solution = bells_start,
    };
    run_sampler_f64(&run, z, ddim_end);
    run.request = (struct schedule_request){.timesteps = timesteps, .num_timesteps = 10};
    run.config = euler;
    run_sampler_f64(&run, z, euler_end);
    run.config = dpm;
    run_sampler_f64(&run, z, dpm_end);
    for (int j = 0; j < RUN_SIZE; j++) { /* values of 1, sigmas of 15, ten steps */
        ck_assert_double_eq_tol(euler_end[j], ddim_end[j], 1e-12);
        ck_assert_double_eq_tol(dpm_end[j], ddim_end[j], 1e-12);
    }
    cJSON_Delete(ddim);
    cJSON_Delete(euler);
    cJSON_Delete(dpm);
}
END_TEST

/* With noise: DDPM's posterior, DDIM of eta 1, Euler's ancestral step and the stochastic DPM-Solver++ of
 * order 1 (Song, Meng and Ermon 2021, arXiv:2010.02502, section 4.1; sched/README.md derives it). Each class
 * draws the same noise here; the last step draws for Euler alone, and multiplies it with 0. */
START_TEST(first_order_classes_agree_with_noise)
{
    static const double timesteps[] = {999, 899, 799, 699, 599, 499, 399, 299, 199, 99};
    double z[RUN_SIZE], noise[10 * RUN_SIZE], ends[4][RUN_SIZE];
    fill_normals("43", z, RUN_SIZE);
    fill_normals("44", noise, 10 * RUN_SIZE);
    cJSON *configs[4] = {
        config_of("DDIMScheduler", "\"clip_sample\": false, \"timestep_spacing\": \"trailing\""),
        config_of("DDPMScheduler", "\"clip_sample\": false, \"timestep_spacing\": \"trailing\""),
        config_of("EulerAncestralDiscreteScheduler",
            "\"timestep_spacing\": \"trailing\", \"_semantics\": \"documented\""),
        config_of(
            "DPMSolverMultistepScheduler", "\"solver_order\": 1, \"algorithm_type\": \"sde-dpmsolver++\""),
    };
    for (int i = 0; i < 4; i++) {
        struct sampler_run run = {
            .config = configs[i],
            .request = {.has_num_inference_steps = true, .num_inference_steps = 10},
            .options = STEP_OPTIONS_DEFAULT,
            .batch = 1,
            .size = RUN_SIZE,
            .noise = noise,
            .model = bells_model,
            .solution = bells_start,
        };
        if (i == 0) run.options.eta = 1;
        if (i == 3) run.request = (struct schedule_request){.timesteps = timesteps, .num_timesteps = 10};
        run_sampler_f64(&run, z, ends[i]);
        for (int j = 0; j < RUN_SIZE; j++) /* DDPM's last step adds noise of the root of 1e-20 */
            ck_assert_double_eq_tol(ends[i][j], ends[0][j], i == 1 ? 1e-9 : 1e-12);
        cJSON_Delete(configs[i]);
    }
}
END_TEST

/* --- Guidance ----------------------------------------------------------------------------- */

START_TEST(guidance)
{
    check_guidance_line_f32();
    check_guidance_line_f64();
    check_guidance_rescale_f32();
    check_guidance_rescale_f64();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("first principles");
    TCase *tables = tcase_create("noise schedule"), *steps = tcase_create("steps"),
          *runs = tcase_create("runs");
    tcase_add_test(tables, zero_terminal_snr);
    tcase_add_test(tables, nearly_zero_terminal_snr);
    tcase_add_loop_test(steps, noise_added_is_removed, 0, sizeof one_step / sizeof *one_step);
    tcase_add_loop_test(steps, marginals_are_kept, 0, sizeof stochastic / sizeof *stochastic);
    tcase_add_test(steps, guidance);
    tcase_add_loop_test(runs, arithmetics_agree, 0, sizeof run_cases / sizeof *run_cases);
    tcase_add_loop_test(runs, batch_invariance, 0, sizeof run_cases / sizeof *run_cases);
    tcase_add_test(runs, first_order_classes_agree);
    tcase_add_test(runs, first_order_classes_agree_with_noise);
    suite_add_tcase(suite, tables);
    suite_add_tcase(suite, steps);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
