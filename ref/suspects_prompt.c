/*
 * What may go wrong from the text to the prompt's embeddings: tokens, hidden states of either encoder, the
 * pooled state and its projection.
 */
#include "suspects_stages.h"

#include "text_encoder_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void stage_tokens(struct diagnosis *d, double *room)
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
/* --- The encoders' outputs as the prompt's embeddings ------------------------------------- */

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

void stage_prompt_embeds(struct diagnosis *d, double *room)
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
void stage_text_embeds(struct diagnosis *d, double *room)
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
