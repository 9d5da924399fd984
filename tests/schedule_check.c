#include "sched/real.h"

#include "schedule_check.h"

#include "sched/solver.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PICTURES 2
#define ELEMENTS 6 /* of both pictures */
#define MOST_STEPS 24

static struct schedule_verdict at_fault(const char *format, ...) PRINTF_LIKE(1, 2);
static struct schedule_verdict at_fault(const char *format, ...)
{
    struct schedule_verdict verdict = {.made = true};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict.fault, sizeof verdict.fault, format, arguments);
    va_end(arguments);
    return verdict;
}

static struct schedule_verdict refused(enum status status, const struct error *error)
{
    if (status != STATUS_BAD_INPUT || !error->message[0])
        return at_fault("refused with status %d and the message \"%.200s\"", (int)status, error->message);
    return (struct schedule_verdict){.made = false};
}

/* --- The lists ---------------------------------------------------------------------------- */

/* As in diffusers, some classes make an empty schedule where none but an empty one is asked for. */
static bool asks_for_nothing(const struct schedule_request *r)
{
    return (r->has_num_inference_steps && r->num_inference_steps == 0) ||
           (r->timesteps && r->num_timesteps == 0) || (r->sigmas && r->num_sigmas <= 1) || r->has_strength;
}

static bool has_negative_sigma(const struct schedule_request *r)
{
    for (size_t i = 0; i < r->num_sigmas; i++)
        if (r->sigmas[i] < 0) return true;
    return false;
}

static struct schedule_verdict check_lists(const struct scheduler *s, const struct schedule_request *request)
{
    const bool may_be_negative = has_negative_sigma(request);
    if (s->num_timesteps == 0 && !asks_for_nothing(request)) return at_fault("an empty schedule");
    for (size_t i = 0; i < s->num_timesteps; i++)
        if (!isfinite(s->timesteps[i]) && !(isnan(s->timesteps[i]) && s->solver->undefined_timesteps))
            return at_fault("timesteps[%zu] is %g", i, s->timesteps[i]);
    if (!s->sigmas) return (struct schedule_verdict){.made = true};
    if (s->num_sigmas < s->num_timesteps)
        return at_fault("%zu sigmas for %zu timesteps", s->num_sigmas, s->num_timesteps);
    for (size_t i = 0; i < s->num_sigmas; i++)
        if (!isfinite(s->sigmas[i]) || ((double)s->sigmas[i] < -1e-6 && !may_be_negative))
            return at_fault("sigmas[%zu] is %g", i, (double)s->sigmas[i]);
    return (struct schedule_verdict){.made = true};
}

/* --- Steps -------------------------------------------------------------------------------- */

/* Zero, or a size that float32 has room for the squares and quotients of. */
static bool is_moderate(double number)
{
    return number == 0 || (number >= 1e-5 && number <= 2e4);
}

/* What some options mean leaves them less room than that. */
static const struct {
    const char *option;
    double least, most;
} ranges[] = {{"sampling_eps", 1e-3, 0.99}, {"sample_max_value", 1, 1e4}, {"clip_sample_range", 1e-3, 1e4},
    {"beta_max", 0.01, 100}, {"solver_order", 1, 4}, {"predictor_order", 1, 4}, {"corrector_order", 1, 4}};

static bool has_moderate_numbers(const cJSON *config)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, config)
    {
        if (cJSON_IsNumber(item) && !is_moderate(item->valuedouble)) return false;
        for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
            if (strcmp(item->string, ranges[i].option) == 0 && cJSON_IsNumber(item) &&
                !(item->valuedouble >= ranges[i].least && item->valuedouble <= ranges[i].most))
                return false;
    }
    return true;
}

/* Falling, but for the zeros that a list may end in: diffusers itself divides by the distance of two sigmas,
 * and by that of two timesteps. */
static bool falls(const double *list, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!(list[i] >= 0 && list[i] <= 0.999 * list[i - 1])) return false;
    return count == 0 || list[0] > 0;
}

