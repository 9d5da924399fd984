#include "cli.h"
#include "contact_sheet.h"

#include "output_names.h"
#include "paths.h"

#include <stdlib.h>
#include <string.h>

static const char description[] = "Several pictures side by side, enlarged pixel by pixel, with labels under "
                                  "them. A picture without LABEL= is labelled\n"
                                  "with its file's name; \\n in a label starts a new line.";

static const char examples[] = "  plumb sheet sheet.png trailing=a.png leading=b.png\n"
                               "  plumb sheet sheet.png \"10 steps\\nAlign Your Steps=ays.png\" \"25 "
                               "steps=plain.png\" --across 2 --size 320";

/* "LABEL=PATH": the last '=' divides them, so that a label may hold one. Writes into `argument`. */
static struct sheet_item split(char *argument)
{
    char *equals = strrchr(argument, '=');
    if (!equals) return (struct sheet_item){path_base_name(argument), argument};
    *equals = '\0';
    char *to = argument;
    for (const char *from = argument; *from; from++) {
        bool new_line = from[0] == '\\' && from[1] == 'n';
        *to++ = (char)(new_line ? '\n' : *from);
        from += new_line;
    }
    *to = '\0';
    return (struct sheet_item){argument, equals + 1};
}

enum status command_sheet(struct invocation *invocation)
{
    int64_t across = 0, size = 256;
    const struct cli_option options[] = {
        {.name = "across",
            .kind = CLI_INTEGER,
            .value = &across,
            .argument = "N",
            .help = "pictures in a row (about as many as rows)",
            .minimum = 1,
            .maximum = 64},
        {.name = "size",
            .kind = CLI_INTEGER,
            .value = &size,
            .argument = "N",
            .help = "enlarge pictures up to this many pixels (256)",
            .minimum = 16,
            .maximum = 4096},
    };
    const struct cli_usage usage = {"OUT.png [LABEL=]PICTURE.png... [options]", description, examples,
        options, sizeof options / sizeof *options, 2, 257};
    struct error *error = &invocation->error;
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    status = check_picture_name("OUT", invocation->positionals[0], error);
    if (status != STATUS_OK) return status;
    size_t count = invocation->positional_count - 1;
    struct sheet_item *items = calloc(count, sizeof *items);
    if (!items) return error_memory(error, count * sizeof *items);
    for (size_t i = 0; i < count; i++) items[i] = split(invocation->positionals[i + 1]);
    const char *out = invocation->positionals[0];
    status = contact_sheet_write(out, items, count, (int)across, (int)size, error);
    if (status == STATUS_OK) fprintf(invocation->messages, "wrote %s\n", out);
    free(items);
    return status;
}
