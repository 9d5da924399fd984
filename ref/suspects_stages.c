/*
 * The stages between the models, each of which is a line or two of arithmetic on tensors that are known:
 * tokens, the encoders' outputs as the prompt's embeddings, SDXL's sizes, the first latents, the model's
 * input, guidance, the decoder's input, bytes. What may go wrong there can be written down and compared.
 */
#include "suspects.h"

#include "text_encoder_model.h"
#include "vae_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for a candidate of the row's size; NULL where memory is out. */
static double *candidate_room(struct diagnosis *d)
{
    double *room = malloc((d->exact.count + 1) * sizeof *room);
    if (!room) d->status = error_memory(d->error, d->exact.count * sizeof *room);
    return room;
}

/* --- Tokens ------------------------------------------------------------------------------- */

/* One prompt's ids as a tokenizer with a fault leaves them. `end`: where the end token stands. */
enum token_fault { PAD_ZERO, PAD_END, NO_START, NO_END, END_LAST, TOKEN_FAULTS };

static void spoil_ids(const double *ids, size_t length, size_t end, enum token_fault fault, double *out)
{
    const double pad = end + 1 < length ? ids[end + 1] : ids[end];
    memcpy(out, ids, length * sizeof *out);
    switch (fault) {
    case PAD_ZERO:
        for (size_t i = end + 1; i < length; i++) out[i] = 0;
        break;
    case PAD_END:
        for (size_t i = end + 1; i < length; i++) out[i] = ids[end];
        break;
    case NO_START:
        memmove(out, out + 1, (length - 1) * sizeof *out);
        out[length - 1] = pad;
        break;
    case NO_END: out[end] = pad; break;
    case END_LAST:
        for (size_t i = end; i < length; i++) out[i] = pad;
        out[length - 1] = ids[end];
        break;
    default: break;
    }
}

static void stage_tokens(struct diagnosis *d, double *room)
{
    static const char *const faults[TOKEN_FAULTS] = {
        [NO_START] = "has no start token",
        [NO_END] = "has no end token",
        [END_LAST] = "has its end token at the end of the padding, not behind the text",
    };
    if (d->exact.rank != 2) return;
    size_t length = (size_t)d->exact.shape[1], prompts = d->exact.count / length;
    double pad = 0, end_id = 0;
    for (int fault = 0; fault < TOKEN_FAULTS; fault++) {
        for (size_t p = 0; p < prompts; p++) {
            const double *ids = d->exact.items + p * length;
            size_t end = 1; /* the end token's id is the largest of the vocabulary */
            for (size_t i = 1; i < length; i++)
                if (ids[i] > ids[end]) end = i;
            end_id = ids[end];
            pad = ids[length - 1];
            spoil_ids(ids, length, end, (enum token_fault)fault, room + p * length);
        }
        if (fault == PAD_ZERO)
            suspect_values(d, room, d->exact.count, "is padded with the id 0 (\"!\"), not with %g", pad);
        else if (fault == PAD_END)
            suspect_values(
                d, room, d->exact.count, "is padded with the end token, %g, not with %g", end_id, pad);
        else
            suspect_values(d, room, d->exact.count, "%s", faults[fault]);
    }
}

/* --- The prompt's embeddings -------------------------------------------------------------- */

#define MOST_HIDDEN (TEXT_ENCODER_MAX_LAYERS + 1)

/* hidden_states of both encoders for one prompt, as a run shows them. */
struct hidden_states {
    struct diagnosis *d;
    bool negative;
    size_t encoders; /* those whose features the row has, side by side: a bit each */
    struct values states[TEXT_ENCODERS][MOST_HIDDEN];
};

