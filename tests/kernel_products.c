/*
 * The kernels that are matrix products: linear, convolution. product_bound() judges them.
 */
#include "kernels/real.h"

#include "kernels/cpu.h"
#include "tests/kernel_check.h"

#include <tgmath.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* OpenBLAS's products and our own are judged by the same bound, each equal over instruction sets and
 * threads. */
static void check_both_products(struct kernel_case *c)
{
    if (!PLUMB_REAL_IS_DOUBLE) { /* the double build has OpenBLAS's alone */
        kernels_use_gemm(GEMM_OPENBLAS);
        check_run(&c->run, c->want, c->bound);
        kernels_use_gemm(GEMM_PORTABLE);
    }
    check_run(&c->run, c->want, c->bound);
    case_free(c);
}

/* Shapes of the models scaled down, sizes that no block divides, and sizes that are cut into several
 * blocks. */
struct linear_case {
    struct linear_shape shape;
    bool bias;
};
static const struct linear_case linear_shapes[] = {
    {{1, 1, 1, LINEAR_PLAIN}, true},
    {{1, 7, 15, LINEAR_PLAIN}, false},
    {{7, 33, 17, LINEAR_PLAIN}, true},
    {{2, 320, 1280, LINEAR_PLAIN}, true}, /* time embedding */
    {{77, 48, 48, LINEAR_PLAIN}, false},  /* text projection */
    {{77, 64, 256, LINEAR_PLAIN}, true},  /* CLIP's first feed-forward layer */
    {{600, 33, 100, LINEAR_PLAIN}, true}, /* two blocks of rows */
    {{1030, 40, 320, LINEAR_PLAIN}, false},
};
enum { LINEAR_SHAPES = sizeof linear_shapes / sizeof *linear_shapes };

static const enum stored_type own_type = sizeof(real) == sizeof(double) ? STORED_F64 : STORED_F32;

static size_t scratch_linear(const struct kernel_run *run)
{
    return kernel_linear_scratch(&((const struct linear_case *)run->shape)->shape);
}

static void call_linear(const struct kernel_run *run, real *y, real *scratch)
{
    const struct linear_case *c = run->shape;
    struct stored w = {run->inputs[1], own_type};
    kernel_linear(&c->shape, run->inputs[0], w, run->inputs[2], NULL, y, scratch);
}

static void check_linear(struct checker *k, const struct linear_case *l, enum input_kind kind, unsigned seed)
{
    const struct linear_shape *s = &l->shape;
    if (too_large(k, s->rows * s->in * s->out)) return;
    const struct kernel_run run = {.k = k,
        .kind = kind,
        .seed = seed,
        .shape = l,
        .n = s->rows * s->out,
        .call = call_linear,
        .scratch = scratch_linear};
    struct kernel_case c;
    case_begin(&c, &run, "linear %zux%zux%zu", s->rows, s->in, s->out);
    case_input(&c, kind, s->rows * s->in);
    case_input(&c, kind, s->out * s->in);
    if (l->bias) case_input(&c, INPUT_NORMAL, s->out);
    twin_linear(c.exacts[0], c.exacts[1], c.exacts[2], s->rows, s->in, s->out, c.want, c.bound);
    for (size_t i = 0; i < run.n; i++) c.bound[i] = product_bound(kind, s->in, c.bound[i]);
    check_both_products(&c);
}

void check_linear_shape(
    struct checker *k, const struct linear_shape *shape, enum input_kind kind, unsigned seed)
{
    const struct linear_case with_bias = {*shape, true};
    check_linear(k, &with_bias, kind, seed);
}

static void linear_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_linear(k, &linear_shapes[index], (enum input_kind)kind, 100 * (unsigned)index + 1);
}

/* batch, in: channels, height, width; out: channels, kernel height, width, stride; pad: top, bottom, left,
 * right. */
