/*
 * libplumb_sched: the schedulers of Diffusers, as a library with this one header.
 *
 *     char message[PLUMB_MESSAGE_SIZE];
 *     plumb_scheduler *s = plumb_scheduler_create(
 *         "{\"_class_name\": \"EulerDiscreteScheduler\", \"beta_schedule\": \"scaled_linear\"}",
 *         PLUMB_DIFFUSERS, message);
 *     plumb_scheduler_set_timesteps(s, "{\"num_inference_steps\": 20}");
 *     sample = noise * plumb_scheduler_init_noise_sigma(s);
 *     for (size_t i = 0; i < plumb_scheduler_count(s); i++) {
 *         double t = plumb_scheduler_timesteps(s)[i];
 *         plumb_scheduler_scale_model_input(s, t, sample, n, model_input);
 *         model_output = the model at (model_input, t)
 *         plumb_scheduler_step(s, &(struct plumb_step){...}, prev_sample, NULL);
 *     }
 *     plumb_scheduler_free(s);
 *
 * Configs and arguments are JSON text, with Diffusers' own names; numbers of samples are arrays of float in
 * the arithmetic PLUMB_DIFFUSERS, of double in PLUMB_F64 (`void *` here stands for the one or the other). A
 * function that can fail returns a status; what was wrong is in plumb_scheduler_message(). Text and arrays
 * that a call needs and that are NULL are refused so; objects must be there. Nothing is printed and nothing
 * exits. There is no global state: different objects may be used by different threads at once, one object by
 * one thread at a time. sched/examples/ has a program in C and one in Python.
 */
#ifndef PLUMB_SCHED_H
#define PLUMB_SCHED_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLUMB_SCHED_VERSION "0.1.0"
const char *plumb_sched_version(void); /* of the library that is linked */

enum plumb_status {
    PLUMB_OK = 0,
    PLUMB_BAD_INPUT = 2, /* an argument, an option or a combination of them is wrong */
    PLUMB_MACHINE = 3,   /* out of memory */
};

enum plumb_arithmetic {
    PLUMB_DIFFUSERS = 0, /* samples are float; what diffusers 0.35.1 computes on a CPU */
    PLUMB_F64 = 1,       /* samples are double, and so is everything from the config's numbers on */
};

#define PLUMB_MESSAGE_SIZE 1024

/* --- Schedulers --------------------------------------------------------------------------- */

typedef struct plumb_scheduler plumb_scheduler;

/* The classes that there are, "DDIMScheduler" ...; NULL from the count on. */
size_t plumb_scheduler_class_count(void);
const char *plumb_scheduler_class_name(size_t i);

/* A scheduler from a whole Diffusers config with `_class_name`; `"_semantics": "documented"` in it follows
 * the documentation where diffusers' code departs from it. NULL where the config is refused or memory is out:
 * `message` (may be NULL) then says why. */
plumb_scheduler *plumb_scheduler_create(
    const char *config, enum plumb_arithmetic arithmetic, char message[PLUMB_MESSAGE_SIZE]);
void plumb_scheduler_free(plumb_scheduler *scheduler); /* accepts NULL */

/* What the last call that failed had to say. */
const char *plumb_scheduler_message(const plumb_scheduler *scheduler);
/* Warnings so far, such as of options that the class ignores. NULL from the count on. */
size_t plumb_scheduler_warning_count(const plumb_scheduler *scheduler);
const char *plumb_scheduler_warning(const plumb_scheduler *scheduler, size_t i);

/* The keyword arguments of Diffusers' set_timesteps(): {"num_inference_steps": 20}, {"timesteps": [...]},
 * {"sigmas": [...]} ... */
enum plumb_status plumb_scheduler_set_timesteps(plumb_scheduler *scheduler, const char *arguments);
/* The keyword arguments of Diffusers' step() for the steps to come: {"eta": 0.5} ...; none at first. */
enum plumb_status plumb_scheduler_set_step_arguments(plumb_scheduler *scheduler, const char *arguments);
/* As Diffusers' set_begin_index(): the first step is that of `timesteps[begin_index]`, whatever its value. */
void plumb_scheduler_set_begin_index(plumb_scheduler *scheduler, int begin_index);

/* The schedule: [count] timesteps, valid until the next set_timesteps; sigmas, of which there is often one
 * more, and none in some classes. */
size_t plumb_scheduler_count(const plumb_scheduler *scheduler);
const double *plumb_scheduler_timesteps(const plumb_scheduler *scheduler);
size_t plumb_scheduler_sigma_count(const plumb_scheduler *scheduler);
double plumb_scheduler_sigma(const plumb_scheduler *scheduler, size_t i); /* i < the count */
double plumb_scheduler_init_noise_sigma(const plumb_scheduler *scheduler);

