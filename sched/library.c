#include "real.h"
#include "guidance.h"
#include "library.h"
#include "scheduler_save.h"

static enum status create(
    const cJSON *config, void **scheduler, struct warnings *warnings, struct error *error)
{
    struct scheduler *created = NULL;
    enum status status = scheduler_create(config, &created, warnings, error);
    *scheduler = created;
    return status;
}

static void free_scheduler(void *scheduler)
{
    scheduler_free(scheduler);
}

static enum status set_timesteps(
    void *scheduler, const struct schedule_request *request, struct warnings *warnings, struct error *error)
{
    return scheduler_set_timesteps(scheduler, request, warnings, error);
}

static void set_begin_index(void *scheduler, int begin_index)
{
    scheduler_set_begin_index(scheduler, begin_index);
}

static size_t count(const void *scheduler)
{
    return ((const struct scheduler *)scheduler)->num_timesteps;
}

static const double *timesteps(const void *scheduler)
{
    return ((const struct scheduler *)scheduler)->timesteps;
}

static size_t sigma_count(const void *scheduler)
{
    const struct scheduler *s = scheduler;
    return s->sigmas ? s->num_sigmas : 0;
}

static double sigma(const void *scheduler, size_t i)
{
    return (double)((const struct scheduler *)scheduler)->sigmas[i];
}

static double init_noise_sigma(const void *scheduler)
{
    return ((const struct scheduler *)scheduler)->init_noise_sigma;
}

static enum status scale_model_input(
    void *scheduler, double timestep, const void *sample, size_t n, void *model_input, struct error *error)
{
    return scheduler_scale_model_input(scheduler, timestep, sample, n, model_input, error);
}

static bool needs_noise(void *scheduler, double timestep, const struct step_options *options)
{
    return scheduler_needs_noise(scheduler, timestep, options);
}

static bool makes_noise(const void *scheduler)
{
    return scheduler_makes_noise(scheduler);
}

static enum status seed_noise(void *scheduler, const uint64_t *seeds, size_t count, struct error *error)
{
    return scheduler_seed_noise(scheduler, seeds, count, error);
}

static struct step_input input_of(const struct plumb_step *input, const struct step_options *options)
{
    return (struct step_input){
        .timestep = input->timestep,
        .model_output = input->model_output,
        .model_output_size = input->model_output_size,
        .sample = input->sample,
        .batch = input->batch,
        .sample_size = input->sample_size,
        .noise = input->noise,
        .options = *options,
    };
}

static enum status step(void *scheduler, const struct plumb_step *input, const struct step_options *options,
    void *prev_sample, void *pred_original_sample, struct error *error)
{
    const struct step_input all = input_of(input, options);
    return scheduler_step(scheduler, &all, prev_sample, pred_original_sample, error);
}

static int correct_steps(const void *scheduler)
{
    return scheduler_correct_steps(scheduler);
}

static enum status correct(
    void *scheduler, const struct plumb_step *input, void *prev_sample, struct error *error)
{
    const struct step_input all = input_of(input, &STEP_OPTIONS_DEFAULT);
    return scheduler_correct(scheduler, &all, prev_sample, error);
}

static enum status add_noise(void *scheduler, const void *original_samples, const void *noise,
    const double *at_timesteps, size_t batch, size_t sample_size, void *noisy_samples, struct error *error)
{
    return scheduler_add_noise(
        scheduler, original_samples, noise, at_timesteps, batch, sample_size, noisy_samples, error);
}

static enum status copy(const void *scheduler, void **second, struct error *error)
{
    struct scheduler *copied = NULL;
    enum status status = scheduler_copy(scheduler, &copied, error);
    *second = copied;
    return status;
}

static enum status save(const void *scheduler, unsigned char **bytes, size_t *size, struct error *error)
{
    return scheduler_save(scheduler, bytes, size, error);
}

static enum status restore(const unsigned char *bytes, size_t size, void **scheduler, struct error *error)
{
    struct scheduler *restored = NULL;
    enum status status = scheduler_restore(bytes, size, &restored, error);
    *scheduler = restored;
    return status;
}

static void guide(
    const void *uncond, const void *text, size_t batch, size_t n, double scale, double rescale, void *out)
{
    guidance_combine(uncond, text, n, scale, out);
    if (rescale != 0 && batch) guidance_rescale(out, text, batch, n / batch, rescale);
}

const struct library REAL_NAME(library) = {
    .create = create,
    .free = free_scheduler,
    .set_timesteps = set_timesteps,
    .set_begin_index = set_begin_index,
    .count = count,
    .timesteps = timesteps,
    .sigma_count = sigma_count,
    .sigma = sigma,
    .init_noise_sigma = init_noise_sigma,
    .scale_model_input = scale_model_input,
    .needs_noise = needs_noise,
    .makes_noise = makes_noise,
    .seed_noise = seed_noise,
    .step = step,
    .correct_steps = correct_steps,
    .correct = correct,
    .add_noise = add_noise,
    .copy = copy,
    .save = save,
    .restore = restore,
    .guide = guide,
};
