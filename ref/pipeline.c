/*
 * One pipeline call, from the prompt to the picture. pipeline_run(), at the end of the file, is the whole
 * algorithm; the functions above it are its stages in the order in which they run.
 *
 * Sources: Rombach et al. 2022, arXiv:2112.10752 (latent diffusion), Ho and Salimans 2022, arXiv:2207.12598
 * (guidance), Podell et al. 2023, arXiv:2307.01952 (SDXL); the order of operations and of random draws is
 * Diffusers 0.35.1's.
 */
#include "kernels/real.h"

#include "arena.h"
#include "memory_report.h"
#include "run.h"
#include "transformer.h"

#include "kernels/cpu.h"
#include "sched/guidance.h"
#include "sched/scheduler.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void run_trace(struct run *run, struct tensor tensor, const char *name_format, ...)
{
    const struct run_options *options = run->options;
    if (run->f.status != STATUS_OK || (!options->trace && !options->observer)) return;
    char name[128];
    va_list arguments;
    va_start(arguments, name_format);
    vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    if (!forward_computes(&run->f)) {
        if (options->trace) run->f.traced += tensor_bytes(&tensor);
        if (options->observer && options->observer->foresee)
            run->f.status =
                options->observer->foresee(options->observer->context, name, &tensor, run->f.error);
        return;
    }
    if (options->trace) run->f.status = trace_add(options->trace, &tensor, run->f.error, "%s", name);
    if (options->observer && run->f.status == STATUS_OK)
        run->f.status = options->observer->see(options->observer->context, name, &tensor, run->f.error);
}

/* --- The schedule ------------------------------------------------------------------------- */

/* SDXL's denoising_end: of the schedule, only the timesteps at or above this fraction's cut-off are run. */
static size_t timesteps_to_run(const struct run *run)
{
    double end = run->pipeline->is_xl ? run->recipe->denoising_end : 0;
    size_t count = run->scheduler->num_timesteps;
    if (!(end > 0 && end < 1)) return count;
    double train = run->scheduler->num_train_timesteps, cutoff = nearbyint(train - end * train);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) kept += run->scheduler->timesteps[i] >= cutoff;
    return kept;
}

/* Who watches may have changed them: the models and the sampler then go by the new ones, as far as they are
 * timesteps. */
static void take_timesteps(struct run *run, const struct tensor *timesteps)
{
    struct scheduler *s = run->scheduler;
    bool changed = false;
    if (!forward_computes(&run->f) || !run->options->observer) return;
    for (size_t i = 0; i < s->num_timesteps; i++) {
        double timestep = tensor_get_double(timesteps, i);
        if (!(timestep >= 0 && timestep < s->num_train_timesteps)) return;
        changed = changed || timestep != s->timesteps[i];
    }
    if (!changed) return;
    for (size_t i = 0; i < s->num_timesteps; i++) s->timesteps[i] = tensor_get_double(timesteps, i);
    scheduler_set_begin_index(s, 0); /* which they would be looked up for */
}

static void trace_schedule(struct run *run)
{
    if (run->f.status != STATUS_OK) return;
    const struct scheduler *s = run->scheduler;
    const enum dtype real_dtype = sizeof(real) == 4 ? DTYPE_F32 : DTYPE_F64;
    int64_t count = (int64_t)s->num_timesteps;
    enum dtype dtype = s->timestep_dtype == TIMESTEP_INT64     ? DTYPE_I64
                       : s->timestep_dtype == TIMESTEP_FLOAT32 ? DTYPE_F32
                                                               : DTYPE_F64;
    struct tensor timesteps = {dtype, 1, {count}, malloc((size_t)count * sizeof(double) + 1)};
    if (!timesteps.data) {
        run->f.status = error_memory(run->f.error, (size_t)count * sizeof(double));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (dtype == DTYPE_I64) ((int64_t *)timesteps.data)[i] = (int64_t)s->timesteps[i];
        if (dtype == DTYPE_F32) ((float *)timesteps.data)[i] = (float)s->timesteps[i];
        if (dtype == DTYPE_F64) ((double *)timesteps.data)[i] = s->timesteps[i];
    }
    run_trace(run, timesteps, "timesteps");
    take_timesteps(run, &timesteps);
    free(timesteps.data);
    if (s->sigmas)
        run_trace(run, (struct tensor){real_dtype, 1, {(int64_t)s->num_sigmas}, s->sigmas}, "sigmas");
    if (s->alphas_cumprod)
        run_trace(run, (struct tensor){real_dtype, 1, {(int64_t)s->num_betas}, s->alphas_cumprod},
            "alphas_cumprod");
}

