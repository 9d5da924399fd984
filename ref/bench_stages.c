/*
 * Whole forward passes, and a step of denoising: the UNet for prompt and empty prompt in one batch, guidance
 * (Ho and Salimans 2022), and the source's own scheduler, as pipeline.c has them.
 */
#include "bench.h"

#include "sched/guidance.h"
#include "sched/scheduler.h"

#include <stdlib.h>
#include <string.h>

struct stage {
    struct bench_model model;
    struct forward f;
    /* Of a step: */
    struct scheduler *scheduler; /* NULL for a forward pass alone */
    size_t at;                   /* of its timesteps, which follow each other as in a run */
    float *latents, *guided;     /* one side of guidance */
};

/* Over an arena of the size that this many threads need. */
static enum status make_arena(struct stage *stage, struct error *error)
{
    size_t bytes = 0;
    enum status status = bench_model_plan(&stage->model, &bytes, error);
    arena_free(stage->f.arena);
    stage->f.arena = NULL;
    return status == STATUS_OK ? arena_create(&stage->f.arena, bytes, error) : status;
}

static void run_pass(void *context)
{
    struct stage *stage = context;
    struct arena_mark mark = scope_begin(&stage->f);
    (void)bench_model_forward(&stage->f, &stage->model);
    arena_release(stage->f.arena, mark);
}

static enum status begin_schedule(struct stage *stage, struct error *error)
{
    struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = 20};
    stage->at = 0;
    return scheduler_set_timesteps(stage->scheduler, &request, NULL, error);
}

/* The next step of a run, but from the same latents each time. */
static void run_step(void *context)
{
    struct stage *stage = context;
    struct forward *f = &stage->f;
    struct scheduler *scheduler = stage->scheduler;
    struct tensor sample = stage->model.inputs[0]; /* both sides */
    size_t n = tensor_count(&sample) / 2, pictures = (size_t)sample.shape[0] / 2;
    float *input = sample.data;
    if (f->status == STATUS_OK && stage->at == scheduler->num_timesteps)
        f->status = begin_schedule(stage, f->error);
    double timestep = scheduler->timesteps[stage->at++];
    struct arena_mark mark = scope_begin(f);

    if (f->status == STATUS_OK)
        f->status = scheduler_scale_model_input(scheduler, timestep, stage->latents, n, input, f->error);
    if (f->status == STATUS_OK) memcpy(input + n, input, n * sizeof *input);
    struct tensor noise = bench_model_forward(f, &stage->model);
    if (f->status == STATUS_OK) {
        const float *uncond = noise.data;
        guidance_combine(uncond, uncond + n, n, 7.5, stage->guided);
        struct step_input step = {.timestep = timestep,
            .model_output = stage->guided,
            .model_output_size = n / pictures,
            .sample = stage->latents,
            .batch = pictures,
            .sample_size = n / pictures,
            .noise = stage->latents, /* for a scheduler that adds some: any numbers do */
            .options = STEP_OPTIONS_DEFAULT};
        f->status = scheduler_step(scheduler, &step, input, NULL, f->error);
    }
    arena_release(f->arena, mark);
}

/* The source's scheduler over 20 steps, and the tensors of one side of guidance. */
static enum status open_step(const struct bench_source *source, struct stage *stage, struct error *error)
{
    const cJSON *config;
    cJSON *owned;
    struct tensor *sample = &stage->model.inputs[0];
    size_t half = tensor_bytes(sample) / 2;
    stage->latents = malloc(half);
    stage->guided = malloc(half);
    if (!stage->latents || !stage->guided) return error_memory(error, 2 * half);
    memcpy(stage->latents, sample->data, half);
    enum status status = bench_source_scheduler(source, &config, &owned, error);
    if (status == STATUS_OK) status = scheduler_create(config, &stage->scheduler, NULL, error);
    if (status == STATUS_OK) status = begin_schedule(stage, error);
    cJSON_Delete(owned);
    return error_prefix(error, status, "%s: scheduler: ", bench_source_name(source));
}

static enum status add_costs(const struct bench_model *model, struct bench_stage *result, struct error *error)
{
    struct bench_operators operators = {0};
    enum status status = bench_operators_list(model, &operators, error);
    for (size_t i = 0; i < operators.count; i++) {
        result->task.flops += (double)operators.items[i].count * operators.items[i].flops;
        result->task.bytes += (double)operators.items[i].count * operators.items[i].bytes;
    }
    bench_operators_free(&operators);
    return status;
}

enum status bench_stage_measure(const struct bench_source *source, const char *part,
    struct bench_meter *meter, const struct bench_timing *timing, struct bench_stage *result,
    struct error *error)
{
    struct stage stage = {.f = {.error = error}};
    bool whole_step = part == NULL;
    *result = (struct bench_stage){.name = whole_step ? "step" : part};
    result->batch = whole_step ? 2 * source->batch : source->batch;
    enum status status = bench_model_open(
        source, whole_step ? "unet" : part, result->batch, meter != NULL, &stage.model, error);
    if (status == STATUS_OK && whole_step) status = open_step(source, &stage, error);
    if (status == STATUS_OK) status = add_costs(&stage.model, result, error);
    if (status == STATUS_OK && meter) status = make_arena(&stage, error);
    if (status != STATUS_OK) goto done;

    tensor_show_shape(&stage.model.inputs[0], result->input, sizeof result->input);
    result->weight_bytes = stage.model.weight_bytes;
    status = bench_model_plan(&stage.model, &result->activation_bytes, error);
    if (status != STATUS_OK || !meter) goto done;
    result->task.run = whole_step ? run_step : run_pass;
    result->task.context = &stage;
    result->result = bench_measure(meter, timing, &result->task);
    result->task.context = NULL;
    status = stage.f.status;
done:
    arena_free(stage.f.arena);
    scheduler_free(stage.scheduler);
    free(stage.latents);
    free(stage.guided);
    bench_model_close(&stage.model);
    return status;
}
