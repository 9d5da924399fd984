/*
 * DDIM and PNDM, what their arithmetic does not show: the lists of timesteps, when noise is drawn, options
 * without effect, and PNDM's memory from step to step.
 */
#include "sched/scheduler.h"
#include "sampler_support.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { PICTURE = 6 };

static struct scheduler *need_scheduler(
    const char *class_name, const char *options, struct warnings *warnings)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    cJSON *config = config_from("{\"_class_name\": \"%s\", \"beta_schedule\": \"scaled_linear\"%s%s}",
        class_name, *options ? ", " : "", options);
    enum status status = scheduler_create(config, &scheduler, warnings, &error);
    cJSON_Delete(config);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return scheduler;
}

static enum status set_steps(struct scheduler *scheduler, int n, struct error *error)
{
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = n};
    return scheduler_set_timesteps(scheduler, &request, NULL, error);
}

/* A model output and a sample that differ from call to call. */
static float value(size_t call, int i)
{
    return sinf((float)(7 * call) + (float)i);
}

/* One step of a batch of one from `sample` at the schedule's i-th timestep. */
static enum status step_at(struct scheduler *scheduler, size_t i, const float *sample, size_t size,
    struct step_options options, const float *noise, float *prev_sample, float *pred_original_sample,
    struct error *error)
{
    float model_output[2 * PICTURE];
    for (int j = 0; j < 2 * PICTURE; j++) model_output[j] = value(i, j);
    const struct step_input input = {
        .timestep = scheduler->timesteps[i],
        .model_output = model_output,
        .model_output_size = size,
        .sample = sample,
        .batch = 1,
        .sample_size = size,
        .noise = noise,
        .options = options,
    };
    return scheduler_step(scheduler, &input, prev_sample, pred_original_sample, error);
}

/* --- Lists of timesteps ------------------------------------------------------------------- */

/* Table 2 of Lin et al. 2023 for T = 1000 and N = 5 (its timesteps count from 1), and PNDM's calls beyond the
 * grid. */
static const struct {
    const char *class_name, *options;
    int num_inference_steps;
    size_t count;
    double timesteps[16];
} grids[] = {
    {"DDIMScheduler", "\"steps_offset\": 1", 5, 5, {801, 601, 401, 201, 1}},
    {"DDIMScheduler", "\"timestep_spacing\": \"trailing\"", 5, 5, {999, 799, 599, 399, 199}},
    {"DDIMScheduler", "\"timestep_spacing\": \"linspace\"", 5, 5, {999, 749, 500, 250, 0}},
    /* PLMS: the second of the grid twice. */
    {"PNDMScheduler", "\"skip_prk_steps\": true, \"steps_offset\": 1", 5, 6, {801, 601, 601, 401, 201, 1}},
    {"PNDMScheduler", "\"skip_prk_steps\": true", 2, 3, {500, 0, 0}},
    {"PNDMScheduler", "\"skip_prk_steps\": true", 1, 1, {0}},
    /* PRK: three steps of four calls, then the grid from its fourth entry. */
    {"PNDMScheduler", "", 5, 14, {800, 700, 700, 600, 600, 500, 500, 400, 400, 300, 300, 200, 200, 0}},
};

START_TEST(lists)
{
    struct scheduler *scheduler = need_scheduler(grids[_i].class_name, grids[_i].options, NULL);
    ck_assert_int_eq(set_steps(scheduler, grids[_i].num_inference_steps, NULL), STATUS_OK);
    ck_assert_uint_eq(scheduler->num_timesteps, grids[_i].count);
    ck_assert_int_eq(scheduler->timestep_dtype, TIMESTEP_INT64);
    for (size_t i = 0; i < grids[_i].count; i++)
        ck_assert_double_eq(scheduler->timesteps[i], grids[_i].timesteps[i]);
    scheduler_free(scheduler);
}
END_TEST

START_TEST(lists_refused)
{
    struct error error = {""};
    struct scheduler *pndm = need_scheduler("PNDMScheduler", "", NULL);
    expect_error(set_steps(pndm, 3, &error), STATUS_BAD_INPUT, &error, "num_inference_steps: ", "at least 4",
        "got 3", NULL);
    scheduler_free(pndm);

    struct scheduler *ddim = need_scheduler("DDIMScheduler", "\"timestep_spacing\": null", NULL);
    expect_error(
        set_steps(ddim, 4, &error), STATUS_BAD_INPUT, &error, "timestep_spacing: ", "got null", NULL);
    expect_error(set_steps(ddim, 1001, &error), STATUS_BAD_INPUT, &error, "num_inference_steps: ", "1000",
        "got 1001", NULL);
    scheduler_free(ddim);
}
END_TEST

/* np.linspace gives an empty grid for no steps, which diffusers takes; its first step then divides by
 * zero. */
