/*
 * Layers that compute something else: epsilons, activations, weights the wrong way round, padding, heads, the
 * embedding of the timestep. The model that makes the wrong tensor is run again from their inputs with each
 * of them in turn (variation_kernels.h).
 */
#include "suspects.h"

#include "unet_model.h"
#include "variation_kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which rows a component makes: its modules, and its outputs. */
#define UNET SUSPECT_UNET_ROWS
#define VAE SUSPECT_VAE_ROWS
#define TEXT                                                                                                 \
    "*act.text_encoder*.* *last_hidden_state.* *text_embeds.* prompt_embeds negative_prompt_embeds "         \
    "*pooled_prompt_embeds add_text_embeds"
/* Above so many weights a model is not run again once one suspect fits. */
#define LARGE ((size_t)100 << 20)

static const struct layer_suspect suspects[] = {
    /* The embedding of the timestep: the first thing to look at (its faults touch all that follows). */
    {UNET, {{"unet.time_proj", LAYER_SIN_COS_EXCHANGED, 0}},
        "sine and cosine of the timestep's embedding exchanged (flip_sin_to_cos)"},
    {UNET, {{"unet.add_time_proj", LAYER_SIN_COS_EXCHANGED, 0}},
        "sine and cosine of the sizes' embedding exchanged (flip_sin_to_cos)"},
    {UNET, {{"unet.*time_proj", LAYER_SIN_COS_EXCHANGED, 0}},
        "sine and cosine of both embeddings exchanged (flip_sin_to_cos)"},
    {UNET, {{"unet.time_proj", LAYER_FREQ_SHIFT, 1}}, "downscale_freq_shift 1 in the timestep's embedding"},
    {UNET, {{"unet.time_proj", LAYER_FREQ_SHIFT, 0}}, "downscale_freq_shift 0 in the timestep's embedding"},
    {UNET, {{"unet.add_time_proj", LAYER_FREQ_SHIFT, 1}}, "downscale_freq_shift 1 in the sizes' embedding"},
    {UNET, {{"unet.*time_proj", LAYER_FREQ_SHIFT, 1}}, "downscale_freq_shift 1 in both embeddings"},
    {UNET, {{"unet.time_embedding.linear_1", LAYER_NO_SILU_APART, 0}},
        "no SiLU between time_embedding's two layers"},
    {UNET, {{"unet.add_embedding.linear_1", LAYER_NO_SILU_APART, 0}},
        "no SiLU between add_embedding's two layers"},
    {UNET, {{"unet.*resnets.*.norm1", LAYER_NO_SILU_APART, 0}}, "no SiLU before the resnets' time_emb_proj"},
    {UNET, {{"unet.*resnets.*.conv1", LAYER_NO_RESIDUAL, 0}}, "no timestep's embedding in the resnets"},
    {UNET, {{"unet.add_time_proj", LAYER_CONCAT_ORDER, 0}},
        "the sizes' embedding before the pooled text in add_embedding's input"},
    {UNET, {{"unet.*time_embedding.linear_2", LAYER_TRANSPOSED, 0}},
        "time_embedding.linear_2's weight transposed"},

    /* Norms. */
    {UNET, {{"unet.*attentions.*.norm", LAYER_EPS, 1e-5}},
        "epsilon 1e-5 for 1e-6 in the transformers' GroupNorm"},
    {UNET, {{"unet.*resnets.*.norm[12]", LAYER_EPS, 1e-6}},
        "epsilon 1e-6 for 1e-5 in the resnets' GroupNorms"},
    {UNET, {{"unet.*resnets.*.norm[12]", LAYER_EPS, 1e-6}, {"unet.conv_norm_out", LAYER_EPS, 1e-6}},
        "epsilon 1e-6 for 1e-5 in the resnets' GroupNorms and conv_norm_out"},
    {UNET, {{"unet.conv_norm_out", LAYER_EPS, 1e-6}}, "epsilon 1e-6 for 1e-5 in conv_norm_out"},
    {UNET, {{"unet.*transformer_blocks.*.norm[123]", LAYER_EPS, 1e-6}},
        "epsilon 1e-6 for 1e-5 in the transformers' LayerNorms"},
    {UNET, {{"unet.*transformer_blocks.*.norm[123]", LAYER_EPS, 1e-12}},
        "epsilon 1e-12 for 1e-5 in the transformers' LayerNorms"},
    {UNET, {{"unet.*", LAYER_EPS, 1e-5}}, "epsilon 1e-5 in every norm"},
    {UNET, {{"unet.*", LAYER_EPS, 1e-6}}, "epsilon 1e-6 in every norm"},
    {UNET, {{"unet.*norm*", LAYER_NO_BIAS, 0}}, "no bias in the norms"},
    {UNET, {{"unet.*resnets.*.norm[12]", LAYER_NO_SILU, 0}}, "no SiLU behind the resnets' norms"},
    {UNET, {{"unet.*resnets.*.norm2", LAYER_NO_SILU, 0}}, "no SiLU behind the resnets' norm2"},
    {UNET, {{"unet.conv_norm_out", LAYER_NO_SILU_APART, 0}}, "no SiLU behind conv_norm_out"},
    {UNET, {{"unet.*attentions.*.norm", LAYER_LEFT_OUT, 0}}, "no GroupNorm in front of the transformers"},

    /* Feed-forward networks. */
    {UNET, {{"unet.*.ff.net.0.proj", LAYER_GELU_TANH, 0}}, "tanh GELU for erf GELU in GEGLU"},
    {UNET, {{"unet.*.ff.net.0.proj", LAYER_QUICK_GELU, 0}}, "quick_gelu for GELU in GEGLU"},
    {UNET, {{"unet.*.ff.net.0.proj", LAYER_SILU_GATE, 0}}, "SiLU for GELU in GEGLU"},
    {UNET, {{"unet.*.ff.net.0.proj", LAYER_GATES_FIRST, 0}},
        "GEGLU's halves exchanged: the second half of the projection is the gate"},

    /* Attention. */
    {UNET, {{"unet.*.to_q", LAYER_SCALE, 0}}, "no scale in attention: 1/sqrt(head_dim) is missing"},
    {UNET, {{"unet.*.to_q", LAYER_SCALE, -1}}, "attention's scale taken twice: 1/head_dim"},
    {UNET, {{"unet.*.to_q", LAYER_SCALE_OF_WIDTH, 0}},
        "attention's scale from all channels, not from one head's"},
    {UNET, {{"unet.*.to_q", LAYER_HEADS_AS_SIZE, 0}},
        "attention_head_dim taken for the heads' size: it is their number"},
    {UNET, {{"unet.*.to_q", LAYER_HEADS_INTERLEAVED, 0}},
        "attention's channels split as [head_dim, heads], not as [heads, head_dim]"},
    {UNET, {{"unet.*.to_q", LAYER_CAUSAL, 0}}, "a causal mask in the UNet's attention"},
    {UNET, {{"unet.*.to_q", LAYER_TRANSPOSED, 0}}, "to_q's weights transposed"},
    {UNET, {{"unet.*.to_k", LAYER_TRANSPOSED, 0}}, "to_k's weights transposed (where they are square)"},
    {UNET, {{"unet.*.to_v", LAYER_TRANSPOSED, 0}}, "to_v's weights transposed (where they are square)"},
    {UNET, {{"unet.*.to_out.0", LAYER_TRANSPOSED, 0}}, "to_out's weights transposed"},
    {UNET, {{"unet.*.to_[qkvo]*", LAYER_TRANSPOSED, 0}}, "all of attention's square weights transposed"},
    {UNET, {{"unet.*.proj_in", LAYER_TRANSPOSED, 0}}, "proj_in's weights transposed"},
    {UNET, {{"unet.*.proj_out", LAYER_TRANSPOSED, 0}}, "proj_out's weights transposed"},
    {UNET, {{"unet.*.to_out.0", LAYER_NO_BIAS, 0}}, "no bias in attention's to_out"},
    {UNET, {{"unet.*.ff.net.*", LAYER_NO_BIAS, 0}}, "no biases in the feed-forward networks"},
    {UNET, {{"unet.*.proj_in", LAYER_NO_BIAS, 0}}, "no bias in proj_in"},
    {UNET, {{"unet.*.proj_out", LAYER_NO_BIAS, 0}}, "no bias in proj_out"},
    {UNET, {{"unet.*.attn1.to_out.0", LAYER_NO_RESIDUAL, 0}}, "no residual round self-attention"},
    {UNET, {{"unet.*.attn2.to_out.0", LAYER_NO_RESIDUAL, 0}}, "no residual round cross-attention"},
    {UNET, {{"unet.*.ff.net.2", LAYER_NO_RESIDUAL, 0}}, "no residual round the feed-forward networks"},
    {UNET, {{"unet.*.proj_out", LAYER_NO_RESIDUAL, 0}}, "no residual round the transformers"},
    {UNET, {{"unet.*.attn1.to_out.0", LAYER_NOTHING_ADDED, 0}}, "no self-attention"},
    {UNET, {{"unet.*.attn2.to_out.0", LAYER_NOTHING_ADDED, 0}}, "no cross-attention"},
    {UNET,
        {{"unet.*.transformer_blocks.[1-9]*.to_out.0", LAYER_NOTHING_ADDED, 0},
            {"unet.*.transformer_blocks.[1-9]*.ff.net.2", LAYER_NOTHING_ADDED, 0}},
        "one block in each transformer (transformer_layers_per_block)"},

    /* Convolutions and the shape of the whole. */
    {UNET, {{"unet.*downsamplers*", LAYER_PADDING, 1}},
        "padding (0, 1, 0, 1) in the downsamplers, where it is 1 on all sides"},
    {UNET, {{"unet.*upsamplers*", LAYER_BILINEAR, 0}}, "bilinear enlargement in the upsamplers, for nearest"},
    {UNET, {{"unet.*block*", LAYER_CONCAT_ORDER, 0}},
        "the skips before what comes from below, on the way up"},
    {UNET, {{"unet.*resnets.*.conv2", LAYER_NO_RESIDUAL, 0}}, "no residual round the resnets"},
    {UNET, {{"unet.*resnets.*.conv[12]", LAYER_NO_BIAS, 0}}, "no biases in the resnets' convolutions"},
    {UNET, {{"unet.*resnets.*.time_emb_proj", LAYER_NO_BIAS, 0}}, "no bias in time_emb_proj"},
    {UNET, {{"unet.*conv_shortcut", LAYER_NO_BIAS, 0}}, "no bias in conv_shortcut"},
    {UNET, {{"unet.conv_in", LAYER_NO_BIAS, 0}}, "no bias in conv_in"},
    {UNET, {{"unet.conv_out", LAYER_NO_BIAS, 0}}, "no bias in conv_out"},
    {UNET, {{"unet.*samplers*", LAYER_NO_BIAS, 0}}, "no biases in the resamplers"},
    {UNET, {{"unet.*", LAYER_KERNEL_TRANSPOSED, 0}},
        "height and width of the convolutions' kernels exchanged"},
    {UNET, {{"unet.*", LAYER_KERNEL_FLIPPED, 0}}, "the convolutions' kernels turned by half a circle"},
    {UNET, {{"unet.*conv*", LAYER_TRANSPOSED, 0}},
        "input and output channels of the convolutions' square weights exchanged"},

    /* The decoder. */
    {VAE, {{"vae.post_quant_conv", LAYER_LEFT_OUT, 0}}, "no post_quant_conv"},
    {VAE, {{"vae.*", LAYER_EPS, 1e-5}}, "epsilon 1e-5 for 1e-6 in the decoder's GroupNorms"},
    {VAE, {{"vae.*resnets.*.norm[12]", LAYER_EPS, 1e-5}}, "epsilon 1e-5 for 1e-6 in the resnets' GroupNorms"},
    {VAE, {{"vae.*attentions.*.group_norm", LAYER_EPS, 1e-5}},
        "epsilon 1e-5 for 1e-6 in the attention's GroupNorm"},
    {VAE, {{"vae.decoder.conv_norm_out", LAYER_EPS, 1e-5}}, "epsilon 1e-5 for 1e-6 in conv_norm_out"},
    {VAE, {{"vae.*norm*", LAYER_NO_BIAS, 0}}, "no bias in the norms"},
    {VAE, {{"vae.*resnets.*.norm[12]", LAYER_NO_SILU, 0}}, "no SiLU behind the resnets' norms"},
    {VAE, {{"vae.decoder.conv_norm_out", LAYER_NO_SILU_APART, 0}}, "no SiLU behind conv_norm_out"},
    {VAE, {{"vae.*.to_v", LAYER_SCALE, 0}}, "no scale in attention: 1/sqrt(channels) is missing"},
    {VAE, {{"vae.*.to_q", LAYER_TRANSPOSED, 0}}, "to_q's weight transposed"},
    {VAE, {{"vae.*.to_k", LAYER_TRANSPOSED, 0}}, "to_k's weight transposed"},
    {VAE, {{"vae.*.to_v", LAYER_TRANSPOSED, 0}}, "to_v's weight transposed"},
    {VAE, {{"vae.*.to_out.0", LAYER_TRANSPOSED, 0}}, "to_out's weight transposed"},
    {VAE, {{"vae.*.to_[qkvo]*", LAYER_TRANSPOSED, 0}}, "all of attention's weights transposed"},
    {VAE, {{"vae.*.to_[qkv]", LAYER_NO_BIAS, 0}}, "no biases in attention's to_q, to_k and to_v"},
    {VAE, {{"vae.*.to_out.0", LAYER_NO_BIAS, 0}}, "no bias in attention's to_out"},
    {VAE, {{"vae.*.to_out.0", LAYER_NO_RESIDUAL, 0}}, "no residual round attention"},
    {VAE, {{"vae.*resnets.*.conv2", LAYER_NO_RESIDUAL, 0}}, "no residual round the resnets"},
    {VAE, {{"vae.*upsamplers*", LAYER_BILINEAR, 0}}, "bilinear enlargement in the upsamplers, for nearest"},
    {VAE, {{"vae.*upsamplers*", LAYER_NO_BIAS, 0}}, "no biases in the upsamplers"},
    {VAE, {{"vae.*resnets.*.conv[12]", LAYER_NO_BIAS, 0}}, "no biases in the resnets' convolutions"},
    {VAE, {{"vae.*conv_shortcut", LAYER_NO_BIAS, 0}}, "no bias in conv_shortcut"},
    {VAE, {{"vae.decoder.conv_in", LAYER_NO_BIAS, 0}}, "no bias in conv_in"},
    {VAE, {{"vae.decoder.conv_out", LAYER_NO_BIAS, 0}}, "no bias in conv_out"},
    {VAE, {{"vae.post_quant_conv", LAYER_NO_BIAS, 0}}, "no bias in post_quant_conv"},
    {VAE, {{"vae.*", LAYER_KERNEL_TRANSPOSED, 0}}, "height and width of the convolutions' kernels exchanged"},
    {VAE, {{"vae.*", LAYER_KERNEL_FLIPPED, 0}}, "the convolutions' kernels turned by half a circle"},
    {VAE, {{"vae.*conv*", LAYER_TRANSPOSED, 0}},
        "input and output channels of the convolutions' square weights exchanged"},

    /* The text encoders. */
    {TEXT, {{"text_encoder*.fc1", LAYER_GELU_ERF, 0}}, "erf GELU where quick_gelu is asked for"},
    {TEXT, {{"text_encoder*.fc1", LAYER_QUICK_GELU, 0}}, "quick_gelu where erf GELU is asked for"},
    {TEXT, {{"text_encoder*.fc1", LAYER_GELU_TANH, 0}}, "tanh GELU in place of hidden_act"},
    {TEXT, {{"text_encoder*.fc1", LAYER_SILU_GATE, 0}}, "SiLU in place of hidden_act"},
    {TEXT, {{"text_encoder*.v_proj", LAYER_NOT_CAUSAL, 0}}, "no causal mask"},
    {TEXT, {{"text_encoder*.q_proj", LAYER_SCALE, 0}}, "no scale in attention: 1/sqrt(head_dim) is missing"},
    {TEXT, {{"text_encoder*.v_proj", LAYER_SCALE, -1}}, "attention's scale taken twice: 1/head_dim"},
    {TEXT, {{"text_encoder*.v_proj", LAYER_HEADS_INTERLEAVED, 0}},
        "attention's channels split as [head_dim, heads], not as [heads, head_dim]"},
    {TEXT, {{"text_encoder*.v_proj", LAYER_HEADS_AS_SIZE, 0}}, "the number of heads taken for their size"},
    {TEXT, {{"text_encoder*", LAYER_EPS, 1e-6}}, "epsilon 1e-6 in the LayerNorms"},
    {TEXT, {{"text_encoder*", LAYER_EPS, 1e-12}}, "epsilon 1e-12 in the LayerNorms"},
    {TEXT, {{"text_encoder*.final_layer_norm", LAYER_LEFT_OUT, 0}}, "no final_layer_norm"},
    {TEXT, {{"text_encoder*norm*", LAYER_NO_BIAS, 0}}, "no bias in the norms"},
    {TEXT, {{"text_encoder*.[qkv]_proj", LAYER_NO_BIAS, 0}}, "no biases in q_proj, k_proj and v_proj"},
    {TEXT, {{"text_encoder*.out_proj", LAYER_NO_BIAS, 0}}, "no bias in out_proj"},
    {TEXT, {{"text_encoder*.fc[12]", LAYER_NO_BIAS, 0}}, "no biases in fc1 and fc2"},
    {TEXT, {{"text_encoder*.q_proj", LAYER_TRANSPOSED, 0}}, "q_proj's weights transposed"},
    {TEXT, {{"text_encoder*.k_proj", LAYER_TRANSPOSED, 0}}, "k_proj's weights transposed"},
    {TEXT, {{"text_encoder*.v_proj", LAYER_TRANSPOSED, 0}}, "v_proj's weights transposed"},
    {TEXT, {{"text_encoder*.out_proj", LAYER_TRANSPOSED, 0}}, "out_proj's weights transposed"},
    {TEXT, {{"text_encoder*.[qkvo]*_proj", LAYER_TRANSPOSED, 0}}, "all of attention's weights transposed"},
    {TEXT, {{"text_encoder*.text_projection", LAYER_TRANSPOSED, 0}}, "text_projection's weight transposed"},
    {TEXT, {{"text_encoder*.out_proj", LAYER_NO_RESIDUAL, 0}}, "no residual round attention"},
    {TEXT, {{"text_encoder*.fc2", LAYER_NO_RESIDUAL, 0}}, "no residual round the MLP"},
};

