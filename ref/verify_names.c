#include "verify_names.h"

#include <string.h>

const char *const verify_stage_names[VERIFY_STAGES] = {"tokens", "text encoder", "conditioning", "schedule",
    "noise", "model input", "unet", "guidance", "step", "decoder", "picture"};
const char *const verify_verdict_names[] = {
    "rounding", "suspect", "wrong", "non-finite", "shape", "unchecked"};

#define MAX_STEP_DIGITS 6

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "step.03." in front of a name: the step, and what follows; -1 and the name itself where there is none. */
static int read_step(const char *name, const char **rest)
{
    *rest = name;
    if (!starts_with(name, "step.")) return -1;
    const char *digits = name + strlen("step.");
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > MAX_STEP_DIGITS || digits[count] != '.') return -1;
    int step = 0;
    for (size_t i = 0; i < count; i++) step = 10 * step + (digits[i] - '0');
    *rest = digits + count + 1;
    return step;
}

struct known_key {
    const char *key;
    enum verify_stage stage;
};

static const struct known_key step_keys[] = {{"model_input", VERIFY_MODEL_INPUT},
    {"noise_pred_uncond", VERIFY_UNET}, {"noise_pred_text", VERIFY_UNET}, {"noise_pred", VERIFY_GUIDANCE},
    {"noise", VERIFY_NOISE}, {"latents", VERIFY_STEP}};
static const struct known_key run_keys[] = {{"prompt_embeds", VERIFY_CONDITIONING},
    {"pooled_prompt_embeds", VERIFY_CONDITIONING}, {"add_text_embeds", VERIFY_CONDITIONING},
    {"add_time_ids", VERIFY_CONDITIONING}, {"timesteps", VERIFY_SCHEDULE}, {"sigmas", VERIFY_SCHEDULE},
    {"alphas_cumprod", VERIFY_SCHEDULE}, {"init_noise", VERIFY_NOISE}, {"latents.init", VERIFY_NOISE},
    {"latents.final", VERIFY_STEP}, {"vae_input", VERIFY_DECODER}, {"image", VERIFY_DECODER},
    {"image_u8", VERIFY_PICTURE}};
static const struct known_key encoder_keys[] = {{"input_ids.", VERIFY_TOKENS},
    {"last_hidden_state.", VERIFY_TEXT_ENCODER}, {"text_embeds.", VERIFY_TEXT_ENCODER}};
#define LENGTH(array) (sizeof(array) / sizeof *(array))

static bool find_key(const char *name, const struct known_key *keys, size_t count, struct verify_place *place)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, keys[i].key) != 0) continue;
        place->stage = keys[i].stage;
        return true;
    }
    return false;
}

static bool find_encoder(const char *name, struct verify_place *place)
{
    for (size_t e = 0; e < TEXT_ENCODERS; e++)
        if (strcmp(name, text_encoder_names[e]) == 0) {
            place->encoder = e;
            return true;
        }
    return false;
}

/* What follows "act.": the component and the module. */
static bool find_module(const char *name, struct verify_place *place)
{
    const char *dot = strchr(name, '.');
    place->is_module = true;
    if (!dot || !dot[1]) return false;
    if (place->step < 0 && starts_with(name, "text_encoder")) {
        place->stage = VERIFY_TEXT_ENCODER;
        place->encoder = starts_with(name, "text_encoder_2.");
        return place->encoder == 1 || starts_with(name, "text_encoder.");
    }
    if (place->negative) return false;
    if (starts_with(name, "unet.")) {
        place->stage = VERIFY_UNET;
        if (place->step < 0) place->step = 0; /* without a step they are the first one's */
        return true;
    }
    place->stage = VERIFY_DECODER;
    return place->step < 0 && starts_with(name, "vae.");
}

bool verify_place(const char *name, struct verify_place *place)
{
    *place = (struct verify_place){0};
    place->step = read_step(name, &place->key);
    const char *key = place->key;
    if (place->step < 0 && starts_with(key, "negative_")) {
        place->negative = true;
        key += strlen("negative_");
    }
    if (starts_with(key, "act.")) return find_module(key + strlen("act."), place);
    if (place->step >= 0) return find_key(key, step_keys, LENGTH(step_keys), place);
    for (size_t i = 0; i < LENGTH(encoder_keys); i++)
        if (starts_with(key, encoder_keys[i].key)) {
            place->stage = encoder_keys[i].stage;
            return find_encoder(key + strlen(encoder_keys[i].key), place);
        }
    if (!find_key(key, run_keys, LENGTH(run_keys), place)) return false;
    return !place->negative || place->stage == VERIFY_CONDITIONING;
}
