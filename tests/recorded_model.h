/*
 * The models' passes from the inputs that a golden trace recorded: what test_unet.c and test_vae.c share.
 * Each pass exists in both precisions.
 */
#ifndef TESTS_RECORDED_MODEL_H
#define TESTS_RECORDED_MODEL_H

#include "ref/trace.h"
#include "ref/unet.h"
#include "ref/vae.h"

#include <check.h>

/* Every public trace. */
extern const char *const RECORDED[];
extern const int RECORDED_COUNT;
/* Those with activations, float64 truth and PyTorch's errors against it: the first of each model. */
extern const char *const RECORDED_IN_FULL[];
extern const int RECORDED_IN_FULL_COUNT;

struct recorded {
    struct tensor_set *tensors;
    struct checkpoint checkpoint; /* of the model that made it */
    const char *variant;          /* "fp16" or NULL */
    int calls;                    /* of the UNet */
};
void recorded_open(const char *name, struct recorded *recorded);
void recorded_close(struct recorded *recorded);

/* Adds to `out` what UNet call number `call` gives: step.NN.noise_pred_text, with guidance
 * step.NN.noise_pred_uncond, and with `modules` act.unet.*. */
void recorded_unet_call_f32(
    const struct unet *unet, const struct tensor_set *recorded, int call, bool modules, struct trace *out);
void recorded_unet_call_f64(
    const struct unet *unet, const struct tensor_set *recorded, int call, bool modules, struct trace *out);

/* Adds to `out` vae_input from latents.final, and, from the recorded vae_input, image and with `modules`
 * act.vae.*. */
void recorded_decode_f32(
    const struct vae *vae, const struct tensor_set *recorded, bool modules, struct trace *out);
void recorded_decode_f64(
    const struct vae *vae, const struct tensor_set *recorded, bool modules, struct trace *out);

struct trace *new_trace(void);
/* The distance of `ours`, a tensor of `set`, from `truth`; fails the test where shapes differ. */
struct difference distance(const struct tensor_set *set, const char *ours, const struct tensor *truth);

/* Checks that our tensor is within `tolerance` of the peak of the recorded one of the same name; returns the
 * distance. */
double check_close(const struct tensor_set *ours, const struct tensor_set *recorded, const char *name,
    double tolerance, const char *where);
/* Checks that every tensor of both sets whose name begins with `prefix` is in the other one, and that close;
 * returns the largest distance. */
double check_all_close(const struct tensor_set *ours, const struct tensor_set *recorded, const char *prefix,
    double tolerance, const char *where);
/* The recorded distance of PyTorch's float32 run from its float64 run, of the peak. */
double pytorch_error(const cJSON *errors, const char *name);
/* Our float32 error over PyTorch's, each the root mean square of the distance from its own double run: the
 * geometric mean over the tensors whose names begin with `prefix` and where PyTorch's is not zero. The
 * largest goes to `*worst`, its name to `*worst_name`. */
double error_ratio(const struct tensor_set *f32, const struct tensor_set *f64, const cJSON *errors,
    const char *prefix, double *worst, const char **worst_name);
/* Checks that two sets are the same bytes under the same names. */
void check_same_bytes(const struct tensor_set *a, const struct tensor_set *b, const char *where);

#endif
