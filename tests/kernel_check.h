/*
 * Runs one kernel in every way it can run - each instruction set, several numbers of threads - with canaries
 * around what it writes, and judges the results: bit for bit against the scalar set on one thread, and
 * against the naive twin's numbers with a bound for each element. Compiled for float and for double. The
 * cases are those of both tests/checkkernels.c and tests/test_kernels.c.
 */
#ifndef TESTS_KERNEL_CHECK_H
#define TESTS_KERNEL_CHECK_H

#include "kernels/kernels.h"
#include "tests/kernel_report.h"
#include "tests/kernel_twin.h"

#define check_run KERNEL_NAME(check_run)
#define check_equal_bits KERNEL_NAME(check_equal_bits)
#define case_begin KERNEL_NAME(case_begin)
#define case_input KERNEL_NAME(case_input)
#define case_free KERNEL_NAME(case_free)
#define case_check KERNEL_NAME(case_check)
#define make_input KERNEL_NAME(make_input)
#define too_large KERNEL_NAME(too_large)
#define make_exact KERNEL_NAME(make_exact)
#define product_bound KERNEL_NAME(product_bound)
#define unit_roundoff KERNEL_NAME(unit_roundoff)
#define smallest_number KERNEL_NAME(smallest_number)
#define check_linear_shape KERNEL_NAME(check_linear_shape)
#define check_conv2d_shape KERNEL_NAME(check_conv2d_shape)
#define check_upsample_conv2d_shape KERNEL_NAME(check_upsample_conv2d_shape)
#define check_attention_shape KERNEL_NAME(check_attention_shape)
#define check_group_norm_shape KERNEL_NAME(check_group_norm_shape)
#define check_layer_norm_shape KERNEL_NAME(check_layer_norm_shape)
#define kernel_vectors_groups KERNEL_NAME(kernel_vectors_groups)
#define kernel_models_groups KERNEL_NAME(kernel_models_groups)
#define kernel_products_groups KERNEL_NAME(kernel_products_groups)
#define kernel_attention_groups KERNEL_NAME(kernel_attention_groups)
#define kernel_norms_groups KERNEL_NAME(kernel_norms_groups)
#define kernel_elements_groups KERNEL_NAME(kernel_elements_groups)

/* What the inputs are like. Each kind is reproducible from its seed. */
enum input_kind {
    INPUT_NORMAL,     /* about standard normal */
    INPUT_EQUAL,      /* one number everywhere */
    INPUT_CANCELLING, /* large numbers of both signs that nearly cancel in pairs, or a mean far above the
                         deviation */
    INPUT_SUBNORMAL,  /* below the smallest normal number */
    INPUT_ZEROS,      /* zeros of both signs */
    INPUT_WIDE,       /* magnitudes from 2^-20 to 2^20 */
    INPUT_INFINITE,   /* normal, with an infinity of each sign */
    INPUT_NAN,        /* normal, with one NaN */
    INPUT_KINDS
};

/* n numbers of a kind, from malloc; the checker's seed is added to `seed`. */
real *make_input(const struct checker *k, enum input_kind kind, unsigned seed, size_t n);
/* The same numbers in the twin's precision, from malloc; NULL for NULL. */
exact *make_exact(const real *x, size_t n);

/* One kernel with its arguments. */
struct kernel_run {
    struct checker *k; /* where what is found goes */
    const char *name;
    enum input_kind kind;
    unsigned seed;
    const void *shape; /* as the functions below understand it */
    const real *inputs[4];
    size_t n; /* elements of the result */
    void (*call)(const struct kernel_run *run, real *y, real *scratch);
    size_t (*scratch)(const struct kernel_run *run); /* NULL: the kernel takes none */
    bool in_place; /* run a second time with the first input and the result in the same place */
};

/* Runs the kernel in every way; |y - want| <= bound for each element, NaN where `want` is NaN and infinite
 * where it is infinite. Otherwise the checker gets a message with the case and the worst index. An
 * infinite bound: that element is judged against the scalar set alone. */
void check_run(const struct kernel_run *run, const exact *want, const exact *bound);
/* A failure unless a and b are the same bits, any NaN being equal to any other. */
void check_equal_bits(const struct kernel_run *run, const char *how, const real *a, const real *b);

/* Whether a case of so many operations of the twin is left out: with EFFORT_BRIEF, whose processor is
 * emulated and whose long double is software. */
bool too_large(const struct checker *k, size_t operations);

/* A run with its inputs, and room for what its result is judged against. */
enum { CASE_INPUTS = 3 };
struct kernel_case {
    struct kernel_run run;
    char name[120];
    size_t given;               /* inputs so far */
    real *inputs[CASE_INPUTS];  /* NULL where there is none */
    exact *exacts[CASE_INPUTS]; /* the same numbers in the twin's precision */
    exact *want, *bound;        /* run.n elements each, zeros to begin with */
};

/* Begins a case of `run`, which has neither name nor inputs yet; the name is formatted as by printf. */
void case_begin(struct kernel_case *c, const struct kernel_run *run, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the next input: n numbers of a kind. The seeds of the inputs count up from the run's. */
void case_input(struct kernel_case *c, enum input_kind kind, size_t n);
/* check_run, then frees what the case holds. */
void case_check(struct kernel_case *c);
void case_free(struct kernel_case *c);

/* Half the distance from 1 to the next number, and the smallest subnormal. */
exact unit_roundoff(void);
exact smallest_number(void);

/* The bound of a sum of `depth` products whose magnitudes add up to `size`: each rounded and added in some
 * order, it is off by at most about sqrt(K) u times that size when the roundings are independent, K u when
 * they all go the same way, as they do for equal numbers (u = half an ulp of 1; Higham, Accuracy and
 * Stability of Numerical Algorithms, 3.1). Underflow adds at most half the smallest number for each
 * product. */
exact product_bound(enum input_kind kind, size_t depth, exact size);

/* One kernel at one shape with one kind of input. */
void check_linear_shape(
    struct checker *k, const struct linear_shape *shape, enum input_kind kind, unsigned seed);
void check_conv2d_shape(
    struct checker *k, const struct conv2d_shape *shape, enum input_kind kind, unsigned seed);
void check_upsample_conv2d_shape(
    struct checker *k, const struct conv2d_shape *shape, enum input_kind kind, unsigned seed);
void check_attention_shape(
    struct checker *k, const struct attention_shape *shape, enum input_kind kind, unsigned seed);
/* In 32 groups, as all the models' are, with SiLU. */
void check_group_norm_shape(
    struct checker *k, size_t batch, size_t channels, size_t size, enum input_kind kind, unsigned seed);
void check_layer_norm_shape(
    struct checker *k, size_t rows, size_t channels, enum input_kind kind, unsigned seed);

/* Tables that end with one whose kernel is NULL. */
const struct kernel_group *kernel_vectors_groups(void);
const struct kernel_group *kernel_models_groups(void);
const struct kernel_group *kernel_products_groups(void);
const struct kernel_group *kernel_attention_groups(void);
const struct kernel_group *kernel_norms_groups(void);
const struct kernel_group *kernel_elements_groups(void);

#endif
