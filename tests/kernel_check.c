#include "kernels/real.h"

#include "tests/kernel_check.h"

#include "kernels/cpu.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

exact unit_roundoff(void)
{
    return PLUMB_REAL_IS_DOUBLE ? (exact)DBL_EPSILON / 2 : (exact)FLT_EPSILON / 2;
}

exact smallest_number(void)
{
    return PLUMB_REAL_IS_DOUBLE ? (exact)0x1p-1074L : (exact)0x1p-149;
}

exact product_bound(enum input_kind kind, size_t depth, exact size)
{
    exact growth = kind == INPUT_EQUAL ? (exact)depth : 2 * (exact)sqrt((double)depth);
    return (growth + 3) * unit_roundoff() * size + (exact)(depth + 1) * smallest_number();
}

/* splitmix64 (Steele, Lea and Flood 2014): a number in [0, 1) from a counter. */
static double uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* About standard normal: the sum of twelve uniforms less six. */
static double about_normal(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += uniform(state);
    return sum;
}

static double make_number(enum input_kind kind, size_t i, uint64_t *state)
{
    double tiny = PLUMB_REAL_IS_DOUBLE ? DBL_MIN : (double)FLT_MIN;
    double x = about_normal(state);
    switch (kind) {
    case INPUT_EQUAL: return 0.7;
    case INPUT_CANCELLING: return (i % 2 == 0 ? 1000 : -1000) + x * 1e-3 + (i % 64 < 32 ? 0 : 2000);
    case INPUT_SUBNORMAL: return x * tiny / 8;
    case INPUT_ZEROS: return x < 0 ? -0.0 : 0.0;
    case INPUT_WIDE: return ldexp(x, (int)(uniform(state) * 40) - 20);
    default: return x;
    }
}

