/*
 * What the stages of one pipeline run share (pipeline_inputs.c, conditioning.c, pipeline.c).
 */
#ifndef REF_RUN_H
#define REF_RUN_H

#include "noise.h"
#include "pipeline.h"
#include "sched/scheduler.h"

struct run {
    const struct pipeline *pipeline;
    const struct recipe *recipe;
    const struct run_options *options;
    struct warnings *warnings;

    struct forward f; /* its status is the run's: once it is not STATUS_OK every stage does nothing */
    struct memory_plan memory;

    bool guided;           /* classifier-free guidance: guidance_scale above 1 */
    double guidance_scale; /* the recipe's, or the pipeline's default */
    int64_t batch;         /* pictures: prompts times num_images_per_prompt */
    int64_t height, width; /* in pixels */

    struct scheduler *scheduler;
    size_t num_timesteps; /* of the scheduler's, those that are run (denoising_end) */
    struct noise *noise;
};

/* What the UNet is told of the prompt. With guidance the negative half comes first, and R is twice the
 * batch. */
struct conditioning {
    struct tensor prompt_embeds;   /* [R, L, cross_attention_dim] */
    struct tensor add_text_embeds; /* SDXL: [R, projection]; data NULL otherwise */
    struct tensor add_time_ids;    /* SDXL: [R, 6] */
    struct text_keys *text_keys;   /* while denoising: what the UNet makes of prompt_embeds; allocated */
};

#define check_inputs KERNEL_NAME(check_inputs)
#define encode_prompt KERNEL_NAME(encode_prompt)
#define run_trace KERNEL_NAME(run_trace)
#define stack KERNEL_NAME(stack)
#define run_store KERNEL_NAME(run_store)
#define round_operands KERNEL_NAME(round_operands)

/* Refuses what the pipeline cannot run and warns of what it ignores; sets guidance, batch and size. */
void check_inputs(struct run *run);

/* The recipe's prompts, tokenized, encoded, repeated for each picture and stacked. */
struct conditioning encode_prompt(struct run *run);

/* Adds a tensor to the run's trace, if it has one, and shows it to the observer, if there is one. */
void run_trace(struct run *run, struct tensor tensor, const char *name_format, ...) PRINTF_LIKE(3, 4);

/* Where a backend of a narrower format is imitated (run_rounded.c): how its tensors keep a number; and the
 * errors of what a sampler's step computes of the latents and of the model's output, put into those two. */
store *run_store(const struct run *run);
void round_operands(struct run *run, size_t step, struct tensor latents, struct tensor model_output);

/* a over b along the first dimension: [A, ...], [B, ...] -> [A + B, ...] */
struct tensor stack(struct forward *f, struct tensor a, struct tensor b);

#endif