static bool has_moderate_lists(const struct scheduler *s, const cJSON *config)
{
    /* Of a flow a share 1 - sigma of the data is left; the solvers of other samples take its logarithm. */
    const bool as_flow = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(config, "use_flow_sigmas"));
    const double most = s->solver->flow ? 1 : as_flow ? 0.9999 : 1e4;
    for (size_t i = 0; s->sigmas && i < s->num_sigmas; i++) {
        const double sigma = (double)s->sigmas[i], before = i > 0 ? (double)s->sigmas[i - 1] : 1e4;
        if (sigma == 0 && i + 1 == s->num_sigmas) break;
        if (!(sigma >= 1e-3 && sigma <= 0.999 * before)) return false;
        if (sigma > most) return false;
    }
    for (size_t i = 0; s->alphas_cumprod && i < s->num_betas; i++)
        if (!(s->alphas_cumprod[i] >= (real)1e-6 && s->betas[i] >= (real)1e-6)) return false;
    return true;
}

/* Whether config and call are such that no step may leave what float32 can hold: sizes that a model may have
 * been trained with, lists that fall, and no zero terminal signal-to-noise ratio, where epsilon says nothing
 * of the data and diffusers divides by zero. */
static bool is_ordinary(const struct scheduler *s, const cJSON *config,
    const struct schedule_request *request, const struct step_options *options)
{
    const bool moderate_call = (isnan(options->eta) || (options->eta >= 0 && options->eta <= 1)) &&
                               options->s_churn >= 0 && options->s_churn <= 100 && options->s_noise >= 0 &&
                               options->s_noise <= 10 && options->order >= 1 && options->order <= 4;
    return moderate_call && has_moderate_numbers(config) && has_moderate_lists(s, config) &&
           falls(request->timesteps, request->num_timesteps) &&
           (!request->has_mu || fabs(request->mu) <= 10) &&
           (!request->has_sampling_eps || is_moderate(request->sampling_eps));
}

/* Where diffusers' formulas end in what is no number, as sched/DEVIATIONS.md says; `value` NULL is any. With
 * `_semantics` "documented" some are finite; none of them is asked for here. */
static const struct {
    const char *class_name, *option, *value;
    bool into_zero; /* in a step to sigma 0 */
} lost[] = {
    {"UniPCMultistepScheduler", NULL, NULL, true},
    {"DPMSolverSinglestepScheduler", NULL, NULL, true},
    {"DDPMScheduler", "variance_type", "fixed_large_log", false},
    {"EulerAncestralDiscreteScheduler", "beta_schedule", "squaredcos_cap_v2", false},
    {"CosineDPMSolverMultistepScheduler", "final_sigmas_type", "sigma_min", false},
    {"EDMDPMSolverMultistepScheduler", "final_sigmas_type", "sigma_min", false},
    {"CMStochasticIterativeScheduler", NULL, NULL, false},
    {"DDIMInverseScheduler", "prediction_type", "sample", false},
    {"DPMSolverMultistepInverseScheduler", "algorithm_type", "sde-dpmsolver", false},
    {"DPMSolverMultistepInverseScheduler", "algorithm_type", "sde-dpmsolver++", false},
};

/* Of the step that was taken last. Where timesteps repeat it is a later one than has been counted. */
static bool may_be_lost(const struct scheduler *s, const cJSON *config)
{
    const size_t next = (size_t)s->step_index;
    const bool into_zero = s->sigmas && next < s->num_sigmas && s->sigmas[next] == 0;
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
        if (strcmp(scheduler_name(s), lost[i].class_name) != 0) continue;
        const char *value =
            lost[i].option ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, lost[i].option))
                           : NULL;
        const bool has_value = !lost[i].option || (value && strcmp(value, lost[i].value) == 0);
        if (has_value && (into_zero || !lost[i].into_zero)) return true;
    }
    return false;
}

/* A number from -2 to 2 (splitmix64). */
static real next_number(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (real)((double)(z >> 40) / 0x1p22 - 2);
}

