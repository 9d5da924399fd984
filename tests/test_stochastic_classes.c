/*
 * DDPM, LCM, TCD, CMStochasticIterative, ScoreSdeVe and ScoreSdeVp from first principles, on Gaussian data
 * N(mu, s^2), for which the best model of each kind is known: what they sample has the data's mean and
 * variance. And identities between classes; DDIMInverse as DDIM's inverse.
 *
 * The statistics are of 10^5 numbers, seeded: their mean is off by s / sqrt(10^5) or so, their variance by
 * s^2 sqrt(2 / 10^5). Four times that is allowed, beside the bias that a case states.
 */
#include "sched/scheduler.h"
#include "sampler_support.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 100000 };
static const double mu = 0.3, s = 0.5;

/* One run, with what its model may ask for. */
struct run {
    struct scheduler *scheduler;
    struct step_options options;
    size_t step;
    double alpha, sigma; /* the sample is alpha data + sigma noise */
};

static struct scheduler *need_scheduler(const char *text, int steps, enum semantics semantics)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    cJSON *config = config_from("%s", text);
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    cJSON_Delete(config);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    scheduler->semantics = semantics;
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = steps};
    status = scheduler_set_timesteps(scheduler, &request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return scheduler;
}

/* By Python's rule, timestep -1 being the noisiest. */
static double alpha_cumprod(const struct scheduler *scheduler, double timestep)
{
    if (timestep < 0) timestep += (double)scheduler->num_betas;
    return (double)scheduler->alphas_cumprod[(size_t)timestep];
}

/* --- The models --------------------------------------------------------------------------- */

/* Of all that the data are and were noised with, the expected noise. */
static double expected_noise(double alpha, double sigma, double x)
{
    return sigma * (x - alpha * mu) / (alpha * alpha * s * s + sigma * sigma);
}

/* The point of x's trajectory at another level: x keeps its quantile. */
static double along_trajectory(const struct run *run, double alpha, double sigma, double x)
{
    const double from = hypot(run->alpha * s, run->sigma), to = hypot(alpha * s, sigma);
    return alpha * mu + to / from * (x - run->alpha * mu);
}

static double epsilon_model(const struct run *run, double x)
{
    return expected_noise(run->alpha, run->sigma, x);
}

static double score_model(const struct run *run, double x)
{
    return -expected_noise(run->alpha, run->sigma, x) / run->sigma;
}

/* LCM told "sample": f = c_skip x + c_out x_0 is the trajectory's end. */
static double lcm_model(const struct run *run, double x)
{
    const double scaled = 10 * run->scheduler->timesteps[run->step], root = sqrt(scaled * scaled + 0.25);
    return (along_trajectory(run, 1, 0, x) - 0.25 / (root * root) * x) / (scaled / root);
}

/* TCD told "epsilon": x_0 and epsilon, of which x is made, also make the trajectory's point at timestep s. */
static double tcd_model(const struct run *run, double x)
{
    const struct scheduler *scheduler = run->scheduler;
    const size_t after = run->step + 1;
    const double next = after < scheduler->num_timesteps ? scheduler->timesteps[after] : 0;
    const double a = alpha_cumprod(scheduler, floor((double)(float)((1 - run->options.eta) * next)));
    const double x_s = along_trajectory(run, sqrt(a), sqrt(1 - a), x);
    return (x_s * run->alpha - sqrt(a) * x) / (sqrt(1 - a) * run->alpha - sqrt(a) * run->sigma);
}

/* The network inside of CM's wrapping, whose f is the trajectory's point at sigma_min = 0.002. */
static double cm_model(const struct run *run, double x)
{
    const double above = run->sigma - 0.002, root = hypot(run->sigma, 0.5);
    const double c_skip = 0.25 / (above * above + 0.25), c_out = above * 0.5 / root;
    return (along_trajectory(run, 1, 0.002, x) - c_skip * x) / c_out;
}

/* --- The levels --------------------------------------------------------------------------- */

