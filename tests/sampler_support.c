#include "sampler_support.h"

#include "sched/seed_sequence.h"
#include "support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>

struct numpy_pcg64 numpy_seeded(const char *seed)
{
    uint32_t *words = NULL;
    size_t count = 0;
    struct numpy_pcg64 generator;
    ck_assert_int_eq(seed_words(seed, &words, &count, NULL), STATUS_OK);
    numpy_pcg64_seed(&generator, words, count);
    free(words);
    return generator;
}

struct generator *seeded(enum generator_kind kind, const char *seed)
{
    struct generator *generator = NULL;
    struct error error = {""};
    enum status status = generator_create(kind, seed, &generator, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return generator;
}

void fill_normals(const char *seed, double *values, size_t n)
{
    struct generator *generator = seeded(GENERATOR_NUMPY_PCG64, seed);
    generator_normal_f64(generator, values, n);
    generator_free(generator);
}

cJSON *config_from(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ck_assert(length > 0 && length < (int)sizeof text);
    cJSON *config = NULL;
    struct error error = {""};
    enum status status = json_parse(text, (size_t)length, "config", &config, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return config;
}

double fitted_order(const double *errors, int count)
{
    double mean = 0, slope = 0, spread = 0;
    for (int i = 0; i < count; i++) mean += -log2(errors[i]) / count;
    for (int i = 0; i < count; i++) {
        double x = i - (count - 1) / 2.0;
        slope += x * (-log2(errors[i]) - mean);
        spread += x * x;
    }
    return slope / spread;
}