/* What the model is given for `sample` at `timestep`: [n] in, [n] out; may be in place. */
enum plumb_status plumb_scheduler_scale_model_input(
    plumb_scheduler *scheduler, double timestep, const void *sample, size_t n, void *model_input);

/* 1 where the next step, at `timestep`, draws noise, which the caller hands in; otherwise 0. */
int plumb_scheduler_needs_noise(plumb_scheduler *scheduler, double timestep);

/* 1 where the class makes its noise itself when it is handed none (DPMSolverSDE, CosineDPMSolverMultistep: a
 * Brownian path); and the seeds that decide it, one for the batch or one a picture, which are copied. */
int plumb_scheduler_makes_noise(const plumb_scheduler *scheduler);
enum plumb_status plumb_scheduler_seed_noise(plumb_scheduler *scheduler, const uint64_t *seeds, size_t count);

struct plumb_step {
    double timestep;
    const void *model_output;  /* [batch, model_output_size] */
    size_t model_output_size;  /* sample_size, or twice that where the model also predicts a variance */
    const void *sample;        /* [batch, sample_size] */
    size_t batch, sample_size; /* pictures, and elements of one picture's latents: C*H*W */
    const void *noise;         /* [batch, sample_size] standard normals, or NULL where none are needed,
                                  or where the class is to make its own */
};

/* One step, to `prev_sample` [batch, sample_size], which overlaps no input. `pred_original_sample` may be
 * NULL; a class that returns none leaves it alone. A failed step changes nothing. */
enum plumb_status plumb_scheduler_step(
    plumb_scheduler *scheduler, const struct plumb_step *step, void *prev_sample, void *pred_original_sample);

/* Predictor-corrector sampling: before each step the loop calls plumb_scheduler_correct() so many times, each
 * with a model output for the sample that it is given, and always with noise. 0 for all classes but
 * ScoreSdeVe; for these a correction is refused. */
int plumb_scheduler_correct_steps(const plumb_scheduler *scheduler);
enum plumb_status plumb_scheduler_correct(
    plumb_scheduler *scheduler, const struct plumb_step *step, void *prev_sample);

/* `original_samples` [batch, sample_size] noised to the level of each picture's timestep [batch]. */
enum plumb_status plumb_scheduler_add_noise(plumb_scheduler *scheduler, const void *original_samples,
    const void *noise, const double *timesteps, size_t batch, size_t sample_size, void *noisy_samples);

/* --- Branching, stopping and going on ----------------------------------------------------- */

/* A second scheduler at the same point of the same run, with no warnings yet; NULL where memory is out. */
plumb_scheduler *plumb_scheduler_copy(const plumb_scheduler *scheduler);

/* The scheduler as bytes, for this version on this kind of machine: writes at most `capacity` of them and
 * returns how many there are (call it with capacity 0 first); 0 where memory is out. */
size_t plumb_scheduler_save(plumb_scheduler *scheduler, void *bytes, size_t capacity);
/* NULL where the bytes are damaged or of another build; `message` (may be NULL) then says why. The arithmetic
 * is the one that was saved. A checksum tells damage, not malice: restore only what a program of yours
 * saved. */
plumb_scheduler *plumb_scheduler_restore(const void *bytes, size_t size, char message[PLUMB_MESSAGE_SIZE]);

/* --- Guidance ----------------------------------------------------------------------------- */

/* out = uncond + scale * (text - uncond), [n]; `out` may be either input. Then, where `rescale` is not 0, the
 * guidance_rescale of Lin et al. 2023 for each of the `batch` pictures of n / batch elements; then `out` must
 * not be `text`. */
void plumb_guidance(enum plumb_arithmetic arithmetic, const void *uncond, const void *text, size_t batch,
    size_t n, double scale, double rescale, void *out);

/* --- Seeded normal numbers ---------------------------------------------------------------- */

typedef struct plumb_generator plumb_generator;

/* "numpy-pcg64", "torch-cpu", "torch-cpu-plain" ...; the seed is a decimal or 0x-hexadecimal integer. NULL
 * with a message (which may be NULL) where there is no such generator or seed. */
plumb_generator *plumb_generator_create(const char *name, const char *seed, char message[PLUMB_MESSAGE_SIZE]);
void plumb_generator_free(plumb_generator *generator); /* accepts NULL */
/* The next n numbers, as one call of randn / standard_normal. */
void plumb_generator_normal_f32(plumb_generator *generator, float *out, size_t n);
void plumb_generator_normal_f64(plumb_generator *generator, double *out, size_t n);

#ifdef __cplusplus
}
#endif

#endif
