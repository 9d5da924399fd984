#include "sched/real.h"

#include "sched/guidance.h"
#include "tests/guidance_identities.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <float.h>
#include <string.h>

#define check_guidance_line REAL_NAME(check_guidance_line)
#define check_guidance_rescale REAL_NAME(check_guidance_rescale)

/* Half a unit in the last place of 1. */
#define UNIT (PLUMB_REAL_IS_DOUBLE ? DBL_EPSILON / 2 : (double)FLT_EPSILON / 2)

enum { PICTURES = 2, SIZE = 300, COUNT = PICTURES * SIZE };

/* Normals; the second picture's are larger and not centred. */
static void fill(real *values, const char *seed)
{
    double drawn[COUNT];
    fill_normals(seed, drawn, COUNT);
    for (int i = 0; i < COUNT; i++) values[i] = (real)(i < SIZE ? drawn[i] : 3 * drawn[i] + 1);
}

void check_guidance_line(void)
{
    real uncond[COUNT], text[COUNT], out[COUNT], in_place[COUNT];
    fill(uncond, "1");
    fill(text, "2");
    guidance_combine(uncond, text, COUNT, 0, out);
    ck_assert_mem_eq(out, uncond, sizeof out);
    guidance_combine(uncond, text, COUNT, 1, out);
    for (int i = 0; i < COUNT; i++) {
        /* The difference and the sum are each rounded once. */
        double largest = fabs((double)uncond[i]) + fabs((double)text[i]);
        ck_assert_double_eq_tol((double)out[i], (double)text[i], 2 * UNIT * largest);
    }
    guidance_combine(uncond, text, COUNT, 7.5, out);
    for (int i = 0; i < COUNT; i++) {
        double u = (double)uncond[i], t = (double)text[i];
        ck_assert_double_eq_tol((double)out[i], u + 7.5 * (t - u), 4 * UNIT * 7.5 * (fabs(u) + fabs(t)));
    }
    memcpy(in_place, uncond, sizeof in_place);
    guidance_combine(in_place, text, COUNT, 7.5, in_place);
    ck_assert_mem_eq(in_place, out, sizeof out);
    memcpy(in_place, text, sizeof in_place);
    guidance_combine(uncond, in_place, COUNT, 7.5, in_place);
    ck_assert_mem_eq(in_place, out, sizeof out);
}

/* By the shortcut formula, which is another than the one under test. */
static double deviation(const real *picture)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < SIZE; i++) {
        sum += (double)picture[i];
        squares += (double)picture[i] * (double)picture[i];
    }
    return sqrt((squares - sum * sum / SIZE) / (SIZE - 1));
}

void check_guidance_rescale(void)
{
    real uncond[COUNT], text[COUNT], guided[COUNT], rescaled[COUNT], alone[COUNT];
    /* A product and a quotient in an element, the shortcut's cancellation in double. */
    const double tolerance = 8 * UNIT + 1e-14;
    fill(uncond, "3");
    fill(text, "4");
    guidance_combine(uncond, text, COUNT, 7.5, guided);

    memcpy(rescaled, guided, sizeof rescaled);
    guidance_rescale(rescaled, text, PICTURES, SIZE, 0);
    ck_assert_mem_eq(rescaled, guided, sizeof guided);

    guidance_rescale(rescaled, text, PICTURES, SIZE, 1);
    for (int b = 0; b < PICTURES; b++) {
        double wanted = deviation(text + b * SIZE);
        ck_assert_double_gt(deviation(guided + b * SIZE), 2 * wanted);
        ck_assert_double_eq_tol(deviation(rescaled + b * SIZE) / wanted, 1, tolerance);
    }

    memcpy(rescaled, guided, sizeof rescaled);
    guidance_rescale(rescaled, text, PICTURES, SIZE, 0.7);
    for (int b = 0; b < PICTURES; b++) {
        double wanted = 0.7 * deviation(text + b * SIZE) + 0.3 * deviation(guided + b * SIZE);
        ck_assert_double_eq_tol(deviation(rescaled + b * SIZE) / wanted, 1, tolerance);
    }
    /* A picture's own numbers alone decide. */
    memcpy(alone, guided, sizeof alone);
    guidance_rescale(alone + SIZE, text + SIZE, 1, SIZE, 0.7);
    ck_assert_mem_eq(alone + SIZE, rescaled + SIZE, SIZE * sizeof *alone);
}