/* What a scheduler refuses is often a value of its config: the error then says where that stands. */
static enum status refer(const struct run *run, enum status status)
{
    return pipeline_scheduler_error(run->pipeline, run->recipe, status, run->f.error);
}

static void prepare_schedule(struct run *run)
{
    const struct recipe *r = run->recipe;
    cJSON *config = NULL;
    if (run->f.status == STATUS_OK)
        run->f.status = pipeline_scheduler_config(run->pipeline, r, &config, run->warnings, run->f.error);
    if (run->f.status == STATUS_OK)
        run->f.status = refer(run, scheduler_create(config, &run->scheduler, run->warnings, run->f.error));
    if (run->f.status == STATUS_OK && !scheduler_has_step(run->scheduler))
        run->f.status = error_input(run->f.error,
            "scheduler: %s has no step(), only step_pred(); a text-to-image pipeline cannot run it",
            scheduler_name(run->scheduler));
    cJSON_Delete(config);
    if (run->f.status != STATUS_OK) return;

    struct schedule_request request = {
        .has_num_inference_steps = !r->timesteps && !r->sigmas,
        .num_inference_steps = (int)r->num_inference_steps,
        .timesteps = r->timesteps,
        .num_timesteps = r->num_timesteps,
        .sigmas = r->sigmas,
        .num_sigmas = r->num_sigmas,
    };
    run->f.status =
        refer(run, scheduler_set_timesteps(run->scheduler, &request, run->warnings, run->f.error));
    if (run->f.status != STATUS_OK) return;
    if (r->eta != 0 && !scheduler_takes_eta(run->scheduler))
        warnings_add(run->warnings, "eta: ignored, it is an argument of DDIM's steps");
    size_t steps = run->scheduler->num_timesteps;
    if (r->has_num_inference_steps && !request.has_num_inference_steps &&
        (size_t)r->num_inference_steps != steps)
        warnings_add(run->warnings, "num_inference_steps: ignored, the custom schedule has %zu steps", steps);
    run->num_timesteps = timesteps_to_run(run);
}

/* --- The noise ---------------------------------------------------------------------------- */

static void open_noise(struct run *run)
{
    const struct recipe *r = run->recipe;
    struct forward *f = &run->f;
    if (f->status == STATUS_OK)
        f->status = noise_open(r->generator, r->seeds, r->num_seeds, r->noise, &run->noise, f->error);
    if (f->status != STATUS_OK || !scheduler_makes_noise(run->scheduler)) return;
    const uint64_t *seeds = NULL;
    size_t count = 0;
    f->status = noise_seeds(run->noise, &seeds, &count, f->error);
    if (f->status == STATUS_OK) f->status = scheduler_seed_noise(run->scheduler, seeds, count, f->error);
}

/* One draw, [B, C, h, w]. */
static void draw_noise(struct run *run, struct tensor noise, const struct noise_draw *draw)
{
    struct forward *f = &run->f;
    const size_t count = tensor_count(&noise);
    double *numbers = malloc(count * sizeof *numbers);
    if (!numbers) f->status = error_memory(f->error, count * sizeof *numbers);
    if (numbers) f->status = noise_next(run->noise, draw, numbers, f->error);
    for (size_t i = 0; f->status == STATUS_OK && i < count; i++) ((real *)noise.data)[i] = (real)numbers[i];
    free(numbers);
}

/* The noise of a step [B, C, h, w]: a draw, or what the scheduler makes for itself, unless the noise that is
 * given has the step's. */
