/*
 * Inside of weights.c: the files that hold a component's weights.
 */
#ifndef REF_WEIGHTS_FILES_H
#define REF_WEIGHTS_FILES_H

#include "checkpoint.h"
#include "tensor_set.h"

struct weights_file {
    char *path;
    struct tensor_set *tensors;
};

struct weights_files {
    struct weights_file *items;
    size_t count;
    char *source; /* the one file, or the shards' index: what a message names for what is missing */
    cJSON *index; /* of shards; NULL for one file */
    const cJSON *weight_map; /* in the index: tensor -> shard, each a string; every shard is one of items */
};

/* What the names of a component's weights begin with: "model", "diffusion_pytorch_model". */
const char *weights_stem(const char *component);

/* Chooses the files, opens and maps them. */
enum status weights_files_open(const struct checkpoint *checkpoint, const char *component,
    const char *variant, struct weights_files *files, struct error *error);
void weights_files_close(struct weights_files *files);

#endif
