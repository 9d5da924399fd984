#include "cli.h"
#include "table.h"
#include "version.h"

#include "kernels/cpu.h"
#include "sched/scheduler.h"

#include <png.h>
#include <utf8proc.h>
#include <zlib.h>

static const char description[] = "What a result depends on: the processor, the kernels chosen for it, the "
                                  "BLAS, and the versions of the libraries.";
static const char examples[] = "  plumb info";

static void add(struct table *table, const char *what, const char *value)
{
    table_add(table, "%s", what);
    table_add(table, "%s", value);
}

enum status command_info(struct invocation *invocation)
{
    const struct cli_usage usage = {"", description, examples, NULL, 0, 0, 0};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;

    char text[256];
    struct table table = {.alignment = "ll"};
    add(&table, "plumb", PLUMB_VERSION);
    add(&table, "CPU", kernels_cpu_name(text, sizeof text));
    add(&table, "kernels", cli_show_kernels(text, sizeof text));
    snprintf(text, sizeof text, "%d", kernels_threads());
    add(&table, "threads", text);
    add(&table, "BLAS", kernels_blas_description());
    add(&table, "BLAS core", kernels_blas_core());
    add(&table, "cJSON", cJSON_Version());
    add(&table, "libpng", png_get_libpng_ver(NULL));
    add(&table, "zlib", zlibVersion());
    snprintf(text, sizeof text, "%s (Unicode %s)", utf8proc_version(), utf8proc_unicode_version());
    add(&table, "utf8proc", text);
#ifdef __clang__
    add(&table, "compiler", __VERSION__);
#else
    add(&table, "compiler", "gcc " __VERSION__);
#endif
    for (size_t i = 0; i < scheduler_class_count(); i++)
        add(&table, i ? "" : "schedulers", scheduler_class_name(i));
    status = table_write(&table, invocation->out, "", &invocation->error);
    table_free(&table);
    return status;
}
