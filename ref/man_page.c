/*
 * Help as a page of the manual: roff with the macros of man(7), for man-db, groff and mandoc. Its lines are
 * short, and a sentence begins a line, so that both formatters set the spaces after sentences.
 */
#include "cli_help.h"
#include "commands.h"
#include "version.h"

#include <ctype.h>
#include <string.h>

/* --- Text --------------------------------------------------------------------------------- */

/* What roff would read as something else: its escapes, and the characters that it prints as typographic ones
 * and that somebody who copies a command wants as they are. */
static void write_character(FILE *out, char c)
{
    switch (c) {
    case '\\': fputs("\\e", out); break;
    case '-': fputs("\\-", out); break;
    case '\'': fputs("\\(aq", out); break;
    case '`': fputs("\\(ga", out); break;
    case '^': fputs("\\(ha", out); break;
    case '~': fputs("\\(ti", out); break;
    case '"': fputs("\\(dq", out); break;
    default: fputc(c, out);
    }
}

static void write_escaped(FILE *out, const char *text, size_t length)
{
    if (length > 0 && *text == '.') fputs("\\&", out); /* it may begin a line */
    for (size_t i = 0; i < length; i++) write_character(out, text[i]);
}

static void write_in(FILE *out, char font, const char *text, size_t length)
{
    fprintf(out, "\\f%c", font);
    write_escaped(out, text, length);
    fputs("\\fR", out);
}

static bool ends_sentence(const char *word, size_t length, const char *next)
{
    return length > 0 && strchr(".?!", word[length - 1]) && isupper((unsigned char)*next);
}

/* A word, in which what stands between backquotes is bold. */
static void write_word(FILE *out, const char *word, size_t length, bool *bold)
{
    if (length > 0 && *word == '.') fputs("\\&", out);
    for (size_t i = 0; i < length; i++) {
        if (word[i] != '`') {
            write_character(out, word[i]);
            continue;
        }
        *bold = !*bold;
        fputs(*bold ? "\\fB" : "\\fR", out);
    }
}

/* Writes a paragraph; returns what follows the empty line at its end. */
static const char *write_paragraph(FILE *out, const char *text)
{
    enum { COLUMNS = 66 };
    size_t column = 0;
    bool bold = false;
    while (*text && strncmp(text, "\n\n", 2) != 0) {
        size_t length = strcspn(text, " \n");
        const char *next = text + length;
        bool last = !*next || strncmp(next, "\n\n", 2) == 0;
        if (!last) next += strspn(next, " \n");
        write_word(out, text, length, &bold);
        column += length + 1;
        size_t next_length = strcspn(next, " \n");
        bool ends = ends_sentence(text, length, next);
        if (!last && !ends && column + next_length <= COLUMNS) {
            fputc(' ', out);
        } else {
            /* A point at the end of a line that ends no sentence, as in "...", must not look like one. */
            if (!last && !ends && strchr(".?!", text[length - 1])) fputs("\\&", out);
            if (last && bold) fputs("\\fR", out);
            fputc('\n', out);
            column = 0;
        }
        text = next;
    }
    return text + strspn(text, "\n");
}

/* Writes lines as they stand, up to an empty one or the end; returns what follows. */
static const char *write_lines(FILE *out, const char *text)
{
    fputs(".EX\n", out);
    while (*text && *text != '\n') {
        size_t length = strcspn(text, "\n");
        write_escaped(out, text, length);
        fputc('\n', out);
        text += length + (text[length] == '\n');
    }
    fputs(".EE\n", out);
    return text + strspn(text, "\n");
}

/* --- Sections ----------------------------------------------------------------------------- */

/* "plumb", or "plumb-run" for a command. */
static void write_name(FILE *out, const char *command)
{
    fputs(command ? "plumb\\-" : "plumb", out);
    if (command) write_escaped(out, command, strlen(command));
}

static void write_title(FILE *out, const char *command, const char *summary)
{
    fputs(".\\\" Made by plumb help --format man.\n.TH PLUMB", out);
    if (command) fputs("\\-", out);
    for (const char *c = command ? command : ""; *c; c++) fputc(toupper((unsigned char)*c), out);
    fputs(" 1 " PLUMB_DATE " \"Plumb " PLUMB_VERSION "\" \"Plumb\"\n.SH NAME\n", out);
    write_name(out, command);
    fputs(" \\- ", out);
    write_escaped(out, summary, strlen(summary));
    fputc('\n', out);
}

/* "A B [options]", or several such lines, the later ones with "plumb COMMAND" before them: fixed words are
 * bold, what a person puts there is slanted. */
static void write_synopsis(FILE *out, const char *command, const char *arguments)
{
    fputs(".SH SYNOPSIS\n", out);
    for (bool first = true; first || *arguments; first = false) {
        if (!first) fputs(".br\n", out);
        fputs("\\fBplumb ", out);
        write_escaped(out, command, strlen(command));
        fputs("\\fR", out);
        arguments += strspn(arguments, " ");
        if (!first && strncmp(arguments, "plumb ", 6) == 0) {
            arguments += 6;
            arguments += strcspn(arguments, " \n");
        }
        while (*arguments && *arguments != '\n') {
            arguments += strspn(arguments, " ");
            size_t length = strcspn(arguments, " \n");
            fputc(' ', out);
            if (*arguments == '[')
                write_escaped(out, arguments, length);
            else
                write_in(out, *arguments == '-' ? 'B' : 'I', arguments, length);
            arguments += length;
        }
        fputc('\n', out);
        arguments += *arguments == '\n';
    }
}

