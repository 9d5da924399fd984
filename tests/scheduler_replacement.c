#include "sched/real.h"

#include "tests/scheduler_replacement.h"

#include "sched/scheduler_save.h"
#include "sched/solver.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <stdio.h>

#include <stdlib.h>
#include <string.h>

#define check_replaced_schedulers REAL_NAME(check_replaced_schedulers)
#define check_damaged_schedulers REAL_NAME(check_damaged_schedulers)

enum { BATCH = 2, SIZE = 6, ELEMENTS = BATCH * SIZE, STEPS = 7 };

static struct scheduler *need_scheduler(const char *class_name)
{
    struct error error = {""};
    struct scheduler *scheduler = NULL;
    cJSON *config = config_from("{\"_class_name\": \"%s\"}", class_name);
    struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = STEPS};
    enum status status = scheduler_create(config, &scheduler, NULL, &error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &request, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", class_name, error.message);
    scheduler_set_begin_index(scheduler, 0);
    cJSON_Delete(config);
    return scheduler;
}

/* Numbers of call `call` that are for `what`: the model's output, the noise. */
static void fill(size_t call, size_t what, real *values)
{
    char seed[32];
    double normals[ELEMENTS];
    snprintf(seed, sizeof seed, "%zu", 10 * call + what);
    fill_normals(seed, normals, ELEMENTS);
    for (size_t i = 0; i < ELEMENTS; i++) values[i] = (real)normals[i];
}

static void take_step(struct scheduler *scheduler, size_t call, size_t data, real *sample)
{
    struct error error = {""};
    real model_output[ELEMENTS], noise[ELEMENTS], prev_sample[ELEMENTS];
    fill(call, data, model_output);
    fill(call, data + 1, noise);
    struct step_input input = {
        .timestep = scheduler->timesteps[call],
        .model_output = model_output,
        .model_output_size = SIZE,
        .sample = sample,
        .batch = BATCH,
        .sample_size = SIZE,
        .noise = noise,
        .options = STEP_OPTIONS_DEFAULT,
    };
    enum status status = scheduler_step(scheduler, &input, prev_sample, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s, step %zu: %s", scheduler_name(scheduler), call, error.message);
    memcpy(sample, prev_sample, sizeof prev_sample);
}

static struct scheduler *need_copy(const struct scheduler *scheduler)
{
    struct error error = {""};
    struct scheduler *copy = NULL;
    enum status status = scheduler_copy(scheduler, &copy, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", scheduler_name(scheduler), error.message);
    return copy;
}

static void check_class(const char *class_name)
{
    struct scheduler *plain = need_scheduler(class_name), *replaced = need_scheduler(class_name);
    real sample[ELEMENTS], same[ELEMENTS], other[ELEMENTS];
    fill(1000, 0, sample);
    memcpy(same, sample, sizeof same);
    for (size_t call = 0; call < plain->num_timesteps; call++) {
        struct scheduler *copy = need_copy(replaced), *branch = need_copy(replaced);
        scheduler_free(replaced);
        replaced = copy;
        fill(2000 + call, 0, other);
        take_step(branch, call, 2, other);
        take_step(plain, call, 0, sample);
        take_step(replaced, call, 0, same);
        scheduler_free(branch);
        ck_assert_msg(
            memcmp(sample, same, sizeof same) == 0, "%s: step %zu of a copy differs", class_name, call);
    }
    scheduler_free(plain);
    scheduler_free(replaced);
}

void check_replaced_schedulers(void)
{
    for (size_t i = 0; i < scheduler_class_count(); i++) check_class(scheduler_class_name(i));
}

static void check_refused(const unsigned char *bytes, size_t size, const char *what, size_t where)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    enum status status = scheduler_restore(bytes, size, &scheduler, &error);
    ck_assert_msg(
        status == STATUS_BAD_INPUT && !scheduler && error.message[0], "%s at %zu is accepted", what, where);
}

void check_damaged_schedulers(void)
{
    struct scheduler *scheduler = need_scheduler("DPMSolverMultistepScheduler");
    real sample[ELEMENTS];
    fill(1000, 0, sample);
    for (size_t call = 0; call < 3; call++) take_step(scheduler, call, 0, sample);
    unsigned char *bytes;
    size_t size;
    ck_assert_int_eq(scheduler_save(scheduler, &bytes, &size, NULL), STATUS_OK);
    scheduler_free(scheduler);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 1;
        check_refused(bytes, size, "a changed byte", i);
        bytes[i] ^= 1;
        unsigned char *cut = malloc(i ? i : 1); /* of this size, so that reading past it is seen */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes, i);
        check_refused(cut, i, "an end", i);
        free(cut);
    }
    free(bytes);
}
