/*
 * What the tests of the sampler share: generators that must start, normals to work on, configs from text.
 */
#ifndef TESTS_SAMPLER_SUPPORT_H
#define TESTS_SAMPLER_SUPPORT_H

#include "sched/generator.h"
#include "sched/numpy_pcg64.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/* These fail the test where the seed is refused. */
struct numpy_pcg64 numpy_seeded(const char *seed);
struct generator *seeded(enum generator_kind kind, const char *seed);

/* The first n draws of numpy-pcg64. */
void fill_normals(const char *seed, double *values, size_t n);

/* A JSON object from its text, which is built as printf() does; at most 1023 bytes. */
cJSON *config_from(const char *format, ...) PRINTF_LIKE(1, 2);

/* The slope of -log2(error) over log2(N), by least squares over N = first, 2 first, 4 first ... */
double fitted_order(const double *errors, int count);

#endif
