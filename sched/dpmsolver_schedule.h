/*
 * The schedules of the family of DPM-Solver: grids of N + 1 points, of which the last is dropped, and sigmas
 * of Karras, exponential, beta, Lu or flow with timesteps of their own. The classes differ in details, which
 * are named here.
 */
#ifndef SCHED_DPMSOLVER_SCHEDULE_H
#define SCHED_DPMSOLVER_SCHEDULE_H

#include "dpmsolver.h"

struct dpm_schedule_rules {
    /* From data to noise (DPMSolverMultistepInverse). */
    bool inverse;
    /* Timesteps of training below lambda_min_clipped are not used: the class has the option. */
    bool clips_lambda;
    /* Karras's and Lu's timesteps are cut, not rounded, where beta_schedule is squaredcos_cap_v2. */
    bool cuts_cosine;
    /* Custom timesteps cannot be given with use_flow_sigmas; where they can, they are only counted. */
    bool refuses_flow_timesteps;
    /* What stands behind the N sigmas of a kind: */
    enum {
        FINAL_OF_TRAINING, /* 0 or the smallest sigma of training, as final_sigmas_type says */
        FINAL_OF_SCHEDULE, /* 0 or the last of the N once more, as final_sigmas_type says */
        FINAL_REPEATED,    /* the last of the N once more */
    } final_sigma;
};

/* The constructor, but for what is the class's own: the noise schedule, the sigmas of training, and the
 * timesteps before set_timesteps. Refuses two kinds of sigmas at once. */
#define dpm_create_schedule REAL_NAME(dpm_create_schedule)
enum status dpm_create_schedule(struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    struct warnings *warnings, struct error *error);

/* Makes timesteps, sigmas and num_inference_steps of a request. What is left of the class's state is the
 * class's to put back. */
#define dpm_make_schedule REAL_NAME(dpm_make_schedule)
enum status dpm_make_schedule(struct scheduler *scheduler, const struct dpm_schedule_rules *rules,
    const struct schedule_request *request, struct warnings *warnings, struct error *error);

/* The shown_tables hook: lambda_t, log(alpha_t / sigma_t) of each timestep of training. */
#define dpm_shown_tables REAL_NAME(dpm_shown_tables)
size_t dpm_shown_tables(const struct scheduler *scheduler, struct shown_table *tables);

#endif
