/*
 * From the prompt to what the UNet is told: tokens, text encoders, and SDXL's sizes (encode_prompt() of the
 * two Diffusers pipelines, step by step).
 */
#include "kernels/real.h"

#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One side of guidance, before it is repeated: n prompts. */
struct encoded {
    struct tensor prompt_embeds;        /* [n, L, cross_attention_dim] */
    struct tensor pooled_prompt_embeds; /* SDXL: [n, projection]; data NULL otherwise */
};

struct tensor stack(struct forward *f, struct tensor a, struct tensor b)
{
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, a.shape, sizeof shape);
    shape[0] = a.shape[0] + b.shape[0];
    struct tensor both = forward_tensor(f, a.rank, shape);
    if (!forward_computes(f)) return both;
    memcpy(both.data, a.data, tensor_bytes(&a));
    memcpy((char *)both.data + tensor_bytes(&a), b.data, tensor_bytes(&b));
    return both;
}

/* x: [n, ...] -> [n*times, ...], the copies of one prompt adjacent */
static struct tensor repeat(struct forward *f, struct tensor x, int64_t times)
{
    int64_t shape[TENSOR_MAX_RANK];
    memcpy(shape, x.shape, sizeof shape);
    shape[0] *= times;
    struct tensor repeated = forward_tensor(f, x.rank, shape);
    if (!forward_computes(f)) return repeated;
    size_t bytes = tensor_bytes(&x) / (size_t)x.shape[0];
    for (int64_t i = 0; i < shape[0]; i++)
        memcpy((char *)repeated.data + (size_t)i * bytes, (const char *)x.data + (size_t)(i / times) * bytes,
            bytes);
    return repeated;
}

/* [n, L, A], [n, L, B] -> [n, L, A + B] */
static struct tensor concat_features(struct forward *f, struct tensor a, struct tensor b)
{
    int64_t prompts = a.shape[0], length = a.shape[1];
    a = (struct tensor){a.dtype, 2, {prompts * length, a.shape[2]}, a.data};
    b = (struct tensor){b.dtype, 2, {prompts * length, b.shape[2]}, b.data};
    struct tensor both = concat_channels(f, a, b); /* [n*L, A + B] */
    return (struct tensor){both.dtype, 3, {prompts, length, both.shape[1]}, both.data};
}

static struct tensor zeros_like(struct forward *f, struct tensor x)
{
    struct tensor zeros = forward_tensor(f, x.rank, x.shape);
    if (forward_computes(f)) memset(zeros.data, 0, tensor_bytes(&zeros));
    return zeros;
}

/* ids: [n, length], allocated with malloc; NULL on failure. In a dry pass they are zeros. */
static int64_t *tokenize(struct run *run, size_t encoder, const struct prompts *prompts, size_t length)
{
    int64_t *ids = calloc(prompts->count * length, sizeof *ids);
    if (!ids) run->f.status = error_memory(run->f.error, prompts->count * length * sizeof *ids);
    for (size_t i = 0; i < prompts->count && forward_computes(&run->f); i++)
        run->f.status = tokenizer_encode(run->pipeline->tokenizers[encoder], prompts->items[i],
            ids + i * length, run->warnings, run->f.error);
    return ids;
}

/* Which hidden state a pipeline takes: SD the last one, SDXL the penultimate one of each encoder; clip_skip
 * goes further back, and stands for the positive prompt alone. */
static int64_t chosen_layer(const struct run *run, bool negative)
{
    int64_t skip = negative ? 0 : run->recipe->clip_skip;
    return run->pipeline->is_xl ? -(skip + 2) : -(skip + 1);
}

/* One pass of a text encoder, or where nobody needs it something of its results' shapes. */
static struct text_encoder_output encode(
    struct run *run, size_t encoder, const struct tensor *ids, int64_t layer, bool negative)
{
    const struct text_encoder *text_encoder = run->pipeline->text_encoders[encoder];
    const int64_t count = ids->shape[0], length = ids->shape[1];
    const int64_t states[3] = {count, length, text_encoder_hidden_size(text_encoder)};
    const int64_t pooled[2] = {count, text_encoder_projection_size(text_encoder)};
    struct forward *f = &run->f;
    char name[48];
    snprintf(name, sizeof name, "%s%s", negative ? "negative_" : "", text_encoder_names[encoder]);
    struct text_encoder_output output = {0};
    if (!forward_needs(f, name)) {
        output.hidden_state = forward_unknown(f, 3, states);
        output.last_hidden_state = forward_unknown(f, 3, states);
        if (pooled[1] > 0) output.text_embeds = forward_unknown(f, 2, pooled);
        return output;
    }
    if (negative) snprintf(f->whose, sizeof f->whose, "negative_");
    output = text_encoder_forward(f, text_encoder, ids->data, count, length, layer);
    f->whose[0] = '\0';
    return output;
}

