#include "cli_refuse.h"

#include "commands.h"
#include "usual_names.h"

#include "sched/nearest.h"

#include <stdio.h>
#include <string.h>

void cli_seek_option(struct invocation *invocation, const struct cli_usage *usage)
{
    const char *sought = invocation->sought_option;
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        if (strcmp(sought, option->name) == 0 || (option->alias && strcmp(sought, option->alias) == 0))
            invocation->sought_option_is_there = true;
    }
    invocation->helped = true;
}

/* getopt_long() has gone on to the next word where it has read all letters of a word of short options. */
static const char *refused_word(const struct invocation *invocation)
{
    const char *read = invocation->argv[optind - 1];
    size_t length = strlen(read);
    bool is_long = strncmp(read, "--", 2) == 0;
    bool is_read = !optopt || is_long || (read[0] == '-' && length > 1 && read[length - 1] == optopt);
    return is_read || optind >= invocation->argc ? read : invocation->argv[optind];
}

enum status cli_refuse_option(struct invocation *invocation, const struct option *table)
{
    struct error *error = &invocation->error;
    const char *command = invocation->argv[0], *word = refused_word(invocation);
    const char *names[256];
    size_t count = 0;
    for (; table[count].name && count < 256; count++) names[count] = table[count].name;
    char name[64], meant[96];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *bare = name + strspn(name, "-");
    for (size_t i = 0; i < count; i++)
        if (strcmp(bare, names[i]) == 0 && word[strlen(name)] == '=')
            return error_input(error, "--%s takes no value", bare); /* --flag=value */
    if (strlen(bare) == 1)
        return error_input(
            error, "unknown option %s: options have whole names; see plumb %s --help", name, command);
    bool is_own = false;
    for (size_t i = 0; i < count; i++) is_own = is_own || strcmp(bare, names[i]) == 0;
    const char *other = is_own ? NULL : command_with_option(bare);
    if (other)
        return error_input(
            error, "unknown option %s: plumb %s has it, plumb %s has not", name, other, command);
    const char *reason = why_there_is_none(bare), *likely = likely_name(bare, names, count);
    if (reason)
        return error_input(error, "unknown option %s: %s; see plumb %s --help", name, reason, command);
    return error_input(error, "unknown option %s%s; see plumb %s --help", name,
        did_you_mean(likely, "--", meant, sizeof meant), command);
}

/* What a text editor makes of hyphens and quotes. */
static bool has_typographic_dash(const char *word)
{
    return strncmp(word, "\u2013", 3) == 0 || strncmp(word, "\u2014", 3) == 0 ||
           strncmp(word, "\u2212", 3) == 0;
}

static bool has_typographic_quote(const char *word)
{
    return strstr(word, "\u201c") || strstr(word, "\u201d") || strstr(word, "\u2018");
}

enum status cli_refuse_argument(
    struct invocation *invocation, const struct cli_usage *usage, const char *word)
{
    const char *why = "";
    if (has_typographic_dash(word))
        why = " (its dash is a typographic one, not two hyphens)";
    else if (has_typographic_quote(word))
        why = " (its quotes are typographic ones, which a shell does not know)";
    else if (optind > 1 && usage->maximum_positionals > 0)
        why = " (what has spaces in it needs quotes)";
    return error_input(&invocation->error, "one argument too many: %.80s%s; usage: plumb %s %s", word, why,
        invocation->argv[0], usage->arguments);
}
