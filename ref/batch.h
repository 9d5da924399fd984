/*
 * `plumb run` of a list: each item into files of its own name, one after the other, so that the command may
 * be interrupted and started again at any time, and may be one of several that share the list.
 */
#ifndef REF_BATCH_H
#define REF_BATCH_H

#include "cli.h"
#include "recipe_list.h"
#include "run_files.h"

struct batch {
    const char *checkpoint; /* of items that name none; may be NULL */
    const char *folder;     /* for NAME.png, NAME.safetensors, status.jsonl; made where it is not there */
    enum precision precision;
    bool traces, trace_modules;
    struct shard shard;
};

/* Runs the items of the shard. What is done already, by the key of its status and whole files, is left out;
 * what was interrupted goes on from its journal; what fails does not keep the others from being run. The
 * status is that of the worst failure, and the error says how many there were. */
enum status batch_run(struct invocation *invocation, const struct batch *batch,
    const struct recipe_list *list, struct error *error);

#endif
