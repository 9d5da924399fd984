/*
 * Dynamic thresholding (Saharia et al. 2022, arXiv:2205.11487, section 2.3).
 */
#ifndef SCHED_THRESHOLDING_H
#define SCHED_THRESHOLDING_H

#include "config.h"
#include "scheduler.h"

/* For each picture of `sample` [batch, size], in place: s = the quantile (dynamic_thresholding_ratio) of the
 * magnitudes, held between 1 and sample_max_value; the picture clipped to [-s, s] and divided by s. */
enum status threshold_sample(
    const struct scheduler_config *config, real *sample, size_t batch, size_t size, struct error *error);

#endif
