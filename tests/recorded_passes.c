/* The passes of recorded_model.h, compiled for both precisions. */
#include "kernels/real.h"

#include "recorded_model.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

#define recorded_unet_call KERNEL_NAME(recorded_unet_call)
#define recorded_decode KERNEL_NAME(recorded_decode)

/* A forward pass's surroundings; freed by end(), which fails the test where the pass failed. */
static void begin(struct forward *f, struct error *error, struct trace *modules, enum number_format format)
{
    *error = (struct error){""};
    *f = (struct forward){.modules = modules, .error = error, .format = format};
    ck_assert_int_eq(arena_create(&f->arena, TEST_ARENA, error), STATUS_OK);
}

static void end(struct forward *f)
{
    ck_assert_msg(f->status == STATUS_OK, "%s", f->error->message);
    arena_free(f->arena);
}

static struct tensor recorded_real(struct forward *f, const struct tensor_set *set, const char *name)
{
    const struct tensor *tensor = tensor_set_find(set, name);
    return tensor ? as_real(f, *tensor) : (struct tensor){.data = NULL};
}

/* [B, ...], [B, ...] -> [2B, ...] */
static struct tensor stack(struct forward *f, struct tensor a, struct tensor b)
{
    struct tensor both = a;
    both.shape[0] += b.shape[0];
    both = forward_tensor(f, both.rank, both.shape);
    if (f->status != STATUS_OK) return both;
    memcpy(both.data, a.data, tensor_bytes(&a));
    memcpy((unsigned char *)both.data + tensor_bytes(&a), b.data, tensor_bytes(&b));
    return both;
}

static void keep(struct forward *f, struct trace *out, const struct tensor *tensor, const char *name)
{
    if (f->status == STATUS_OK) f->status = trace_add(out, tensor, f->error, "%s", name);
}

void recorded_unet_call(const struct unet *unet, const struct tensor_set *recorded, int call, bool modules,
    enum number_format format, struct trace *out)
{
    struct forward f;
    struct error error;
    begin(&f, &error, modules ? out : NULL, format);

    char name[64];
    snprintf(name, sizeof name, "step.%02d.noise_pred_uncond", call);
    bool guided = tensor_set_find(recorded, name) != NULL;
    snprintf(name, sizeof name, "step.%02d.model_input", call);
    struct unet_input input = {
        .sample = recorded_real(&f, recorded, name),
        .timestep = tensor_get_double(need_tensor(recorded, "timesteps"), (size_t)call),
        .encoder_hidden_states = recorded_real(&f, recorded, "prompt_embeds"),
        .text_embeds = recorded_real(&f, recorded, "add_text_embeds"),
        .time_ids = recorded_real(&f, recorded, "add_time_ids"),
    };
    if (guided) {
        struct tensor negative = recorded_real(&f, recorded, "negative_prompt_embeds");
        input.encoder_hidden_states = stack(&f, negative, input.encoder_hidden_states);
        input.sample = stack(&f, input.sample, input.sample);
    }

    struct tensor half = unet_forward(&f, unet, &input);
    if (guided) {
        half.shape[0] /= 2;
        snprintf(name, sizeof name, "step.%02d.noise_pred_uncond", call);
        keep(&f, out, &half, name);
        half.data = (real *)half.data + tensor_count(&half);
    }
    snprintf(name, sizeof name, "step.%02d.noise_pred_text", call);
    keep(&f, out, &half, name);
    end(&f);
}

void recorded_decode(const struct vae *vae, const struct tensor_set *recorded, bool modules,
    enum number_format format, struct trace *out)
{
    struct forward f;
    struct error error;
    begin(&f, &error, modules ? out : NULL, format);
    struct tensor vae_input = vae_unscale(&f, vae, recorded_real(&f, recorded, "latents.final"), true);
    keep(&f, out, &vae_input, "vae_input");
    struct tensor image = vae_decode(&f, vae, recorded_real(&f, recorded, "vae_input"));
    keep(&f, out, &image, "image");
    end(&f);
}
