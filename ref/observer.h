/*
 * Who watches a run, value by value: everything that a trace would record is shown as it is computed, under
 * the trace's names, and may be changed before the run goes on with it.
 *
 * Beyond a trace, modules are shown at every step and for both prompts: "act.unet.conv_in" of the first step
 * is "step.03.act.unet.conv_in" of the fourth, and "act.text_encoder.text_model.embeddings" of the positive
 * prompt "negative_act.text_encoder.text_model.embeddings" of the other.
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
    /* Whether a model is to be run: "text_encoder", "negative_text_encoder_2", "step.03.unet", "vae", and
     * "unet" for what it makes of the prompt before the first step. Where not, its result is not a number
     * throughout, which then goes through all that is computed from it. Asked in dry passes too. NULL:
     * always. */
    bool (*needs)(void *context, const char *model);
    /* What a kernel has just computed, of type real. `kernel` is its name as in struct kernel_call; `weight`
     * are the elements of its layer's weight as they are stored, which tell the layer (NULL where there is
     * none). A run that is watched so closely fuses no two operators, so that every intermediate is among the
     * results, and "attention_scores" is one number: the largest magnitude of them. NULL: not called. */
    enum status (*result)(void *context, const char *kernel, const void *weight, const struct tensor *result,
        struct error *error);
};

#endif
