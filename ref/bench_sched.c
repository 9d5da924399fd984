/*
 * The sampler's own time: a scheduler's tables and its schedule of 1000 steps, and one step on the latents of
 * SDXL at 1024 x 1024. What a step must move is the sample and the model's output in, the new sample out, and
 * each tensor that the solver keeps in or out; they lie in a cache, so that a share of the peak of copying in
 * memory may exceed one.
 */
#include "bench.h"
#include "synth.h"

#include "kernels/cpu.h"
#include "sched/scheduler.h"

#include <stdlib.h>

enum { CHANNELS = 4, SIDE = 128, SIZE = CHANNELS * SIDE * SIDE };

struct run {
    const char *class_name;
    cJSON *config;
    struct scheduler *scheduler;
    size_t at; /* of its timesteps */
    float *sample, *model_output, *prev_sample;
    size_t model_output_size;
    enum status status;
    struct error *error;
};

static void set_timesteps(struct run *run)
{
    struct schedule_request request = {
        .has_num_inference_steps = true, .num_inference_steps = BENCH_SCHEDULER_STEPS};
    run->at = 0;
    if (run->status == STATUS_OK)
        run->status = scheduler_set_timesteps(run->scheduler, &request, NULL, run->error);
}

static void create(void *context)
{
    struct run *run = context;
    scheduler_free(run->scheduler);
    run->scheduler = NULL;
    if (run->status == STATUS_OK)
        run->status = scheduler_create(run->config, &run->scheduler, NULL, run->error);
    set_timesteps(run);
}

/* The next step, from the same sample; past the last one the schedule is made again. */
static void step(void *context)
{
    struct run *run = context;
    if (run->status == STATUS_OK && run->at == run->scheduler->num_timesteps) set_timesteps(run);
    if (run->status != STATUS_OK) return;
    struct step_input input = {.timestep = run->scheduler->timesteps[run->at++],
        .model_output = run->model_output,
        .model_output_size = run->model_output_size,
        .sample = run->sample,
        .batch = 1,
        .sample_size = SIZE,
        .options = STEP_OPTIONS_DEFAULT};
    if (scheduler_needs_noise(run->scheduler, input.timestep, &input.options))
        input.noise = run->model_output; /* any numbers do */
    run->status = scheduler_step(run->scheduler, &input, run->prev_sample, NULL, run->error);
}

/* Room for as many steps, for a class that has the option: by default some have fewer training steps, or a
 * shorter schedule that their models were distilled on. */
static bool add_option(struct run *run, const char *option)
{
    return !scheduler_class_has_option(run->class_name, option) ||
           cJSON_AddNumberToObject(run->config, option, BENCH_SCHEDULER_STEPS);
}

static void open_run(struct run *run)
{
    run->config = cJSON_CreateObject();
    run->sample = malloc(SIZE * sizeof *run->sample);
    run->model_output = malloc(SIZE * sizeof *run->model_output);
    run->prev_sample = malloc(SIZE * sizeof *run->prev_sample);
    run->model_output_size = SIZE;
    if (!run->sample || !run->model_output || !run->prev_sample ||
        !cJSON_AddStringToObject(run->config, "_class_name", run->class_name) ||
        !add_option(run, "num_train_timesteps") || !add_option(run, "original_inference_steps")) {
        run->status = error_memory(run->error, 3 * SIZE * sizeof *run->sample);
        return;
    }
    struct synth_values values = {.key = 1, .scale = BENCH_UNIT_SCALE};
    synth_values_fill(&values, 0, SIZE, DTYPE_F32, run->sample);
    synth_values_fill(&values, SIZE, SIZE, DTYPE_F32, run->model_output);
}

void bench_scheduler_measure(const char *class_name, struct bench_meter *meter,
    const struct bench_timing *timing, struct bench_scheduler *result)
{
    *result = (struct bench_scheduler){.class_name = class_name, .bytes = 3.0 * SIZE * sizeof(float)};
    struct bench_timing one_thread = *timing; /* the sampler has no threads */
    struct run run = {.class_name = class_name, .error = &result->error};
    one_thread.scaling = false;
    one_thread.threads = 1;
    kernels_set_threads(1);
    open_run(&run);
    create(&run);
    if (run.status == STATUS_OK) {
        struct bench_task creating = {create, &run, 0, 1}, stepping = {step, &run, 0, result->bytes};
        result->create_seconds = bench_measure(meter, &one_thread, &creating).seconds;
        step(&run);
        if (run.status == STATUS_OK) {
            const size_t kept = scheduler_memory(run.scheduler) / (SIZE * sizeof(float)); /* but for tables */
            stepping.bytes = result->bytes += (double)(kept * SIZE * sizeof(float));
        }
        if (run.status == STATUS_OK) result->step = bench_measure(meter, &one_thread, &stepping);
    }
    kernels_set_threads(timing->threads);
    scheduler_free(run.scheduler);
    cJSON_Delete(run.config);
    free(run.sample);
    free(run.model_output);
    free(run.prev_sample);
}