static void find_noise(struct run *run, size_t step, struct tensor noise)
{
    struct forward *f = &run->f;
    char who[32];
    if (!forward_computes(f)) return;
    snprintf(who, sizeof who, "step.%02zu.noise", step);
    const double timestep = run->scheduler->timesteps[step];
    const struct noise_draw draw = {who, true, timestep, &noise};
    if (scheduler_makes_noise(run->scheduler) && !noise_is_given(run->noise, &draw)) {
        const size_t batch = (size_t)run->batch;
        f->status = scheduler_make_noise(
            run->scheduler, timestep, batch, tensor_count(&noise) / batch, noise.data, f->error);
        if (f->status == STATUS_OK) f->status = noise_note(run->noise, &draw, "scheduler", f->error);
    } else {
        draw_noise(run, noise, &draw);
    }
    if (!scheduler_has_float32_noise(run->scheduler)) forward_round(f, noise);
    run_trace(run, noise, "%s", who);
}

/* The recipe's own latents in place of the first draw. */
static void read_latents(struct run *run, struct tensor latents)
{
    struct tensor_set *set = NULL;
    const char *path = run->recipe->latents;
    if (!forward_computes(&run->f)) return;
    run->f.status = tensor_set_open(path, &set, run->f.error);
    if (run->f.status == STATUS_OK) {
        const struct tensor *given = tensor_set_find(set, "latents");
        if (!given) given = tensor_set_find(set, "init_noise");
        if (!given && tensor_set_count(set) == 1) given = tensor_set_at(set, 0);
        char expected[96], got[96];
        tensor_show_shape(&latents, expected, sizeof expected);
        if (!given)
            run->f.status = error_input(
                run->f.error, "%s: expected a tensor named latents or init_noise, or one alone", path);
        else if (!dtype_is_float(given->dtype) || !tensor_same_shape(given, &latents))
            run->f.status = error_input(run->f.error, "%s: expected latents of shape %s, got %s %s", path,
                expected, dtype_name(given->dtype), tensor_show_shape(given, got, sizeof got));
        for (size_t i = 0; run->f.status == STATUS_OK && i < tensor_count(&latents); i++) {
            double value = tensor_get_double(given, i);
            if (!isfinite(value))
                run->f.status = error_input(
                    run->f.error, "%s: element %zu: expected a finite number, got %f", path, i, value);
            ((real *)latents.data)[i] = (real)value;
        }
    }
    tensor_set_free(set);
}

static struct tensor initial_latents(struct run *run)
{
    int64_t factor = vae_scale_factor(run->pipeline->vae);
    int64_t shape[4] = {
        run->batch, unet_in_channels(run->pipeline->unet), run->height / factor, run->width / factor};
    struct tensor latents = forward_tensor(&run->f, 4, shape), noise = forward_tensor(&run->f, 4, shape);
    if (run->recipe->latents)
        read_latents(run, noise);
    else if (forward_computes(&run->f))
        draw_noise(run, noise, &(struct noise_draw){.who = "init_noise", .tensor = &noise});
    forward_round(&run->f, noise);
    run_trace(run, noise, "init_noise");
    for (size_t i = 0; forward_computes(&run->f) && i < tensor_count(&noise); i++)
        ((real *)latents.data)[i] = ((real *)noise.data)[i] * (real)run->scheduler->init_noise_sigma;
    forward_round(&run->f, latents);
    run_trace(run, latents, "latents.init");
    drop(&run->f, noise);
    return latents;
}

/* --- One step ----------------------------------------------------------------------------- */

/* The first or second half of [2B, ...], without a copy. */
static struct tensor half(struct tensor x, int second)
{
    x.shape[0] /= 2;
    if (second) x.data = (char *)x.data + tensor_bytes(&x);
    return x;
}