static const struct conv2d_shape conv2d_shapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, {1, 4, 7, 15, 33, 3, 3, 1, 1, 1, 1, 1}, /* conv_in */
    {2, 17, 15, 17, 7, 3, 3, 1, 1, 1, 1, 1},  /* nothing divides anything */
    {1, 48, 24, 24, 64, 3, 3, 1, 1, 1, 1, 1}, /* two chunks of K, two tiles of positions */
    {1, 100, 8, 8, 200, 3, 3, 1, 1, 1, 1, 1}, /* the finest levels: few positions, cut by channels */
    {2, 96, 33, 17, 40, 1, 1, 1, 0, 0, 0, 0}, /* a shortcut: no copy */
    {1, 700, 9, 9, 130, 1, 1, 1, 0, 0, 0, 0},
    {1, 2, 9, 9, 3, 2, 5, 3, 1, 2, 7, 8},     /* stride 3, left padding wider than a stride */
    {2, 16, 16, 17, 16, 3, 3, 2, 1, 1, 1, 1}, /* the UNet's downsampler */
    {1, 16, 16, 16, 16, 3, 3, 2, 0, 1, 0, 1}, /* the encoder's: bottom and right only */
    {1, 3, 33, 31, 8, 1, 1, 2, 0, 0, 0, 0},
    {1, 3, 5, 4, 7, 3, 3, 1, 2, 0, 3, 1},      /* padding as wide as the kernel */
    {1, 3, 2, 1, 7, 3, 3, 1, 1, 1, 1, 1},      /* input smaller than the kernel */
    {1, 2, 9, 40, 5, 5, 2, 3, 4, 1, 0, 7},     /* neither square nor symmetric */
    {1, 8, 23, 23, 12, 16, 32, 1, 0, 0, 9, 9}, /* a kernel larger than a chunk */
};
enum { CONV2D_SHAPES = sizeof conv2d_shapes / sizeof *conv2d_shapes };

static size_t scratch_conv2d(const struct kernel_run *run)
{
    return kernel_conv2d_scratch(run->shape);
}

static void call_conv2d(const struct kernel_run *run, real *y, real *scratch)
{
    struct stored w = {run->inputs[1], own_type};
    kernel_conv2d(run->shape, run->inputs[0], w, run->inputs[2], NULL, NULL, y, scratch);
}

static void check_conv2d(
    struct checker *k, const struct conv2d_shape *s, enum input_kind kind, unsigned seed, bool with_bias)
{
    size_t depth = s->in_channels * s->kernel_height * s->kernel_width;
    const struct kernel_run run = {.k = k,
        .kind = kind,
        .seed = seed,
        .shape = s,
        .n = s->batch * s->out_channels * conv2d_out_height(s) * conv2d_out_width(s),
        .call = call_conv2d,
        .scratch = scratch_conv2d};
    if (too_large(k, run.n * depth)) return;
    struct kernel_case c;
    case_begin(&c, &run, "conv2d [%zu, %zu, %zu, %zu] to %zu, kernel %zux%zu, stride %zu", s->batch,
        s->in_channels, s->in_height, s->in_width, s->out_channels, s->kernel_height, s->kernel_width,
        s->stride);
    case_input(&c, kind, s->batch * s->in_channels * s->in_height * s->in_width);
    case_input(&c, kind, s->out_channels * depth);
    if (with_bias) case_input(&c, INPUT_NORMAL, s->out_channels);
    twin_conv2d(s, c.exacts[0], c.exacts[1], c.exacts[2], c.want, c.bound);
    for (size_t i = 0; i < run.n; i++) c.bound[i] = product_bound(kind, depth, c.bound[i]);
    check_both_products(&c);
}

void check_conv2d_shape(
    struct checker *k, const struct conv2d_shape *shape, enum input_kind kind, unsigned seed)
{
    check_conv2d(k, shape, kind, seed, true);
}

static void conv2d_cases(struct checker *k, size_t index)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_conv2d(
            k, &conv2d_shapes[index], (enum input_kind)kind, 7000 + 100 * (unsigned)index, kind % 2 == 0);
}

/* Kernels called from inside a parallel region, each thread with its own buffers: the same bits as
 * outside. */
