/*
 * The kernels that are matrix products: linear, convolution. product_bound() judges them.
 */
#include "kernels/real.h"

#include "kernels/cpu.h"
#include "tests/kernel_check.h"

#include <math.h>
#include <stdlib.h>

/* OpenBLAS's products and our own are judged by the same bound, each equal over instruction sets and threads.
 */
static void check_both_products(struct kernel_case *c)
{
    kernels_use_gemm(GEMM_PORTABLE);
    check_run(&c->run, c->want, c->bound);
    kernels_use_gemm(GEMM_OPENBLAS);
    case_check(c);
}

/* Shapes of the models scaled down, sizes that no block divides, and sizes that are cut into several blocks.
 */
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

static void check_linear(const struct linear_case *l, enum input_kind kind, unsigned seed)
{
    const struct linear_shape *s = &l->shape;
    const struct kernel_run run = {.kind = kind,
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

START_TEST(linear)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_linear(&linear_shapes[_i], (enum input_kind)kind, 100 * (unsigned)_i + 1);
}
END_TEST

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

static void check_conv2d(const struct conv2d_shape *s, enum input_kind kind, unsigned seed, bool with_bias)
{
    size_t depth = s->in_channels * s->kernel_height * s->kernel_width;
    const struct kernel_run run = {.kind = kind,
        .seed = seed,
        .shape = s,
        .n = s->batch * s->out_channels * conv2d_out_height(s) * conv2d_out_width(s),
        .call = call_conv2d,
        .scratch = scratch_conv2d};
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

START_TEST(conv2d)
{
    for (int kind = 0; kind < INPUT_KINDS; kind++)
        check_conv2d(&conv2d_shapes[_i], (enum input_kind)kind, 7000 + 100 * (unsigned)_i, kind % 2 == 0);
}
END_TEST

/* Kernels called from inside a parallel region, each thread with its own buffers: the same bits as outside.
 */
START_TEST(nested)
{
    enum { CALLERS = 4 };
    const struct conv2d_shape *shape = &conv2d_shapes[3];
    size_t in = shape->in_channels * shape->in_height * shape->in_width, depth = shape->in_channels * 9;
    size_t n = shape->out_channels * shape->in_height * shape->in_width;
    real *x = make_input(INPUT_NORMAL, 1, in), *w = make_input(INPUT_NORMAL, 2, shape->out_channels * depth);
    struct stored stored = {w, own_type};
    real *y[CALLERS], *scratch[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        y[i] = malloc(n * sizeof(real));
        scratch[i] = malloc(kernel_conv2d_scratch(shape) * sizeof(real));
        ck_assert(y[i] != NULL && scratch[i] != NULL);
    }
#pragma omp parallel for num_threads(CALLERS)
    for (int i = 0; i < CALLERS; i++) kernel_conv2d(shape, x, stored, NULL, NULL, NULL, y[i], scratch[i]);

    struct kernel_run run = {.name = "nested conv2d", .n = n};
    kernel_conv2d(shape, x, stored, NULL, NULL, NULL, y[0], scratch[0]);
    for (int i = 1; i < CALLERS; i++) check_equal_bits(&run, "in a parallel region", y[i], y[0]);
    for (int i = 0; i < CALLERS; i++) free(y[i]), free(scratch[i]);
    free(x), free(w);
}
END_TEST

TCase *kernel_products_tcase(void)
{
    TCase *tcase = tcase_create(PLUMB_REAL_IS_DOUBLE ? "products, double" : "products, float");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, linear, 0, LINEAR_SHAPES);
    tcase_add_loop_test(tcase, conv2d, 0, CONV2D_SHAPES);
    tcase_add_test(tcase, nested);
    return tcase;
}
