/*
 * Help as a text, for a terminal: lines of at most 100 columns.
 */
#include "cli_help.h"
#include "commands.h"
#include "version.h"

#include <string.h>

const char *const exit_status_meanings[EXIT_STATUSES] = {
    [STATUS_OK] = "done, and whatever was compared agrees",
    [STATUS_DISAGREE] = "it does not agree",
    [STATUS_BAD_INPUT] = "the command line or an input is wrong",
    [STATUS_MACHINE] = "the machine failed (memory, disk)",
};

/* Writes a paragraph in lines of up to 100 columns; the first begins at column `at`, the others at `indent`.
 * A paragraph ends with the text or at an empty line; returns what follows. */
static const char *write_wrapped(FILE *out, const char *text, int at, int indent)
{
    int column = at;
    while (*text && strncmp(text, "\n\n", 2) != 0) {
        int length = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + length > 100) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", length, text);
        column += length;
        text += length;
        if (strncmp(text, "\n\n", 2) != 0) text += strspn(text, " \n");
    }
    fputc('\n', out);
    return text + strspn(text, "\n");
}

/* Writes a paragraph line by line as it is; returns what follows. */
static const char *write_as_it_is(FILE *out, const char *text)
{
    const char *end = strstr(text, "\n\n");
    int length = (int)(end ? (size_t)(end - text) : strlen(text));
    fprintf(out, "%.*s\n", length, text);
    return text + length + strspn(text + length, "\n");
}

void help_write_command(FILE *out, const char *command, const struct cli_usage *usage)
{
    enum { HELP_COLUMN = 28 };
    fprintf(out, "usage: plumb %s%s%s\n", command, *usage->arguments ? " " : "", usage->arguments);
    const char *text = usage->description;
    while (*text) {
        fputc('\n', out);
        text = *text == ' ' ? write_as_it_is(out, text) : write_wrapped(out, text, 0, 0);
    }
    fprintf(out, "\noptions:\n");
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        int used = fprintf(out, "  --%s%s%s", option->alias ? option->alias : option->name,
            option->argument ? " " : "", option->argument ? option->argument : "");
        if (used >= HELP_COLUMN) used = fprintf(out, "\n") - 1;
        fprintf(out, "%*s", HELP_COLUMN - used, "");
        write_wrapped(out, option->help, HELP_COLUMN, HELP_COLUMN);
    }
    fprintf(out, "  %-*s%s\n", HELP_COLUMN - 2, "--help", "this text");
    fprintf(out, "\nexamples:\n%s\n", usage->examples);
}

void help_write_program(FILE *out)
{
    fprintf(out, "Plumb " PLUMB_VERSION ": the numerical reference for text-to-image diffusion models.\n\n"
                 "usage: plumb COMMAND ...\n\n");
    for (const struct command *command = commands; command->name; command++) {
        char words[64];
        snprintf(words, sizeof words, "%s %s", command->name, command->arguments);
        fprintf(out, "  plumb %-24s %s\n", words, command->summary);
    }
    fprintf(out,
        "\n`plumb COMMAND --help` explains a command, with examples. `plumb --version` says the version.\n");
    char statuses[256] = "Exit status: ";
    for (int i = 0; i < EXIT_STATUSES; i++) {
        size_t used = strlen(statuses);
        snprintf(statuses + used, sizeof statuses - used, "%d %s%s", i, exit_status_meanings[i],
            i + 1 < EXIT_STATUSES ? "; " : ".");
    }
    write_wrapped(out, statuses, 0, 0);
}