static void level_of_timestep(struct run *run)
{
    const double a = alpha_cumprod(run->scheduler, run->scheduler->timesteps[run->step]);
    run->alpha = sqrt(a);
    run->sigma = sqrt(1 - a);
}

static void level_of_sigma(struct run *run)
{
    run->alpha = 1;
    run->sigma = (double)run->scheduler->sigmas[run->step];
}

/* alpha^2 = exp(-integral of beta), beta rising from 0.1 to 20. */
static void level_of_time(struct run *run)
{
    const double t = run->scheduler->timesteps[run->step], log_alpha = -t * t * 19.9 / 4 - t * 0.1 / 2;
    run->alpha = exp(log_alpha);
    run->sigma = sqrt(-expm1(2 * log_alpha));
}

/* --- Statistics --------------------------------------------------------------------------- */

static const struct statistics {
    const char *config;
    int steps;
    double eta;
    void (*level)(struct run *run);
    double (*model)(const struct run *run, double x);
    double final_alpha, final_sigma; /* the level at the end */
    double bias; /* of mean and variance, relative: the discretisation's, of first order in the step */
} statistics[] = {
    {"{\"_class_name\": \"DDPMScheduler\", \"clip_sample\": false}", 1000, 0, level_of_timestep,
        epsilon_model, 1, 0, 0.02},
    {"{\"_class_name\": \"DDPMScheduler\", \"clip_sample\": false, \"variance_type\": \"fixed_small_log\"}",
        1000, 0, level_of_timestep, epsilon_model, 1, 0, 0.02},
    {"{\"_class_name\": \"DDPMScheduler\", \"clip_sample\": false, \"variance_type\": \"fixed_large\"}", 1000,
        0, level_of_timestep, epsilon_model, 1, 0, 0.01},
    /* With the exact consistency function every step is exact. TCD ends at timestep 0. */
    {"{\"_class_name\": \"LCMScheduler\", \"prediction_type\": \"sample\"}", 4, 0, level_of_timestep,
        lcm_model, 1, 0, 0},
    {"{\"_class_name\": \"TCDScheduler\"}", 4, 0.3, level_of_timestep, tcd_model, 0.999575, 0.029155, 0},
    {"{\"_class_name\": \"TCDScheduler\"}", 4, 1, level_of_timestep, tcd_model, 0.999575, 0.029155, 0},
    {"{\"_class_name\": \"CMStochasticIterativeScheduler\", \"clip_denoised\": false}", 4, 0, level_of_sigma,
        cm_model, 1, 0.002, 0},
    {"{\"_class_name\": \"ScoreSdeVeScheduler\", \"sigma_max\": 50, \"correct_steps\": 0}", 500, 0,
        level_of_sigma, score_model, 1, 0, 0.02},
    {"{\"_class_name\": \"ScoreSdeVeScheduler\", \"sigma_max\": 50, \"snr\": 0.05}", 250, 0, level_of_sigma,
        score_model, 1, 0, 0.02},
    {"{\"_class_name\": \"ScoreSdeVpScheduler\"}", 500, 0, level_of_time, epsilon_model, 1, 0, 0.01},
};

static void need_draw(struct generator *generator, float *values)
{
    generator_normal_f32(generator, values, SAMPLES);
}

/* The model's outputs for the whole sample. */
static void predict(const struct run *run, double (*model)(const struct run *, double), const float *sample,
    float *model_output)
{
    for (size_t i = 0; i < SAMPLES; i++) model_output[i] = (float)model(run, (double)sample[i]);
}