static void nested_cases(struct checker *k, size_t index)
{
    enum { CALLERS = 4 };
    const struct conv2d_shape *shape = &conv2d_shapes[3];
    size_t in = shape->in_channels * shape->in_height * shape->in_width, depth = shape->in_channels * 9;
    size_t n = shape->out_channels * shape->in_height * shape->in_width;
    real *x = make_input(k, INPUT_NORMAL, (unsigned)index + 1, in),
         *w = make_input(k, INPUT_NORMAL, 2, shape->out_channels * depth);
    struct stored stored = {w, own_type};
    real *y[CALLERS], *scratch[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        y[i] = checker_memory(n * sizeof(real));
        scratch[i] = checker_memory(kernel_conv2d_scratch(shape) * sizeof(real));
    }
#pragma omp parallel for num_threads(CALLERS)
    for (int i = 0; i < CALLERS; i++) kernel_conv2d(shape, x, stored, NULL, NULL, NULL, y[i], scratch[i]);

    struct kernel_run run = {.k = k, .name = "nested conv2d", .n = n};
    checker_count(k, run.name, 0);
    kernel_conv2d(shape, x, stored, NULL, NULL, NULL, y[0], scratch[0]);
    for (int i = 1; i < CALLERS; i++) check_equal_bits(&run, "in a parallel region", y[i], y[0]);
    for (int i = 0; i < CALLERS; i++) free(y[i]), free(scratch[i]);
    free(x), free(w);
}

/* --- What follows a product, against the operators one after the other -------------------- */

/* A weight in every stored type: the numbers of `w` rounded to what binary16 and bfloat16 both hold, so that
 * all types store the same, each one byte off any alignment. */
struct weight_copies {
    unsigned char *bytes[4];
    struct stored stored[4];
};

/* Eight bits of significand and a small exponent: exact in both half-width types. */
static real coarse(real x)
{
    int exponent;
    double fraction = frexp((double)x, &exponent);
    return exponent < -12 ? 0 : (real)ldexp(rint(fraction * 128) / 128, exponent);
}

static uint16_t bf16_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static uint16_t f16_bits(float x)
{
    if (x == 0) return 0;
    int exponent;
    float fraction = frexpf(fabsf(x), &exponent); /* in [1/2, 1), 8 bits of it in use */
    uint32_t significand = (uint32_t)(fraction * 2048) - 1024;
    return (uint16_t)((x < 0 ? 0x8000u : 0) | (uint32_t)(exponent + 14) << 10 | significand);
}

static struct weight_copies copy_weight(real *w, size_t n)
{
    static const size_t sizes[4] = {4, 8, 2, 2}; /* in the order of enum stored_type */
    struct weight_copies copies;
    for (int type = 0; type < 4; type++) {
        copies.bytes[type] = checker_memory(n * sizes[type] + 1);
        copies.stored[type] = (struct stored){copies.bytes[type] + 1, (enum stored_type)type};
    }
    for (size_t i = 0; i < n; i++) {
        w[i] = coarse(w[i]);
        float single = (float)w[i];
        double twice = (double)w[i];
        uint16_t f16 = f16_bits(single), bf16 = bf16_bits(single);
        memcpy(copies.bytes[STORED_F32] + 1 + 4 * i, &single, 4);
        memcpy(copies.bytes[STORED_F64] + 1 + 8 * i, &twice, 8);
        memcpy(copies.bytes[STORED_F16] + 1 + 2 * i, &f16, 2);
        memcpy(copies.bytes[STORED_BF16] + 1 + 2 * i, &bf16, 2);
    }
    return copies;
}

static void free_copies(struct weight_copies *copies)
{
    for (int type = 0; type < 4; type++) free(copies->bytes[type]);
}

static real *numbers_for(size_t n)
{
    real *x = checker_memory(n * sizeof *x);
    return x;
}