static enum status keep_state(
    void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct hidden_states *hidden = context;
    char prefix[96];
    (void)error;
    for (size_t e = 0; e < hidden->d->pipeline->num_encoders; e++) {
        int layer = -1;
        const char *sign = hidden->negative ? "negative_" : "";
        int length = snprintf(prefix, sizeof prefix, "%sact.%s.text_model.", sign, text_encoder_names[e]);
        if (strncmp(name, prefix, (size_t)length) != 0) continue;
        if (strcmp(name + length, "embeddings") == 0) layer = 0;
        if (sscanf(name + length, "encoder.layers.%d", &layer) == 1) layer++;
        if (layer < 0 || layer >= MOST_HIDDEN || hidden->states[e][layer].items) continue;
        struct values *state = &hidden->states[e][layer];
        state->count = tensor_count(value);
        state->rank = value->rank;
        memcpy(state->shape, value->shape, sizeof state->shape);
        state->items = malloc((state->count + 1) * sizeof *state->items);
        if (!state->items) return error_memory(error, state->count * sizeof *state->items);
        for (size_t i = 0; i < state->count; i++) state->items[i] = tensor_get_double(value, i);
    }
    return STATUS_OK;
}

static void hidden_states_free(struct hidden_states *hidden)
{
    for (size_t e = 0; e < TEXT_ENCODERS; e++)
        for (size_t k = 0; k < MOST_HIDDEN; k++) values_free(&hidden->states[e][k]);
}

/* final_layer_norm of a row of features */
static void final_norm(const struct text_encoder *encoder, const double *x, size_t n, double *y)
{
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    double scale = 1 / sqrt(variance + encoder->final_layer_norm.eps);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * tensor_get_double(&encoder->final_layer_norm.weight, i) +
               tensor_get_double(&encoder->final_layer_norm.bias, i);
}

/* Writes a hidden state of one encoder into its features of [B, L, width], from `at` on. */
static void place_state(const struct diagnosis *d, const struct text_encoder *encoder,
    const struct values *state, bool normed, size_t at, size_t width, double *embeds)
{
    size_t features = (size_t)state->shape[2], rows = d->exact.count / width;
    size_t length = (size_t)state->shape[1], prompts = (size_t)state->shape[0];
    size_t copies = rows / length / prompts; /* pictures of a prompt are adjacent */
    for (size_t r = 0; r < rows; r++) {
        size_t prompt = r / length / (copies ? copies : 1);
        const double *from = state->items + (prompt * length + r % length) * features;
        double *to = embeds + r * width + at;
        if (normed)
            final_norm(encoder, from, features, to);
        else
            memcpy(to, from, features * sizeof *to);
    }
}

/* The row with hidden_states[-back] of the encoders in `which`, a bit each; false where there is none. */
static bool place_states(const struct diagnosis *d, const struct hidden_states *hidden, size_t which,
    int64_t back, bool normed, double *embeds)
{
    size_t width = (size_t)d->exact.shape[2], at = 0;
    memcpy(embeds, d->exact.items, d->exact.count * sizeof *embeds);
    for (size_t e = 0; e < d->pipeline->num_encoders; e++) {
        const struct text_encoder *encoder = d->pipeline->text_encoders[e];
        int64_t layer = encoder->config.num_hidden_layers + 1 - back;
        if (!(hidden->encoders >> e & 1)) continue;
        if (which >> e & 1) {
            if (layer < 0 || !hidden->states[e][layer].items) return false;
            place_state(d, encoder, &hidden->states[e][layer], normed, at, width, embeds);
        }
        at += (size_t)encoder->config.hidden_size;
    }
    return at == width;
}

/* Each hidden state, with and without the final norm, in the place of the one that is asked for: of one
 * encoder, then of both. */
static void try_hidden_states(struct diagnosis *d, const struct hidden_states *hidden, double *room)
{
    for (int normed = 0; normed <= 1; normed++)
        for (int64_t back = 1; back <= MOST_HIDDEN; back++)
            for (size_t which = 1; which <= hidden->encoders; which++) {
                if ((which & hidden->encoders) != which) continue;
                if (!place_states(d, hidden, which, back, normed, room)) continue;
                const char *of = which == 3   ? "both encoders"
                                 : which == 2 ? text_encoder_names[1]
                                              : text_encoder_names[0];
                suspect_values(d, room, d->exact.count, "has hidden_states[-%lld] of %s, %s the final norm",
                    (long long)back, of, normed ? "with" : "without");
            }
}

