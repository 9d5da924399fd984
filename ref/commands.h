/*
 * The commands: their names, what stands behind each on the command line, and what each is for. Help, manual
 * pages and completion are made from this table and from each command's own (struct cli_usage).
 */
#ifndef REF_COMMANDS_H
#define REF_COMMANDS_H

#include "cli.h"

struct command {
    const char *name, *arguments, *summary;
    enum status (*run)(struct invocation *invocation);
};

/* In the order in which help lists them; ends with a NULL. */
extern const struct command commands[];

/* NULL, with an error that says which one is meant, where there is none of that name. */
const struct command *command_find(const char *name, struct error *error);

/* The first command that has an option of this name (without hyphens); NULL where none has. */
const char *command_with_option(const char *option);

#endif