/* The layer, then each operator alone; y: [rows, out] or, with GEGLU, [rows, out / 2]. */
static void separate_linear(const struct linear_shape *shape, const real *x, struct stored w,
    const real *bias, const real *residual, real *y)
{
    struct linear_shape plain = *shape;
    plain.after = LINEAR_PLAIN;
    size_t n = shape->rows * shape->out;
    real *product = numbers_for(n), *scratch = numbers_for(kernel_linear_scratch(&plain));
    kernel_linear(&plain, x, w, bias, NULL, product, scratch);
    switch (shape->after) {
    case LINEAR_PLAIN: memcpy(y, product, n * sizeof *y); break;
    case LINEAR_GELU: kernel_gelu(product, n, y); break;
    case LINEAR_QUICK_GELU: kernel_quick_gelu(product, n, y); break;
    case LINEAR_GEGLU:
        n /= 2;
        kernel_geglu(product, shape->rows, shape->out / 2, y);
        break;
    }
    if (residual != NULL) kernel_add(residual, y, n, y);
    free(product), free(scratch);
}

static const size_t after_sizes[][3] = {
    {1, 7, 2}, {7, 33, 34}, {77, 300, 130}, {530, 40, 700}, {15, 257, 66}, {33, 1024, 96}};
enum { AFTER_SIZES = sizeof after_sizes / sizeof *after_sizes };

static void check_linear_after(struct checker *k, struct linear_shape shape)
{
    if (too_large(k, shape.rows * shape.in * shape.out)) return;
    size_t n = shape.rows * shape.out / (shape.after == LINEAR_GEGLU ? 2 : 1);
    real *x = make_input(k, INPUT_NORMAL, 1, shape.rows * shape.in),
         *bias = make_input(k, INPUT_NORMAL, 2, shape.out);
    real *w = make_input(k, INPUT_NORMAL, 3, shape.in * shape.out),
         *residual = make_input(k, INPUT_NORMAL, 4, n);
    real *want = numbers_for(n), *y = numbers_for(n);
    struct weight_copies copies = copy_weight(w, shape.in * shape.out);
    struct kernel_run run = {.k = k, .name = "linear and what follows", .n = n, .seed = (unsigned)shape.out};
    separate_linear(&shape, x, (struct stored){w, own_type}, bias, residual, want);
    for (int type = 0; type < 4; type++) {
        for (int threads = 1; threads <= 3; threads += 2) {
            kernels_set_threads(threads);
            real *scratch = numbers_for(kernel_linear_scratch(&shape));
            kernel_linear(&shape, x, copies.stored[type], bias, residual, y, scratch);
            check_equal_bits(&run, "apart from its residual", y, want);
            memcpy(y, residual, n * sizeof *y);
            kernel_linear(&shape, x, copies.stored[type], bias, y, y, scratch);
            check_equal_bits(&run, "over its residual", y, want);
            free(scratch);
        }
    }
    free_copies(&copies);
    free(x), free(bias), free(w), free(residual), free(want), free(y);
}

/* Each kind of product in each instruction set. */
static void for_all_products(struct checker *k, void (*check)(struct checker *, size_t), size_t argument)
{
    for (enum gemm_kind kind = PLUMB_REAL_IS_DOUBLE ? GEMM_PORTABLE : GEMM_OPENBLAS; kind < GEMM_KINDS;
         kind++) {
        kernels_use_gemm(kind);
        for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++)
            if (checker_uses(k, set)) check(k, argument);
    }
    kernels_use(kernels_best());
    checker_count(k, "", 0);
}

/* OpenBLAS's bits depend on the size of a tile, which with GEGLU is another one. */
static void check_linear_size(struct checker *k, size_t i)
{
    bool portable = sizeof(real) == sizeof(float) && kernels_gemm_in_use() == GEMM_PORTABLE;
    for (enum linear_after after = LINEAR_PLAIN; after <= (portable ? LINEAR_GEGLU : LINEAR_QUICK_GELU);
         after++)
        check_linear_after(
            k, (struct linear_shape){after_sizes[i][0], after_sizes[i][1], after_sizes[i][2], after});
}

static void linear_then_what_follows_cases(struct checker *k, size_t index)
{
    for_all_products(k, check_linear_size, index);
}

