/*
 * plumb help: the program's help or a command's, in one of its forms (cli_help.h).
 */
#include "cli_help.h"
#include "commands.h"

static const char description[] =
    "What `plumb --help` or `plumb COMMAND --help` prints; the same as a manual page for man(1); or the "
    "script by which bash completes commands, options and their arguments. All three are made from the "
    "tables that command lines are read by.";
static const char examples[] = "  plumb help run\n"
                               "  plumb help run --format man | man -l -\n"
                               "  source <(plumb help --format bash)";

/* As the command explains itself: nothing knows its options but the command. */
static enum status explain(
    struct invocation *invocation, const struct command *command, enum help_form help_form)
{
    char name[32], help[] = "--help";
    snprintf(name, sizeof name, "%s", command->name);
    char *argv[] = {name, help, NULL};
    struct invocation asked = {.argc = 2,
        .argv = argv,
        .out = invocation->out,
        .messages = invocation->messages,
        .help_form = help_form};
    enum status status = command->run(&asked);
    warnings_free(&asked.warnings);
    if (status != STATUS_OK) invocation->error = asked.error;
    return status;
}

static enum status write_completion(struct invocation *invocation)
{
    enum status status = STATUS_OK;
    completion_write_begin(invocation->out);
    for (const struct command *command = commands; command->name && status == STATUS_OK; command++)
        status = explain(invocation, command, HELP_AS_COMPLETION);
    completion_write_end(invocation->out);
    return status;
}

enum status command_help(struct invocation *invocation)
{
    static const char *const forms[] = {"text", "man", "bash", NULL}; /* in the order of enum help_form */
    int form = HELP_AS_TEXT;
    const struct cli_option options[] = {{.name = "format",
        .kind = CLI_CHOICE,
        .value = &form,
        .argument = "FORM",
        .choices = forms,
        .help = "text, man (a manual page), or bash (a script for it to source; of all commands)"}};
    const struct cli_usage usage = {"[COMMAND] [options]", description, examples, options, 1, 0, 1};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    const struct command *command = NULL;
    if (invocation->positional_count > 0) {
        command = command_find(invocation->positionals[0], &invocation->error);
        if (!command) return STATUS_BAD_INPUT;
    }
    if (form == HELP_AS_COMPLETION) {
        if (!command) return write_completion(invocation);
        return error_input(&invocation->error,
            "--format: expected no command beside bash, whose script has them all, got \"%s\"",
            command->name);
    }
    if (command) return explain(invocation, command, (enum help_form)form);
    (form == HELP_AS_TEXT ? help_write_program : man_write_program)(invocation->out);
    return STATUS_OK;
}