/* One pass of the UNet, or where nobody needs it something of its result's shape. */
static struct tensor run_unet(
    struct forward *f, const struct unet *unet, const struct unet_input *input, size_t step)
{
    char name[32];
    snprintf(name, sizeof name, "step.%02zu.unet", step);
    if (!forward_needs(f, name)) {
        int64_t shape[4];
        memcpy(shape, input->sample.shape, sizeof shape);
        shape[1] = unet_out_channels(unet);
        return forward_unknown(f, 4, shape);
    }
    if (step > 0) snprintf(f->whose, sizeof f->whose, "step.%02zu.", step);
    struct tensor noise_pred = unet_forward(f, unet, input);
    f->whose[0] = '\0';
    return noise_pred;
}

/* The model's output at (latents, timestep), guided: [B, C, h, w]. */
static struct tensor guided_prediction(
    struct run *run, size_t step, struct tensor latents, const struct conditioning *conditioning)
{
    struct forward *f = &run->f;
    double timestep = run->scheduler->timesteps[step];
    struct tensor model_input = forward_tensor(f, latents.rank, latents.shape);
    if (forward_computes(f))
        f->status = scheduler_scale_model_input(
            run->scheduler, timestep, latents.data, tensor_count(&latents), model_input.data, f->error);
    forward_round(f, model_input);
    run_trace(run, model_input, "step.%02zu.model_input", step);

    struct unet_input input = {
        .sample = run->guided && f->status == STATUS_OK ? stack(f, model_input, model_input) : model_input,
        .timestep = timestep,
        .encoder_hidden_states = conditioning->prompt_embeds,
        .text_embeds = conditioning->add_text_embeds,
        .time_ids = conditioning->add_time_ids,
        .text_keys = conditioning->text_keys,
    };
    f->modules = run->options->trace_modules && step == 0 ? run->options->trace : NULL;
    struct tensor noise_pred = run_unet(f, run->pipeline->unet, &input, step);
    f->modules = NULL;
    if (f->status != STATUS_OK || !run->guided) {
        run_trace(run, noise_pred, "step.%02zu.noise_pred_text", step);
        return noise_pred;
    }

    struct tensor uncond = half(noise_pred, 0), text = half(noise_pred, 1);
    run_trace(run, uncond, "step.%02zu.noise_pred_uncond", step);
    run_trace(run, text, "step.%02zu.noise_pred_text", step);
    struct tensor guided = forward_tensor(f, uncond.rank, uncond.shape);
    if (!forward_computes(f)) return guided;
    store *keep = run_store(run);
    guidance_combine_stored(
        uncond.data, text.data, tensor_count(&uncond), run->guidance_scale, keep, guided.data);
    if (run->recipe->guidance_rescale > 0)
        guidance_rescale_stored(guided.data, text.data, (size_t)run->batch,
            tensor_count(&text) / (size_t)run->batch, run->recipe->guidance_rescale, keep);
    return guided;
}

/* x_t -> x_{t-1}, written over `latents`. */
static void denoise(
    struct run *run, size_t step, struct tensor latents, const struct conditioning *conditioning)
{
    struct forward *f = &run->f;
    if (f->status != STATUS_OK) return;
    struct arena_mark scope = arena_mark(f->arena);
    struct step_options options = STEP_OPTIONS_DEFAULT;
    options.eta = run->recipe->eta;

    struct tensor noise_pred = guided_prediction(run, step, latents, conditioning);
    run_trace(run, noise_pred, "step.%02zu.noise_pred", step);

    double timestep = run->scheduler->timesteps[step];
    struct tensor noise = forward_tensor(f, latents.rank, latents.shape);
    bool noisy = forward_computes(f) && scheduler_needs_noise(run->scheduler, timestep, &options);
    if (noisy) find_noise(run, step, noise);
    struct tensor prev_sample = forward_tensor(f, latents.rank, latents.shape);
    round_operands(run, step, latents, noise_pred);
    if (forward_computes(f)) {
        size_t sample_size = tensor_count(&latents) / (size_t)run->batch;
        struct step_input input = {
            .timestep = timestep,
            .model_output = noise_pred.data,
            .model_output_size = tensor_count(&noise_pred) / (size_t)run->batch,
            .sample = latents.data,
            .batch = (size_t)run->batch,
            .sample_size = sample_size,
            .noise = noisy ? noise.data : NULL,
            .options = options,
        };
        f->status = refer(run, scheduler_step(run->scheduler, &input, prev_sample.data, NULL, f->error));
    }
    if (forward_computes(f)) memcpy(latents.data, prev_sample.data, tensor_bytes(&latents));
    forward_round(f, latents);
    run_trace(run, latents, "step.%02zu.latents", step);
    arena_release(f->arena, scope);
}

