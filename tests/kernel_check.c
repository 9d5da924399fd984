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

exact unit_roundoff(void)
{
    return PLUMB_REAL_IS_DOUBLE ? (exact)DBL_EPSILON / 2 : (exact)FLT_EPSILON / 2;
}

exact smallest_number(void)
{
    return PLUMB_REAL_IS_DOUBLE ? 0x1p-1074L : 0x1p-149L;
}

exact product_bound(enum input_kind kind, size_t depth, exact size)
{
    exact growth = kind == INPUT_EQUAL ? (exact)depth : 2 * sqrtl((exact)depth);
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

real *make_input(enum input_kind kind, unsigned seed, size_t n)
{
    uint64_t state = seed;
    real *x = malloc((n > 0 ? n : 1) * sizeof *x);
    ck_assert_ptr_nonnull(x);
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
    exact *y = malloc((n > 0 ? n : 1) * sizeof *y);
    ck_assert_ptr_nonnull(y);
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
    struct guarded g = {malloc((n + (size_t)2 * CANARIES) * sizeof(real)), NULL, n};
    ck_assert_ptr_nonnull(g.block);
    memset(g.block, CANARY_BYTE, (n + (size_t)2 * CANARIES) * sizeof(real));
    g.data = g.block + CANARIES;
    return g;
}

/* Here and below: a passing ck_assert writes to Check's log, far too slow for each element. */
static void check_canaries(const struct kernel_run *run, const struct guarded *g, const char *how)
{
    const unsigned char *before = (const unsigned char *)g->block,
                        *after = (const unsigned char *)(g->data + g->n);
    for (size_t i = 0; i < CANARIES * sizeof(real); i++) {
        if (before[i] == CANARY_BYTE && after[i] == CANARY_BYTE) continue;
        ck_abort_msg("%s (kind %d, seed %u): %s: wrote outside of its buffer near byte %zu", run->name,
            (int)run->kind, run->seed, how, i);
    }
}

static bool same_bits(real a, real b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

void check_equal_bits(const struct kernel_run *run, const char *how, const real *a, const real *b)
{
    for (size_t i = 0; i < run->n; i++) {
        if (same_bits(a[i], b[i])) continue;
        ck_abort_msg("%s (kind %d, seed %u): %s: [%zu] is %a, scalar on one thread %a", run->name,
            (int)run->kind, run->seed, how, i, (double)a[i], (double)b[i]);
    }
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

static void check_bounds(const struct kernel_run *run, const real *y, const exact *want, const exact *bound)
{
    exact worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < run->n; i++) {
        exact error = fabsl((exact)y[i] - want[i]) - bound[i];
        if (isnan(want[i]) ? isnan(y[i]) : isinf(want[i]) && (exact)y[i] == want[i]) continue;
        if (error <= 0 && !isnan(y[i])) continue;
        if (isnan(error)) error = INFINITY;
        if (error > worst) {
            worst = error;
            at = i;
        }
    }
    ck_assert_msg(worst < 0, "%s (kind %d, seed %u): [%zu] is %.9g, expected %.9Lg within %.3Lg", run->name,
        (int)run->kind, run->seed, at, (double)y[at], want[at], bound[at]);
}

void check_run(const struct kernel_run *run, const exact *want, const exact *bound)
{
    static const int threads[] = {2, 1, 3, 8};
    /* How work is cut does not depend on what the numbers are: one kind of input tries every number of
     * threads. */
    size_t tries = run->kind == INPUT_NORMAL ? sizeof threads / sizeof *threads : 1;
    char how[64];
    ck_assert(kernels_use(KERNELS_SCALAR));
    kernels_set_threads(1);
    struct guarded first = run_once(run, false, "scalar, 1 thread");
    check_bounds(run, first.data, want, bound);
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        if (!kernels_use(set)) continue;
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
}

void case_begin(struct kernel_case *c, const struct kernel_run *run, const char *format, ...)
{
    *c = (struct kernel_case){.run = *run};
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(c->name, sizeof c->name, format, arguments);
    va_end(arguments);
    ck_assert(length > 0 && (size_t)length < sizeof c->name);
    c->run.name = c->name;
    c->want = calloc(run->n, sizeof *c->want);
    c->bound = calloc(run->n, sizeof *c->bound);
    ck_assert(c->want != NULL && c->bound != NULL);
}

void case_input(struct kernel_case *c, enum input_kind kind, size_t n)
{
    ck_assert_uint_lt(c->given, CASE_INPUTS);
    size_t i = c->given++;
    c->inputs[i] = make_input(kind, c->run.seed + (unsigned)i, n);
    c->exacts[i] = make_exact(c->inputs[i], n);
    c->run.inputs[i] = c->inputs[i];
}

void case_check(struct kernel_case *c)
{
    check_run(&c->run, c->want, c->bound);
    for (size_t i = 0; i < CASE_INPUTS; i++) free(c->inputs[i]), free(c->exacts[i]);
    free(c->want), free(c->bound);
}
