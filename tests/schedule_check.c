#include "sched/real.h"

#include "schedule_check.h"

#include "sched/solver.h"

#include <check.h>
#include <math.h>

#define ELEMENTS 6
#define MOST_STEPS 24

#define check_schedule REAL_NAME(check_schedule)

static void expect_reason(enum status status, const struct error *error, const char *where)
{
    ck_assert_msg(status == STATUS_BAD_INPUT && error->message[0], "%s: status %d, message \"%s\"", where,
        (int)status, error->message);
}

/* As in diffusers, some classes make an empty schedule where none but an empty one is asked for. */
static bool asks_for_nothing(const struct schedule_request *r)
{
    return (r->has_num_inference_steps && r->num_inference_steps == 0) ||
           (r->timesteps && r->num_timesteps == 0) || (r->sigmas && r->num_sigmas <= 1) || r->has_strength;
}

static void check_lists(const struct scheduler *s, const struct schedule_request *request, const char *where)
{
    ck_assert_msg(s->num_timesteps > 0 || asks_for_nothing(request), "%s: an empty schedule", where);
    for (size_t i = 0; i < s->num_timesteps; i++)
        ck_assert_msg(isfinite(s->timesteps[i]) || (isnan(s->timesteps[i]) && s->solver->undefined_timesteps),
            "%s: timesteps[%zu] is %g", where, i, s->timesteps[i]);
    ck_assert_msg(!s->sigmas || s->num_sigmas >= s->num_timesteps, "%s: %zu sigmas for %zu timesteps", where,
        s->num_sigmas, s->num_timesteps);
}

/* Values may overflow where the config's do; what counts is that nothing is read or written out of place. */
static void take_steps(struct scheduler *s, const char *where)
{
    real sample[ELEMENTS] = {1, -1, (real)0.5, 2, 0, -3}, input[ELEMENTS], prev_sample[ELEMENTS];
    const real noise[ELEMENTS] = {(real)0.1, -1, 0, 1, 2, (real)-0.5};
    const uint64_t seeds[] = {1, 2};
    struct error error = {""};
    ck_assert(scheduler_seed_noise(s, seeds, 2, &error) == STATUS_OK);
    for (size_t i = 0; i < s->num_timesteps; i++) {
        if (i == MOST_STEPS) break;
        enum status status = scheduler_scale_model_input(s, s->timesteps[i], sample, ELEMENTS, input, &error);
        struct step_input step = {.timestep = s->timesteps[i],
            .model_output = input,
            .model_output_size = ELEMENTS / 2,
            .sample = sample,
            .batch = 2,
            .sample_size = ELEMENTS / 2,
            .options = STEP_OPTIONS_DEFAULT};
        if (status == STATUS_OK) {
            const bool draws = scheduler_needs_noise(s, step.timestep, &step.options);
            if (draws && !scheduler_makes_noise(s)) step.noise = noise;
            status = scheduler_step(s, &step, prev_sample, NULL, &error);
        }
        if (status != STATUS_OK) {
            expect_reason(status, &error, where);
            return;
        }
        for (size_t k = 0; k < ELEMENTS; k++) sample[k] = prev_sample[k];
    }
}

bool check_schedule(const cJSON *config, const struct schedule_request *request, const char *where)
{
    struct scheduler *scheduler = NULL;
    struct warnings warnings = {0};
    struct error error = {""};
    bool made = false;
    enum status status = scheduler_create(config, &scheduler, &warnings, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, request, &warnings, &error);
    if (status == STATUS_OK) {
        made = true;
        check_lists(scheduler, request, where);
        take_steps(scheduler, where);
    } else {
        expect_reason(status, &error, where);
    }
    scheduler_free(scheduler);
    warnings_free(&warnings);
    return made;
}
