/*
 * The entries of the vector tables (kernels/vector.h) that no kernel of kernels.h shows alone, and the blocks
 * that products are made of (kernels/micro_kernel.h), whose contract is a sum of fused multiply-adds in
 * order.
 */
#include "kernels/real.h"

#include "kernels/micro_kernel.h"
#include "kernels/vector.h"
#include "tests/kernel_check.h"

#include <stdlib.h>
#include <string.h>
#include <tgmath.h>

static const size_t lengths[] = {1, 7, 8, 15, 16, 17, 31, 33, 320, 1281};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* What the entries take besides their vectors: any numbers, the same in the kernel and in its twin. */
static const double term = -0.37, factor = 1.9, mean = 0.11;

/* A double as reals that add up to it, so that all its bits are compared: what 24 bits leave over, twice. */
enum { SPLIT = 3 };
static void split(double x, real y[SPLIT])
{
    for (int i = 0; i < SPLIT; i++) {
        y[i] = (real)x;
        x = isfinite(x) ? x - (double)y[i] : 0;
    }
}

static void call_add_constant(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    vector_kernels()->add_constant(run->inputs[0], (real)term, run->n, y);
}

static void call_multiply_constant(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    vector_kernels()->multiply_constant(run->inputs[0], (real)factor, run->n, y);
}

static void call_affine(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    vector_kernels()->affine(run->inputs[0], factor, term, run->n, y);
}

static void call_normalise(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    vector_kernels()->normalise(run->inputs[0], mean, factor, run->inputs[1], run->inputs[2], run->n, y);
}

/* Each with its twin: the result, and the magnitudes that were added. */
static const struct {
    void (*call)(const struct kernel_run *run, real *y, real *scratch);
    const char *name;
} maps[] = {{call_add_constant, "add_constant"}, {call_multiply_constant, "multiply_constant"},
    {call_affine, "affine"}, {call_normalise, "normalise"}};

static exact twin_map(size_t which, exact x, exact w, exact bias, exact *size)
{
    exact first, second;
    switch (which) {
    case 0: first = x, second = (exact)(real)term; break;
    case 1: first = x * (exact)(real)factor, second = 0; break;
    case 2: first = x * (exact)factor, second = (exact)term; break;
    default: first = (x - (exact)mean) * (exact)factor * w, second = bias; break;
    }
    *size = fabs(first) + fabs(second) + (which == 3 ? fabs((exact)mean * (exact)factor * w) : 0);
    return first + second;
}

/* One rounding to real; and, where the entry works in double, a handful there, as the twin's own. */
static void check_map(struct checker *k, size_t which, size_t index)
{
    size_t n = lengths[index];
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        const struct kernel_run run = {.k = k,
            .kind = (enum input_kind)kind,
            .seed = 40 + 10 * (unsigned)which,
            .n = n,
            .call = maps[which].call,
            .in_place = true};
        struct kernel_case c;
        case_begin(&c, &run, "%s of %zu", maps[which].name, n);
        case_input(&c, (enum input_kind)kind, n);
        case_input(&c, INPUT_NORMAL, n);
        case_input(&c, INPUT_NORMAL, n);
        for (size_t i = 0; i < n; i++) {
            exact size;
            c.want[i] = twin_map(which, c.exacts[0][i], c.exacts[1][i], c.exacts[2][i], &size);
            c.bound[i] = unit_roundoff() * fabs(c.want[i]) + 8 * (exact)0x1p-53 * size + smallest_number();
        }
        case_check(&c);
    }
}

static void add_constant_cases(struct checker *k, size_t index)
{
    check_map(k, 0, index);
}

static void multiply_constant_cases(struct checker *k, size_t index)
{
    check_map(k, 1, index);
}

static void affine_cases(struct checker *k, size_t index)
{
    check_map(k, 2, index);
}

static void normalise_cases(struct checker *k, size_t index)
{
    check_map(k, 3, index);
}

/* --- Sums in double ------------------------------------------------------------------------ */

static void call_moments(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    struct vector_moments m =
        vector_kernels()->moments(run->inputs[0], run->inputs[0][0], *(const size_t *)run->shape);
    split(m.sum, y);
    split(m.squares, y + SPLIT);
}

