/*
 * What a run's numbers ask of a number format: of every result of every operator, at all steps and for both
 * prompts, the largest magnitude, and how many would overflow or be lost in f16 and bf16. What
 * `plumb run --range` prints.
 *
 * The largest magnitudes decide whether a model runs in a format at all (SDXL's decoder does not in f16); the
 * small numbers matter less: what becomes zero was mostly nothing beside its neighbours, and a softmax has
 * many of those.
 */
#ifndef REF_RANGE_REPORT_H
#define REF_RANGE_REPORT_H

#include "layer_names.h"

#include <stdio.h>

/* The formats that are asked of, in the order of `narrow` below. */
enum { RANGE_F16, RANGE_BF16, RANGE_FORMATS };

/* How many of a result's values would be */
struct range_losses {
    size_t infinite;  /* too large, though finite */
    size_t zero;      /* too small: zero, and they are not */
    size_t subnormal; /* below the smallest normal number, with fewer bits than others; zeros included */
};

/* One operator's results over the whole run. */
struct range {
    const char *stage;     /* "unet": a component, or "pipeline" for what no model computes */
    char *layer;           /* "down_blocks.0.resnets.0.conv1"; an operator without weights stands under the
                              last layer before it */
    const char *operation; /* a kernel's name, "conv2d"; "" for a pipeline's tensor */
    size_t values, nonfinite;
    double largest;      /* magnitude of what is finite */
    char largest_at[24]; /* "step 3", "prompt", "negative prompt"; "" where there is but one place */
    struct range_losses narrow[RANGE_FORMATS];
};

struct range_report {
    struct observer observer; /* what the run is to be watched by; its context is this report */
    struct range *ranges;     /* in the order in which they are first computed */
    size_t count, capacity;

    struct layer_names *names; /* of the pipeline */
    const char *last;          /* the last layer with weights, "unet.conv_in"; NULL before the first */
    size_t next;               /* where the next result is likely to belong */
    char place[24];
};

/* Ready to watch runs of this pipeline, which must outlive it. The report must stay where it is. */
enum status range_report_open(
    const struct pipeline *pipeline, struct range_report *report, struct error *error);
void range_report_close(struct range_report *report); /* accepts one that is all zero */

/* For people: each stage, then what overflows, the worst first, then every operator in order. */
enum status range_report_write_table(const struct range_report *report, FILE *out, struct error *error);
/* For programs: all of it. */
enum status range_report_write_json(const struct range_report *report, FILE *out, struct error *error);

#endif
