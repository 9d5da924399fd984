#include "sched_case.h"
#include "sched/real.h"
#include "sched/call_arguments.h"
#include "sched/scheduler.h"
#include "support.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One case while it runs. */
struct run {
    const char *name;
    cJSON *json;
    struct tensor_set *tensors;
    struct scheduler *scheduler;
    const struct case_limits *limits;
    struct case_totals *totals;
};

static void PRINTF_LIKE(2, 3) complain(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("  %s: ", run->name);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    run->totals->failures++;
}

/* --- Distances ---------------------------------------------------------------------------- */

/* How many float32 numbers lie between two of them, and one more. */
static double ulp_distance(double a, double b)
{
    if (a == b) return 0;
    float largest = (float)fmax(fabs(a), fabs(b));
    return fabs(a - b) / (double)(nextafterf(largest, INFINITY) - largest);
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* The largest distance of `actual` [count] from `expected`, in `unit`s, or in units in the last place where
 * `unit` is 0. */
static double compare(
    const real *actual, const struct tensor *expected, double unit, struct nearness *nearness)
{
    double largest = 0;
    for (size_t i = 0; i < tensor_count(expected); i++) {
        double a = (double)actual[i], b = tensor_get_double(expected, i);
        double distance = 0;
        if (!same(a, b)) distance = unit > 0 ? fabs(a - b) / unit : ulp_distance(a, b);
        if (isnan(distance)) distance = INFINITY;
        nearness->count++;
        nearness->equal += same((double)(float)a, b);
        largest = fmax(largest, distance);
    }
    nearness->largest = fmax(nearness->largest, largest);
    return largest;
}

static double largest_magnitude(const struct tensor *tensor)
{
    double largest = 0;
    for (size_t i = 0; tensor && i < tensor_count(tensor); i++)
        largest = fmax(largest, fabs(tensor_get_double(tensor, i)));
    return isfinite(largest) ? largest : 1;
}

static real *reals_of(const struct tensor *tensor)
{
    size_t count = tensor_count(tensor);
    real *values = malloc((count ? count : 1) * sizeof *values);
    ck_assert(values != NULL);
    for (size_t i = 0; i < count; i++) values[i] = (real)tensor_get_double(tensor, i);
    return values;
}

/* --- Tables ------------------------------------------------------------------------------- */

/* A table that was recorded, each entry in `unit`s, or where `unit` is 0 in its own units in the last place;
 * one that was not recorded is one that the class does not have. */
static void check_table_in(struct run *run, const char *name, const real *actual, size_t count, double unit,
    double limit, struct nearness *nearness)
{
    const struct tensor *expected = tensor_set_find(run->tensors, name);
    if (!expected) {
        if (actual) complain(run, "%s: expected none", name);
        return;
    }
    if (!actual) {
        complain(run, "%s: missing", name);
        return;
    }
    if (tensor_count(expected) != count) {
        complain(run, "%s: expected %zu entries, got %zu", name, tensor_count(expected), count);
        return;
    }
    double distance = compare(actual, expected, unit, nearness);
    if (distance > limit) complain(run, "%s: %g ulp away", name, distance);
}

static void check_table(struct run *run, const char *name, const real *actual, size_t count, double limit_ulp,
    struct nearness *nearness)
{
    check_table_in(run, name, actual, count, 0, limit_ulp, nearness);
}

static void check_timesteps(struct run *run)
{
    const struct scheduler *scheduler = run->scheduler;
    const struct tensor *expected = need_tensor(run->tensors, "timesteps");
    bool integer = !dtype_is_float(expected->dtype), wide = expected->dtype != DTYPE_F32;
    enum timestep_dtype kept = integer ? TIMESTEP_INT64 : wide ? TIMESTEP_FLOAT64 : TIMESTEP_FLOAT32;
    struct nearness *nearness = integer ? &run->totals->integers : &run->totals->fractions;
    if (kept != scheduler->timestep_dtype) complain(run, "timesteps: of the wrong type");
    if (tensor_count(expected) != scheduler->num_timesteps) {
        complain(run, "timesteps: expected %zu, got %zu", tensor_count(expected), scheduler->num_timesteps);
        return;
    }
    for (size_t i = 0; i < scheduler->num_timesteps; i++) {
        double a = scheduler->timesteps[i], b = tensor_get_double(expected, i);
        double distance = same(a, b) ? 0 : fabs(a - b);
        nearness->count++;
        nearness->equal += same(wide ? a : (double)(float)a, b);
        nearness->largest = fmax(nearness->largest, distance);
        if (!(distance <= (integer ? 0 : run->limits->fraction)))
            complain(run, "timesteps[%zu]: expected %.9g, got %.9g", i, b, a);
    }
}

/* A table of the class's own: integers exactly, real numbers in units in the last place of the largest, since
 * lambda_t goes through 0. */
static void check_shown(struct run *run, const struct shown_table *table)
{
    const bool integers = table->kind == SHOWN_INTEGERS;
    real *values = malloc((table->count + 1) * sizeof *values);
    ck_assert(values != NULL);
    for (size_t i = 0; i < table->count; i++) values[i] = (real)table->at(run->scheduler, i);
    const double largest = largest_magnitude(tensor_set_find(run->tensors, table->name));
    const double ulp = (double)(nextafterf((float)largest, INFINITY) - (float)largest);
    check_table_in(run, table->name, values, table->count, integers ? 1 : ulp,
        integers ? 0 : run->limits->table_ulp, integers ? &run->totals->integers : &run->totals->tables);
    free(values);
}

static void check_tables(struct run *run)
{
    const struct scheduler *scheduler = run->scheduler;
    struct case_totals *totals = run->totals;
    check_table(
        run, "betas", scheduler->betas, scheduler->num_betas, run->limits->table_ulp, &totals->tables);
    check_table(
        run, "alphas", scheduler->alphas, scheduler->num_betas, run->limits->table_ulp, &totals->tables);
    check_table(run, "alphas_cumprod", scheduler->alphas_cumprod, scheduler->num_betas,
        run->limits->table_ulp, &totals->tables);
    check_timesteps(run);
    check_table(
        run, "sigmas", scheduler->sigmas, scheduler->num_sigmas, run->limits->sigma_ulp, &totals->sigmas);
    struct shown_table shown[MAX_SHOWN_TABLES];
    const size_t count = scheduler_shown_tables(scheduler, shown);
    for (size_t i = 0; i < count; i++) check_shown(run, &shown[i]);
    double init = tensor_get_double(need_tensor(run->tensors, "init_noise_sigma"), 0);
    if (ulp_distance(scheduler->init_noise_sigma, init) > run->limits->sigma_ulp)
        complain(run, "init_noise_sigma: expected %.9g, got %.9g", init, scheduler->init_noise_sigma);
}

/* --- Steps -------------------------------------------------------------------------------- */

/* A sample is alpha data + sigma noise. */
struct level {
    double alpha, sigma;
};

/* The level of the sample that step `i` starts from, from the recorded tables; `i` may be one more, for what
 * the last step leads to. */
static struct level level_at(const struct run *run, size_t i)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(run->json, "scheduler");
    const struct tensor *sigmas = tensor_set_find(run->tensors, "sigmas");
    if (sigmas) {
        double sigma = i < tensor_count(sigmas) ? tensor_get_double(sigmas, i) : 0;
        bool flow = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(config, "use_flow_sigmas"));
        /* The samples of Euler and of the classes without betas are x_0 + sigma noise. */
        bool unscaled = run->scheduler->init_noise_sigma != 1 || run->scheduler->num_betas == 0;
        double scale = unscaled ? 1 : 1 / sqrt(1 + sigma * sigma);
        return flow ? (struct level){1 - sigma, sigma} : (struct level){scale, sigma * scale};
    }
    if (run->scheduler->alphas && !run->scheduler->alphas_cumprod) { /* IPNDM's tables are levels */
        return (struct level){tensor_get_double(need_tensor(run->tensors, "alphas"), i),
            tensor_get_double(need_tensor(run->tensors, "betas"), i)};
    }
    if (!run->scheduler->alphas_cumprod) return (struct level){1, 1}; /* ScoreSdeVp: no table says it */
    const struct tensor *timesteps = need_tensor(run->tensors, "timesteps");
    const struct tensor *alphas_cumprod = need_tensor(run->tensors, "alphas_cumprod");
    int64_t t = i < tensor_count(timesteps) ? tensor_get_int(timesteps, i) : -1;
    double alpha_prod = t < 0 ? 1 : tensor_get_double(alphas_cumprod, (size_t)t);
    return (struct level){sqrt(alpha_prod), sqrt(1 - alpha_prod)};
}

