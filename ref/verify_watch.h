/*
 * What one run of `plumb verify` holds while it is watched (verify_pass.c), and what is not known at a moment
 * of it (verify_unknown.c).
 *
 * What is not known is not a number: a model that is not run, noise without a seed. It goes through
 * everything that is computed from it, through a solver's memory too, until a recorded value takes its place;
 * a target that it reaches cannot be checked.
 */
#ifndef REF_VERIFY_WATCH_H
#define REF_VERIFY_WATCH_H

#include "verify_pass.h"

struct numbers {
    double *items;
    size_t count;
};

struct watch {
    struct verify_pass *pass;
    enum verify_purpose purpose;
    size_t targets_left;
    bool done; /* the run was ended, since nothing is left to see */

    /* What is not known at this moment. */
    bool no_ids[TEXT_ENCODERS][2];   /* [1] of the negative prompt */
    bool no_embeds[2], no_pooled;    /* what the UNet is told of the prompt */
    bool no_noise;                   /* the last draw */
    bool no_latents, no_model_input; /* of this step */
    bool no_noise_pred, no_vae_input;
    int last_unknown_pred;    /* the last step whose prediction is not known; -1 */
    int last_unknown_latents; /* the last step whose sample is not known; -1 */

    struct tensor latents; /* where the loop keeps them */
    bool latents_are_ones; /* they are not known, and ones stand there: see ask_for_scale() */
    struct tensor image;   /* that the bytes are made of */
    double image_floor;
    char *seen;       /* by value */
    const char *last; /* the name of the last one */

    struct numbers timesteps, time_ids; /* what the sinusoids are of; empty before they are seen */
};

/* Whether the value is computed from nothing that is known. */
bool watch_finds_unknown(
    const struct watch *watch, const struct verify_value *known, const struct tensor *value);
/* Why; allocated. `*reason` is NULL where it is known and simply no number. */
enum status watch_why_unknown(
    const struct watch *watch, const struct verify_place *place, char **reason, struct error *error);
/* Takes down what is not known from here on. */
void watch_note_unknown(struct watch *watch, const struct verify_place *place, bool unknown);

/* Whether a model is run: observer.h's `needs`, for a struct watch. */
bool watch_needs(void *context, const char *model);

/* A sentence, allocated; NULL where memory is out. */
char *watch_reason(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
