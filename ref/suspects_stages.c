/*
 * The stages between the models, each of which is a line or two of arithmetic on tensors that are known. What
 * may go wrong there can be written down and compared: here of SDXL's sizes, the first latents, the model's
 * input, the decoder's input and bytes; suspects_prompt.c has tokens and embeddings, suspects_guidance.c
 * guidance.
 */
#include "suspects_stages.h"

#include "vae_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for a candidate of the row's size; NULL where memory is out. */
static double *candidate_room(struct diagnosis *d)
{
    double *room = malloc((d->exact.count + 1) * sizeof *room);
    if (!room) d->status = error_memory(d->error, d->exact.count * sizeof *room);
    return room;
}

/* --- SDXL's sizes ------------------------------------------------------------------------- */

static void stage_time_ids(struct diagnosis *d, double *room)
{
    static const struct {
        int order[6];
        const char *text;
    } orders[] = {
        {{1, 0, 3, 2, 5, 4}, "has each width before its height: the order is height, width"},
        {{1, 0, 2, 3, 5, 4}, "has the widths of both sizes before their heights"},
        {{4, 5, 2, 3, 0, 1}, "has the target size before the original one"},
        {{2, 3, 0, 1, 4, 5}, "has the crop before the original size"},
        {{0, 1, 4, 5, 2, 3}, "has the crop behind the target size"},
        {{0, 1, 3, 2, 4, 5}, "has the crop's left before its top"},
    };
    size_t rows = d->exact.count / 6;
    if (d->exact.count % 6 != 0) return;
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        for (size_t i = 0; i < d->exact.count; i++)
            room[i] = d->exact.items[i - i % 6 + (size_t)orders[k].order[i % 6]];
        suspect_values(d, room, d->exact.count, "%s", orders[k].text);
    }
    for (size_t r = 0; r < rows && rows % 2 == 0; r++) {
        size_t paired = r < rows / 2 ? 0 : 1; /* all negative, then all positive */
        memcpy(room + 6 * r, d->exact.items + 6 * paired, 6 * sizeof *room);
    }
    if (rows % 2 == 0)
        suspect_values(d, room, d->exact.count,
            "has its rows in the order of the batch, all negative, then all positive; diffusers alternates "
            "them");
}

/* --- Latents ------------------------------------------------------------------------------ */

static void stage_first_latents(struct diagnosis *d, double *room)
{
    struct values noise;
    if (!diagnosis_input(d, "init_noise", &noise)) return;
    if (noise.count == d->exact.count) {
        suspect_values(d, noise.items, noise.count, "is the noise without init_noise_sigma");
        double sigma = values_rms(d->exact.items, noise.count) / values_rms(noise.items, noise.count);
        double factors[] = {sqrt(sigma * sigma + 1), sqrt(fmax(sigma * sigma - 1, 0))};
        const char *const texts[] = {"is the noise times sqrt(sigma^2 + 1), where init_noise_sigma is sigma",
            "is the noise times sigma, where init_noise_sigma is sqrt(sigma^2 + 1)"};
        for (int k = 0; k < 2; k++) {
            for (size_t i = 0; i < noise.count; i++) room[i] = noise.items[i] * factors[k];
            suspect_values(d, room, noise.count, "%s", texts[k]);
        }
    }
    values_free(&noise);
}

static void stage_model_input(struct diagnosis *d, double *room)
{
    struct values latents, sigmas = {0};
    char name[64];
    const char *before = d->row->step > 0 ? step_name(name, d->row->step - 1, "latents") : "latents.init";
    if (!diagnosis_input(d, before, &latents)) return;
    bool same = latents.count == d->exact.count;
    bool scaled = same && values_distance(latents.items, d->exact.items, latents.count) > 0;
    if (scaled)
        suspect_values(
            d, latents.items, latents.count, "is the latents themselves: scale_model_input is missing");
    if (same && d->fit_count == 0 && diagnosis_input(d, "sigmas", &sigmas))
        for (size_t j = 0; j < sigmas.count; j++) {
            double sigma = sigmas.items[j];
            for (size_t i = 0; i < latents.count; i++) room[i] = latents.items[i] / sqrt(sigma * sigma + 1);
            suspect_values(d, room, latents.count,
                "is scaled by 1/sqrt(sigma^2 + 1) with sigmas[%zu] = %g, another step's", j, sigma);
            for (size_t i = 0; i < latents.count; i++) room[i] = latents.items[i] / sqrt(sigma);
            if (sigma > 0) suspect_values(d, room, latents.count, "is divided by sqrt(sigmas[%zu])", j);
            for (size_t i = 0; i < latents.count; i++) room[i] = latents.items[i] / sigma;
            if (sigma > 0) suspect_values(d, room, latents.count, "is divided by sigmas[%zu] = %g", j, sigma);
        }
    values_free(&sigmas);
    values_free(&latents);
}

/* --- The picture -------------------------------------------------------------------------- */

