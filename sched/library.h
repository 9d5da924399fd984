/*
 * What plumb_sched.c calls of the sampler, once for each arithmetic: samples are `void *` from here on up.
 */
#ifndef SCHED_LIBRARY_H
#define SCHED_LIBRARY_H

#include "call_arguments.h"
#include "plumb_sched.h"

/* `scheduler` is a struct scheduler of the arithmetic. */
struct library {
    enum status (*create)(
        const cJSON *config, void **scheduler, struct warnings *warnings, struct error *error);
    void (*free)(void *scheduler);
    enum status (*set_timesteps)(void *scheduler, const struct schedule_request *request,
        struct warnings *warnings, struct error *error);
    void (*set_begin_index)(void *scheduler, int begin_index);
    size_t (*count)(const void *scheduler);
    const double *(*timesteps)(const void *scheduler);
    size_t (*sigma_count)(const void *scheduler);
    double (*sigma)(const void *scheduler, size_t i);
    double (*init_noise_sigma)(const void *scheduler);
    enum status (*scale_model_input)(void *scheduler, double timestep, const void *sample, size_t n,
        void *model_input, struct error *error);
    bool (*needs_noise)(void *scheduler, double timestep, const struct step_options *options);
    bool (*makes_noise)(const void *scheduler);
    enum status (*seed_noise)(void *scheduler, const uint64_t *seeds, size_t count, struct error *error);
    enum status (*step)(void *scheduler, const struct plumb_step *step, const struct step_options *options,
        void *prev_sample, void *pred_original_sample, struct error *error);
    int (*correct_steps)(const void *scheduler);
    enum status (*correct)(
        void *scheduler, const struct plumb_step *step, void *prev_sample, struct error *error);
    enum status (*add_noise)(void *scheduler, const void *original_samples, const void *noise,
        const double *timesteps, size_t batch, size_t sample_size, void *noisy_samples, struct error *error);
    enum status (*copy)(const void *scheduler, void **copy, struct error *error);
    enum status (*save)(const void *scheduler, unsigned char **bytes, size_t *size, struct error *error);
    enum status (*restore)(const unsigned char *bytes, size_t size, void **scheduler, struct error *error);
    void (*guide)(const void *uncond, const void *text, size_t batch, size_t n, double scale, double rescale,
        void *out);
};

extern const struct library library_f32, library_f64;

#endif
