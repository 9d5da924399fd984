/*
 * Kernels and layers of imitated number formats by their definitions: what test_rounded.c runs. In double,
 * where formats have no effect, the same definitions without rounding.
 */
#ifndef TESTS_ROUNDED_CHECKS_H
#define TESTS_ROUNDED_CHECKS_H

#include "kernels/number_format.h"

enum { ATTENTION_SHAPES = 5 };

/* These fail the present test where something is wrong. */
struct rounded_checks {
    void (*check_geglu)(enum number_format format);
    void (*check_attention)(enum number_format format, int shape);
    void (*check_exact_layers)(enum number_format format); /* what loses nothing gives the bits of float */
    void (*check_layers)(enum number_format format);       /* fused ones are their parts, each rounded */
};
extern const struct rounded_checks rounded_checks_f32, rounded_checks_f64;

#endif