/* The first of the parts that a sum is split into is judged, the others' bits are compared. */
static void moments_cases(struct checker *k, size_t index)
{
    size_t n = lengths[index];
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        const struct kernel_run run = {.k = k,
            .kind = (enum input_kind)kind,
            .seed = 90,
            .shape = &lengths[index],
            .n = (size_t)2 * SPLIT,
            .call = call_moments};
        struct kernel_case c;
        case_begin(&c, &run, "moments of %zu", n);
        case_input(&c, (enum input_kind)kind, n);
        exact sizes[2] = {0};
        for (size_t i = 0; i < n; i++) {
            exact difference = c.exacts[0][i] - c.exacts[0][0];
            c.want[0] += difference;
            c.want[SPLIT] += difference * difference;
            sizes[0] += fabs(difference);
            sizes[1] += difference * difference;
        }
        for (size_t i = 0; i < run.n; i++) {
            c.bound[i] = (exact)INFINITY;
            if (i % SPLIT != 0 && isfinite(sizes[0])) c.want[i] = 0;
        }
        for (size_t i = 0; i < 2; i++)
            c.bound[i * SPLIT] = unit_roundoff() * fabs(c.want[i * SPLIT]) +
                                 (exact)(2 * n + 4) * (exact)0x1p-53 * sizes[i] + smallest_number();
        case_check(&c);
    }
}

/* --- Softmax's columns ---------------------------------------------------------------------- */

enum { ROWS = 5 };

static void call_column_maxima(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    for (size_t j = 0; j < run->n; j++) y[j] = -(real)INFINITY;
    vector_kernels()->column_maxima(run->inputs[0], ROWS, run->n, y);
    for (size_t j = 0; j < run->n; j++) y[j] += 0; /* either zero will do: -0 + 0 is 0 */
}

/* Of those with a NaN, any number will do: they are left out. */
static void column_maxima_cases(struct checker *k, size_t index)
{
    size_t columns = lengths[index];
    for (int kind = 0; kind < INPUT_NAN; kind++) {
        const struct kernel_run run = {
            .k = k, .kind = (enum input_kind)kind, .seed = 95, .n = columns, .call = call_column_maxima};
        struct kernel_case c;
        case_begin(&c, &run, "column_maxima of %d x %zu", ROWS, columns);
        case_input(&c, (enum input_kind)kind, ROWS * columns);
        for (size_t j = 0; j < columns; j++) {
            c.want[j] = c.exacts[0][j];
            for (size_t i = 1; i < ROWS; i++)
                if (c.exacts[0][i * columns + j] > c.want[j]) c.want[j] = c.exacts[0][i * columns + j];
        }
        case_check(&c);
    }
}

static void call_column_exp2(const struct kernel_run *run, real *y, real *scratch)
{
    size_t columns = *(const size_t *)run->shape;
    double *sums = checker_zeros(columns * sizeof *sums);
    for (size_t i = 0; i < ROWS * columns; i++) y[i] = -fabs(run->inputs[0][i]);
    for (size_t j = 0; j < columns; j++) scratch[j] = 0;
    vector_kernels()->column_exp2(y, ROWS, columns, scratch, sums);
    for (size_t j = 0; j < columns; j++) split(sums[j], y + ROWS * columns + j * SPLIT);
    free(sums);
}

static size_t scratch_column(const struct kernel_run *run)
{
    return *(const size_t *)run->shape;
}

/* 0.8 ulp in float (kernels/elementary.h), libm's 1 in double; an ulp is at most 2 u |y|. */
static void column_exp2_cases(struct checker *k, size_t index)
{
    size_t columns = lengths[index], n = ROWS * columns;
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        const struct kernel_run run = {.k = k,
            .kind = (enum input_kind)kind,
            .seed = 97,
            .shape = &lengths[index],
            .n = n + columns * SPLIT,
            .call = call_column_exp2,
            .scratch = scratch_column};
        struct kernel_case c;
        case_begin(&c, &run, "column_exp2 of %d x %zu", ROWS, columns);
        case_input(&c, (enum input_kind)kind, n);
        for (size_t i = n; i < run.n; i++) c.bound[i] = (exact)INFINITY;
        for (size_t i = 0; i < n; i++) {
            c.want[i] = exp2(-fabs(c.exacts[0][i]));
            c.bound[i] = 2 * unit_roundoff() * c.want[i] +
                         (PLUMB_REAL_IS_DOUBLE ? smallest_number() : (exact)0x1p-120);
            size_t sum = n + i % columns * SPLIT;
            c.want[sum] += c.want[i];
        }
        for (size_t j = n; j < run.n; j += SPLIT)
            c.bound[j] = 4 * unit_roundoff() * c.want[j] + ROWS * (exact)0x1p-120;
        for (size_t j = n; j < run.n; j++)
            if (j % SPLIT != n % SPLIT && isnan(c.want[j - (j - n) % SPLIT])) c.want[j] = 0;
        case_check(&c);
    }
}

static void call_column_multiply(const struct kernel_run *run, real *y, real *scratch)
{
    (void)scratch;
    memcpy(y, run->inputs[0], run->n * sizeof *y);
    vector_kernels()->column_multiply(y, ROWS, run->n / ROWS, run->inputs[1]);
}

