/*
 * Who watches a run, value by value: everything that a trace would record is shown as it is computed, under
 * the trace's names, and may be changed before the run goes on with it.
 */
#ifndef REF_OBSERVER_H
#define REF_OBSERVER_H

#include "tensor.h"

struct observer {
    void *context;
    /* `value` is the run's own memory: what is written into its elements is what the next stage reads. Not
     * called in dry passes. What it returns ends the run where it is not STATUS_OK. */
    enum status (*see)(void *context, const char *name, const struct tensor *value, struct error *error);
    /* The same in dry passes, where `value` has a shape and no elements: what there will be to see. NULL: not
     * called. */
    enum status (*foresee)(void *context, const char *name, const struct tensor *value, struct error *error);
};

#endif