/* text_encoder_2's features before text_encoder's */
static void try_encoder_order(struct diagnosis *d, double *room)
{
    if (d->pipeline->num_encoders < 2 || !strstr(d->row->name, "prompt_embeds")) return;
    size_t first = (size_t)d->pipeline->text_encoders[0]->config.hidden_size;
    size_t width = (size_t)d->exact.shape[2], second = width - first;
    for (size_t r = 0; r < d->exact.count / width; r++) {
        memcpy(room + r * width, d->exact.items + r * width + first, second * sizeof *room);
        memcpy(room + r * width + second, d->exact.items + r * width, first * sizeof *room);
    }
    suspect_values(d, room, d->exact.count, "has text_encoder_2's features before text_encoder's");
}

static void stage_prompt_embeds(struct diagnosis *d, double *room)
{
    bool negative = strncmp(d->row->name, "negative_", 9) == 0, all = strstr(d->row->name, "prompt_embeds");
    if (d->exact.rank != 3) return;
    memset(room, 0, d->exact.count * sizeof *room);
    if (suspect_values(d, room, d->exact.count, "is zeros, where the prompt is to be encoded")) return;
    struct values other;
    const char *opposite = negative ? "prompt_embeds" : "negative_prompt_embeds";
    if (all && diagnosis_input(d, opposite, &other)) {
        suspect_values(d, other.items, other.count,
            "equals %s: the positive and the negative prompt are exchanged", opposite);
        values_free(&other);
    }
    try_encoder_order(d, room);
    struct hidden_states *hidden = calloc(1, sizeof *hidden);
    if (!hidden) {
        d->status = error_memory(d->error, sizeof *hidden);
        return;
    }
    hidden->d = d;
    hidden->negative = negative;
    for (size_t e = 0; e < d->pipeline->num_encoders; e++)
        if (all || strcmp(strrchr(d->row->name, '.') + 1, text_encoder_names[e]) == 0)
            hidden->encoders |= (size_t)1 << e;
    struct observer observer = {.context = hidden, .see = keep_state};
    struct variation watched = {.observer = &observer};
    struct values unused;
    if (diagnosis_recompute(d, d->row->name, &watched, false, &unused)) {
        try_hidden_states(d, hidden, room);
        values_free(&unused);
    }
    hidden_states_free(hidden);
    free(hidden);
}

/* last_hidden_state's row `position` (all prompts alike), projected or not: [n, projection] */
static void stage_text_embeds(struct diagnosis *d, double *room)
{
    bool negative = strncmp(d->row->name, "negative_", 9) == 0;
    size_t e = strstr(d->row->name, text_encoder_names[1]) != NULL;
    const char *component = text_encoder_names[e];
    const struct text_encoder *encoder = e < d->pipeline->num_encoders ? d->pipeline->text_encoders[e] : NULL;
    char name[96];
    struct values states;
    snprintf(name, sizeof name, "%slast_hidden_state.%s", negative ? "negative_" : "", component);
    if (!encoder || !diagnosis_input(d, name, &states)) return;
    size_t length = (size_t)states.shape[1], hidden = (size_t)states.shape[2];
    size_t out = (size_t)d->exact.shape[1], prompts = d->exact.count / out;
    for (size_t position = 0; position < length && states.rank == 3; position++) {
        for (size_t p = 0; p < prompts; p++) {
            const double *from = states.items + (p * length + position) * hidden;
            for (size_t o = 0; o < out; o++) {
                double sum = 0;
                for (size_t i = 0; i < hidden; i++)
                    sum += from[i] * tensor_get_double(&encoder->text_projection.weight, o * hidden + i);
                room[p * out + o] = sum;
            }
        }
        suspect_values(d, room, d->exact.count, "is pooled at token %zu, not at the end token", position);
        if (hidden != out) continue;
        for (size_t p = 0; p < prompts; p++)
            memcpy(room + p * out, states.items + (p * length + position) * hidden, out * sizeof *room);
        suspect_values(
            d, room, d->exact.count, "is the pooled state (of token %zu) without text_projection", position);
    }
    values_free(&states);
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

/* --- Guidance ----------------------------------------------------------------------------- */

static double spread(const double *x, size_t n, double freedom)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return sqrt(squares / ((double)n - freedom));
}