START_TEST(no_steps)
{
    static const char *const classes[] = {"DDIMScheduler", "PNDMScheduler"};
    for (int i = 0; i < 2; i++) {
        struct error error = {""};
        float sample[PICTURE] = {0}, prev_sample[PICTURE];
        struct scheduler *scheduler =
            need_scheduler(classes[i], "\"timestep_spacing\": \"linspace\", \"skip_prk_steps\": true", NULL);
        ck_assert_int_eq(set_steps(scheduler, 0, &error), STATUS_OK);
        ck_assert_uint_eq(scheduler->num_timesteps, 0);
        const struct step_input input = {.timestep = 0,
            .model_output = sample,
            .model_output_size = PICTURE,
            .sample = sample,
            .batch = 1,
            .sample_size = PICTURE,
            .options = STEP_OPTIONS_DEFAULT};
        expect_error(scheduler_step(scheduler, &input, prev_sample, NULL, &error), STATUS_BAD_INPUT, &error,
            "num_inference_steps: ", "0 steps", NULL);
        scheduler_free(scheduler);
    }
}
END_TEST

/* --- DDIM --------------------------------------------------------------------------------- */

START_TEST(ddim_draws_where_eta_says_so)
{
    struct error error = {""};
    float sample[PICTURE] = {0.5F}, prev_sample[PICTURE];
    struct step_options options = STEP_OPTIONS_DEFAULT;
    struct scheduler *scheduler = need_scheduler("DDIMScheduler", "", NULL);
    ck_assert_int_eq(set_steps(scheduler, 5, &error), STATUS_OK);
    ck_assert(!scheduler_needs_noise(scheduler, 800, &options));
    ck_assert_int_eq(
        step_at(scheduler, 0, sample, PICTURE, options, NULL, prev_sample, NULL, &error), STATUS_OK);
    options.eta = 0.5;
    /* On the last step too, whose draw counts for nothing. */
    for (size_t i = 0; i < 5; i++)
        ck_assert(scheduler_needs_noise(scheduler, scheduler->timesteps[i], &options));
    expect_error(step_at(scheduler, 0, sample, PICTURE, options, NULL, prev_sample, NULL, &error),
        STATUS_BAD_INPUT, &error, "noise: missing", NULL);
    scheduler_free(scheduler);
}
END_TEST

/* The step does not depend on whether pred_original_sample is asked for; clipping holds it to the range; and
 * with use_clipped_model_output the step is what the clipped data and the noise that they imply make of
 * it. */
START_TEST(ddim_clipped_data)
{
    struct error error = {""};
    float sample[PICTURE], prev_sample[PICTURE], again[PICTURE], original[PICTURE];
    struct step_options options = STEP_OPTIONS_DEFAULT;
    struct scheduler *scheduler = need_scheduler("DDIMScheduler", "\"clip_sample_range\": 0.25", NULL);
    ck_assert_int_eq(set_steps(scheduler, 5, &error), STATUS_OK);
    for (int i = 0; i < PICTURE; i++) sample[i] = value(9, i);
    int clipped = 0;
    for (int use_clipped = 0; use_clipped < 2; use_clipped++) {
        options.use_clipped_model_output = use_clipped;
        ck_assert_int_eq(
            step_at(scheduler, 1, sample, PICTURE, options, NULL, again, NULL, &error), STATUS_OK);
        ck_assert_int_eq(
            step_at(scheduler, 1, sample, PICTURE, options, NULL, prev_sample, original, &error), STATUS_OK);
        ck_assert_mem_eq(again, prev_sample, sizeof again);
        const double a = (double)scheduler->alphas_cumprod[600], b = (double)scheduler->alphas_cumprod[400];
        for (int i = 0; i < PICTURE; i++) {
            double said = (double)value(1, i),
                   implied = ((double)sample[i] - sqrt(a) * (double)original[i]) / sqrt(1 - a);
            double wanted = sqrt(b) * (double)original[i] + sqrt(1 - b) * (use_clipped ? implied : said);
            ck_assert(fabsf(original[i]) <= 0.25F);
            clipped += fabsf(original[i]) == 0.25F;
            ck_assert_double_eq_tol((double)prev_sample[i], wanted, 1e-6); /* some units of values near 1 */
        }
    }
    ck_assert_int_gt(clipped, 0);
    scheduler_free(scheduler);
}
END_TEST

static void expect_warning(const char *options, const char *words)
{
    struct warnings warnings = {0};
    struct scheduler *scheduler = need_scheduler("DDIMScheduler", options, &warnings);
    ck_assert_msg(warnings.count == (words ? 1 : 0), "%s: %zu warnings", options, warnings.count);
    if (words) ck_assert_msg(strstr(warnings.items[0], words) != NULL, "%s: %s", options, warnings.items[0]);
    warnings_free(&warnings);
    scheduler_free(scheduler);
}

