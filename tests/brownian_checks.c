#include "sched/real.h"

#include "tests/brownian_checks.h"

#include "sched/brownian_interval.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define check_brownian_sums REAL_NAME(check_brownian_sums)
#define check_brownian_moments REAL_NAME(check_brownian_moments)
#define check_brownian_seeds REAL_NAME(check_brownian_seeds)
#define brownian_sample REAL_NAME(brownian_sample)

/* The sigmas of Stable Diffusion. */
static const struct brownian_interval standard = {.seed = 23, .start = 0.029167, .end = 14.614646};

static void need_increment(double from, double to, size_t n, real *increment)
{
    struct error error = {""};
    ck_assert_msg(
        brownian_increment(&standard, from, to, n, increment, &error) == STATUS_OK, "%s", error.message);
}

void check_brownian_sums(void)
{
    enum { DIMENSIONS = 700 }; /* more than two pieces, and no multiple of 16 */
    static const double times[] = {0.029167, 0.0292, 0.03, 0.5, 1.234567, 3, 7.3219065, 7.3219075, 14.614646};
    enum { TIMES = sizeof times / sizeof *times };
    const double rounding = 64 * (sizeof(real) == sizeof(float) ? 0x1p-24 : 0x1p-53) * 4 * sqrt(14.6);
    real whole[DIMENSIONS], early[DIMENSIONS], late[DIMENSIONS];
    for (size_t a = 0; a < TIMES; a++)
        for (size_t b = a; b < TIMES; b++)
            for (size_t c = b; c < TIMES; c++) {
                need_increment(times[a], times[c], DIMENSIONS, whole);
                need_increment(times[a], times[b], DIMENSIONS, early);
                need_increment(times[b], times[c], DIMENSIONS, late);
                for (size_t i = 0; i < DIMENSIONS; i++)
                    ck_assert_msg(fabs((double)(whole[i] - (early[i] + late[i]))) <= rounding,
                        "W(%g,%g)[%zu] is %g, not %g + %g", times[a], times[c], i, (double)whole[i],
                        (double)early[i], (double)late[i]);
            }

    const uint64_t seed = 23;
    const struct brownian_noise noise = {&seed, 1, (real)standard.start, (real)standard.end};
    real forth[DIMENSIONS], back[DIMENSIONS];
    struct error error = {""};
    ck_assert(brownian_noise_between(&noise, 3, 7, 1, DIMENSIONS, forth, &error) == STATUS_OK);
    ck_assert(brownian_noise_between(&noise, 7, 3, 1, DIMENSIONS, back, &error) == STATUS_OK);
    for (size_t i = 0; i < DIMENSIONS; i++) ck_assert(back[i] == -forth[i]);
}

/* The mean of the products of two increments, less what it should be, in standard errors: for normal
 * increments of variances v and w and covariance c, a product has the variance v w + c^2. */
static double covariance_error(const real *x, const real *y, size_t n, double v, double w, double c)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
    return (sum / (double)n - c) / sqrt((v * w + c * c) / (double)n);
}

void check_brownian_moments(void)
{
    enum { DIMENSIONS = 100000 };
    static const double spans[][2] = {{0.029167, 14.614646}, {0.029167, 0.1}, {0.1, 3}, {2, 7.5}, {7.5, 9.25},
        {9.25, 14.614646}, {9.25, 9.251}};
    enum { SPANS = sizeof spans / sizeof *spans };
    real *increments[SPANS];
    for (size_t k = 0; k < SPANS; k++) {
        increments[k] = malloc(DIMENSIONS * sizeof(real));
        ck_assert_ptr_nonnull(increments[k]);
        need_increment(spans[k][0], spans[k][1], DIMENSIONS, increments[k]);
        const double length = spans[k][1] - spans[k][0];
        double sum = 0;
        for (size_t i = 0; i < DIMENSIONS; i++) sum += (double)increments[k][i];
        double error = sum / sqrt(DIMENSIONS * length);
        ck_assert_msg(fabs(error) < 4.5, "the mean over %g is %g standard errors from 0", length, error);
        for (size_t j = 0; j <= k; j++) {
            const double overlap = fmin(spans[j][1], spans[k][1]) - fmax(spans[j][0], spans[k][0]);
            error = covariance_error(increments[j], increments[k], DIMENSIONS, spans[j][1] - spans[j][0],
                length, fmax(overlap, 0));
            ck_assert_msg(fabs(error) < 4.5, "spans %zu and %zu: the covariance is %g standard errors off", j,
                k, error);
        }
    }
    for (size_t k = 0; k < SPANS; k++) free(increments[k]);
}

void check_brownian_seeds(void)
{
    enum { PICTURES = 3, SIZE = 21 };
    const uint64_t seeds[PICTURES] = {5, UINT64_C(1) << 40, 0};
    struct brownian_noise paths = {seeds, PICTURES, (real)0.2, 200};
    real batch[PICTURES * SIZE], alone[SIZE];
    struct error error = {""};
    ck_assert(brownian_noise_between(&paths, 100, 50, PICTURES, SIZE, batch, &error) == STATUS_OK);
    for (size_t i = 0; i < PICTURES; i++) {
        paths.seeds = seeds + i;
        paths.count = 1;
        ck_assert(brownian_noise_between(&paths, 100, 50, 1, SIZE, alone, &error) == STATUS_OK);
        ck_assert_mem_eq(alone, batch + i * SIZE, sizeof alone);
    }
    paths.count = 2;
    expect_error(brownian_noise_between(&paths, 100, 50, PICTURES, SIZE, batch, &error), STATUS_BAD_INPUT,
        &error, "seed", "one a picture (3), got 2", NULL);
}

void brownian_sample(double *increments, int n)
{
    real increment;
    for (int i = 0; i < n; i++) {
        need_increment(
            standard.start + i * 0.1, standard.start + i * 0.1 + 0.05 * (i % 7 + 1), 1, &increment);
        increments[i] = (double)increment;
    }
}
