/*
 * Suspects: a model that was given something else than it should have been. Where the input is recorded, and
 * right, it is not what the model was given; it then does not take our own's place (verify_variation.h).
 */
#include "suspects.h"

#include "verify_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Something else over an input. */
struct other_input {
    const char *name; /* a glob */
    enum { INPUT_ZERO, INPUT_WIDTHS_FIRST, INPUT_HALVES, INPUT_LATENTS, INPUT_OTHER } how;
    const struct tensor *other; /* of INPUT_OTHER */
    struct tensor latents;      /* where the run keeps them */
};

static void set_element(const struct tensor *tensor, size_t i, double value)
{
    if (tensor->dtype == DTYPE_F32) ((float *)tensor->data)[i] = (float)value;
    if (tensor->dtype == DTYPE_F64) ((double *)tensor->data)[i] = value;
}

static void copy_over(const struct tensor *from, const struct tensor *value)
{
    const size_t n = tensor_count(value);
    if (!from || !from->data || tensor_count(from) != n) return;
    for (size_t i = 0; i < n; i++) set_element(value, i, tensor_get_double(from, i));
}

static void exchange(const struct tensor *value, size_t i, size_t k)
{
    const double x = tensor_get_double(value, i);
    set_element(value, i, tensor_get_double(value, k));
    set_element(value, k, x);
}

static void write_over(const struct other_input *input, const struct tensor *value)
{
    const size_t n = tensor_count(value);
    switch (input->how) {
    case INPUT_ZERO:
        for (size_t i = 0; i < n; i++) set_element(value, i, 0);
        break;
    case INPUT_WIDTHS_FIRST:
        for (size_t i = 0; i + 1 < n; i += 2) exchange(value, i, i + 1);
        break;
    case INPUT_HALVES:
        for (size_t i = 0; i < n / 2; i++) exchange(value, i, i + n / 2);
        break;
    case INPUT_LATENTS: copy_over(&input->latents, value); break;
    case INPUT_OTHER: copy_over(input->other, value); break;
    }
}

static enum status see_input(void *context, const char *name, const struct tensor *value, struct error *error)
{
    struct other_input *input = context;
    (void)error;
    if (name_matches(name, input->name)) write_over(input, value);
    if (name_matches(name, "latents.init step.*.latents latents.final")) input->latents = *value;
    return STATUS_OK;
}

static void try_input(struct diagnosis *d, struct other_input input, const char *text)
{
    struct observer observer = {.context = &input, .see = see_input};
    struct variation variation = {.observer = &observer, .stays = input.name};
    struct verify_place place;
    char name[64];
    snprintf(name, sizeof name, "%s", input.name);
    if (verify_place(d->row->name, &place) && place.step >= 0 && strchr(input.name, '*'))
        step_name(name, place.step, strrchr(input.name, '.') + 1);
    if (tensor_set_find(d->theirs, name))
        suspect_variation(
            d, &variation, "%s: what is recorded as %s is not what the model was given", text, name);
    else
        suspect_variation(d, &variation, "%s", text);
}

/* The model input of the step before, as they recorded it; NULL. */
static const struct tensor *earlier_input(const struct diagnosis *d)
{
    struct verify_place place;
    char name[64];
    if (!verify_place(d->row->name, &place) || place.step < 1) return NULL;
    return tensor_set_find(d->theirs, step_name(name, place.step - 1, "model_input"));
}

void suspects_inputs(struct diagnosis *d)
{
    const struct {
        const char *rows;
        struct other_input input;
        const char *text;
    } inputs[] = {
        {SUSPECT_UNET_ROWS, {.name = "step.*.model_input", .how = INPUT_LATENTS},
            "equals ours on latents that scale_model_input has not scaled"},
        {SUSPECT_UNET_ROWS, {.name = "step.*.model_input", .how = INPUT_OTHER, .other = earlier_input(d)},
            "equals ours on the model input of the step before"},
        {SUSPECT_UNET_ROWS, {.name = "add_time_ids", .how = INPUT_WIDTHS_FIRST},
            "equals ours with the width before the height in add_time_ids"},
        {SUSPECT_UNET_ROWS, {.name = "add_time_ids", .how = INPUT_ZERO},
            "equals ours with zeros for add_time_ids"},
        {SUSPECT_UNET_ROWS, {.name = "add_text_embeds", .how = INPUT_ZERO},
            "equals ours with zeros for the pooled prompt"},
        {SUSPECT_UNET_ROWS, {.name = "add_text_embeds", .how = INPUT_HALVES},
            "equals ours with the pooled prompts of the two halves exchanged"},
        {SUSPECT_VAE_ROWS, {.name = "vae_input", .how = INPUT_LATENTS},
            "equals ours on latents that scaling_factor has not divided"},
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs && !suspects_are_settled(d); i++)
        if (name_matches(d->row->name, inputs[i].rows) &&
            (inputs[i].input.how != INPUT_OTHER || inputs[i].input.other))
            try_input(d, inputs[i].input, inputs[i].text);
}
