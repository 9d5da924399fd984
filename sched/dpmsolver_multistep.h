/*
 * What the two files of DPMSolverMultistepScheduler share: constructor and schedule are in
 * dpmsolver_multistep_schedule.c, the steps are in dpmsolver_multistep.c.
 */
#ifndef SCHED_DPMSOLVER_MULTISTEP_H
#define SCHED_DPMSOLVER_MULTISTEP_H

#include "config.h"
#include "history.h"
#include "scheduler.h"

#define MAX_DPM_ORDER 3

struct dpm_config {
    struct scheduler_config common;
    int solver_order;
    char *algorithm_type, *solver_type;
    bool lower_order_final, euler_at_final;
    bool use_lu_lambdas, use_flow_sigmas;
    struct optional_number flow_shift; /* set_timesteps writes it where it is given mu */
    double lambda_min_clipped;
    char *variance_type;
    bool use_dynamic_shifting;
    char *time_shift_type;
};

enum dpm_algorithm { DPMSOLVER, DPMSOLVER_PP, SDE_DPMSOLVER, SDE_DPMSOLVER_PP };

struct dpm_state {
    enum dpm_algorithm algorithm; /* what algorithm_type names */
    struct history model_outputs; /* converted: data or noise */
    int lower_order_nums;         /* steps taken since set_timesteps, counted up to solver_order */
};

static inline struct dpm_config *dpm_config_of(const struct scheduler *scheduler)
{
    return (struct dpm_config *)scheduler->config;
}

#define dpm_create REAL_NAME(dpm_create)
enum status dpm_create(struct scheduler *scheduler, struct warnings *warnings, struct error *error);

#define dpm_set_timesteps REAL_NAME(dpm_set_timesteps)
enum status dpm_set_timesteps(struct scheduler *scheduler, const struct schedule_request *request,
    struct warnings *warnings, struct error *error);

#endif