/* The largest term of x_0 at step `i`: a prediction of the noise is subtracted, and the rest divided by the
 * level's alpha. */
static double largest_term_of_original(const struct run *run, size_t i, const struct tensor *sample,
    const struct tensor *model_output, const struct tensor *original)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(run->json, "scheduler");
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "prediction_type"));
    double term =
        fmax(largest_magnitude(original), fmax(largest_magnitude(sample), largest_magnitude(model_output)));
    if (!type || strcmp(type, "epsilon") != 0) return term;
    struct level level = level_at(run, i);
    double alpha = fmax(level.alpha, 1e-3);
    term = fmax(term, largest_magnitude(sample) / alpha);
    return fmax(term, level.sigma / alpha * largest_magnitude(model_output));
}

/* Whether a step takes two calls of the model. */
static bool is_second_order(const struct run *run)
{
    const cJSON *order = cJSON_GetObjectItemCaseSensitive(run->json, "scheduler_order");
    return cJSON_IsNumber(order) && order->valueint == 2;
}

/* The largest term of step `i`'s sum: the sample, the model output (as the data or the noise that it means),
 * and the noise, as they are scaled into the result. */
static double largest_term(const struct run *run, size_t i, const struct tensor *sample,
    const struct tensor *model_output, const struct tensor *noise, const struct tensor *prev_sample)
{
    struct level s = level_at(run, i), t = level_at(run, i + 1);
    double alpha_s = fmax(s.alpha, 1e-3); /* at zero SNR nothing is divided by it */
    double ratio = t.alpha / alpha_s;
    double term = fmax(largest_magnitude(prev_sample), ratio * largest_magnitude(sample));
    if (i % 2 && is_second_order(run)) /* the second call starts from the first one's sample again */
        term = fmax(term, largest_magnitude(need_tensor(run->tensors, "step.%zu.sample", i - 1)));
    term = fmax(term, fmax(t.sigma, ratio * s.sigma) * largest_magnitude(model_output));
    return fmax(term, t.sigma * largest_magnitude(noise));
}