real *make_input(const struct checker *k, enum input_kind kind, unsigned seed, size_t n)
{
    uint64_t state = (uint64_t)k->seed << 32 | seed;
    real *x = checker_memory(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (real)make_number(kind, i, &state);
    if (kind == INPUT_INFINITE && n > 0) {
        x[n / 2] = (real)INFINITY;
        x[n / 3] = -(real)INFINITY;
    }
    if (kind == INPUT_NAN && n > 0) x[n / 2] = (real)NAN;
    return x;
}

exact *make_exact(const real *x, size_t n)
{
    if (x == NULL) return NULL;
    exact *y = checker_memory(n * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = (exact)x[i];
    return y;
}

/* A buffer with canaries before and after it. It starts one element off the allocation's alignment, and all
 * of it holds the canary's bytes (a NaN), so that an element nobody wrote is seen as well. */
enum { CANARIES = 67, CANARY_BYTE = 0xff };

struct guarded {
    real *block, *data;
    size_t n;
};

static struct guarded guard(size_t n)
{
    struct guarded g = {checker_memory((n + (size_t)2 * CANARIES) * sizeof(real)), NULL, n};
    memset(g.block, CANARY_BYTE, (n + (size_t)2 * CANARIES) * sizeof(real));
    g.data = g.block + CANARIES;
    return g;
}

static const char *kind_name(enum input_kind kind)
{
    static const char *const names[INPUT_KINDS] = {
        "normal", "equal", "cancelling", "subnormal", "zeros", "wide", "infinite", "NaN"};
    return names[kind];
}

static void check_canaries(const struct kernel_run *run, const struct guarded *g, const char *how)
{
    const unsigned char *before = (const unsigned char *)g->block,
                        *after = (const unsigned char *)(g->data + g->n);
    for (size_t i = 0; i < CANARIES * sizeof(real); i++) {
        if (before[i] == CANARY_BYTE && after[i] == CANARY_BYTE) continue;
        checker_fail(run->k, "%s, %s input: %s: wrote outside of its buffer near byte %zu", run->name,
            kind_name(run->kind), how, i);
        return;
    }
}

static bool same_bits(real a, real b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

void check_equal_bits(const struct kernel_run *run, const char *how, const real *a, const real *b)
{
    double worst = -1;
    size_t at = 0, count = 0;
    for (size_t i = 0; i < run->n; i++) {
        if (same_bits(a[i], b[i])) continue;
        double apart = fabs((double)a[i] - (double)b[i]);
        if (isnan(apart)) apart = INFINITY;
        if (apart > worst) worst = apart, at = i;
        count++;
    }
    if (count == 0) return;
    checker_fail(run->k, "%s, %s input: %s: %zu of %zu differ, [%zu] is %a, expected the bits of %a",
        run->name, kind_name(run->kind), how, count, run->n, at, (double)a[at], (double)b[at]);
}

/* One run in fresh guarded buffers; the result, to be freed by its block. */
static struct guarded run_once(const struct kernel_run *run, bool in_place, const char *how)
{
    struct guarded y = guard(run->n), scratch = guard(run->scratch != NULL ? run->scratch(run) : 0);
    struct kernel_run here = *run;
    if (in_place) {
        memcpy(y.data, run->inputs[0], run->n * sizeof(real));
        here.inputs[0] = y.data;
    }
    run->call(&here, y.data, scratch.data);
    check_canaries(run, &y, how);
    check_canaries(run, &scratch, how);
    free(scratch.block);
    return y;
}

/* The error of one element as a share of its bound: above 1, or infinite, where it is wrong. */
static double share_of_bound(real y, exact want, exact bound)
{
    if (isnan(want)) return isnan(y) ? 0 : INFINITY;
    if (isinf(want)) return (exact)y == want ? 0 : INFINITY;
    exact error = (exact)y - want;
    if (error == 0 || isinf(bound)) return 0;
    double share = (double)((error < 0 ? -error : error) / bound);
    return isnan(share) ? INFINITY : share;
}

static void check_bounds(const struct kernel_run *run, const real *y, const exact *want, const exact *bound)
{
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < run->n; i++) {
        double share = share_of_bound(y[i], want[i], bound[i]);
        if (share > worst) worst = share, at = i;
    }
    char name[120];
    snprintf(name, sizeof name, "%.90s, %s input", run->name, kind_name(run->kind));
    checker_count(run->k, name, worst);
    if (worst <= 1) return;
    checker_fail(run->k, "%s: scalar: [%zu] is %.9g, expected %.12Lg within %.3Lg", name, at, (double)y[at],
        (long double)want[at], (long double)bound[at]);
}

/* Nanoseconds for each element of the result, of the largest case of a kernel; on one thread. */
static void bench_run(const struct kernel_run *run)
{
    static const double shortest = 5e-3;
    struct kernel_row *row = run->k->row;
    if (run->n < row->bench_n) return;
    row->bench_n = run->n;
    kernels_set_threads(1);
    struct guarded y = guard(run->n), scratch = guard(run->scratch != NULL ? run->scratch(run) : 0);
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        if (!checker_uses(run->k, set)) continue;
        double times = 0, seconds = 0;
        struct timespec begin, end;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        for (; seconds < shortest; times++) {
            run->call(run, y.data, scratch.data);
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
            seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
        }
        row->nanoseconds[set] = seconds / times / (double)run->n * 1e9;
    }
    free(y.block), free(scratch.block);
}

bool too_large(const struct checker *k, size_t operations)
{
    return k->effort == EFFORT_BRIEF && operations > (PLUMB_REAL_IS_DOUBLE ? 20000 : 250000);
}

void check_run(const struct kernel_run *run, const exact *want, const exact *bound)
{
    static const int threads[] = {2, 1, 3, 8};
    /* How work is cut does not depend on what the numbers are: one kind of input tries every number of
     * threads. */
    size_t tries = run->kind == INPUT_NORMAL && !run->k->few_ways ? sizeof threads / sizeof *threads : 1;
    char how[64];
    kernels_use(KERNELS_SCALAR);
    kernels_set_threads(1);
    struct guarded first = run_once(run, false, "scalar, 1 thread");
    check_bounds(run, first.data, want, bound);
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        if (!checker_uses(run->k, set)) continue;
        for (size_t i = 0; i < tries; i++) {
            kernels_set_threads(threads[i]);
            for (int in_place = 0; in_place <= (run->in_place ? 1 : 0); in_place++) {
                snprintf(how, sizeof how, "%s, %d threads%s", kernels_set_name(set), threads[i],
                    in_place ? ", in place" : "");
                struct guarded again = run_once(run, in_place, how);
                check_equal_bits(run, how, again.data, first.data);
                free(again.block);
            }
        }
    }
    free(first.block);
    if (run->k->bench && run->kind == INPUT_NORMAL) bench_run(run);
    kernels_use(kernels_best());
}

void case_begin(struct kernel_case *c, const struct kernel_run *run, const char *format, ...)
{
    *c = (struct kernel_case){.run = *run};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->name, sizeof c->name, format, arguments);
    va_end(arguments);
    c->run.name = c->name;
    c->want = checker_zeros(run->n * sizeof *c->want);
    c->bound = checker_zeros(run->n * sizeof *c->bound);
}

void case_input(struct kernel_case *c, enum input_kind kind, size_t n)
{
    size_t i = c->given++;
    c->inputs[i] = make_input(c->run.k, kind, c->run.seed + (unsigned)i, n);
    c->exacts[i] = make_exact(c->inputs[i], n);
    c->run.inputs[i] = c->inputs[i];
}

void case_free(struct kernel_case *c)
{
    for (size_t i = 0; i < CASE_INPUTS; i++) free(c->inputs[i]), free(c->exacts[i]);
    free(c->want), free(c->bound);
}

void case_check(struct kernel_case *c)
{
    check_run(&c->run, c->want, c->bound);
    case_free(c);
}