static void write_description(FILE *out, const char *text)
{
    fputs(".SH DESCRIPTION\n", out);
    for (bool first = true; *text; first = false) {
        bool as_it_is = *text == ' ';
        if (!first) fputs(as_it_is ? ".sp\n" : ".PP\n", out);
        text = as_it_is ? write_lines(out, text) : write_paragraph(out, text);
    }
}

static void write_option_name(FILE *out, const char *name, const char *argument)
{
    fputs("\\fB\\-\\-", out);
    write_escaped(out, name, strlen(name));
    fputs("\\fR", out);
    if (!argument) return;
    fputc(' ', out);
    write_in(out, 'I', argument, strlen(argument));
}

/* The choices, where the argument's name and the help do not have them all. */
static void write_choices(FILE *out, const struct cli_option *option)
{
    bool all_are_said = true;
    for (const char *const *choice = option->choices; choice && *choice; choice++)
        all_are_said = all_are_said && (strstr(option->argument, *choice) || strstr(option->help, *choice));
    if (all_are_said) return;
    fputs(".br\nOne of", out);
    for (const char *const *choice = option->choices; *choice; choice++) {
        fputc(' ', out);
        write_in(out, 'B', *choice, strlen(*choice));
        fputs(choice[1] ? "," : ".\n", out);
    }
}

static void write_options(FILE *out, const struct cli_usage *usage)
{
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        fputs(".TP\n", out);
        if (option->alias) {
            write_option_name(out, option->alias, option->argument);
            fputs(", ", out);
        }
        write_option_name(out, option->name, option->argument);
        fputc('\n', out);
        write_paragraph(out, option->help);
        write_choices(out, option);
    }
    fputs(".TP\n\\fB\\-\\-help\\fR\nthe text of this page\n", out);
}

static void write_exit_statuses(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
    for (int i = 0; i < EXIT_STATUSES; i++) {
        fprintf(out, ".TP\n\\fB%d\\fR\n", i);
        write_paragraph(out, exit_status_meanings[i]);
    }
}

/* Every page but the one of `command` (NULL: the program's own). */
static void write_see_also(FILE *out, const char *command)
{
    fputs(".SH SEE ALSO\n", out);
    if (command) fputs(".BR plumb (1)", out);
    for (const struct command *other = commands; other->name; other++) {
        if (command && strcmp(command, other->name) == 0) continue;
        if (command || other != commands) fputs(",\n", out);
        fputs(".BR ", out);
        write_name(out, other->name);
        fputs(" (1)", out);
    }
    fputc('\n', out);
}

void man_write_command(FILE *out, const char *command, const struct cli_usage *usage)
{
    const struct command *described = command_find(command, NULL);
    write_title(out, command, described ? described->summary : command);
    write_synopsis(out, command, usage->arguments);
    write_description(out, usage->description);
    write_options(out, usage);
    write_exit_statuses(out);
    fputs(".SH EXAMPLES\n", out);
    write_lines(out, usage->examples);
    write_see_also(out, command);
}

void man_write_program(FILE *out)
{
    write_title(out, NULL, "numerical reference for text-to-image diffusion models");
    fputs(".SH SYNOPSIS\n\\fBplumb\\fR \\fICOMMAND\\fR ...\n", out);
    write_description(out,
        "Plumb computes the Diffusers text-to-image pipelines (Stable Diffusion 1.x, 2.x and XL) on a CPU: "
        "the tensors that diffusers 0.35.1 computes on PyTorch, to rounding, with the same bits on every "
        "run. Other implementations are held against it.\n\n"
        "Each command has a page of its own.");
    fputs(".SH COMMANDS\n", out);
    for (const struct command *command = commands; command->name; command++) {
        fputs(".TP\n", out);
        write_in(out, 'B', command->name, strlen(command->name));
        if (*command->arguments) {
            fputc(' ', out);
            write_in(out, 'I', command->arguments, strlen(command->arguments));
        }
        fputc('\n', out);
        write_paragraph(out, command->summary);
    }
    fputs(".SH OPTIONS\n"
          ".TP\n\\fB\\-\\-help\\fR\nthe commands; after a command's name, its options with examples\n"
          ".TP\n\\fB\\-\\-version\\fR\nthe version of the program\n",
        out);
    write_exit_statuses(out);
    fputs(".SH FILES\n", out);
    write_paragraph(out,
        "The examples name files of the source. Installed, configs/schedulers and configs/recipes are "
        "schedulers and recipes in share/plumb, beside the bin that the program is in; golden/README.md and "
        "sched/DEVIATIONS.md are in share/doc/plumb. The models and traces of golden/ are not installed.");
    fputs(".SH EXAMPLES\n", out);
    write_lines(out, "  plumb run sdxl --prompt 'a fox' --seed 7 --out fox.png --trace fox.safetensors\n"
                     "  plumb schedule DPMSolverMultistep --steps 10 --explain\n"
                     "  plumb verify sdxl port.safetensors --html report.html");
    write_see_also(out, NULL);
}