size_t layer_suspect_count(void)
{
    return sizeof suspects / sizeof *suspects;
}

const struct layer_suspect *layer_suspect_at(size_t i)
{
    return &suspects[i];
}

size_t layer_rule_count(const struct layer_suspect *suspect)
{
    size_t count = 0;
    while (count < MOST_RULES && suspect->rules[count].layers) count++;
    return count;
}

/* --- Layers ------------------------------------------------------------------------------- */

static bool try_rules(struct diagnosis *d, const struct layer_rule *rules, size_t count, const char *text)
{
    const struct layer_names *names = diagnosis_names(d);
    struct layer_variation layers;
    bool reached = false;
    for (size_t i = 0; i < count && names && !reached; i++) reached = diagnosis_reaches(d, rules[i].layers);
    if (!reached) return false;
    layer_variation_init(&layers, d->pipeline, names, rules, count);
    struct variation variation = {.replacement = &layers.replacement};
    return suspect_variation(d, &variation, "%s", text);
}

bool suspects_are_settled(const struct diagnosis *d)
{
    return d->fit_count > 0 && unet_weights(d->pipeline->unet).parameters > LARGE;
}

static void try_layers(struct diagnosis *d)
{
    for (size_t i = 0; i < layer_suspect_count() && !suspects_are_settled(d); i++) {
        const struct layer_suspect *suspect = &suspects[i];
        char text[SUSPECT_TEXT];
        if (d->status != STATUS_OK || !name_matches(d->row->name, suspect->rows)) continue;
        snprintf(text, sizeof text, "equals ours with %s", suspect->text);
        try_rules(d, suspect->rules, layer_rule_count(suspect), text);
    }
}