/* Where the standard deviations of guidance_rescale come from. */
enum rescale_fault {
    RESCALE_BIASED,
    RESCALE_CHANNEL,
    RESCALE_BATCH,
    RESCALE_UNCOND,
    RESCALE_MEAN_KEPT,
    RESCALE_FAULTS
};

/* guided: [parts, size], each part brought to the text's deviation in it; in place */
static void rescale_parts(double *guided, const double *text, size_t parts, size_t size, double share)
{
    for (size_t p = 0; p < parts; p++, guided += size, text += size) {
        double ratio = spread(text, size, 1) / spread(guided, size, 1);
        for (size_t i = 0; i < size; i++) guided[i] *= share * ratio + 1 - share;
    }
}

/* guided: [batch, size], in place */
static void rescale_wrongly(double *guided, const double *uncond, const double *text, size_t batch,
    size_t size, double share, enum rescale_fault fault)
{
    size_t all = batch * size;
    double whole = spread(text, all, 1) / spread(guided, all, 1);
    for (size_t b = 0; b < batch; b++) {
        double *picture = guided + b * size;
        double of_text = spread(text + b * size, size, 1), of_guided = spread(picture, size, 1);
        double ratio = of_text / of_guided;
        /* The biased deviations' ratio would be the same; a port mixes the two. */
        if (fault == RESCALE_BIASED) ratio = spread(text + b * size, size, 0) / of_guided;
        if (fault == RESCALE_BATCH) ratio = whole;
        if (fault == RESCALE_UNCOND) ratio = spread(uncond + b * size, size, 1) / of_guided;
        if (fault == RESCALE_MEAN_KEPT) ratio = values_rms(text + b * size, size) / values_rms(picture, size);
        for (size_t i = 0; i < size; i++) picture[i] *= share * ratio + 1 - share;
    }
}

static double guidance_of(const struct diagnosis *d)
{
    return d->recipe->has_guidance_scale ? d->recipe->guidance_scale : d->pipeline->is_xl ? 5.0 : 7.5;
}

static void combine(const double *uncond, const double *text, size_t n, double scale, double *out)
{
    for (size_t i = 0; i < n; i++) out[i] = uncond[i] + scale * (text[i] - uncond[i]);
}

/* Of the guidance scales, the one that is nearest to theirs; NAN where the halves are alike. */
static double fit_scale(const struct diagnosis *d, const double *uncond, const double *text)
{
    double products = 0, squares = 0;
    for (size_t i = 0; i < d->wrong.count; i++) {
        double difference = text[i] - uncond[i];
        products += difference * (d->wrong.items[i] - uncond[i]);
        squares += difference * difference;
    }
    return squares > 0 ? products / squares : NAN;
}

static void try_scales(struct diagnosis *d, const double *uncond, const double *text, double *room)
{
    size_t n = d->wrong.count;
    double asked = guidance_of(d), scale = fit_scale(d, uncond, text);
    const struct {
        double scale;
        const char *text;
    } known[] = {
        {1 - asked, "is guided from the text towards the unconditional prediction: the halves are exchanged"},
        {1, "is the prediction for the text alone, without guidance"},
        {0, "is the unconditional prediction alone"},
        {asked + 1, "is text + guidance_scale * (text - uncond), where uncond + ... is asked for"},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        combine(uncond, text, n, known[k].scale, room);
        if (suspect_values(d, room, n, "%s%s", known[k].text,
                d->recipe->guidance_rescale > 0 ? ", and guidance_rescale is left out" : ""))
            return;
    }
    if (isnan(scale)) return;
    combine(uncond, text, n, scale, room);
    bool rescaled = d->recipe->guidance_rescale > 0 && fabs(scale / asked - 1) < 1e-6;
    if (rescaled)
        suspect_values(
            d, room, n, "is guided without guidance_rescale, which is %g", d->recipe->guidance_rescale);
    else
        suspect_values(d, room, n, "is guided with the scale %.7g, not %g", scale, asked);
}

