/*
 * The grids of timesteps: `leading`, `linspace` and `trailing` (Lin et al. 2023, arXiv:2305.08891, Table 2),
 * in the two families that diffusers has: N points, or N + 1 points of which the last is dropped.
 */
#ifndef SCHED_TIMESTEPS_H
#define SCHED_TIMESTEPS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct spacing {
    const char *timestep_spacing;
    int num_train_timesteps; /* T */
    int last_timestep;       /* T, or fewer where lambda_min_clipped cuts the noisy end */
    int num_inference_steps; /* N */
    int steps_offset;        /* added to the `leading` grid */
    bool extra_point;        /* N + 1 points, the last (least noisy) dropped */
    bool ascending;          /* from the least noisy up; of N + 1 points the noisiest is dropped */
    bool fractional;         /* the `linspace` grid is not rounded to integers */
    bool no_extra_step;      /* `trailing` has its N points, whatever np.arange counts */
};

/* Table 2: the grid from the noisiest timestep down (or up to it), allocated. The values are integers unless
 * `fractional`. `trailing` can have one entry more than N, which is -1 (in front where ascending): the step
 * T/N is inexact, and np.arange counts one more, unless `no_extra_step`. Refuses an unknown spacing, and
 * N = 0 where T/N enters. */
enum status timesteps_spaced(
    const struct spacing *spacing, double **timesteps, size_t *count, struct error *error);

/* Refuses more steps than the schedule of training has. */
enum status timesteps_check_count(int steps, int num_train_timesteps, struct error *error);

/* Of a count of steps and custom timesteps exactly one must be given. */
enum status timesteps_check_one_given(bool has_steps, const double *timesteps, struct error *error);

/* Custom timesteps, which must fall and begin below num_train_timesteps, as the int64 list that they become:
 * allocated, [count]. */
enum status timesteps_custom(
    const double *custom, size_t count, int num_train_timesteps, double **timesteps, struct error *error);

/* Every timestep of training, n - 1 down to 0: [n], allocated; NULL where memory is out. */
double *timesteps_of_training(size_t n);

/* As a cast to int64 leaves a number: cut towards zero; what does not fit is the most negative integer. */
double timestep_truncated(double timestep);

/* The last first: [count], in place. */
void reverse_numbers(double *numbers, size_t count);

/* np.linspace(start, stop, n) in double: [n]. */
void numpy_linspace(double start, double stop, size_t n, double *out);

#endif
