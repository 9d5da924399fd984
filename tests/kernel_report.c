#include "tests/kernel_report.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const efforts[] = {"brief", "usual", "full"};

bool effort_by_name(const char *name, enum check_effort *effort)
{
    for (int i = EFFORT_BRIEF; i <= EFFORT_FULL; i++) {
        if (strcmp(name, efforts[i]) != 0) continue;
        *effort = (enum check_effort)i;
        return true;
    }
    return false;
}

enum check_effort effort_of_environment(void)
{
    const char *name = getenv("PLUMB_CHECK_EFFORT");
    enum check_effort effort = EFFORT_USUAL;
    if (name != NULL && !effort_by_name(name, &effort)) {
        fprintf(stderr, "PLUMB_CHECK_EFFORT: expected brief, usual or full, got \"%s\"\n", name);
        exit(2);
    }
    return effort;
}

void *checker_memory(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory != NULL) return memory;
    fprintf(stderr, "checkkernels: no memory for %zu bytes\n", bytes);
    exit(2);
}

void *checker_zeros(size_t bytes)
{
    return memset(checker_memory(bytes), 0, bytes);
}

struct checker checker_usual(void)
{
    return (struct checker){.only_set = KERNEL_SETS, .effort = EFFORT_USUAL};
}

void checker_begin(struct checker *k, const char *kernel, const char *precision, const char *accuracy)
{
    for (size_t i = 0; i < k->row_count; i++) {
        k->row = &k->rows[i];
        if (strcmp(k->row->kernel, kernel) == 0 && strcmp(k->row->precision, precision) == 0) return;
    }
    struct kernel_row *rows = checker_memory((k->row_count + 1) * sizeof *rows);
    if (k->row_count > 0) memcpy(rows, k->rows, k->row_count * sizeof *rows);
    free(k->rows);
    k->rows = rows;
    k->row = &rows[k->row_count++];
    *k->row = (struct kernel_row){.precision = precision, .accuracy = accuracy};
    snprintf(k->row->kernel, sizeof k->row->kernel, "%s", kernel);
}

bool checker_wants(const struct checker *k, const char *kernel)
{
    return k->kernel == NULL || fnmatch(k->kernel, kernel, 0) == 0;
}

bool checker_uses(const struct checker *k, enum kernel_set set)
{
    if (k->only_set != KERNEL_SETS && set != KERNELS_SCALAR && set != k->only_set) return false;
    return kernels_use(set);
}

void checker_fail(struct checker *k, const char *format, ...)
{
    char what[480], message[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(message, sizeof message, "%s (%s); again: checkkernels --kernel '%s' --seed %u --effort %s",
        what, k->row->precision, k->row->kernel, k->seed, efforts[k->effort]);
    if (k->failures == 0) memcpy(k->first, message, sizeof message);
    if (k->messages != NULL) fprintf(k->messages, "%s\n", message);
    k->failures++;
    k->row->failures++;
}

void checker_count(struct checker *k, const char *name, double share)
{
    k->row->cases++;
    if (!(share > k->row->worst)) return;
    k->row->worst = share;
    snprintf(k->row->worst_case, sizeof k->row->worst_case, "%s", name);
}

void checker_write(const struct checker *k, FILE *out)
{
    fprintf(out, "%-18s %-7s %-6s %6s %9s %6s  %-6s  %s\n", "kernel", "", "class", "cases", "of bound",
        "CPU s", "", k->bench ? "ns for each element of the result" : "the worst case");
    for (size_t i = 0; i < k->row_count; i++) {
        const struct kernel_row *row = &k->rows[i];
        fprintf(out, "%-18s %-7s %-6s %6zu %9.3f %6.2f  %-6s", row->kernel, row->precision, row->accuracy,
            row->cases, row->worst, row->seconds, row->failures > 0 ? "FAILED" : "ok");
        if (!k->bench) fprintf(out, "  %s", row->worst_case);
        for (enum kernel_set set = KERNELS_SCALAR; k->bench && set < KERNEL_SETS; set++)
            if (row->nanoseconds[set] > 0)
                fprintf(out, "  %s %.3g", kernels_set_name(set), row->nanoseconds[set]);
        fprintf(out, "\n");
    }
}

void checker_free(struct checker *k)
{
    free(k->rows);
    k->rows = k->row = NULL;
    k->row_count = 0;
}