/* What CM is asked at is scaled; the model here knows the sample itself, and the call fixes the index. */
static void scale_input(struct run *run, const float *sample, float *scratch)
{
    struct error error = {""};
    enum status status = scheduler_scale_model_input(
        run->scheduler, run->scheduler->timesteps[run->step], sample, SAMPLES, scratch, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

static float *sample_to_the_end(const struct statistics *c)
{
    struct run run = {.scheduler = need_scheduler(c->config, c->steps, SEMANTICS_DIFFUSERS),
        .options = STEP_OPTIONS_DEFAULT};
    run.options.eta = c->eta;
    struct generator *generator = seeded(GENERATOR_NUMPY_PCG64, "17");
    float *memory = calloc(4, SAMPLES * sizeof *memory);
    ck_assert_ptr_nonnull(memory);
    float *sample = memory, *prev_sample = memory + SAMPLES;
    float *model_output = memory + 2 * (size_t)SAMPLES, *noise = memory + 3 * (size_t)SAMPLES;
    c->level(&run);
    need_draw(generator, sample);
    for (size_t i = 0; i < SAMPLES; i++)
        sample[i] = (float)(run.alpha * mu + hypot(run.alpha * s, run.sigma) * (double)sample[i]);
    for (; run.step < run.scheduler->num_timesteps; run.step++) {
        c->level(&run);
        struct step_input input = {.timestep = run.scheduler->timesteps[run.step],
            .model_output = model_output,
            .model_output_size = SAMPLES,
            .batch = 1,
            .sample_size = SAMPLES,
            .noise = noise,
            .options = run.options};
        struct error error = {""};
        enum status status = STATUS_OK;
        for (int k = 0; k < scheduler_correct_steps(run.scheduler); k++) {
            predict(&run, c->model, sample, model_output);
            need_draw(generator, noise);
            input.sample = sample;
            status = scheduler_correct(run.scheduler, &input, prev_sample, &error);
            ck_assert_msg(status == STATUS_OK, "%s", error.message);
            memcpy(sample, prev_sample, SAMPLES * sizeof *sample);
        }
        scale_input(&run, sample, prev_sample);
        predict(&run, c->model, sample, model_output);
        if (scheduler_needs_noise(run.scheduler, input.timestep, &run.options)) need_draw(generator, noise);
        input.sample = sample;
        status = scheduler_step(run.scheduler, &input, prev_sample, NULL, &error);
        ck_assert_msg(status == STATUS_OK, "%s", error.message);
        memcpy(sample, prev_sample, SAMPLES * sizeof *sample);
    }
    generator_free(generator);
    scheduler_free(run.scheduler);
    return memory;
}

START_TEST(mean_and_variance)
{
    const struct statistics *c = &statistics[_i];
    float *sample = sample_to_the_end(c);
    double mean = 0, variance = 0;
    for (size_t i = 0; i < SAMPLES; i++) mean += (double)sample[i] / SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) variance += pow((double)sample[i] - mean, 2) / SAMPLES;
    const double expected = pow(c->final_alpha * s, 2) + pow(c->final_sigma, 2);
    const double expected_mean = c->final_alpha * mu;
    printf("%s, %d steps: mean %.5f for %.5f, variance %.5f for %.5f\n", c->config, c->steps, mean, mu,
        variance, expected);
    ck_assert_double_eq_tol(mean, expected_mean, 4 * s / sqrt(SAMPLES) + c->bias * s);
    ck_assert_double_eq_tol(variance / expected, 1, 4 * sqrt(2.0 / SAMPLES) + c->bias);
    free(sample);
}
END_TEST

/* --- Classes that are one another --------------------------------------------------------- */

enum { SIZE = 5 };
static const float quantiles[SIZE] = {-2, -0.7f, 0, 0.4f, 1.5f};

static void take_step(struct scheduler *scheduler, const struct step_input *input, float *sample)
{
    struct error error = {""};
    float prev_sample[SIZE];
    enum status status = scheduler_step(scheduler, input, prev_sample, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    memcpy(sample, prev_sample, sizeof prev_sample);
}

/* The step of DDPM with the smaller variance is that of DDIM at eta = 1 (Song, Meng and Ermon 2021, section
 * 4.1), whatever the model says. */
START_TEST(ddpm_is_ddim_at_eta_1)
{
    struct scheduler *classes[] = {
        need_scheduler("{\"_class_name\": \"DDPMScheduler\", \"timestep_spacing\": \"trailing\"}", 10,
            SEMANTICS_DIFFUSERS),
        need_scheduler("{\"_class_name\": \"DDIMScheduler\", \"timestep_spacing\": \"trailing\", "
                       "\"clip_sample\": true}",
            10, SEMANTICS_DIFFUSERS),
    };
    float samples[2][SIZE];
    memcpy(samples[0], quantiles, sizeof quantiles);
    memcpy(samples[1], quantiles, sizeof quantiles);
    for (size_t i = 0; i < 10; i++) {
        float model_output[SIZE], noise[SIZE];
        for (int j = 0; j < SIZE; j++) {
            model_output[j] = (float)sin((double)(7 * i) + j);
            noise[j] = (float)cos((double)(5 * i) + 3 * j);
        }
        for (int k = 0; k < 2; k++) {
            struct step_input input = {.timestep = classes[k]->timesteps[i],
                .model_output = model_output,
                .model_output_size = SIZE,
                .sample = samples[k],
                .batch = 1,
                .sample_size = SIZE,
                .noise = noise,
                .options = STEP_OPTIONS_DEFAULT};
            input.options.eta = 1;
            /* DDIM's epsilon stays the model's where x_0 is clipped, DDPM's does not. */
            input.options.use_clipped_model_output = true;
            take_step(classes[k], &input, samples[k]);
        }
        for (int j = 0; j < SIZE; j++) /* numbers up to 3, a dozen roundings; DDIM's epsilon cancels */
            ck_assert_double_eq_tol((double)samples[0][j], (double)samples[1][j], 1e-5);
    }
    scheduler_free(classes[0]);
    scheduler_free(classes[1]);
}
END_TEST

/* --- Documented and actual ---------------------------------------------------------------- */

/* The largest distance from the trajectories' end of what a deterministic class makes of Gaussian data, told
 * the exact noise at each timestep of its list. An inverse class begins at the data. */
static double distance_from_end(const char *config, int steps, enum semantics semantics, bool inverse)
{
    struct run run = {.scheduler = need_scheduler(config, steps, semantics), .alpha = 1};
    float sample[SIZE];
    if (!inverse) level_of_timestep(&run);
    for (int j = 0; j < SIZE; j++)
        sample[j] = (float)(run.alpha * mu + hypot(run.alpha * s, run.sigma) * (double)quantiles[j]);
    for (; run.step < run.scheduler->num_timesteps; run.step++) {
        float model_output[SIZE];
        level_of_timestep(&run);
        for (int j = 0; j < SIZE; j++)
            model_output[j] = (float)expected_noise(run.alpha, run.sigma, (double)sample[j]);
        const struct step_input input = {.timestep = run.scheduler->timesteps[run.step],
            .model_output = model_output,
            .model_output_size = SIZE,
            .sample = sample,
            .batch = 1,
            .sample_size = SIZE,
            .options = STEP_OPTIONS_DEFAULT};
        take_step(run.scheduler, &input, sample);
    }
    const double alpha = inverse ? run.alpha : 1, sigma = inverse ? run.sigma : 0;
    double worst = 0;
    for (int j = 0; j < SIZE; j++) {
        const double exact = alpha * mu + hypot(alpha * s, sigma) * (double)quantiles[j];
        worst = fmax(worst, fabs((double)sample[j] - exact));
    }
    scheduler_free(run.scheduler);
    return worst;
}

/* How far from the truth each way of stepping ends (sched/DEVIATIONS.md): the figures are float32's, good to
 * 1e-4. */
static const struct departure {
    const char *config;
    int steps;
    bool inverse;
    double diffusers, documented;
} departures[] = {
    {"{\"_class_name\": \"DDIMScheduler\", \"clip_sample\": false, \"timestep_spacing\": \"linspace\"}", 7,
        false, 0.17154, 0.39529},
    {"{\"_class_name\": \"DDIMScheduler\", \"clip_sample\": false, \"timestep_spacing\": \"linspace\"}", 50,
        false, 0.03819, 0.05618},
    {"{\"_class_name\": \"DDIMScheduler\", \"clip_sample\": false, \"timestep_spacing\": \"trailing\"}", 30,
        false, 0.08358, 0.09348},
    {"{\"_class_name\": \"DDIMScheduler\", \"clip_sample\": false, \"timestep_spacing\": \"trailing\"}", 61,
        false, 0.99891, 0.04716},
    {"{\"_class_name\": \"PNDMScheduler\", \"skip_prk_steps\": true, \"timestep_spacing\": \"linspace\"}", 20,
        false, 0.04670, 0.00071},
    {"{\"_class_name\": \"PNDMScheduler\", \"timestep_spacing\": \"linspace\"}", 20, false, 0.04650, 0.00070},
    {"{\"_class_name\": \"DDIMInverseScheduler\", \"clip_sample\": false, \"timestep_spacing\": "
     "\"trailing\"}",
        30, true, 0.06013, 0.05744},
    {"{\"_class_name\": \"DDIMInverseScheduler\", \"clip_sample\": false, \"timestep_spacing\": "
     "\"trailing\"}",
        61, true, 0.04791, 0.03159},
};

START_TEST(stepping_along_the_list)
{
    const struct departure *c = &departures[_i];
    const double actual = distance_from_end(c->config, c->steps, SEMANTICS_DIFFUSERS, c->inverse);
    const double documented = distance_from_end(c->config, c->steps, SEMANTICS_DOCUMENTED, c->inverse);
    printf("%s, %d steps: %.5f from the truth, documented %.5f\n", c->config, c->steps, actual, documented);
    ck_assert_double_eq_tol(actual, c->diffusers, 1e-4);
    ck_assert_double_eq_tol(documented, c->documented, 1e-4);
}
END_TEST

/* np.arange's step too many, which is timestep -1. */
START_TEST(one_step_too_many)
{
    static const char *const classes[] = {"DDIM", "DDIMInverse", "DDPM", "PNDM", "EulerDiscrete",
        "EulerAncestralDiscrete", "HeunDiscrete", "LMSDiscrete", "DPMSolverMultistep", "DEISMultistep",
        "UniPCMultistep"};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        char config[160];
        size_t counts[2];
        snprintf(config, sizeof config,
            "{\"_class_name\": \"%sScheduler\", \"timestep_spacing\": \"trailing\", \"skip_prk_steps\": "
            "true}",
            classes[i]);
        for (int semantics = 0; semantics < 2; semantics++) {
            struct scheduler *scheduler = need_scheduler(config, 61, (enum semantics)semantics);
            double lowest = 1000;
            for (size_t t = 0; t < scheduler->num_timesteps; t++)
                lowest = fmin(lowest, scheduler->timesteps[t]);
            ck_assert_msg(lowest == (semantics == SEMANTICS_DOCUMENTED ? 15 : -1), "%s: %g", config, lowest);
            counts[semantics] = scheduler->num_timesteps;
            scheduler_free(scheduler);
        }
        ck_assert_uint_gt(counts[SEMANTICS_DIFFUSERS], counts[SEMANTICS_DOCUMENTED]);
    }
}
END_TEST

/* The first step of DDPM with fixed_large_log, and with fixed_large, whose root of the variance it means. */
START_TEST(root_of_a_logarithm)
{
    static const char *const types[] = {"fixed_large_log", "fixed_large_log", "fixed_large"};
    float samples[3][SIZE];
    for (int k = 0; k < 3; k++) {
        char config[96];
        snprintf(config, sizeof config, "{\"_class_name\": \"DDPMScheduler\", \"variance_type\": \"%s\"}",
            types[k]);
        struct scheduler *scheduler =
            need_scheduler(config, 10, k == 1 ? SEMANTICS_DOCUMENTED : SEMANTICS_DIFFUSERS);
        memcpy(samples[k], quantiles, sizeof quantiles);
        const struct step_input input = {.timestep = scheduler->timesteps[0],
            .model_output = quantiles,
            .model_output_size = SIZE,
            .sample = quantiles,
            .batch = 1,
            .sample_size = SIZE,
            .noise = quantiles,
            .options = STEP_OPTIONS_DEFAULT};
        take_step(scheduler, &input, samples[k]);
        scheduler_free(scheduler);
    }
    for (int j = 0; j < SIZE; j++) {
        ck_assert(isnan(samples[0][j]));
        ck_assert_double_eq_tol((double)samples[1][j], (double)samples[2][j], 1e-6);
    }
}
END_TEST

/* Custom timesteps of which strength leaves two: whether their last step draws. */
START_TEST(last_of_a_cut_list)
{
    static const double timesteps[] = {999, 759, 499, 259};
    static const char *const configs[] = {
        "{\"_class_name\": \"LCMScheduler\"}", "{\"_class_name\": \"TCDScheduler\"}"};
    for (int k = 0; k < 4; k++) {
        const enum semantics semantics = k / 2 ? SEMANTICS_DOCUMENTED : SEMANTICS_DIFFUSERS;
        struct scheduler *scheduler = need_scheduler(configs[k % 2], 4, semantics);
        const struct schedule_request request = {
            .timesteps = timesteps, .num_timesteps = 4, .has_strength = true, .strength = 0.5};
        struct step_options options = STEP_OPTIONS_DEFAULT;
        ck_assert_int_eq(scheduler_set_timesteps(scheduler, &request, NULL, NULL), STATUS_OK);
        ck_assert_uint_eq(scheduler->num_timesteps, 2);
        ck_assert_double_eq(scheduler->timesteps[0], 499);
        ck_assert(scheduler_needs_noise(scheduler, 499, &options));
        ck_assert_int_eq(scheduler_needs_noise(scheduler, 259, &options), semantics == SEMANTICS_DIFFUSERS);
        options.eta = 0;
        ck_assert_int_eq(scheduler_needs_noise(scheduler, 499, &options), k % 2 == 0); /* gamma 0 draws not */
        scheduler_free(scheduler);
    }
}
END_TEST

/* DDPM with timesteps that are equal once they are cut to integers: a step leads from the first of them to
 * the second, whichever it is called for, and so nowhere. */
START_TEST(ddpm_given_timesteps_made_equal)
{
    static const double timesteps[] = {18.4, 18.0, 17.1};
    struct scheduler *scheduler = need_scheduler(
        "{\"_class_name\": \"DDPMScheduler\", \"clip_sample\": false, \"prediction_type\": \"sample\"}", 3,
        SEMANTICS_DIFFUSERS);
    const struct schedule_request request = {.timesteps = timesteps, .num_timesteps = 3};
    ck_assert_int_eq(scheduler_set_timesteps(scheduler, &request, NULL, NULL), STATUS_OK);
    ck_assert_double_eq(scheduler->timesteps[1], 18);
    ck_assert_double_eq(scheduler->timesteps[2], 17);
    const float zeros[SIZE] = {0};
    for (int k = 0; k < 3; k++) {
        float stepped[SIZE];
        const struct step_input input = {.timestep = scheduler->timesteps[k],
            .model_output = zeros,
            .model_output_size = SIZE,
            .sample = quantiles,
            .batch = 1,
            .sample_size = SIZE,
            .noise = zeros,
            .options = STEP_OPTIONS_DEFAULT};
        take_step(scheduler, &input, stepped);
        /* By eq. 7 of DDPM, with a model that sees no data: all of x_t from t to t, nothing of it at the
         * end. */
        for (int j = 0; j < SIZE; j++)
            ck_assert_double_eq_tol((double)stepped[j], k < 2 ? (double)quantiles[j] : 0, 1e-6);
    }
    scheduler_free(scheduler);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stochastic classes");
    TCase *tcase = tcase_create("gaussian data");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, mean_and_variance, 0, sizeof statistics / sizeof *statistics);
    tcase_add_test(tcase, ddpm_is_ddim_at_eta_1);
    tcase_add_test(tcase, one_step_too_many);
    tcase_add_test(tcase, root_of_a_logarithm);
    tcase_add_test(tcase, last_of_a_cut_list);
    tcase_add_test(tcase, ddpm_given_timesteps_made_equal);
    tcase_add_loop_test(tcase, stepping_along_the_list, 0, sizeof departures / sizeof *departures);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
