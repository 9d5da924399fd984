/*
 * The forms in which the program explains itself, each of them from the tables that the command line is read
 * by: a text (--help), a manual page for man(1), and the words that bash completes.
 */
#ifndef REF_CLI_HELP_H
#define REF_CLI_HELP_H

#include "cli.h"

/* What the exit statuses mean, in the order of their numbers. */
enum { EXIT_STATUSES = 4 };
extern const char *const exit_status_meanings[EXIT_STATUSES];

/* --- A text ------------------------------------------------------------------------------- */
void help_write_program(FILE *out);
void help_write_command(FILE *out, const char *command, const struct cli_usage *usage);

/* --- A manual page, in the macros of man(7) ----------------------------------------------- */
void man_write_program(FILE *out);
void man_write_command(FILE *out, const char *command, const struct cli_usage *usage);

/* --- bash's completion -------------------------------------------------------------------- */
/* A script for bash to source: the beginning, every command's part, the end. */
void completion_write_begin(FILE *out);
void completion_write_command(FILE *out, const char *command, const struct cli_usage *usage);
void completion_write_end(FILE *out);

#endif