/* One text encoder on one list of prompts; traces ids and outputs with `prefix` ("" or "negative_"). */
static struct text_encoder_output run_encoder(
    struct run *run, size_t encoder, const struct prompts *prompts, bool negative)
{
    const struct text_encoder *text_encoder = run->pipeline->text_encoders[encoder];
    const char *name = text_encoder_names[encoder], *prefix = negative ? "negative_" : "";
    const struct tokenizer *tokenizer = run->pipeline->tokenizers[encoder]; /* NULL: the shapes alone count */
    int64_t length = tokenizer ? (int64_t)tokenizer_length(tokenizer) : text_encoder_positions(text_encoder);
    int64_t layer = chosen_layer(run, negative);
    struct text_encoder_output output = {0};

    if (-layer > text_encoder_layers(text_encoder) + 1)
        run->f.status =
            error_input(run->f.error, "clip_skip: expected at most %lld for the %lld layers of %s, got %lld",
                (long long)(text_encoder_layers(text_encoder) - (run->pipeline->is_xl ? 1 : 0)),
                (long long)text_encoder_layers(text_encoder), name, (long long)run->recipe->clip_skip);
    if (run->f.status != STATUS_OK) return output;

    int64_t *ids = tokenize(run, encoder, prompts, (size_t)length);
    if (run->f.status == STATUS_OK) {
        int64_t count = (int64_t)prompts->count;
        run_trace(run, (struct tensor){DTYPE_I64, 2, {count, length}, ids}, "%sinput_ids.%s", prefix, name);
        run->f.modules = run->options->trace_modules && !negative ? run->options->trace : NULL;
        output = encode(run, encoder, &(struct tensor){DTYPE_I64, 2, {count, length}, ids}, layer, negative);
        run->f.modules = NULL;
        run_trace(run, output.last_hidden_state, "%slast_hidden_state.%s", prefix, name);
        if (output.text_embeds.data) run_trace(run, output.text_embeds, "%stext_embeds.%s", prefix, name);
    }
    free(ids);
    return output;
}

/* SD: the final layer's normed states, or with clip_skip an earlier layer through the final norm all the
 * same. */
static struct encoded encode_sd(struct run *run, const struct prompts *prompts, bool negative)
{
    struct text_encoder_output output = run_encoder(run, 0, prompts, negative);
    if (negative || !run->recipe->has_clip_skip)
        return (struct encoded){.prompt_embeds = output.last_hidden_state};
    return (struct encoded){.prompt_embeds = text_encoder_final_norm(
                                &run->f, run->pipeline->text_encoders[0], output.hidden_state)};
}

/* SDXL: both encoders' penultimate states side by side, without the final norm; the second one's pooled
 * vector. */
static struct encoded encode_xl(
    struct run *run, const struct prompts *prompts, const struct prompts *prompts_2, bool negative)
{
    struct text_encoder_output first = run_encoder(run, 0, prompts, negative);
    struct text_encoder_output second = run_encoder(run, 1, prompts_2, negative);
    if (run->f.status != STATUS_OK) return (struct encoded){0};
    return (struct encoded){
        .prompt_embeds = concat_features(&run->f, first.hidden_state, second.hidden_state),
        .pooled_prompt_embeds = second.text_embeds,
    };
}

static bool is_empty(const struct prompts *prompts)
{
    return !prompts->given || (!prompts->is_list && prompts->items[0][0] == '\0');
}

static struct encoded encode_positive(struct run *run)
{
    const struct recipe *recipe = run->recipe;
    if (!run->pipeline->is_xl) return encode_sd(run, &recipe->prompt, false);
    /* Diffusers writes `prompt_2 or prompt`: an empty second prompt is no second prompt. */
    const struct prompts *prompt_2 = is_empty(&recipe->prompt_2) ? &recipe->prompt : &recipe->prompt_2;
    return encode_xl(run, &recipe->prompt, prompt_2, false);
}

/* A negative prompt for every prompt: `given` where its count is right, else its one string n times. The
 * items are borrowed; free the list alone. */
static struct prompts one_each(struct run *run, const struct prompts *given, size_t count)
{
    struct prompts each = {
        .given = true, .is_list = true, .count = count, .items = calloc(count, sizeof(char *))};
    static char empty[] = "";
    if (!each.items) run->f.status = error_memory(run->f.error, count * sizeof(char *));
    for (size_t i = 0; each.items && i < count; i++)
        each.items[i] = !given->given ? empty : given->items[given->count == count ? i : 0];
    return each;
}

