/*
 * What is in a checkpoint, component by component: what `plumb inspect` shows.
 */
#ifndef REF_INSPECTION_H
#define REF_INSPECTION_H

#include "checkpoint.h"

#include <stdio.h>

#define INSPECTED_COMPONENTS 7

struct inspected {
    const char *name; /* "unet" */
    char class_name[80];
    size_t files, tensors, parameters, bytes; /* of the weights */
    bool has_dtype[DTYPES];
    char figures[200];  /* the config's key figures, in words */
    enum status status; /* STATUS_OK: whole, and every value finite */
    struct error error;
};

struct inspection {
    struct checkpoint checkpoint;
    bool has_model_index; /* false: a folder with components, or a component's own folder */
    struct inspected components[INSPECTED_COMPONENTS];
    size_t count;
    struct warnings *warnings;
};

/* Opens the folder, and each component as a run would. A component that cannot be loaded is no error here:
 * its own `status` and `error` say what is wrong with it. A folder that is no checkpoint at all is. */
enum status inspection_make(const char *folder, const char *variant, struct inspection *inspection,
    struct warnings *warnings, struct error *error);
void inspection_close(struct inspection *inspection);

#endif
