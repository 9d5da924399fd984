/*
 * Twenty steps of DPM-Solver++ with libplumb_sched, on a "model" that knows the answer: the data are all
 * 0.25, so the noise in a sample follows from the sample. Prints the timesteps and where the samples end.
 *
 *     cc sample.c $(pkg-config --cflags --libs plumb_sched) -lm -o sample && ./sample
 */
#include <plumb_sched.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 64 };

static const char config[] = "{\"_class_name\": \"DPMSolverMultistepScheduler\", \"beta_start\": 0.00085,"
                             " \"beta_end\": 0.012, \"beta_schedule\": \"scaled_linear\","
                             " \"use_karras_sigmas\": true, \"prediction_type\": \"epsilon\"}";

/* x = alpha data + sqrt(1 - alpha^2) epsilon, where the schedule's sigma is sqrt(1 - alpha^2) / alpha. */
static void model(double sigma, const float *sample, float *epsilon)
{
    const double alpha = 1 / sqrt(1 + sigma * sigma);
    for (size_t i = 0; i < N; i++) epsilon[i] = (float)((sample[i] - alpha * 0.25) / (alpha * sigma));
}

static int run(plumb_scheduler *scheduler, plumb_generator *generator)
{
    float sample[N], model_input[N], model_output[N], prev_sample[N];
    if (plumb_scheduler_set_timesteps(scheduler, "{\"num_inference_steps\": 20}") != PLUMB_OK) return 1;
    plumb_generator_normal_f32(generator, sample, N);
    for (size_t i = 0; i < N; i++) sample[i] *= (float)plumb_scheduler_init_noise_sigma(scheduler);

    for (size_t i = 0; i < plumb_scheduler_count(scheduler); i++) {
        const double timestep = plumb_scheduler_timesteps(scheduler)[i];
        if (plumb_scheduler_scale_model_input(scheduler, timestep, sample, N, model_input) != PLUMB_OK)
            return 1;
        model(plumb_scheduler_sigma(scheduler, i), model_input, model_output);
        const struct plumb_step step = {
            .timestep = timestep,
            .model_output = model_output,
            .model_output_size = N,
            .sample = sample,
            .batch = 1,
            .sample_size = N,
        };
        if (plumb_scheduler_step(scheduler, &step, prev_sample, NULL) != PLUMB_OK) return 1;
        memcpy(sample, prev_sample, sizeof sample);
        printf("%g ", timestep);
    }
    double sum = 0;
    for (size_t i = 0; i < N; i++) sum += sample[i];
    printf("\nmean of the samples: %.4f\n", sum / N);
    return 0;
}

int main(void)
{
    char message[PLUMB_MESSAGE_SIZE];
    int status = EXIT_FAILURE;
    plumb_generator *generator = plumb_generator_create("numpy-pcg64", "42", message);
    plumb_scheduler *scheduler = plumb_scheduler_create(config, PLUMB_DIFFUSERS, message);
    if (!generator || !scheduler)
        fprintf(stderr, "%s\n", message);
    else if (run(scheduler, generator) != 0)
        fprintf(stderr, "%s\n", plumb_scheduler_message(scheduler));
    else
        status = EXIT_SUCCESS;
    plumb_scheduler_free(scheduler);
    plumb_generator_free(generator);
    return status;
}
