#include "verify_watch.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_nan(const struct tensor *tensor)
{
    if (!dtype_is_float(tensor->dtype)) return false;
    for (size_t i = 0, n = tensor_count(tensor); i < n; i++)
        if (isnan(tensor_get_double(tensor, i))) return true;
    return false;
}

static const char seed_reason[] = "the seed is not known: give --seed, --noise or --recipe";
static const char prompt_reason[] = "the prompt is not known: give --prompt or --recipe";

char *watch_reason(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) text = NULL;
    va_end(arguments);
    return text;
}

/* Why the latents in front of a step are not known. */
static char *why_no_latents(int step)
{
    if (step <= 0) return watch_reason("latents.init is not recorded, and %s", seed_reason);
    return watch_reason("step.%02d.latents is not recorded, nor step.%02d.model_input", step - 1, step);
}

static char *why_no_prediction(const struct watch *watch, int step)
{
    if (watch->no_model_input) return why_no_latents(step);
    return watch_reason("%s, or record prompt_embeds and what else the UNet is told of it", prompt_reason);
}

static char *why_no_step(const struct watch *watch, int step)
{
    if (watch->no_noise_pred) return watch_reason("step.%02d.noise_pred is not recorded", step);
    if (watch->no_latents) return why_no_latents(step);
    if (watch->no_noise) return watch_reason("step.%02d.noise is not recorded, and %s", step, seed_reason);
    /* What the solver remembers: of some (PNDM, Heun, UniPC ...) earlier samples too. */
    int pred = watch->last_unknown_pred, sample = watch->last_unknown_latents;
    if (pred >= 0 && pred >= sample)
        return watch_reason("step.%02d.noise_pred is not recorded, which this step takes too", pred);
    if (sample < 0) return NULL;
    char *before = why_no_latents(sample);
    char *reason = before ? watch_reason("this step takes step.%02d's sample too: %s", sample, before) : NULL;
    free(before);
    return reason;
}

/* NULL where it is known, and where memory is out. */
static char *why_unknown(const struct watch *watch, const struct verify_place *place)
{
    const struct verify_options *options = watch->pass->options;
    bool no_text = watch->no_embeds[0] || watch->no_embeds[1] || watch->no_pooled;
    switch (place->stage) {
    case VERIFY_TOKENS:
    case VERIFY_TEXT_ENCODER:
    case VERIFY_CONDITIONING: return options->prompt_unknown ? watch_reason("%s", prompt_reason) : NULL;
    case VERIFY_NOISE:
        if (strcmp(place->key, "latents.init") != 0) return watch_reason("%s", seed_reason);
        return watch->no_noise ? watch_reason("init_noise is not recorded, and %s", seed_reason) : NULL;
    case VERIFY_MODEL_INPUT:
        if (!watch->no_latents) return NULL;
        return place->step > 0 ? watch_reason("step.%02d.latents is not recorded", place->step - 1)
                               : why_no_latents(0);
    case VERIFY_UNET:
    case VERIFY_GUIDANCE:
        return watch->no_model_input || no_text ? why_no_prediction(watch, place->step) : NULL;
    case VERIFY_STEP:
        if (strcmp(place->key, "latents.final") != 0) return why_no_step(watch, place->step);
        return watch->no_latents
                   ? watch_reason("the last step's latents are not recorded, nor what they come from")
                   : NULL;
    case VERIFY_DECODER:
        if (strcmp(place->key, "vae_input") == 0)
            return watch->no_latents ? watch_reason("latents.final is not recorded") : NULL;
        return watch->no_vae_input ? watch_reason("vae_input is not recorded, nor the latents before it")
                                   : NULL;
    default: return NULL;
    }
}

enum status watch_why_unknown(
    const struct watch *watch, const struct verify_place *place, char **reason, struct error *error)
{
    errno = 0;
    *reason = why_unknown(watch, place);
    return *reason || errno != ENOMEM ? STATUS_OK : error_memory(error, 0);
}

bool watch_finds_unknown(
    const struct watch *watch, const struct verify_value *known, const struct tensor *value)
{
    const struct verify_options *options = watch->pass->options;
    if (known->place.stage == VERIFY_TOKENS) return options->prompt_unknown;
    bool is_draw = known->place.stage == VERIFY_NOISE && strcmp(known->place.key, "latents.init") != 0;
    if (is_draw) return options->seed_unknown;
    /* The zeros that SDXL stands for a negative prompt which is not given. */
    bool is_zeros = known->place.stage == VERIFY_CONDITIONING && known->place.negative &&
                    !verify_value_find(watch->pass->values, "negative_input_ids.text_encoder");
    return (is_zeros && options->prompt_unknown) || has_nan(value);
}

void watch_note_unknown(struct watch *watch, const struct verify_place *place, bool unknown)
{
    const char *key = place->key;
    if (place->is_module) return;
    if (place->stage == VERIFY_TOKENS) watch->no_ids[place->encoder][place->negative] = unknown;
    if (strcmp(key, "prompt_embeds") == 0) watch->no_embeds[0] = unknown;
    if (strcmp(key, "negative_prompt_embeds") == 0) watch->no_embeds[1] = unknown;
    if (strcmp(key, "add_text_embeds") == 0) watch->no_pooled = unknown;
    if (strcmp(key, "init_noise") == 0 || strcmp(key, "noise") == 0) watch->no_noise = unknown;
    if (strcmp(key, "latents.init") == 0 || strcmp(key, "latents") == 0) watch->no_latents = unknown;
    if (strcmp(key, "vae_input") == 0) watch->no_vae_input = unknown;
    if (strcmp(key, "model_input") == 0) {
        watch->no_model_input = unknown;
        if (watch->no_latents) watch->last_unknown_latents = place->step;
        watch->no_noise = false; /* of the step before */
    }
    if (strcmp(key, "noise_pred") == 0) {
        watch->no_noise_pred = unknown;
        if (unknown) watch->last_unknown_pred = place->step;
    }
}

/* --- Which models are run ----------------------------------------------------------------- */

/* Who asks while memory is planned knows of nothing unknown yet. */
bool watch_needs(void *context, const char *model)
{
    const struct watch *watch = context;
    const struct verify_needs *wanted = watch->pass->needs;
    bool text_is_known = (!watch->no_embeds[0] || (watch->pass->values->is_guided && !watch->no_embeds[1])) &&
                         !watch->no_pooled;
    size_t step;
    if (!wanted) return true;
    if (strcmp(model, "vae") == 0) return wanted->vae && !watch->no_vae_input;
    if (strcmp(model, "unet") == 0) return wanted->passes > 0 && text_is_known;
    if (sscanf(model, "step.%zu.unet", &step) == 1)
        return step < watch->pass->values->steps && wanted->unet[step] && text_is_known &&
               !watch->no_model_input;
    bool negative = strncmp(model, "negative_", strlen("negative_")) == 0;
    for (size_t e = 0; e < TEXT_ENCODERS; e++)
        if (strcmp(model + (negative ? strlen("negative_") : 0), text_encoder_names[e]) == 0)
            return wanted->encoders[e][negative] && !watch->no_ids[e][negative];
    return true;
}