START_TEST(ddim_warnings)
{
    expect_warning("\"clip_sample\": false, \"clip_sample_range\": 2", "clip_sample_range is ignored");
    expect_warning("\"thresholding\": true, \"clip_sample_range\": 2", "where thresholding is true");
    expect_warning("\"rescale_betas_zero_snr\": true, \"clip_sample\": false", "divides by alphas_cumprod 0");
    expect_warning(
        "\"rescale_betas_zero_snr\": true, \"clip_sample\": false, \"prediction_type\": \"v_prediction\"",
        NULL);
    expect_warning("\"clip_sample_range\": 2", NULL);
}
END_TEST

/* --- PNDM's memory ------------------------------------------------------------------------ */

static const char *const pndm_options[] = {"\"skip_prk_steps\": true", ""};

/* Runs the schedule's timesteps from `first`; the sample is carried in place. */
static void run_from(struct scheduler *scheduler, size_t first, float *sample)
{
    struct error error = {""};
    for (size_t i = first; i < scheduler->num_timesteps; i++) {
        float prev_sample[PICTURE];
        enum status status =
            step_at(scheduler, i, sample, PICTURE, STEP_OPTIONS_DEFAULT, NULL, prev_sample, NULL, &error);
        ck_assert_msg(status == STATUS_OK, "%s", error.message);
        memcpy(sample, prev_sample, sizeof prev_sample);
    }
}

/* A run that is set up again in the middle, and one in which steps fail, end as an undisturbed one does. */
START_TEST(pndm_restarts_and_failures)
{
    struct error error = {""};
    float start[PICTURE], undisturbed[PICTURE], restarted[PICTURE], stumbling[PICTURE],
        other[2 * PICTURE] = {0}, scratch[2 * PICTURE];
    for (int i = 0; i < PICTURE; i++) start[i] = value(20, i);
    struct scheduler *scheduler = need_scheduler("PNDMScheduler", pndm_options[_i], NULL);

    memcpy(undisturbed, start, sizeof start);
    ck_assert_int_eq(set_steps(scheduler, 6, &error), STATUS_OK);
    run_from(scheduler, 0, undisturbed);

    /* Five calls of a larger picture, then from the beginning. */
    ck_assert_int_eq(set_steps(scheduler, 6, &error), STATUS_OK);
    for (size_t i = 0; i < 5; i++) {
        float prev_sample[2 * PICTURE];
        ck_assert_int_eq(
            step_at(scheduler, i, other, 2 * PICTURE, STEP_OPTIONS_DEFAULT, NULL, prev_sample, NULL, &error),
            STATUS_OK);
        memcpy(other, prev_sample, sizeof other);
    }
    ck_assert_int_eq(set_steps(scheduler, 6, &error), STATUS_OK);
    memcpy(restarted, start, sizeof start);
    run_from(scheduler, 0, restarted);
    ck_assert_mem_eq(restarted, undisturbed, sizeof start);

    /* After the first call: a picture of another size, and a timestep that is not there. */
    ck_assert_int_eq(set_steps(scheduler, 6, &error), STATUS_OK);
    ck_assert_int_eq(
        step_at(scheduler, 0, start, PICTURE, STEP_OPTIONS_DEFAULT, NULL, stumbling, NULL, &error),
        STATUS_OK);
    expect_error(step_at(scheduler, 1, other, 2 * PICTURE, STEP_OPTIONS_DEFAULT, NULL, scratch, NULL, &error),
        STATUS_BAD_INPUT, &error, "sample: ", "6 numbers", "got 12", NULL);
    const double timestep = scheduler->timesteps[1];
    scheduler->timesteps[1] = 5000;
    expect_error(step_at(scheduler, 1, start, PICTURE, STEP_OPTIONS_DEFAULT, NULL, scratch, NULL, &error),
        STATUS_BAD_INPUT, &error, "timestep: ", NULL);
    scheduler->timesteps[1] = timestep;
    run_from(scheduler, 1, stumbling);
    ck_assert_mem_eq(stumbling, undisturbed, sizeof start);
    scheduler_free(scheduler);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("integer steps");
    TCase *timesteps = tcase_create("timesteps"), *ddim = tcase_create("DDIM"), *pndm = tcase_create("PNDM");
    tcase_add_loop_test(timesteps, lists, 0, sizeof grids / sizeof *grids);
    tcase_add_test(timesteps, lists_refused);
    tcase_add_test(timesteps, no_steps);
    tcase_add_test(ddim, ddim_draws_where_eta_says_so);
    tcase_add_test(ddim, ddim_clipped_data);
    tcase_add_test(ddim, ddim_warnings);
    tcase_add_loop_test(pndm, pndm_restarts_and_failures, 0, 2);
    suite_add_tcase(suite, timesteps);
    suite_add_tcase(suite, ddim);
    suite_add_tcase(suite, pndm);
    return run_suite(suite);
}