/* --- One layer alone ---------------------------------------------------------------------- */

/* So many passes at most, of a model that is not large. */
#define MOST_SINGLES 1024
/* The same of a large one: what a single module holds. */
#define MOST_SINGLES_LARGE 16

/* A weight of one layer may be stored wrongly, or its bias be missing, while all others are right. */
static void try_singles(struct diagnosis *d)
{
    static const enum layer_change changes[] = {LAYER_TRANSPOSED, LAYER_NO_BIAS};
    bool large = unet_weights(d->pipeline->unet).parameters > LARGE;
    if (!diagnosis_reaches(d, "*") || d->reach.count > (large ? MOST_SINGLES_LARGE : MOST_SINGLES)) return;
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++)
        for (size_t i = 0; i < d->reach.count && !suspects_are_settled(d); i++) {
            struct layer_rule rule = {d->reach.items[i], changes[c], 0};
            char text[SUSPECT_TEXT];
            snprintf(text, sizeof text,
                c == 0 ? "equals ours with the weight of %s transposed"
                       : "equals ours without the bias of %s",
                rule.layers);
            try_rules(d, &rule, 1, text);
        }
}

/* --- The timestep ------------------------------------------------------------------------- */

/* Another timestep that the UNet may have been told, and all the reasons why. */
struct other_timestep {
    double value;
    char why[160];
};
#define MOST_TIMESTEPS 24