static void check_model_input(struct run *run, size_t i, double timestep, const real *sample, size_t n)
{
    char name[64];
    snprintf(name, sizeof name, "step.%zu.scaled_input", i);
    const struct tensor *expected = tensor_set_find(run->tensors, name);
    if (!expected) { /* where diffusers' loop does not ask for one */
        ck_assert(!scheduler_has_step(run->scheduler));
        return;
    }
    real *model_input = malloc(n * sizeof *model_input);
    ck_assert(model_input != NULL);
    struct error error = {""};
    if (scheduler_scale_model_input(run->scheduler, timestep, sample, n, model_input, &error) != STATUS_OK) {
        complain(run, "step %zu: %s", i, error.message);
    } else {
        double distance =
            compare(model_input, expected, largest_magnitude(expected), &run->totals->model_input);
        if (distance > run->limits->step)
            complain(run, "step %zu: scale_model_input is %g away", i, distance);
    }
    free(model_input);
}

/* What is recorded of a step, or of a correction in front of it, under `prefix`. */
struct recorded_step {
    const struct tensor *sample, *model_output, *expected;
    const struct tensor *noise; /* NULL where none was drawn */
    real *inputs[3], *prev_sample;
    struct step_input input;
};

static const struct tensor *recorded(const struct run *run, const char *prefix, const char *what)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", prefix, what);
    return tensor_set_find(run->tensors, name);
}

/* False where nothing is recorded under `prefix`. */
static bool open_step(const struct run *run, const char *prefix, size_t i, struct recorded_step *step)
{
    *step = (struct recorded_step){.sample = recorded(run, prefix, "sample")};
    if (!step->sample) return false;
    step->model_output = need_tensor(run->tensors, "%s.model_output", prefix);
    step->expected = need_tensor(run->tensors, "%s.prev_sample", prefix);
    step->noise = recorded(run, prefix, "noise");
    step->inputs[0] = reals_of(step->sample);
    step->inputs[1] = reals_of(step->model_output);
    if (step->noise) step->inputs[2] = reals_of(step->noise);
    const size_t batch = (size_t)step->sample->shape[0], n = tensor_count(step->sample);
    step->prev_sample = malloc(n * sizeof *step->prev_sample);
    ck_assert(step->prev_sample != NULL);
    step->input = (struct step_input){
        .timestep = run->scheduler->timesteps[i],
        .sample = step->inputs[0],
        .model_output = step->inputs[1],
        .model_output_size = tensor_count(step->model_output) / batch,
        .batch = batch,
        .sample_size = n / batch,
        .noise = step->inputs[2],
    };
    const cJSON *arguments = cJSON_GetObjectItemCaseSensitive(run->json, "step_kwargs");
    ck_assert_int_eq(step_options_read(arguments, &step->input.options, NULL), STATUS_OK);
    return true;
}

