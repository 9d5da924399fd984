/*
 * Inside of verify_diagnosis.c: what the suspects are given, and how one is put forward.
 */
#ifndef REF_SUSPECTS_H
#define REF_SUSPECTS_H

#include "variation_kernels.h"
#include "verify_diagnosis.h"

#define SUSPECT_TEXT 320
#define MOST_FITS 64

/* A tensor's elements as doubles; owned. */
struct values {
    double *items;
    size_t count;
    int rank;
    int64_t shape[TENSOR_MAX_RANK];
};
void values_free(struct values *values); /* accepts an empty one */

/* A suspect that explains what they recorded. */
struct fit {
    char text[SUSPECT_TEXT];
    double distance;  /* root mean square, of theirs from what the fault gives */
    bool far_fetched; /* of what fits equally well, named last */
};

/* One wrong tensor. Once `status` is not STATUS_OK, nothing is tried any more. */
struct diagnosis {
    const struct pipeline *pipeline;
    const struct recipe *recipe;
    const struct tensor_set *theirs;
    const struct verify_options *options;
    struct error *error;
    enum status status;

    const struct verification *verification;
    const struct verify_row *row;
    struct values wrong, exact; /* what they recorded, and what it should be; of one shape, or `exact` is in
                                   another order */
    double error_rms;           /* of the two */
    double floor;               /* of the same: what rounding explains */
    struct layer_names *names;  /* NULL until a suspect asks (diagnosis_names()) */
    struct layer_visits reach;  /* the layers that may have a part in it (diagnosis_reaches()) */
    bool reach_is_known;

    struct fit fits[MOST_FITS];
    size_t fit_count;
    bool is_far_fetched; /* what is put forward now is: another scheduler class, where an option may do */
};

/* Puts forward what the tensor would be with a fault, `count` elements. Kept where it fits. The sentence goes
 * on from "step.03.noise_pred_text: ". True where it fitted. */
bool suspect_values(struct diagnosis *d, const double *candidate, size_t count, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* The same for a run with a variation, of which only the tensor's own stage is computed. A run that is
 * refused is no candidate. */
bool suspect_variation(struct diagnosis *d, const struct variation *variation, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Keeps a finding that has no value of its own to be held against. */
void suspect_found(struct diagnosis *d, double distance, const char *format, ...) PRINTF_LIKE(3, 4);

/* Root mean square of a - b over the elements where both are finite. */
double values_distance(const double *a, const double *b, size_t count);
double values_rms(const double *x, size_t count);
/* Whether both are finite, or neither, everywhere. */
bool values_finite_alike(const double *a, const double *b, size_t count);
/* How far from a candidate the rounding of their precision may leave them. */
double diagnosis_tolerance(const struct diagnosis *d, const double *candidate);

/* Another tensor of the run as they recorded it, or as it follows from their inputs; false where it cannot be
 * had. */
bool diagnosis_input(struct diagnosis *d, const char *name, struct values *out);
/* The row's tensor in double with a variation; with NULL the exact one. */
bool diagnosis_recompute(struct diagnosis *d, const char *name, const struct variation *variation,
    bool rounded, struct values *out);
/* The names of the pipeline's layers; NULL where memory is out. */
const struct layer_names *diagnosis_names(struct diagnosis *d);
/* Whether a layer of these (a glob) may have a part in the tensor: it is run after the last of the recorded
 * values that all that follows starts from. */
bool diagnosis_reaches(struct diagnosis *d, const char *layers);
/* Writes `value` into the call `json` under `key`, where "scheduler.x" is an option of the scheduler; null
 * takes the key out. False where memory is out. */
bool put_argument(cJSON *json, const char *key, const cJSON *value);
/* "step.<step, two digits>.<name>" */
const char *step_name(char buffer[64], int step, const char *name);
/* Whether a name is one of the globs, which spaces part. */
bool name_matches(const char *name, const char *globs);

/* One entry of suspects_layers.c's table: layers that compute something else. */
#define MOST_RULES 3
struct layer_suspect {
    const char *rows;                    /* globs of the tensors that it may explain */
    struct layer_rule rules[MOST_RULES]; /* up to the first without layers */
    const char *text;                    /* "equals ours with ..." */
};
size_t layer_suspect_count(void);
const struct layer_suspect *layer_suspect_at(size_t i);
size_t layer_rule_count(const struct layer_suspect *suspect);

/* The tables, from the cheapest to the dearest. */
void suspects_stages(struct diagnosis *d);
void suspects_values(struct diagnosis *d);
void suspects_call(struct diagnosis *d);
void suspects_layers(struct diagnosis *d);
/* A model that was given something else. */
void suspects_inputs(struct diagnosis *d);
/* Whether enough is known: of a large model each further suspect costs a pass. */
bool suspects_are_settled(const struct diagnosis *d);

/* What the UNet and the decoder compute, as globs. */
#define SUSPECT_UNET_ROWS "*act.unet.* step.*.noise_pred_uncond step.*.noise_pred_text"
#define SUSPECT_VAE_ROWS "*act.vae.* image"
/* Ours times nearly 1, or with a bias: what a layer may do as well (suspects_values.c). */
void suspects_small_scales(struct diagnosis *d);
/* Where all but a corner is right, which no layer leaves so (suspects_none.c). */
void suspects_corner(struct diagnosis *d);
/* Where nothing fitted: what is known all the same. */
void suspects_none(struct diagnosis *d);

#endif
