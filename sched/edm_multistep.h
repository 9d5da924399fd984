/*
 * What EDMDPMSolverMultistep and CosineDPMSolverMultistep share: DPM-Solver++ on samples x_0 + sigma noise,
 * with a preconditioned network (edm.h). The step is that of DPMSolverMultistepScheduler with alpha = 1,
 * lambda = -log sigma, and D(x; sigma) as the predicted data.
 */
#ifndef SCHED_EDM_MULTISTEP_H
#define SCHED_EDM_MULTISTEP_H

#include "dpmsolver_multistep.h"
#include "edm.h"

/* The schedule of num_inference_steps, or of num_train_timesteps before set_timesteps: sigmas of the
 * configured kind, then `final_sigma`. `label` is what the network is told of a sigma: its timestep. */
#define edm_multistep_schedule REAL_NAME(edm_multistep_schedule)
enum status edm_multistep_schedule(struct scheduler *scheduler, size_t count, real (*label)(real sigma),
    real final_sigma, struct error *error);

/* The set_timesteps of both: checks final_sigmas_type, makes the schedule, goes back to the beginning. */
#define edm_multistep_set_timesteps REAL_NAME(edm_multistep_set_timesteps)
enum status edm_multistep_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    real (*label)(real sigma), struct error *error);

/* Members of struct solver of both classes. */
#define edm_multistep_scale_model_input REAL_NAME(edm_multistep_scale_model_input)
enum status edm_multistep_scale_model_input(struct scheduler *scheduler, double timestep, const real *sample,
    size_t n, real *model_input, struct error *error);

#define edm_multistep_step REAL_NAME(edm_multistep_step)
enum status edm_multistep_step(struct scheduler *scheduler, const struct step_input *input, real *prev_sample,
    real *pred_original_sample, struct error *error);

#endif
