/*
 * One forward pass of each kind of model, gone through dry or for real, in both precisions: what
 * test_memory.c runs.
 */
#ifndef TESTS_MEMORY_PASSES_H
#define TESTS_MEMORY_PASSES_H

#include "ref/pipeline.h"

/* Which model of a pipeline. */
enum model { MODEL_TEXT_ENCODER, MODEL_UNET, MODEL_VAE, MODELS };

/* How a pass computes: as a backend of this format does, or with somebody who sees every operator's result,
 * so that nothing is fused either. */
struct pass_way {
    enum number_format format;
    bool watched;
};

/* What a pass came to. */
struct pass {
    enum status status;
    struct error error;
    size_t peak;   /* of its arena */
    size_t calls;  /* of kernels, as they were recorded */
    uint64_t hash; /* of their names and shapes, in order */
};

/* A pass over two pictures (or prompts) of `height` x `width` latents, as `way` says.
 * With `bytes` 0 it is dry; otherwise its arena has that size. */
typedef struct pass model_pass(const struct pipeline *pipeline, enum model model, int64_t height,
    int64_t width, struct pass_way way, size_t bytes);
model_pass model_pass_f32, model_pass_f64;

#endif