static void close_step(struct recorded_step *step)
{
    for (size_t k = 0; k < 3; k++) free(step->inputs[k]);
    free(step->prev_sample);
}

static double step_limit(const struct run *run)
{
    const bool vp = strcmp(scheduler_name(run->scheduler), "ScoreSdeVpScheduler") == 0;
    return vp ? run->limits->score_sde_vp_step : run->limits->step;
}

static void check_prev_sample(struct run *run, const char *prefix, size_t i, const struct recorded_step *step)
{
    double term = largest_term(run, i, step->sample, step->model_output, step->noise, step->expected);
    double distance = compare(step->prev_sample, step->expected, term, &run->totals->prev_sample);
    if (distance > step_limit(run)) complain(run, "%s: prev_sample is %g away", prefix, distance);
}

/* The corrections in front of step `i`. */
static void check_corrections(struct run *run, size_t i)
{
    for (int c = 0; c < scheduler_correct_steps(run->scheduler); c++) {
        char prefix[64];
        struct error error = {""};
        struct recorded_step step;
        snprintf(prefix, sizeof prefix, "step.%zu.correct.%d", i, c);
        if (!open_step(run, prefix, i, &step))
            complain(run, "%s: not recorded", prefix);
        else if (scheduler_correct(run->scheduler, &step.input, step.prev_sample, &error) == STATUS_OK)
            check_prev_sample(run, prefix, i, &step);
        else
            complain(run, "%s: %s", prefix, error.message);
        close_step(&step);
    }
}

static void check_second_output(
    struct run *run, size_t i, const struct recorded_step *step, const real *second_output)
{
    char prefix[64];
    const char *name = scheduler_second_output(run->scheduler);
    snprintf(prefix, sizeof prefix, "step.%zu", i);
    const struct tensor *expected = recorded(run, prefix, name);
    if (!expected) return;
    double peak = largest_term_of_original(run, i, step->sample, step->model_output, expected);
    double distance = compare(second_output, expected, peak, &run->totals->pred_original_sample);
    if (distance > step_limit(run)) complain(run, "step %zu: %s is %g away", i, name, distance);
}

/* The noise that the class makes from the case's seed, where it does, is the recorded one. */
static void check_made_noise(struct run *run, size_t i, const struct recorded_step *step)
{
    const cJSON *seed = cJSON_GetObjectItemCaseSensitive(run->json, "seed");
    if (!step->noise || !scheduler_makes_noise(run->scheduler)) return;
    const uint64_t seeds[] = {(uint64_t)cJSON_GetNumberValue(seed)};
    const struct step_input *input = &step->input;
    real *made = malloc(input->batch * input->sample_size * sizeof *made);
    ck_assert(made != NULL);
    struct error error = {""};
    enum status status = scheduler_seed_noise(run->scheduler, seeds, 1, &error);
    if (status == STATUS_OK)
        status = scheduler_make_noise(
            run->scheduler, input->timestep, input->batch, input->sample_size, made, &error);
    if (status == STATUS_OK) {
        double distance = compare(made, step->noise, 1, &run->totals->made_noise);
        if (distance > run->limits->made_noise)
            complain(run, "step %zu: the noise that it makes is %g away", i, distance);
    } else {
        complain(run, "step %zu: noise: %s", i, error.message);
    }
    free(made);
}