static void column_multiply_cases(struct checker *k, size_t index)
{
    size_t columns = lengths[index];
    for (int kind = 0; kind < INPUT_KINDS; kind++) {
        const struct kernel_run run = {.k = k,
            .kind = (enum input_kind)kind,
            .seed = 99,
            .n = ROWS * columns,
            .call = call_column_multiply};
        struct kernel_case c;
        case_begin(&c, &run, "column_multiply of %d x %zu", ROWS, columns);
        case_input(&c, (enum input_kind)kind, run.n);
        case_input(&c, INPUT_NORMAL, columns);
        for (size_t i = 0; i < run.n; i++) {
            c.want[i] = c.exacts[0][i] * c.exacts[1][i % columns];
            c.bound[i] = unit_roundoff() * fabs(c.want[i]) + smallest_number();
        }
        case_check(&c);
    }
}

/* --- Blocks of a product -------------------------------------------------------------------- */

static const size_t depths[] = {1, 7, 15, 17, 31, 33, MICRO_DEPTH};
enum { DEPTHS = sizeof depths / sizeof *depths };

/* By the contract: a sum over k in order, each step one fused multiply-add, then added to what c holds. */
static void micro_definition(
    size_t rows, size_t columns, size_t depth, const real *a, const real *b, const real *before, real *c)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < columns; j++) {
            real sum = 0;
            for (size_t d = 0; d < depth; d++) sum = fma(a[i * depth + d], b[d * columns + j], sum);
            c[i * columns + j] = before != NULL ? before[i * columns + j] + sum : sum;
        }
    }
}

/* Every number of rows that the set in use takes; c has one canary column more than it needs. */
static void check_micro(struct checker *k, size_t depth, enum input_kind kind)
{
    const struct micro_kernel *micro = micro_kernel_in_use();
    size_t columns = micro->columns, most = micro->most_rows, stride = columns + 1;
    real *a = make_input(k, kind, 1, most * depth), *b = make_input(k, kind, 2, depth * columns);
    real *before = make_input(k, INPUT_NORMAL, 3, most * columns);
    real *want = checker_memory(most * columns * sizeof *want);
    real *got = checker_memory(most * columns * sizeof *got), *c = checker_memory(most * stride * sizeof *c);
    for (size_t rows = 1; rows <= most; rows++) {
        for (int accumulate = 0; accumulate <= 1; accumulate++) {
            for (size_t i = 0; i < most * stride; i++)
                c[i] = i % stride < columns ? before[i / stride * columns + i % stride] : (real)-7;
            micro->multiply(rows, depth, a, depth, 1, b, c, stride, accumulate != 0);
            micro_definition(rows, columns, depth, a, b, accumulate ? before : NULL, want);
            memcpy(want + rows * columns, before + rows * columns, (most - rows) * columns * sizeof *want);
            for (size_t i = 0; i < most * columns; i++) got[i] = c[i / columns * stride + i % columns];
            const struct kernel_run run = {.k = k, .name = "multiply", .kind = kind, .n = most * columns};
            check_equal_bits(&run, kernels_set_name(kernels_in_use()), got, want);
            for (size_t i = 0; i < most; i++)
                if (c[i * stride + columns] != -7)
                    checker_fail(
                        k, "multiply: %s: wrote beside row %zu", kernels_set_name(kernels_in_use()), i);
        }
    }
    checker_count(k, "multiply", 0);
    free(a), free(b), free(before), free(want), free(got), free(c);
}

static void micro_kernel_cases(struct checker *k, size_t index)
{
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++)
        for (int kind = 0; kind < INPUT_KINDS && checker_uses(k, set); kind++)
            check_micro(k, depths[index], (enum input_kind)kind);
    kernels_use(kernels_best());
}

static const struct kernel_group groups[] = {
    {"add_constant", "bit", add_constant_cases, LENGTHS},
    {"multiply_constant", "bit", multiply_constant_cases, LENGTHS},
    {"affine", "bit", affine_cases, LENGTHS},
    {"normalise", "bit", normalise_cases, LENGTHS},
    {"moments", "acc", moments_cases, LENGTHS},
    {"column_maxima", "bit", column_maxima_cases, LENGTHS},
    {"column_exp2", "ulp", column_exp2_cases, LENGTHS},
    {"column_multiply", "bit", column_multiply_cases, LENGTHS},
    {"micro_kernel", "bit", micro_kernel_cases, DEPTHS},
    {0},
};

const struct kernel_group *kernel_vectors_groups(void)
{
    return groups;
}
