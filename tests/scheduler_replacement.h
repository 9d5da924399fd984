/*
 * Runs of every scheduler class with random model outputs, in which the scheduler is replaced by its copy.
 */
#ifndef TESTS_SCHEDULER_REPLACEMENT_H
#define TESTS_SCHEDULER_REPLACEMENT_H

/* Before each step the scheduler is copied and freed, and the copy goes on: the samples are the same bits as
 * those of a run without copies. A copy that steps on other data in between changes nothing. For every class,
 * with its defaults. */
void check_replaced_schedulers_f32(void);
void check_replaced_schedulers_f64(void);

/* Saved bytes with any one byte changed, cut at any length, or of the other arithmetic are refused. */
void check_damaged_schedulers_f32(void);
void check_damaged_schedulers_f64(void);

#endif