static void stage_vae_input(struct diagnosis *d, double *room)
{
    const struct vae_config *config = &d->pipeline->vae->config;
    const double factors[] = {
        1, config->scaling_factor, 1 / 0.18215, 1 / 0.13025, 1 / config->scaling_factor};
    const char *const texts[] = {"is the latents as the sampler left them: not divided by scaling_factor",
        "is the latents times scaling_factor, not divided by it",
        "is the latents over 0.18215, the scaling_factor of SD 1 and 2",
        "is the latents over 0.13025, the scaling_factor of SDXL",
        "is the latents over scaling_factor, without latents_mean and latents_std"};
    struct values latents;
    if (!diagnosis_input(d, "latents.final", &latents)) return;
    for (size_t k = 0; k < sizeof factors / sizeof *factors && latents.count == d->exact.count; k++) {
        for (size_t i = 0; i < latents.count; i++) room[i] = latents.items[i] * factors[k];
        suspect_values(d, room, latents.count, "%s", texts[k]);
    }
    values_free(&latents);
}

static void stage_image(struct diagnosis *d, double *room)
{
    for (size_t i = 0; i < d->exact.count; i++) room[i] = fmax(-1, fmin(1, d->exact.items[i]));
    suspect_values(
        d, room, d->exact.count, "is clamped to -1..1; the recorded image is the decoder's output");
    for (size_t i = 0; i < d->exact.count; i++) room[i] = fmax(0, fmin(1, d->exact.items[i] / 2 + 0.5));
    suspect_values(d, room, d->exact.count,
        "is brought to 0..1 and clamped; the recorded image is the decoder's output");
}

/* A byte from the decoder's number, by each of the usual mistakes. */
enum byte_fault { BYTE_TRUNCATED, BYTE_WRAPPED, BYTE_NOT_SHIFTED, BYTE_256, BYTE_BGR, BYTE_FAULTS };

static double byte_of(double x, enum byte_fault fault)
{
    double unit = fmax(0, fmin(1, x / 2 + 0.5));
    switch (fault) {
    case BYTE_TRUNCATED: return floor(unit * 255);
    case BYTE_WRAPPED: return fmod(fmod(nearbyint((x / 2 + 0.5) * 255), 256) + 256, 256);
    case BYTE_NOT_SHIFTED: return nearbyint(fmax(0, fmin(1, x)) * 255);
    case BYTE_256: return fmin(255, floor(unit * 256));
    default: return nearbyint(unit * 255);
    }
}

static void stage_bytes(struct diagnosis *d, double *room)
{
    static const char *const texts[BYTE_FAULTS] = {
        [BYTE_TRUNCATED] = "is cut to integers, not rounded",
        [BYTE_WRAPPED] = "is not clamped: numbers beyond 0..255 wrap round",
        [BYTE_NOT_SHIFTED] = "takes the image for 0..1, where it is -1..1",
        [BYTE_256] = "is scaled by 256 and cut, not by 255 and rounded",
        [BYTE_BGR] = "has blue where red is expected: BGR for RGB",
    };
    struct values image;
    if (!diagnosis_input(d, "image", &image)) return;
    size_t pixels = (size_t)(image.shape[2] * image.shape[3]), channels = (size_t)image.shape[1];
    for (int fault = 0; image.count == d->exact.count && fault < BYTE_FAULTS; fault++) {
        for (size_t i = 0; i < image.count; i++) { /* NCHW to NHWC */
            size_t b = i / (channels * pixels), c = i / pixels % channels, p = i % pixels;
            if (fault == BYTE_BGR) c = channels - 1 - c;
            room[(b * pixels + p) * channels + c] = byte_of(image.items[i], (enum byte_fault)fault);
        }
        suspect_values(d, room, image.count, "%s", texts[fault]);
    }
    values_free(&image);
}

/* --- The table ---------------------------------------------------------------------------- */

static const struct {
    const char *rows; /* globs */
    void (*try)(struct diagnosis *d, double *room);
} stages[] = {
    {"input_ids.* negative_input_ids.*", stage_tokens},
    {"prompt_embeds negative_prompt_embeds", stage_prompt_embeds},
    {"last_hidden_state.* negative_last_hidden_state.*", stage_prompt_embeds},
    {"text_embeds.* negative_text_embeds.* *act.text_encoder*.text_projection", stage_text_embeds},
    {"add_time_ids", stage_time_ids},
    {"latents.init", stage_first_latents},
    {"step.*.model_input", stage_model_input},
    {"step.*.noise_pred", stage_guidance},
    {"vae_input", stage_vae_input},
    {"image", stage_image},
    {"image_u8", stage_bytes},
};

void suspects_stages(struct diagnosis *d)
{
    if (d->wrong.count != d->exact.count) return;
    double *room = candidate_room(d);
    for (size_t i = 0; room && i < sizeof stages / sizeof *stages; i++)
        if (name_matches(d->row->name, stages[i].rows)) stages[i].try(d, room);
    free(room);
}
