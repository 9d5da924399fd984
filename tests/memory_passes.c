#include "kernels/real.h"

#include "memory_passes.h"

#include "ref/arena.h"
#include "ref/observer.h"

#include <string.h>

#define model_pass KERNEL_NAME(model_pass)

/* FNV-1a over what tells one call from another. */
static void mix(struct pass *pass, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        pass->hash = (pass->hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
}

static void record(void *context, const struct kernel_call *call)
{
    struct pass *pass = context;
    const struct tensor *tensors[] = {&call->x, &call->w, &call->y};
    pass->calls++;
    mix(pass, call->kernel, strlen(call->kernel));
    for (int i = 0; i < 3; i++) mix(pass, tensors[i]->shape, (size_t)tensors[i]->rank * sizeof(int64_t));
}

/* Who sees every result, and does nothing with it. */
static enum status see(void *context, const char *name, const struct tensor *value, struct error *error)
{
    (void)context, (void)name, (void)value, (void)error;
    return STATUS_OK;
}

static enum status see_result(
    void *context, const char *kernel, const void *weight, const struct tensor *result, struct error *error)
{
    (void)context, (void)kernel, (void)weight, (void)result, (void)error;
    return STATUS_OK;
}

static const struct observer watcher = {.see = see, .result = see_result};

/* Numbers of order one; a dry pass leaves them out. */
static struct tensor input(struct forward *f, int rank, const int64_t *shape)
{
    struct tensor x = forward_tensor(f, rank, shape);
    for (size_t i = 0; forward_computes(f) && i < tensor_count(&x); i++)
        ((real *)x.data)[i] = (real)(i % 7) / 3 - 1;
    return x;
}

static void run_text_encoder(struct forward *f, const struct pipeline *pipeline)
{
    enum { PROMPTS = 2, LENGTH = 77 };
    int64_t ids[PROMPTS * LENGTH];
    for (int i = 0; i < PROMPTS * LENGTH; i++) ids[i] = i % 5;
    const struct text_encoder *encoder = pipeline->text_encoders[pipeline->num_encoders - 1];
    text_encoder_forward(f, encoder, ids, PROMPTS, LENGTH, -1);
}

static void run_unet(struct forward *f, const struct pipeline *pipeline, int64_t height, int64_t width)
{
    const struct unet *unet = pipeline->unet;
    struct unet_input in = {
        .sample = input(f, 4, (int64_t[]){2, unet_in_channels(unet), height, width}),
        .timestep = 500,
        .encoder_hidden_states = input(f, 3, (int64_t[]){2, 77, unet_cross_attention_dim(unet)}),
    };
    if (pipeline->is_xl) {
        int64_t pooled = unet_add_embedding_dim(unet) - 6 * unet_time_ids_dim(unet);
        in.text_embeds = input(f, 2, (int64_t[]){2, pooled});
        in.time_ids = input(f, 2, (int64_t[]){2, 6});
    }
    unet_forward(f, unet, &in);
}

struct pass model_pass(const struct pipeline *pipeline, enum model model, int64_t height, int64_t width,
    struct pass_way way, size_t bytes)
{
    struct pass pass = {.hash = 0xcbf29ce484222325u};
    struct forward f = {.error = &pass.error,
        .format = way.format,
        .observer = way.watched ? &watcher : NULL,
        .upcast_vae = true,
        .record = record,
        .record_context = &pass};
    f.status = bytes ? arena_create(&f.arena, bytes, &pass.error) : arena_create_plan(&f.arena, &pass.error);
    if (f.status == STATUS_OK) {
        struct tensor latents = {0};
        if (model == MODEL_TEXT_ENCODER) run_text_encoder(&f, pipeline);
        if (model == MODEL_UNET) run_unet(&f, pipeline, height, width);
        if (model == MODEL_VAE)
            latents = input(&f, 4, (int64_t[]){2, vae_latent_channels(pipeline->vae), height, width});
        if (model == MODEL_VAE) vae_decode(&f, pipeline->vae, latents);
        pass.peak = arena_peak(f.arena);
    }
    arena_free(f.arena);
    pass.status = f.status;
    return pass;
}
