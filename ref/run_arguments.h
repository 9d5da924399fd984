/*
 * The command line of `plumb run`.
 */
#ifndef REF_RUN_ARGUMENTS_H
#define REF_RUN_ARGUMENTS_H

#include "cli_recipe.h"

enum { RANGE_AS_TABLE, RANGE_AS_JSON };

struct run_arguments {
    const char *folder, *out, *trace, *noise_log, *resume;
    const char *recipes, *seeds, *shard, *out_dir; /* of many runs; NULL where not given */
    bool traces;
    struct cli_recipe recipe;
    struct cli_machine machine;
    int precision;
    bool precision_given;
    bool trace_modules, report_memory;
    bool range;
    int range_format; /* RANGE_AS_... */
};

/* Reads it; what cannot stand together is refused. `invocation->helped` says that there is nothing to do. */
enum status run_arguments_read(struct invocation *invocation, struct run_arguments *arguments);

#endif