struct other_timesteps {
    struct other_timestep items[MOST_TIMESTEPS];
    size_t count;
};

static void add_timestep(struct other_timesteps *others, double own, double value, const char *why)
{
    if (value == own || !isfinite(value)) return;
    size_t i = 0;
    while (i < others->count && others->items[i].value != value) i++;
    if (i == MOST_TIMESTEPS) return;
    struct other_timestep *other = &others->items[i];
    size_t length = i < others->count ? strlen(other->why) : 0;
    if (i == others->count) *other = (struct other_timestep){.value = value}, others->count++;
    snprintf(other->why + length, sizeof other->why - length, "%s%s", length > 0 ? ", or " : "", why);
}

/* The timesteps of this step that another spacing and another offset give. */
static void add_spacings(struct diagnosis *d, struct other_timesteps *others, double own, int step)
{
    static const char *const spacings[] = {"leading", "linspace", "trailing"};
    for (int k = 0; k < 6 && d->status == STATUS_OK; k++) {
        struct recipe recipe;
        struct values timesteps = {0};
        char why[96];
        cJSON *json = cJSON_Duplicate(d->recipe->source, true);
        cJSON *spacing = cJSON_CreateString(spacings[k % 3]), *offset = cJSON_CreateNumber(k / 3);
        bool whole = json && spacing && offset && put_argument(json, "scheduler.timestep_spacing", spacing) &&
                     put_argument(json, "scheduler.steps_offset", offset);
        if (whole && recipe_read(json, &recipe, NULL) == STATUS_OK) {
            struct variation variation = {.recipe = &recipe};
            snprintf(why, sizeof why, "timestep_spacing \"%s\" with steps_offset %d", spacings[k % 3], k / 3);
            if (diagnosis_recompute(d, "timesteps", &variation, false, &timesteps) &&
                (size_t)step < timesteps.count)
                add_timestep(others, own, timesteps.items[step], why);
            values_free(&timesteps);
            recipe_free(&recipe);
        }
        cJSON_Delete(offset);
        cJSON_Delete(spacing);
        cJSON_Delete(json);
    }
}

