/*
 * The kernel checker: every kernel x shapes of the models and odd tails x kinds of input x instruction set,
 * with canaries, against the scalar set bit for bit and against a naive twin in a wider precision
 * (kernel_check.h). A line for each kernel; exit status 0, 1 where a kernel is wrong, 2 where it was asked
 * for wrongly. The same cases run under Check as tests/test_kernels.c.
 */
#include "tests/kernel_report.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "checkkernels [options]: every kernel against the scalar set and against a naive twin\n"
    "  --kernel GLOB    only the kernels of these names (linear*)\n"
    "  --set SET        only this instruction set beside the scalar one: avx2, avx512, neon\n"
    "  --seed N         other random numbers (0)\n"
    "  --effort WHICH   brief: without large cases; usual; full: the models' operators whole (long)\n"
    "  --bench          time each kernel's largest case on one thread, too\n"
    "  --list           the names of the kernels\n";

static bool set_by_name(const char *name, enum kernel_set *set)
{
    for (enum kernel_set s = KERNELS_SCALAR; s < KERNEL_SETS; s++)
        if (strcmp(name, kernels_set_name(s)) == 0 && kernels_available(s)) {
            *set = s;
            return true;
        }
    return false;
}

static bool seed_by_text(const char *text, unsigned *seed)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *seed = (unsigned)value;
    return errno == 0 && end != text && *end == 0 && text[0] != '-' && value <= UINT_MAX;
}

static int complain(const char *option, const char *value)
{
    fprintf(stderr, "checkkernels: --%s: \"%s\" is none, or not on this processor\n%s", option, value, usage);
    return 2;
}

/* 0, or the exit status; -1 where there is nothing more to do. */
static int read_options(int argc, char **argv, struct checker *k, bool *list)
{
    static const struct option options[] = {{"kernel", required_argument, NULL, 'k'},
        {"set", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'n'},
        {"effort", required_argument, NULL, 'e'}, {"bench", no_argument, NULL, 'b'},
        {"list", no_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'k': k->kernel = optarg; break;
        case 's':
            if (!set_by_name(optarg, &k->only_set)) return complain("set", optarg);
            break;
        case 'n':
            if (!seed_by_text(optarg, &k->seed)) return complain("seed", optarg);
            break;
        case 'e':
            if (!effort_by_name(optarg, &k->effort)) return complain("effort", optarg);
            break;
        case 'b': k->bench = true; break;
        case 'l': *list = true; break;
        case 'h': fputs(usage, stdout); return -1;
        default: fputs(usage, stderr); return 2;
        }
    }
    return optind == argc ? 0 : complain("argument", argv[optind]);
}

int main(int argc, char **argv)
{
    struct checker k = checker_usual();
    bool list = false;
    k.effort = effort_of_environment();
    k.messages = stdout;
    int status = read_options(argc, argv, &k, &list);
    if (status != 0) return status < 0 ? 0 : status;

    size_t count, wanted = 0;
    struct kernel_item *items = kernel_list(&count);
    const struct kernel_group *last = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!checker_wants(&k, items[i].group->kernel)) continue;
        wanted++;
        if (!list)
            kernel_item_check(&k, &items[i]);
        else if (items[i].group != last)
            printf("%-20s %s\n", items[i].group->kernel, items[i].precision);
        last = items[i].group;
    }
    free(items);
    if (wanted == 0) return complain("kernel", k.kernel);
    if (!list) {
        size_t cases = 0;
        for (size_t i = 0; i < k.row_count; i++) cases += k.rows[i].cases;
        checker_write(&k, stdout);
        printf("%zu cases, %zu failures; sets:", cases, k.failures);
        for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++)
            if (checker_uses(&k, set)) printf(" %s", kernels_set_name(set));
        printf("; seed %u; %.1f s of CPU\n", k.seed, (double)clock() / CLOCKS_PER_SEC);
    }
    status = k.failures > 0;
    checker_free(&k);
    return status;
}