static void check_conv2d_after(struct checker *k, size_t i)
{
    const struct conv2d_shape *s = &conv2d_shapes[i];
    size_t in = s->batch * s->in_channels * s->in_height * s->in_width;
    size_t planes = s->batch * s->out_channels, size = conv2d_out_height(s) * conv2d_out_width(s);
    if (too_large(k, planes * size * s->in_channels * s->kernel_height * s->kernel_width)) return;
    size_t n = planes * size, weights = s->out_channels * s->in_channels * s->kernel_height * s->kernel_width;
    real *x = make_input(k, INPUT_NORMAL, 1, in), *w = make_input(k, INPUT_NORMAL, 2, weights);
    real *bias = make_input(k, INPUT_NORMAL, 3, s->out_channels),
         *shift = make_input(k, INPUT_NORMAL, 4, planes);
    real *residual = make_input(k, INPUT_NORMAL, 5, n), *want = numbers_for(n), *y = numbers_for(n);
    struct weight_copies copies = copy_weight(w, weights);
    struct kernel_run run = {.k = k, .name = "conv2d and what follows", .n = n, .seed = (unsigned)i};
    kernels_set_threads(2);
    real *scratch = numbers_for(kernel_conv2d_scratch(s));
    kernel_conv2d(s, x, (struct stored){w, own_type}, bias, NULL, NULL, want, scratch);
    kernel_add_channels(want, shift, s->batch, s->out_channels, size);
    kernel_add(residual, want, n, want);
    for (int type = 0; type < 4; type++) {
        kernel_conv2d(s, x, copies.stored[type], bias, shift, residual, y, scratch);
        check_equal_bits(&run, "apart from its residual", y, want);
        memcpy(y, residual, n * sizeof *y);
        kernel_conv2d(s, x, copies.stored[type], bias, shift, y, y, scratch);
        check_equal_bits(&run, "over its residual", y, want);
    }
    free_copies(&copies);
    free(x), free(w), free(bias), free(shift), free(residual), free(want), free(y), free(scratch);
}

static void conv2d_then_what_follows_cases(struct checker *k, size_t index)
{
    for_all_products(k, check_conv2d_after, index);
}

/* --- Enlargement and convolution in one ---------------------------------------------------- */

static const struct conv2d_shape doubled_shapes[] = {{1, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1},
    {2, 7, 5, 3, 9, 3, 3, 1, 1, 1, 1, 1}, {1, 64, 8, 8, 33, 3, 3, 1, 1, 1, 1, 1},
    {2, 70, 16, 17, 11, 3, 3, 1, 1, 1, 1, 1}, {1, 130, 33, 18, 7, 3, 3, 1, 1, 1, 1, 1}};
enum { DOUBLED_SHAPES = sizeof doubled_shapes / sizeof *doubled_shapes };

static size_t scratch_doubled(const struct kernel_run *run)
{
    return kernel_upsample_conv2d_scratch(run->shape);
}

static void call_doubled(const struct kernel_run *run, real *y, real *scratch)
{
    struct stored w = {run->inputs[1], own_type};
    kernel_upsample_conv2d(run->shape, run->inputs[0], w, run->inputs[2], y, scratch);
}

static struct conv2d_shape enlarged(const struct conv2d_shape *s)
{
    struct conv2d_shape large = *s;
    large.in_height *= 2;
    large.in_width *= 2;
    return large;
}

/* The twin enlarges and convolves; each kernel, ours and the plain two, must keep the bound of a product of
 * K = 9 C, for which the four sums of the weights' roundings leave room. */
void check_upsample_conv2d_shape(
    struct checker *k, const struct conv2d_shape *s, enum input_kind kind, unsigned seed)
{
    struct conv2d_shape large = enlarged(s);
    size_t planes = s->batch * s->in_channels, in = planes * s->in_height * s->in_width;
    const struct kernel_run run = {.k = k,
        .kind = kind,
        .seed = seed,
        .shape = s,
        .n = s->batch * s->out_channels * large.in_height * large.in_width,
        .call = call_doubled,
        .scratch = scratch_doubled};
    if (too_large(k, run.n * 9 * s->in_channels)) return;
    struct kernel_case c;
    case_begin(&c, &run, "upsample_conv2d [%zu, %zu, %zu, %zu] to %zu", s->batch, s->in_channels,
        s->in_height, s->in_width, s->out_channels);
    case_input(&c, kind, in);
    case_input(&c, kind, s->out_channels * s->in_channels * 9);
    case_input(&c, INPUT_NORMAL, s->out_channels);
    exact *x = checker_memory(4 * in * sizeof *x);
    for (size_t i = 0; i < 4 * in; i++) {
        size_t plane = i / (4 * s->in_height * s->in_width), row = i / large.in_width % large.in_height / 2;
        x[i] = c.exacts[0][(plane * s->in_height + row) * s->in_width + i % large.in_width / 2];
    }
    twin_conv2d(&large, x, c.exacts[1], c.exacts[2], c.want, c.bound);
    for (size_t i = 0; i < run.n; i++) c.bound[i] = product_bound(kind, 9 * s->in_channels, c.bound[i]);
    free(x);
    check_both_products(&c);
}