/* The first step's modules are "act.unet..." without a number. */
static int step_of(const struct diagnosis *d)
{
    return d->row->step >= 0 ? d->row->step : 0;
}

static void try_timesteps(struct diagnosis *d)
{
    struct values timesteps = {0};
    int step = step_of(d);
    if (!diagnosis_input(d, "timesteps", &timesteps) || (size_t)step >= timesteps.count) {
        values_free(&timesteps);
        return;
    }
    double own = timesteps.items[step], last = (double)timesteps.count - 1;
    double next = step < last ? timesteps.items[step + 1] : NAN;
    double before = step > 0 ? timesteps.items[step - 1] : NAN;
    const struct {
        double value;
        const char *why;
    } known[] = {
        {own - 1, "one less"},
        {own + 1, "one more"},
        {trunc(own), "cut to an integer"},
        {nearbyint(own), "rounded to an integer"},
        {(double)number_format_round(FORMAT_BF16, (float)own), "rounded to bf16"},
        {(double)number_format_round(FORMAT_F16, (float)own), "rounded to f16"},
        {next, "the next step's"},
        {before, "the step before's"},
        {timesteps.items[timesteps.count - 1 - (size_t)step], "the list is gone through backwards"},
        {999 - own, "counted from the other end"},
        {step, "the number of the step"},
        {own / 1000, "over 1000"},
        {0, "zero"},
    };
    struct other_timesteps others = {.count = 0};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        add_timestep(&others, own, known[k].value, known[k].why);
    if (diagnosis_reaches(d, "unet.time_proj")) add_spacings(d, &others, own, step);
    for (size_t k = 0; k < others.count && d->fit_count == 0; k++) {
        struct layer_rule rule = {"unet.time_proj", LAYER_TIMESTEP, others.items[k].value};
        char text[SUSPECT_TEXT];
        snprintf(text, sizeof text, "equals ours at timestep %.10g, not %.10g: %s", others.items[k].value,
            own, others.items[k].why);
        try_rules(d, &rule, 1, text);
    }
    values_free(&timesteps);
}

void suspects_layers(struct diagnosis *d)
{
    if (d->wrong.count != d->exact.count) return;
    /* None of these leaves a number that is not finite, in double. */
    if (!values_finite_alike(d->wrong.items, d->exact.items, d->wrong.count)) return;
    if (name_matches(d->row->name, UNET)) {
        try_timesteps(d);
        if (d->fit_count == 0) suspects_inputs(d);
    }
    if (name_matches(d->row->name, VAE)) suspects_inputs(d);
    if (d->fit_count == 0) try_layers(d);
    if (d->fit_count == 0 && name_matches(d->row->name, UNET " " VAE " " TEXT)) try_singles(d);
}