static void fill(real *numbers, size_t count, uint64_t *state)
{
    for (size_t i = 0; i < count; i++) numbers[i] = next_number(state);
}

/* One step, the corrections in front of it with it: `sample` becomes the next one. */
static enum status take_step(struct scheduler *s, double timestep, const struct step_options *options,
    real *sample, uint64_t *state, struct error *error)
{
    real output[ELEMENTS], noise[ELEMENTS], input[ELEMENTS], prev_sample[ELEMENTS], original[ELEMENTS];
    struct step_input step = {.timestep = timestep,
        .model_output = output,
        .model_output_size = ELEMENTS / PICTURES,
        .sample = sample,
        .batch = PICTURES,
        .sample_size = ELEMENTS / PICTURES,
        .noise = noise,
        .options = *options};
    enum status status = STATUS_OK;
    for (int c = 0; status == STATUS_OK && c < scheduler_correct_steps(s) && c < MOST_STEPS; c++) {
        fill(output, ELEMENTS, state);
        fill(noise, ELEMENTS, state);
        status = scheduler_correct(s, &step, prev_sample, error);
        for (size_t k = 0; status == STATUS_OK && k < ELEMENTS; k++) sample[k] = prev_sample[k];
    }
    if (status == STATUS_OK)
        status = scheduler_scale_model_input(s, timestep, sample, ELEMENTS, input, error);
    if (status != STATUS_OK) return status;
    fill(output, ELEMENTS, state);
    fill(noise, ELEMENTS, state);
    if (!scheduler_needs_noise(s, timestep, options) || scheduler_makes_noise(s)) step.noise = NULL;
    status = scheduler_step(s, &step, prev_sample, original, error);
    for (size_t k = 0; status == STATUS_OK && k < ELEMENTS; k++) sample[k] = prev_sample[k];
    return status;
}

/* Where the config's values overflow, a sample's may; then what counts is that nothing is read or written
 * out of place. */
static struct schedule_verdict take_steps(struct scheduler *s, const cJSON *config, bool ordinary,
    const struct step_options *options, uint64_t seed)
{
    const uint64_t seeds[PICTURES] = {1, 2};
    real sample[ELEMENTS];
    struct error error = {""};
    if (scheduler_seed_noise(s, seeds, PICTURES, &error) != STATUS_OK) return at_fault("%s", error.message);
    fill(sample, ELEMENTS, &seed);
    for (size_t k = 0; k < ELEMENTS; k++) sample[k] *= (real)s->init_noise_sigma;
    for (size_t i = 0; i < s->num_timesteps && i < MOST_STEPS; i++) {
        enum status status = take_step(s, s->timesteps[i], options, sample, &seed, &error);
        if (status != STATUS_OK) {
            struct schedule_verdict verdict = refused(status, &error);
            verdict.made = true;
            return verdict;
        }
        ordinary = ordinary && !may_be_lost(s, config);
        for (size_t k = 0; k < ELEMENTS; k++)
            if (ordinary && !isfinite(sample[k]))
                return at_fault(
                    "after step %zu of %zu the sample is %g", i, s->num_timesteps, (double)sample[k]);
    }
    return (struct schedule_verdict){.made = true};
}

struct schedule_verdict check_schedule(const cJSON *config, const struct schedule_request *request,
    const struct step_options *options, uint64_t seed)
{
    struct scheduler *scheduler = NULL;
    struct warnings warnings = {0};
    struct error error = {""};
    struct schedule_verdict verdict;
    enum status status = scheduler_create(config, &scheduler, &warnings, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, request, &warnings, &error);
    if (status == STATUS_OK) {
        verdict = check_lists(scheduler, request);
        const bool ordinary = is_ordinary(scheduler, config, request, options);
        if (!verdict.fault[0]) verdict = take_steps(scheduler, config, ordinary, options, seed);
    } else {
        verdict = refused(status, &error);
    }
    scheduler_free(scheduler);
    warnings_free(&warnings);
    return verdict;
}