static void upsample_conv2d_cases(struct checker *k, size_t index)
{
    /* Infinite numbers of both signs under one sum of weights are left out: w0 x + w1 x is NaN where
     * (w0 + w1) x is infinite. */
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        if (kind != INPUT_INFINITE)
            check_upsample_conv2d_shape(
                k, &doubled_shapes[index], (enum input_kind)kind, 500 + 100 * (unsigned)index);
}

/* The root mean square of the error over many outputs, as a share of the plain way's: at most 2. */
static void upsample_conv2d_accuracy_cases(struct checker *k, size_t index)
{
    const struct conv2d_shape shape = {1, 256, 12, 12, 24, 3, 3, 1, 1, 1, 1, 1}, large = enlarged(&shape);
    if (too_large(k, (size_t)24 * 4 * 144 * 256 * 9)) return;
    size_t in = 256 * 144, weights = 24 * 256 * 9, n = 24 * 4 * 144;
    real *x = make_input(k, INPUT_NORMAL, (unsigned)index + 1, in),
         *w = make_input(k, INPUT_NORMAL, 2, weights);
    real *wide = numbers_for(4 * in), *y = numbers_for(n), *plain = numbers_for(n);
    real *scratch = numbers_for(kernel_upsample_conv2d_scratch(&shape) + kernel_conv2d_scratch(&large));
    struct stored stored = {w, own_type};
    kernel_upsample_nearest(x, 256, 12, 12, 24, 24, wide);
    kernel_conv2d(&large, wide, stored, NULL, NULL, NULL, plain, scratch);
    kernel_upsample_conv2d(&shape, x, stored, NULL, y, scratch);

    exact *exact_x = make_exact(wide, 4 * in), *exact_w = make_exact(w, weights);
    exact *want = checker_zeros(n * sizeof *want), *size = checker_zeros(n * sizeof *size);
    twin_conv2d(&large, exact_x, exact_w, NULL, want, size);
    exact ours = 0, plains = 0;
    for (size_t i = 0; i < n; i++) {
        ours += ((exact)y[i] - want[i]) * ((exact)y[i] - want[i]);
        plains += ((exact)plain[i] - want[i]) * ((exact)plain[i] - want[i]);
    }
    double share = (double)sqrt(ours / plains) / 2;
    checker_count(k, "error beside the plain way's", share);
    if (!(share <= 1)) checker_fail(k, "the error is %.2f of the plain way's, expected at most 2", 2 * share);
    free(x), free(w), free(wide), free(y), free(plain), free(scratch);
    free(exact_x), free(exact_w), free(want), free(size);
}

static const struct kernel_group groups[] = {
    {"linear", "acc", linear_cases, LINEAR_SHAPES},
    {"conv2d", "acc", conv2d_cases, CONV2D_SHAPES},
    {"conv2d_nested", "bit", nested_cases, 1},
    {"linear_after", "bit", linear_then_what_follows_cases, AFTER_SIZES},
    {"conv2d_after", "bit", conv2d_then_what_follows_cases, CONV2D_SHAPES},
    {"upsample_conv2d", "acc", upsample_conv2d_cases, DOUBLED_SHAPES},
    {"upsample_accuracy", "acc", upsample_conv2d_accuracy_cases, 1},
    {0},
};

const struct kernel_group *kernel_products_groups(void)
{
    return groups;
}