/* Step `i` from its recorded inputs; false where there is no such step, or it fails. */
static bool check_step(struct run *run, size_t i)
{
    char prefix[64];
    struct recorded_step step;
    snprintf(prefix, sizeof prefix, "step.%zu", i);
    if (!open_step(run, prefix, i, &step)) return false;
    const size_t n = step.input.batch * step.input.sample_size;
    real *second_output = malloc(n * sizeof *second_output);
    ck_assert(second_output != NULL);
    check_corrections(run, i);
    check_model_input(run, i, step.input.timestep, step.input.sample, n);
    if (scheduler_needs_noise(run->scheduler, step.input.timestep, &step.input.options) !=
        (step.noise != NULL))
        complain(
            run, "step %zu: needs_noise is wrong; diffusers %s", i, step.noise ? "draws" : "does not draw");

    check_made_noise(run, i, &step);
    struct error error = {""};
    bool done =
        scheduler_step(run->scheduler, &step.input, step.prev_sample, second_output, &error) == STATUS_OK;
    if (done) {
        check_prev_sample(run, prefix, i, &step);
        check_second_output(run, i, &step, second_output);
        run->totals->steps++;
    } else {
        complain(run, "step %zu: %s", i, error.message);
    }
    close_step(&step);
    free(second_output);
    return done;
}

/* add_noise on a fresh schedule: the timesteps that were asked for, which are entries of the schedule. */
static void check_add_noise(struct run *run)
{
    const struct tensor *original = tensor_set_find(run->tensors, "add_noise.original");
    if (!original) return;
    const struct tensor *expected = need_tensor(run->tensors, "add_noise.result");
    const struct tensor *times = need_tensor(run->tensors, "add_noise.timesteps");
    real *data = reals_of(original), *noise = reals_of(need_tensor(run->tensors, "add_noise.noise"));
    size_t n = tensor_count(original), batch = tensor_count(times);
    real *noised = malloc(n * sizeof *noised);
    double *timesteps = malloc(batch * sizeof *timesteps);
    ck_assert(noised != NULL && timesteps != NULL);
    for (size_t i = 0; i < batch; i++) timesteps[i] = tensor_get_double(times, i);
    struct error error = {""};
    if (scheduler_add_noise(run->scheduler, data, noise, timesteps, batch, n / batch, noised, &error) ==
        STATUS_OK) {
        double distance = compare(noised, expected, largest_magnitude(expected), &run->totals->noised);
        if (distance > run->limits->step) complain(run, "add_noise is %g away", distance);
    } else {
        complain(run, "add_noise: %s", error.message);
    }
    free(data);
    free(noise);
    free(noised);
    free(timesteps);
}

/* --- A case ------------------------------------------------------------------------------- */

/* set_timesteps and begin_index as they were asked for. */
static enum status start(struct run *run, struct error *error)
{
    int64_t begin_index = -1;
    struct owned_request owned;
    enum status status =
        schedule_request_read(cJSON_GetObjectItemCaseSensitive(run->json, "set_timesteps"), &owned, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(run->scheduler, &owned.request, NULL, error);
    if (status == STATUS_OK)
        status = json_get_int(run->json, "begin_index", 0, INT32_MAX, &begin_index, NULL, error);
    scheduler_set_begin_index(run->scheduler, (int)begin_index);
    schedule_request_free(&owned);
    return status;
}

#define sched_case_check REAL_NAME(sched_case_check)

void sched_case_check(const char *name, const struct case_limits *limits, struct case_totals *totals)
{
    struct run run = {.name = name, .limits = limits, .totals = totals};
    struct error error = {""};
    run.json = golden_json("sched/%s.json", name);
    run.tensors = golden_tensors("sched/%s.safetensors", name);
    totals->cases++;
    enum status status = scheduler_create(
        cJSON_GetObjectItemCaseSensitive(run.json, "scheduler"), &run.scheduler, NULL, &error);
    if (status == STATUS_OK) status = start(&run, &error);
    if (status == STATUS_OK) {
        check_tables(&run);
        check_add_noise(&run);
        for (size_t i = 0; i < run.scheduler->num_timesteps && check_step(&run, i); i++) continue;
    } else {
        complain(&run, "%s", error.message);
    }
    scheduler_free(run.scheduler);
    tensor_set_free(run.tensors);
    cJSON_Delete(run.json);
}

#if !PLUMB_REAL_IS_DOUBLE
bool sched_case_is_known(const char *name)
{
    cJSON *json = golden_json("sched/%s.json", name);
    const char *class_name = cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "scheduler"), "_class_name"));
    bool known = false;
    for (size_t i = 0; class_name && i < scheduler_class_count(); i++)
        known |= strcmp(scheduler_class_name(i), class_name) == 0;
    cJSON_Delete(json);
    return known;
}
#endif
