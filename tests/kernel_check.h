/*
 * Runs one kernel in every way it can run - each instruction set, several numbers of threads - with canaries
 * around what it writes, and judges the results: bit for bit against the scalar set on one thread, and
 * against numbers computed in extended precision with a bound for each element. Compiled for float and for
 * double.
 */
#ifndef TESTS_KERNEL_CHECK_H
#define TESTS_KERNEL_CHECK_H

#include "kernels/kernels.h"
#include "tests/kernel_twin.h"

#include <check.h>

#define check_run KERNEL_NAME(check_run)
#define check_equal_bits KERNEL_NAME(check_equal_bits)
#define make_input KERNEL_NAME(make_input)
#define make_exact KERNEL_NAME(make_exact)
#define unit_roundoff KERNEL_NAME(unit_roundoff)
#define smallest_number KERNEL_NAME(smallest_number)
#define kernel_products_tcase KERNEL_NAME(kernel_products_tcase)
#define kernel_norms_tcase KERNEL_NAME(kernel_norms_tcase)
#define kernel_elements_tcase KERNEL_NAME(kernel_elements_tcase)

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

/* n numbers of a kind, from malloc. */
real *make_input(enum input_kind kind, unsigned seed, size_t n);
/* The same numbers in extended precision, from malloc; NULL for NULL. */
exact *make_exact(const real *x, size_t n);

/* One kernel with its arguments. */
struct kernel_run {
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
 * where it is infinite. Fails the test with the kernel, the shape's seed and the worst index. */
void check_run(const struct kernel_run *run, const exact *want, const exact *bound);
/* Fails unless a and b are the same bits, any NaN being equal to any other. */
void check_equal_bits(const struct kernel_run *run, const char *how, const real *a, const real *b);

/* Half the distance from 1 to the next number, and the smallest subnormal. */
exact unit_roundoff(void);
exact smallest_number(void);

TCase *kernel_products_tcase(void);
TCase *kernel_norms_tcase(void);
TCase *kernel_elements_tcase(void);

#endif