/* Rescaling takes each picture times a number of its own: theirs = a uncond + b text in the first picture is
 * guidance by b / (a + b). */
static double fit_rescaled_scale(const struct diagnosis *d, const double *uncond, const double *text)
{
    size_t size = d->wrong.count / (size_t)d->exact.shape[0];
    double uu = 0, ut = 0, tt = 0, uw = 0, tw = 0;
    for (size_t i = 0; i < size; i++) {
        double u = uncond[i], t = text[i], w = d->wrong.items[i];
        uu += u * u, ut += u * t, tt += t * t, uw += u * w, tw += t * w;
    }
    double a = tt * uw - ut * tw, b = uu * tw - ut * uw; /* both times the determinant */
    return b / (a + b);
}

static void try_rescales(struct diagnosis *d, const double *uncond, const double *text, double *room)
{
    static const char *const texts[RESCALE_FAULTS] = {
        "is rescaled with the biased deviation (n, not n - 1) of the text's prediction",
        "is rescaled with the deviations of each channel, not of the whole picture",
        "is rescaled with deviations over the whole batch, not of each picture",
        "is rescaled to the unconditional prediction's deviation, not the text's",
        "is rescaled by root mean squares, without taking off the mean",
    };
    size_t n = d->wrong.count, batch = (size_t)d->exact.shape[0], size = n / batch;
    double share = d->recipe->guidance_rescale, asked = guidance_of(d);
    for (int fault = 0; share > 0 && fault < RESCALE_FAULTS; fault++) {
        combine(uncond, text, n, asked, room);
        size_t channels = batch * (size_t)d->exact.shape[1];
        if (fault == RESCALE_CHANNEL)
            rescale_parts(room, text, channels, n / channels, share);
        else
            rescale_wrongly(room, uncond, text, batch, size, share, (enum rescale_fault)fault);
        suspect_values(d, room, n, "%s", texts[fault]);
    }
    double scale = share > 0 ? fit_rescaled_scale(d, uncond, text) : (double)NAN;
    if (isfinite(scale)) {
        combine(uncond, text, n, scale, room);
        rescale_parts(room, text, batch, size, share);
        suspect_values(d, room, n, "is guided with the scale %.7g, not %g, and rescaled", scale, asked);
    }
    /* theirs = guided * (share * ratio + 1 - share) in the first picture gives the share. */
    combine(uncond, text, n, asked, room);
    double ratio = spread(text, size, 1) / spread(room, size, 1);
    double products = 0, squares = 0;
    for (size_t i = 0; i < size; i++) products += room[i] * d->wrong.items[i], squares += room[i] * room[i];
    double found = (products / squares - 1) / (ratio - 1);
    if (!(found >= 0 && found <= 1)) return;
    rescale_parts(room, text, batch, size, found);
    suspect_values(d, room, n, "is guided with guidance_rescale %.6g, not %g", found, share);
}

static void stage_guidance(struct diagnosis *d, double *room)
{
    struct values uncond = {0}, text = {0};
    char name[64];
    bool there = diagnosis_input(d, step_name(name, d->row->step, "noise_pred_uncond"), &uncond) &&
                 diagnosis_input(d, step_name(name, d->row->step, "noise_pred_text"), &text);
    if (there && uncond.count == d->wrong.count && text.count == d->wrong.count) {
        try_scales(d, uncond.items, text.items, room);
        if (d->fit_count == 0) try_rescales(d, uncond.items, text.items, room);
    }
    values_free(&uncond);
    values_free(&text);
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
