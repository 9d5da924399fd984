/*
 * The models' passes from the inputs that a golden trace recorded, in both precisions, and how far they may
 * be from what it recorded: what test_unet.c and test_vae.c share.
 */
#ifndef TESTS_RECORDED_MODEL_H
#define TESTS_RECORDED_MODEL_H

#include "ref/trace.h"
#include "ref/unet.h"
#include "ref/vae.h"

#include <check.h>

/* PyTorch's float32 is within 3e-6 of float64 (golden/README.md), measured on each tensor's peak; another
 * correct float32 implementation is within twice that of PyTorch's, and 1e-5 is the project's gate. */
#define FLOAT_TOLERANCE 1e-5
/* The worst module of PyTorch's float32 run is 3e-6, or 50 units of 2^-24, from the truth. The same network
 * in double is within 50 units of 2^-53, or 6e-15, and so is the recorded truth: 1e-13 is eight times the sum
 * of both. */
#define DOUBLE_TOLERANCE 1e-13

/* Every public trace. */
extern const char *const RECORDED[];
extern const int RECORDED_COUNT;
/* Those with activations, float64 truth and PyTorch's errors against it: the first of each model. */
extern const char *const RECORDED_IN_FULL[];
extern const int RECORDED_IN_FULL_COUNT;

enum recorded_model { RECORDED_UNET, RECORDED_VAE };

struct recorded {
    struct tensor_set *tensors;
    struct checkpoint checkpoint; /* of the model that made it */
    int calls;                    /* of the UNet */
    struct unet *unet;            /* the one that was asked for; the other is NULL */
    struct vae *vae;
};
/* Opens a public trace and one model of its checkpoint. */
void recorded_open(const char *name, enum recorded_model model, struct recorded *recorded);
void recorded_close(struct recorded *recorded);
/* `variant` may be NULL. */
struct unet *open_unet(const struct checkpoint *checkpoint, const char *variant);

/* In the arithmetic of `format` (ref/forward.h): adds to `out` what UNet call number `call` gives:
 * step.NN.noise_pred_text, with guidance step.NN.noise_pred_uncond, and with `modules` act.unet.*. */
void recorded_unet_call_f32(const struct unet *unet, const struct tensor_set *recorded, int call,
    bool modules, enum number_format format, struct trace *out);
void recorded_unet_call_f64(const struct unet *unet, const struct tensor_set *recorded, int call,
    bool modules, enum number_format format, struct trace *out);

/* Adds to `out` vae_input from latents.final, and, from the recorded vae_input, image and with `modules`
 * act.vae.*. */
void recorded_decode_f32(const struct vae *vae, const struct tensor_set *recorded, bool modules,
    enum number_format format, struct trace *out);
void recorded_decode_f64(const struct vae *vae, const struct tensor_set *recorded, bool modules,
    enum number_format format, struct trace *out);

struct trace *new_trace(void);

/* What the float and the double build make of the same inputs. */
struct passes {
    struct trace *f32, *f64;
};
/* recorded_unet_call in both builds. */
struct passes unet_passes(const struct unet *unet, const struct tensor_set *recorded, int call, bool modules);
/* The opened model's: UNet call number `call`, or, of the autoencoder, the one decoding. */
struct passes recorded_passes(const struct recorded *recorded, int call, bool modules);
void passes_free(struct passes *passes);

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
/* The same of both passes, to FLOAT_TOLERANCE. Raises `worst` to the largest distances. */
struct worst {
    double f32, f64;
};
void check_passes_close(const struct passes *ours, const struct tensor_set *recorded, const char *prefix,
    const char *where, struct worst *worst);
/* The recorded distance of PyTorch's float32 run from its float64 run, of the peak. */
double pytorch_error(const cJSON *errors, const char *name);
/* How far a float pass may be from the truth: twice as far as PyTorch's with our own products; with
 * OpenBLAS's, whose rounding is that of the processor's kernels, the project's gate. */
double truth_tolerance(double pytorch);
/* Checks `output` of both passes against the float64 truth: double to DOUBLE_TOLERANCE, float to
 * `float_tolerance`. `pytorch`, the distance of PyTorch's float32 run, is printed beside them. */
void check_truth(const struct passes *ours, const char *output, const struct tensor *truth, double pytorch,
    double float_tolerance, const char *where);
/* Checks that the float32 errors of the modules, whose names begin with `prefix`, are on average at most
 * twice PyTorch's: the double build is the truth inside the network, once check_truth vouches for its end. */
void check_module_errors(
    const struct passes *ours, const cJSON *errors, const char *prefix, const char *where);

/* Checks that two sets are the same bytes under the same names. */
void check_same_bytes(const struct tensor_set *a, const struct tensor_set *b, const char *where);
/* Checks that the first pass of a trace, with its modules, is the same bytes for 1, 2, 3 and 8 threads. */
void check_same_bytes_for_threads(const char *name, enum recorded_model model);

#endif
