/* What a command tells the person on standard error: its warnings, and the error that it ended with. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static void show(const struct invocation *invocation, const char *colour, const char *word, const char *text)
{
    bool coloured = invocation->messages_are_seen && !getenv("NO_COLOR");
    fprintf(
        invocation->messages, "%s%s:%s %s\n", coloured ? colour : "", word, coloured ? "\033[0m" : "", text);
}

/* Several schedulers in one plot may say the same. */
static bool was_said(const struct warnings *warnings, size_t i)
{
    for (size_t earlier = 0; earlier < i; earlier++)
        if (strcmp(warnings->items[earlier], warnings->items[i]) == 0) return true;
    return false;
}

void cli_show_warnings(struct invocation *invocation)
{
    const struct warnings *warnings = &invocation->warnings;
    for (size_t *i = &invocation->warnings_shown; *i < warnings->count; ++*i)
        if (!was_said(warnings, *i)) show(invocation, "\033[33m", "warning", warnings->items[*i]);
}

void cli_show_error(const struct invocation *invocation)
{
    show(invocation, "\033[31m", "error", invocation->error.message);
}
