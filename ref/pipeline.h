/*
 * StableDiffusionPipeline and StableDiffusionXLPipeline, text to image: from a checkpoint and a recipe to a
 * picture and a trace. Start reading at pipeline_run() in pipeline.c.
 */
#ifndef REF_PIPELINE_H
#define REF_PIPELINE_H

#include "checkpoint.h"
#include "observer.h"
#include "pictures.h"
#include "recipe.h"
#include "text_encoder.h"
#include "tokenizer.h"
#include "trace.h"
#include "unet.h"
#include "vae.h"

#define TEXT_ENCODERS 2

/* A checkpoint with its models loaded; not tied to a precision. */
struct pipeline {
    struct checkpoint checkpoint;
    bool is_xl;
    size_t num_encoders; /* 1, or 2 for SDXL */
    struct tokenizer *tokenizers[TEXT_ENCODERS];
    struct text_encoder *text_encoders[TEXT_ENCODERS];
    struct unet *unet;
    struct vae *vae;
    cJSON *scheduler_config; /* scheduler/scheduler_config.json */
    int64_t sample_size;     /* the model's own latent size */
};

/* "text_encoder", "text_encoder_2": component names by encoder. */
extern const char *const text_encoder_names[TEXT_ENCODERS];

/* Loads every component; `variant` may be NULL. On failure the pipeline is closed. */
enum status pipeline_open(
    const char *folder, const char *variant, struct pipeline *pipeline, struct error *error);
/* The same without a look at the weights' values: for pipeline_plan(). */
enum status pipeline_open_shapes(
    const char *folder, const char *variant, struct pipeline *pipeline, struct error *error);
/* The models of an architecture (architecture.h) as if stored in this type, for pipeline_plan(): without
 * values, and without tokenizers. */
enum status pipeline_of_architecture(
    const char *name, enum dtype dtype, struct pipeline *pipeline, struct error *error);
void pipeline_close(struct pipeline *pipeline);

/* The scheduler config of a run: the checkpoint's, as the pipeline's constructor corrects it, with the
 * recipe's keys over it, and without options that neither its own class nor the run's has. The caller frees
 * it with cJSON_Delete. */
enum status pipeline_scheduler_config(const struct pipeline *pipeline, const struct recipe *recipe,
    cJSON **config, struct warnings *warnings, struct error *error);
/* Puts in front of what a scheduler says of an option of that config where the option stands: in the recipe's
 * `scheduler`, or in the checkpoint's file. Returns `status`. */
enum status pipeline_scheduler_error(
    const struct pipeline *pipeline, const struct recipe *recipe, enum status status, struct error *error);

/* What a run takes beside its weights and what the program itself and its libraries keep, in bytes. */
enum stage { STAGE_TEXT_ENCODERS, STAGE_DENOISING, STAGE_DECODING, STAGES };
struct memory_plan {
    int64_t height, width, batch; /* of the pictures, as the run makes them */
    struct stage_memory {
        size_t activations; /* the arena up to its highest place, with what earlier stages left and scratch */
        size_t scratch;     /* of that, the most that one kernel takes for all threads */
    } stages[STAGES];
    size_t arena;    /* the largest of the stages' activations: mapped at once, before the work begins */
    size_t pictures; /* 8 bits a channel */
    size_t trace;    /* copies of the tensors that a trace keeps, random draws after the first left out */
    size_t in_use;   /* after a run: the anonymous memory of the whole process at its end, which is the most
                        there   was, since the arena gives no page back; 0 where the system does not say */
};

struct run_options {
    struct trace *trace; /* NULL: nothing is kept */
    cJSON **noise_log;   /* gets the log of the random numbers (noise.h), the caller's; NULL: not wanted */
    enum number_format format; /* that of the backend which the run imitates (forward.h); FORMAT_F32, which is
                                  0: none. Without effect in double */
    bool trace_modules;        /* also `act.*`: module outputs of the first step and of the positive prompt */
    const struct observer *observer; /* is shown all values of a trace and, at every step and for both
                                        prompts, of all modules; NULL: nobody */
    const struct kernel_replacement *replacement; /* computes in the kernels' place (forward.h); NULL */
    /* Called before the first step and after each, when the trace has all of it; `step` counts from 0 to
     * `steps`. What it returns ends the run where it is not STATUS_OK. NULL: not called. */
    enum status (*progress)(void *context, size_t step, size_t steps, struct error *error);
    void *progress_context;
    struct memory_plan *memory; /* what was planned, and in the end what was in use; NULL: not wanted */
};

/* One pipeline call, in single or in double precision. The same bits for the same recipe, whatever the number
 * of threads. `pictures` is the caller's to free. */
typedef enum status pipeline_run_function(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct run_options *options, struct pictures *pictures, struct warnings *warnings,
    struct error *error);
pipeline_run_function pipeline_run_f32, pipeline_run_f64;
#define pipeline_run(...) KERNEL_NAME(pipeline_run)(__VA_ARGS__)

/* What that call would take, for the present number of threads, from the shapes alone: no weight is read, and
 * nothing is computed. */
typedef enum status pipeline_plan_function(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct run_options *options, struct memory_plan *memory, struct warnings *warnings,
    struct error *error);
pipeline_plan_function pipeline_plan_f32, pipeline_plan_f64;
#define pipeline_plan(...) KERNEL_NAME(pipeline_plan)(__VA_ARGS__)

#endif