/* --- The picture -------------------------------------------------------------------------- */

/* [B, C, h, w] latents -> [B, 3, H, W] */
static struct tensor decode(struct run *run, struct tensor latents)
{
    struct forward *f = &run->f;
    run_trace(run, latents, "latents.final");
    struct tensor vae_input = vae_unscale(f, run->pipeline->vae, latents, run->pipeline->is_xl);
    run_trace(run, vae_input, "vae_input");
    f->modules = run->options->trace_modules ? run->options->trace : NULL;
    f->upcast_vae = run->pipeline->is_xl;
    int64_t shape[4] = {run->batch, 3, run->height, run->width};
    struct tensor image =
        forward_needs(f, "vae") ? vae_decode(f, run->pipeline->vae, vae_input) : forward_unknown(f, 4, shape);
    f->modules = NULL;
    run_trace(run, image, "image");
    return image;
}

/* Diffusers draws what is not a number as black and says so no louder than NumPy does. */
static void warn_of_nonfinite(const struct run *run, struct tensor image)
{
    size_t count = tensor_count(&image), nonfinite = 0;
    for (size_t i = 0; i < count; i++)
        if (!isfinite(((const real *)image.data)[i])) nonfinite++;
    if (nonfinite > 0)
        warnings_add(run->warnings, "image: %zu of %zu values are not finite; --trace shows from where on",
            nonfinite, count);
}

static void to_pixels(struct run *run, struct tensor image, struct pictures *pictures)
{
    if (run->f.status != STATUS_OK) return;
    /* Who watches sees for itself, but may also watch for a trace's sake. */
    if (!run->options->observer || run->options->trace) warn_of_nonfinite(run, image);
    enum number_format format =
        vae_upcasts(&run->f, run->pipeline->vae) ? FORMAT_F32 : forward_result_format(&run->f);
    run->f.status = pictures_from_rounded_image(&image, format, pictures, run->f.error);
    if (run->f.status != STATUS_OK) return;
    struct tensor pixels = {
        DTYPE_U8, 4, {image.shape[0], image.shape[2], image.shape[3], 3}, pictures->pixels};
    run_trace(run, pixels, "image_u8");
}

/* --- The whole call ----------------------------------------------------------------------- */

/* In a dry pass, how much the stage that ends here needs. */
static void note_stage(struct run *run, enum stage stage)
{
    struct forward *f = &run->f;
    if (f->status != STATUS_OK || forward_computes(f)) return;
    run->memory.stages[stage] = (struct stage_memory){arena_peak(f->arena), f->scratch};
    if (run->memory.arena < arena_peak(f->arena)) run->memory.arena = arena_peak(f->arena);
    arena_restart_peak(f->arena);
    f->scratch = 0;
}

/* What the UNet makes of the prompt at every step, made once. */
static void read_text(struct run *run, struct conditioning *conditioning)
{
    const struct unet *unet = run->pipeline->unet;
    if (run->f.status != STATUS_OK) return;
    size_t count = unet_text_keys(unet) + 1; /* there may be none */
    conditioning->text_keys = calloc(count, sizeof *conditioning->text_keys);
    if (conditioning->text_keys && !forward_needs(&run->f, "unet")) return;
    if (conditioning->text_keys)
        unet_read_text(&run->f, unet, conditioning->prompt_embeds, conditioning->text_keys);
    else
        run->f.status = error_memory(run->f.error, count * sizeof *conditioning->text_keys);
}

/* Calls back before the first step and after each. */
static void show_progress(struct run *run, size_t step)
{
    const struct run_options *options = run->options;
    if (options->progress && forward_computes(&run->f))
        run->f.status = options->progress(options->progress_context, step, run->num_timesteps, run->f.error);
}

