/* The generators by their names: one table of kinds, and the two libraries' streams behind one type. */
#include "generator.h"

#include "numpy_mt19937.h"
#include "numpy_pcg64.h"
#include "seed_sequence.h"
#include "torch_mt19937.h"
#include "torch_philox.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[GENERATOR_KINDS] = {
    [GENERATOR_NUMPY_PCG64] = "numpy-pcg64",
    [GENERATOR_TORCH_CPU] = "torch-cpu",
    [GENERATOR_TORCH_CPU_PLAIN] = "torch-cpu-plain",
    [GENERATOR_TORCH_CUDA] = "torch-cuda",
    [GENERATOR_NUMPY_MT19937] = "numpy-mt19937",
};

struct generator {
    enum generator_kind kind;
    union {
        struct numpy_pcg64 numpy;
        struct numpy_mt19937 numpy_legacy;
        struct torch_mt19937 torch;
        struct torch_philox torch_cuda;
    } stream;
};

enum generator_kind generator_kind_of(const char *name)
{
    for (int kind = 0; kind < GENERATOR_KINDS; kind++)
        if (strcmp(name, kind_names[kind]) == 0) return (enum generator_kind)kind;
    return GENERATOR_KINDS;
}

const char *generator_name(enum generator_kind kind)
{
    return kind < GENERATOR_KINDS ? kind_names[kind] : "unknown";
}

/* Starts the stream that `generator->kind` names from a seed of `count` 32-bit words, the lowest first. */
static enum status start_stream(
    struct generator *generator, const char *seed, const uint32_t *words, size_t count, struct error *error)
{
    const enum generator_kind kind = generator->kind;
    const size_t most_words = kind == GENERATOR_NUMPY_PCG64 ? count : kind == GENERATOR_NUMPY_MT19937 ? 1 : 2;
    if (count > most_words)
        return error_input(error, "seed: expected an integer below 2^%zu for %s, got \"%.80s\"",
            32 * most_words, generator_name(kind), seed);
    switch (kind) {
    case GENERATOR_NUMPY_PCG64: numpy_pcg64_seed(&generator->stream.numpy, words, count); return STATUS_OK;
    case GENERATOR_NUMPY_MT19937:
        numpy_mt19937_seed(&generator->stream.numpy_legacy, words[0]);
        return STATUS_OK;
    case GENERATOR_TORCH_CPU:
    case GENERATOR_TORCH_CPU_PLAIN: torch_mt19937_seed(&generator->stream.torch, words[0]); return STATUS_OK;
    case GENERATOR_TORCH_CUDA:
        generator->stream.torch_cuda =
            (struct torch_philox){.seed = words[0] | (uint64_t)(count > 1 ? words[1] : 0) << 32,
                .max_threads = TORCH_PHILOX_A100_THREADS};
        return STATUS_OK;
    case GENERATOR_KINDS: break;
    }
    return error_input(
        error, "generator: expected one of the kinds of enum generator_kind, got %d", (int)kind);
}

enum status generator_create(
    enum generator_kind kind, const char *seed, struct generator **out, struct error *error)
{
    uint32_t *words = NULL;
    size_t count = 0;
    struct generator *generator = NULL;

    *out = NULL;
    enum status status = seed_words(seed, &words, &count, error);
    if (status != STATUS_OK) goto done;
    generator = calloc(1, sizeof *generator);
    if (!generator) {
        status = error_memory(error, sizeof *generator);
        goto done;
    }
    generator->kind = kind;
    status = start_stream(generator, seed, words, count, error);
    if (status != STATUS_OK) goto done;
    *out = generator;
    generator = NULL;
done:
    generator_free(generator);
    free(words);
    return status;
}

void generator_free(struct generator *generator)
{
    free(generator);
}

void generator_normal_f32(struct generator *generator, float *out, size_t n)
{
    switch (generator->kind) {
    case GENERATOR_NUMPY_PCG64:
        for (size_t i = 0; i < n; i++) out[i] = (float)numpy_pcg64_normal(&generator->stream.numpy);
        return;
    case GENERATOR_NUMPY_MT19937:
        for (size_t i = 0; i < n; i++) out[i] = (float)numpy_mt19937_normal(&generator->stream.numpy_legacy);
        return;
    case GENERATOR_TORCH_CUDA: torch_philox_randn_f32(&generator->stream.torch_cuda, out, n); return;
    default: torch_randn_f32(&generator->stream.torch, generator->kind == GENERATOR_TORCH_CPU, out, n);
    }
}

void generator_normal_f64(struct generator *generator, double *out, size_t n)
{
    switch (generator->kind) {
    case GENERATOR_NUMPY_PCG64:
        for (size_t i = 0; i < n; i++) out[i] = numpy_pcg64_normal(&generator->stream.numpy);
        return;
    case GENERATOR_NUMPY_MT19937:
        for (size_t i = 0; i < n; i++) out[i] = numpy_mt19937_normal(&generator->stream.numpy_legacy);
        return;
    case GENERATOR_TORCH_CUDA: torch_philox_randn_f64(&generator->stream.torch_cuda, out, n); return;
    default: torch_randn_f64(&generator->stream.torch, out, n);
    }
}
