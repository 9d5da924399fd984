/*
 * Where the random numbers of a run come from: seeded generators, or a file that holds them; and a log of who
 * drew how many, when and in which type.
 *
 * A file of noise is a set of tensors, a draw each. A draw takes the tensor of its own name, which is that in
 * a trace ("init_noise", "step.03.noise"), so that a run can take another program's noise from its trace;
 * else noise.K or arr_K (NumPy's name in an .npz), where K counts the draws from 0.
 */
#ifndef REF_NOISE_H
#define REF_NOISE_H

#include "sched/generator.h"
#include "tensor.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

struct noise; /* opaque */

/* `seeds` has one seed, or one a picture; none where only recorded noise may be used. `file` is NULL where
 * the generators draw. */
enum status noise_open(enum generator_kind kind, char *const *seeds, size_t num_seeds, const char *file,
    struct noise **out, struct error *error);
void noise_free(struct noise *noise); /* accepts NULL */

/* What a draw is for. */
struct noise_draw {
    const char *who;   /* its name in a trace */
    bool has_timestep; /* of the step; the initial latents have none */
    double timestep;
    const struct tensor *tensor; /* its shape, the first dimension being the pictures; no data is looked at */
};

/* The next draw, [shape]: one tensor from the one generator, or a picture from each; or what the file has.
 * The generators' draws are float32 in both precisions. Refuses numbers of another shape, infinite ones, and
 * a draw that neither file nor seed can answer. */
enum status noise_next(
    struct noise *noise, const struct noise_draw *draw, double *numbers, struct error *error);

/* The generators go on as for a draw that is recorded elsewhere, which the log shows. A file, and a run
 * without seeds, have no stream to move on. */
enum status noise_skip(struct noise *noise, const struct noise_draw *draw, struct error *error);

/* The seeds as numbers, for the schedulers that make their own noise; refuses one of 2^64 or more. NULL and 0
 * where there are none. They live as long as `noise`. */
enum status noise_seeds(
    const struct noise *noise, const uint64_t **seeds, size_t *count, struct error *error);

/* Whether the file has a tensor of the draw's own name, which then stands for what a scheduler makes. */
bool noise_is_given(const struct noise *noise, const struct noise_draw *draw);

/* Puts into the log what took no number from here: `source` is "scheduler", which made the noise itself, or
 * "recorded". */
enum status noise_note(
    struct noise *noise, const struct noise_draw *draw, const char *source, struct error *error);

/* The log so far, an object each draw; the caller's. NULL where memory is out. */
cJSON *noise_log(const struct noise *noise);
enum status noise_log_write(const cJSON *log, const char *path, struct error *error);

#endif
