/*
 * What is said of a word on the command line that the command does not know.
 */
#ifndef REF_CLI_REFUSE_H
#define REF_CLI_REFUSE_H

#include "cli.h"

#include <getopt.h>

/* The option at which getopt_long() returned '?': which it may mean, which other command has it, or why Plumb
 * has nothing like it. `table` is getopt's own. */
enum status cli_refuse_option(struct invocation *invocation, const struct option *table);

/* An argument that is one too many. */
enum status cli_refuse_argument(
    struct invocation *invocation, const struct cli_usage *usage, const char *word);

/* cli_parse() of a command that is only asked whether it has `sought_option`. */
void cli_seek_option(struct invocation *invocation, const struct cli_usage *usage);

#endif