/* The models' part, which a dry pass goes through too: [B, 3, H, W]. */
static struct tensor draw(struct run *run)
{
    struct conditioning conditioning = encode_prompt(run); /* the prompt as vectors */
    note_stage(run, STAGE_TEXT_ENCODERS);
    trace_schedule(run);
    struct tensor latents = initial_latents(run); /* x_T ~ N(0, sigma_max^2) */
    struct arena_mark denoising = scope_begin(&run->f);
    read_text(run, &conditioning);
    show_progress(run, 0);
    for (size_t step = 0; step < run->num_timesteps && run->f.status == STATUS_OK; step++) {
        denoise(run, step, latents, &conditioning); /* x_t -> x_{t-1} */
        show_progress(run, step + 1);
    }
    note_stage(run, STAGE_DENOISING);
    arena_release(run->f.arena, denoising);
    free(conditioning.text_keys);
    struct tensor image = decode(run, latents);
    note_stage(run, STAGE_DECODING);
    return image;
}

/* Goes through the models without computing, and leaves in `memory` what that would have taken. */
static void plan(struct run *run)
{
    if (run->f.status != STATUS_OK) return;
    struct run dry = *run;
    dry.warnings = NULL; /* the run itself will give them */
    struct tensor image = {0};
    dry.f.status = arena_create_plan(&dry.f.arena, dry.f.error);
    if (dry.f.status == STATUS_OK) image = draw(&dry);
    arena_free(dry.f.arena);
    run->f.status = dry.f.status;
    run->memory = dry.memory;
    run->memory.height = run->height;
    run->memory.width = run->width;
    run->memory.batch = run->batch;
    run->memory.pictures = tensor_count(&image);
    run->memory.trace = dry.f.traced + (run->options->trace ? tensor_count(&image) : 0);
}

static void prepare(struct run *run)
{
    check_inputs(run);
    prepare_schedule(run); /* t_1 > t_2 > ... > t_N */
    open_noise(run);
    plan(run);
}

static void finish(struct run *run)
{
    noise_free(run->noise);
    scheduler_free(run->scheduler);
    arena_free(run->f.arena);
}

enum status pipeline_plan(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct run_options *options, struct memory_plan *memory, struct warnings *warnings,
    struct error *error)
{
    struct run run = {.pipeline = pipeline, .recipe = recipe, .options = options, .warnings = warnings};
    run.f.error = error;
    run.f.format = options->format;
    run.f.observer = options->observer;
    run.f.replacement = options->replacement;
    prepare(&run);
    *memory = run.memory;
    finish(&run);
    return run.f.status;
}

enum status pipeline_run(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct run_options *options, struct pictures *pictures, struct warnings *warnings,
    struct error *error)
{
    struct run run = {.pipeline = pipeline, .recipe = recipe, .options = options, .warnings = warnings};
    run.f.error = error;
    run.f.format = options->format;
    run.f.observer = options->observer;
    run.f.replacement = options->replacement;
    *pictures = (struct pictures){0};
    prepare(&run);
    if (options->memory) *options->memory = run.memory;
    if (run.f.status == STATUS_OK) run.f.status = arena_create(&run.f.arena, run.memory.arena, error);
    if (run.f.status == STATUS_OK) {
        size_t missing = kernels_start(kernels_need_blas(sizeof(real) == sizeof(double)));
        if (missing > 0) run.f.status = error_memory(error, missing);
    }
    if (run.f.status == STATUS_OK) {
        struct tensor image = draw(&run);
        to_pixels(&run, image, pictures);
        if (options->memory) options->memory->in_use = memory_anonymous();
    }
    if (options->noise_log && run.f.status == STATUS_OK) {
        *options->noise_log = noise_log(run.noise);
        if (!*options->noise_log) run.f.status = error_memory(error, sizeof(cJSON));
    }
    finish(&run);
    if (run.f.status != STATUS_OK) {
        free(pictures->pixels);
        *pictures = (struct pictures){0};
    }
    return run.f.status;
}