static struct encoded encode_negative(struct run *run, struct encoded positive)
{
    const struct recipe *recipe = run->recipe;
    size_t count = recipe->prompt.count;
    struct encoded encoded = {0};
    if (run->f.status != STATUS_OK) return encoded;
    if (!run->pipeline->is_xl) {
        struct prompts negative = one_each(run, &recipe->negative_prompt, count);
        if (negative.items) encoded = encode_sd(run, &negative, true);
        free(negative.items);
        return encoded;
    }
    /* Not given is not the same as "": SDXL stands zeros for the one and encodes the other. */
    if (!recipe->negative_prompt.given && run->pipeline->checkpoint.force_zeros_for_empty_prompt)
        return (struct encoded){.prompt_embeds = zeros_like(&run->f, positive.prompt_embeds),
            .pooled_prompt_embeds = zeros_like(&run->f, positive.pooled_prompt_embeds)};
    struct prompts first = one_each(run, &recipe->negative_prompt, count);
    struct prompts second = one_each(run,
        is_empty(&recipe->negative_prompt_2) ? &recipe->negative_prompt : &recipe->negative_prompt_2, count);
    if (first.items && second.items) encoded = encode_xl(run, &first, &second, true);
    free(first.items);
    free(second.items);
    return encoded;
}

/* The six numbers SDXL is told of the picture (Podell et al. 2023, arXiv:2307.01952, section 2.2): original
 * size, crop corner, target size; height before width, top before left. */
static void time_ids(const struct run *run, const struct size_pair *original, const struct size_pair *crop,
    const struct size_pair *target, real ids[6])
{
    ids[0] = (real)(original->given ? original->height : run->height);
    ids[1] = (real)(original->given ? original->width : run->width);
    ids[2] = (real)crop->height;
    ids[3] = (real)crop->width;
    ids[4] = (real)(target->given ? target->height : run->height);
    ids[5] = (real)(target->given ? target->width : run->width);
}

/* [R, 6]. Diffusers stacks [negative, positive] and repeats that block for each picture, so that with
 * guidance and more than one picture the rows alternate while the batch is all negative, then all positive:
 * kept as it is. */
static struct tensor add_time_ids(struct run *run)
{
    const struct recipe *recipe = run->recipe;
    real rows[2][6];
    time_ids(run, &recipe->original_size, &recipe->crops_coords_top_left, &recipe->target_size, rows[1]);
    memcpy(rows[0], rows[1], sizeof rows[0]);
    if (recipe->negative_original_size.given && recipe->negative_target_size.given)
        time_ids(run, &recipe->negative_original_size, &recipe->negative_crops_coords_top_left,
            &recipe->negative_target_size, rows[0]);

    int64_t count = run->guided ? 2 * run->batch : run->batch;
    struct tensor ids = forward_tensor(&run->f, 2, (int64_t[]){count, 6});
    if (!forward_computes(&run->f)) return ids;
    for (int64_t i = 0; i < count; i++)
        memcpy((real *)ids.data + 6 * i, rows[run->guided ? i % 2 : 1], sizeof rows[0]);
    return forward_round(&run->f, ids);
}

struct conditioning encode_prompt(struct run *run)
{
    struct forward *f = &run->f;
    int64_t images = run->recipe->num_images_per_prompt;
    struct conditioning c = {0};

    struct encoded positive = encode_positive(run);
    struct encoded negative = {0};
    if (run->guided) negative = encode_negative(run, positive);
    if (f->status != STATUS_OK) return c;

    c.prompt_embeds = repeat(f, positive.prompt_embeds, images); /* [B, L, D] */
    run_trace(run, c.prompt_embeds, "prompt_embeds");
    if (run->guided) {
        struct tensor negative_embeds = repeat(f, negative.prompt_embeds, images);
        run_trace(run, negative_embeds, "negative_prompt_embeds");
        c.prompt_embeds = stack(f, negative_embeds, c.prompt_embeds); /* [2B, L, D] */
    }
    if (!run->pipeline->is_xl || f->status != STATUS_OK) return c;

    c.add_text_embeds = repeat(f, positive.pooled_prompt_embeds, images); /* [B, P] */
    run_trace(run, c.add_text_embeds, "pooled_prompt_embeds");
    if (run->guided) {
        struct tensor negative_pooled = repeat(f, negative.pooled_prompt_embeds, images);
        run_trace(run, negative_pooled, "negative_pooled_prompt_embeds");
        c.add_text_embeds = stack(f, negative_pooled, c.add_text_embeds); /* [2B, P] */
    }
    c.add_time_ids = add_time_ids(run);
    run_trace(run, c.add_text_embeds, "add_text_embeds");
    run_trace(run, c.add_time_ids, "add_time_ids");
    return c;
}
