/*
 * The random generators against what their definitions promise: known answers published by others, the
 * ziggurat's layers, the polynomials' accuracy, moments, and which seeds are taken. (Recorded streams:
 * test_generators.c.)
 */
#include "tests/sampler_support.h"
#include "tests/support.h"

#include "sched/generator.h"
#include "sched/numpy_pcg64.h"
#include "sched/seed_sequence.h"
#include "sched/torch_avx2_math.h"
#include "sched/torch_mt19937.h"
#include "sched/ziggurat_tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 1000000 };

/* The 10000th word of the default-seeded twister is fixed by the C++ standard, [rand.predef]. */
START_TEST(mt19937_known_answer)
{
    struct torch_mt19937 generator;
    uint32_t word = 0;
    torch_mt19937_seed(&generator, 5489);
    for (int i = 0; i < 10000; i++) word = torch_mt19937_next(&generator);
    ck_assert_uint_eq(word, UINT32_C(4123659995));
}
END_TEST

/* The first words of the PCG library's own demonstration, seed 42 and stream 54. Its seeding is: from state 0
 * one step, the seed added, one step. */
START_TEST(pcg64_known_answer)
{
    static const uint64_t published[] = {UINT64_C(0x86b1da1d72062b68), UINT64_C(0x1304aa46c9853d39),
        UINT64_C(0xa3670e9e0dd50358), UINT64_C(0xf9090e529a7dae00), UINT64_C(0xc85b9fd837996f2c),
        UINT64_C(0x606121f8e3919196)};
    struct numpy_pcg64 generator = {.state = 0, .increment = 54 << 1 | 1};
    (void)numpy_pcg64_next(&generator);
    generator.state += 42;
    (void)numpy_pcg64_next(&generator);
    for (int i = 0; i < 6; i++) ck_assert_uint_eq(numpy_pcg64_next(&generator), published[i]);
}
END_TEST

/* A seed of seven words, more than the pool holds. The words are what NumPy 1.24.2 gives for
 * np.random.PCG64(2**200 + 2**130 + 5).random_raw(3). */
START_TEST(pcg64_long_seed)
{
    static const uint64_t numpy[] = {
        UINT64_C(0x7d7f9f36bc88e7a4), UINT64_C(0x1203e2167895ac8f), UINT64_C(0xe278d16d43467443)};
    struct numpy_pcg64 generator = numpy_seeded("0x100000000000000000400000000000000000000000000000005");
    for (int i = 0; i < 3; i++) ck_assert_uint_eq(numpy_pcg64_next(&generator), numpy[i]);
}
END_TEST

/* np.random.RandomState(seed).randn(1000) of NumPy 1.24.2: elements 0, 1, 2 and 999. */
START_TEST(numpy_legacy_known_answers)
{
    static const struct {
        const char *seed;
        double normals[4];
    } numpy[] = {
        {"0", {0x1.c398ef3e5cfa5p+0, 0x1.99c2cfacc8953p-2, 0x1.f51d25222c9abp-1, -0x1.6eb574c9b16b2p-2}},
        {"1", {0x1.9fd5190657c50p+0, -0x1.393822fb7d9adp-1, -0x1.0e6c872548fd2p-1, -0x1.7ee2458ea67ffp-3}},
        {"42", {0x1.fca2a28a9307cp-2, -0x1.1b2a505de052ap-3, 0x1.4b9dd50245e68p-1, 0x1.252992005ad6cp-1}},
        {"4294967295",
            {0x1.4bfc38c486d8ap-1, 0x1.56b192e507eeep-1, -0x1.149e836f192fdp+0, 0x1.adea44c300e5dp-1}},
    };
    for (size_t i = 0; i < sizeof numpy / sizeof *numpy; i++) {
        struct generator *generator = seeded(GENERATOR_NUMPY_MT19937, numpy[i].seed);
        double normals[1000];
        generator_normal_f64(generator, normals, 1000);
        for (int k = 0; k < 4; k++) {
            const double want = numpy[i].normals[k], got = normals[k < 3 ? k : 999];
            /* libm's logarithm is behind them: an ulp may be lost on another system. */
            ck_assert_msg(fabs(got - want) <= 2 * fabs(want) * 0x1p-52, "%a, not %a", got, want);
        }
        generator_free(generator);
    }
}
END_TEST

/* The stored layers are those of the definition. Each was rounded to a double, after a computation that was
 * itself good to a few units of 2^-53; the gates allow 32 of them (relative), where 14 is the worst and libm
 * adds a few here. In an area an error is magnified by the difference of two heights, by at most 124. */
START_TEST(ziggurat_layers)
{
    const double unit = 0x1p-53;
    const double base = exp(-0.5 * ZIGGURAT_R * ZIGGURAT_R);
    const double area = ZIGGURAT_R * base + sqrt(acos(-1.0) / 2) * erfc(ZIGGURAT_R / sqrt(2.0));
    double x[256];
    for (int i = 0; i < 256; i++) x[i] = ziggurat_width[i] * 0x1p52;

    ck_assert_double_eq(x[255], ZIGGURAT_R);
    ck_assert_double_eq(ziggurat_height[0], 1);
    ck_assert_double_eq_tol(ZIGGURAT_1_OVER_R * ZIGGURAT_R, 1, 2 * unit);
    ck_assert_double_eq_tol(x[0] * base / area, 1, 32 * unit);
    ck_assert_double_eq_tol((double)ziggurat_inside[0] * 0x1p-52, ZIGGURAT_R / x[0], 32 * unit);
    ck_assert_uint_eq(ziggurat_inside[1], 0);
    for (int i = 1; i < 256; i++) {
        double height = ziggurat_height[i], above = ziggurat_height[i - 1];
        ck_assert_msg(fabs(height / exp(-0.5 * x[i] * x[i]) - 1) <= 32 * unit, "height of layer %d", i);
        double magnified = above / (above - height);
        ck_assert_msg(
            fabs(x[i] * (above - height) / area - 1) <= 32 * unit * magnified, "area of layer %d", i);
        if (i > 1)
            ck_assert_msg(fabs((double)ziggurat_inside[i] * 0x1p-52 - x[i - 1] / x[i]) <= 32 * unit,
                "edge of layer %d", i);
    }
}
END_TEST

/* Every angle and every radius that a float32 uniform can give, against libm in double. Cephes states 2e-7
 * for the three functions; the angle's rounding to float32 is common to both sides here. The logarithm's
 * relative error is held to 2 units (2^-23 each). */
START_TEST(avx2_polynomials)
{
    double worst_log = 0, worst_sincos = 0;
    for (uint32_t k = 0; k < 1u << 24; k += 5) {
        float uniform = (float)k * 0x1p-24f;
        float argument = 1 - uniform, angle = 6.28318530717958647692f * uniform, sine, cosine;
        double exact = log((double)argument);
        double error = fabs((double)torch_avx2_log(argument) - exact);
        if (exact != 0) worst_log = fmax(worst_log, error / fabs(exact));
        torch_avx2_sincos(angle, &sine, &cosine);
        worst_sincos = fmax(worst_sincos, fabs((double)sine - sin((double)angle)));
        worst_sincos = fmax(worst_sincos, fabs((double)cosine - cos((double)angle)));
    }
    ck_assert_msg(worst_log <= 0x1p-22, "the logarithm is off by %g of itself", worst_log);
    ck_assert_msg(worst_sincos <= 2e-7, "sine or cosine is off by %g", worst_sincos);
    ck_assert_float_eq(torch_avx2_log(1), 0);
}
END_TEST

/* Blocks are transformed by what instructions the machine has; the functions of one number by fmaf alone. */
START_TEST(blocks_have_the_bits_of_single_numbers)
{
    enum { BLOCKS = 4096, COUNT = BLOCKS * TORCH_AVX2_BLOCK, HALF = TORCH_AVX2_BLOCK / 2 };
    static float uniforms[COUNT], normals[COUNT];
    struct torch_mt19937 generator;
    torch_mt19937_seed(&generator, 5);
    torch_mt19937_uniforms_f32(&generator, uniforms, COUNT);
    uniforms[0] = 0;
    uniforms[1] = 1 - 0x1p-24f;
    memcpy(normals, uniforms, sizeof normals);
    torch_avx2_normals(normals, BLOCKS);
    for (int i = 0; i < COUNT; i += i % HALF == HALF - 1 ? HALF + 1 : 1) {
        float sine, cosine;
        const float radius = sqrtf(-2 * torch_avx2_log(1 - uniforms[i]));
        torch_avx2_sincos((float)(2 * M_PI) * uniforms[i + HALF], &sine, &cosine);
        const float expected[] = {radius * cosine, radius * sine};
        ck_assert_mem_eq(&normals[i], &expected[0], sizeof(float));
        ck_assert_mem_eq(&normals[i + HALF], &expected[1], sizeof(float));
    }
}
END_TEST

/* Moments of 10^6 draws: k-th moment's standard error is sqrt((E x^2k - (E x^k)^2) / n); five of them is a
 * chance of one in a million for an honest generator, and the seed is fixed. */
START_TEST(moments)
{
    struct generator *generator = seeded((enum generator_kind)_i, "20240607");
    float *x = calloc(DRAWS, sizeof *x);
    ck_assert_ptr_nonnull(x);
    generator_normal_f32(generator, x, DRAWS);
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0;
    for (int i = 0; i < DRAWS; i++) {
        double v = (double)x[i];
        m1 += v;
        m2 += v * v;
        m3 += v * v * v;
        m4 += v * v * v * v;
        if (i) neighbours += v * (double)x[i - 1];
    }
    const double n = DRAWS, five = 5 / sqrt(n);
    ck_assert_double_eq_tol(m1 / n, 0, five);
    ck_assert_double_eq_tol(m2 / n, 1, five * sqrt(2.0));
    ck_assert_double_eq_tol(m3 / n, 0, five * sqrt(15.0));
    ck_assert_double_eq_tol(m4 / n, 3, five * sqrt(96.0));
    ck_assert_double_eq_tol(neighbours / n, 0, five);
    generator_free(generator);
    free(x);
}
END_TEST

/* --- Seeds and names ---------------------------------------------------------------------- */

static void expect_same_stream(enum generator_kind kind, const char *seed_a, const char *seed_b, bool same)
{
    struct generator *a = seeded(kind, seed_a), *b = seeded(kind, seed_b);
    float x[64], y[64];
    generator_normal_f32(a, x, 64);
    generator_normal_f32(b, y, 64);
    ck_assert_msg((memcmp(x, y, sizeof x) == 0) == same, "seeds %s and %s", seed_a, seed_b);
    generator_free(a);
    generator_free(b);
}

START_TEST(seeds_of_any_size)
{
    for (int kind = 0; kind < GENERATOR_KINDS; kind++) {
        expect_same_stream((enum generator_kind)kind, "0x7B", "123", true);
        expect_same_stream((enum generator_kind)kind, "000123", "123", true);
        expect_same_stream((enum generator_kind)kind, "0xffffFFFF", "4294967295", true);
        if (kind != GENERATOR_NUMPY_MT19937)
            expect_same_stream((enum generator_kind)kind, "0xffffFFFFffffFFFF", "18446744073709551615", true);
        expect_same_stream((enum generator_kind)kind, "123", "124", false);
    }
    /* 10^40 in the other base; a second word that PyTorch ignores and NumPy does not. */
    expect_same_stream(GENERATOR_NUMPY_PCG64, "10000000000000000000000000000000000000000",
        "0x1d6329f1c35ca4bfabb9f5610000000000", true);
    expect_same_stream(GENERATOR_NUMPY_PCG64, "4294967296", "0", false);
    expect_same_stream(GENERATOR_TORCH_CPU, "4294967296", "0", true);
    expect_same_stream(GENERATOR_TORCH_CUDA, "4294967296", "0", false);

    uint32_t *words;
    size_t count;
    ck_assert_int_eq(seed_words("0x000100000000", &words, &count, NULL), STATUS_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(words[0], 0);
    ck_assert_uint_eq(words[1], 1);
    free(words);
}
END_TEST

static void expect_refused(enum generator_kind kind, const char *seed, const char *message)
{
    struct error error = {""};
    struct generator *generator = (struct generator *)&error;
    ck_assert_int_eq(generator_create(kind, seed, &generator, &error), STATUS_BAD_INPUT);
    ck_assert_ptr_null(generator);
    ck_assert_str_eq(error.message, message);
}

START_TEST(seeds_refused)
{
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x", "0xg", "12a", "abc", "0b1"};
    for (int kind = 0; kind < GENERATOR_KINDS; kind++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            char message[200];
            snprintf(message, sizeof message,
                "seed: expected a non-negative integer, decimal or 0x-hexadecimal, got \"%s\"", bad[i]);
            expect_refused((enum generator_kind)kind, bad[i], message);
        }
    expect_refused(GENERATOR_TORCH_CPU, "18446744073709551616",
        "seed: expected an integer below 2^64 for torch-cpu, got \"18446744073709551616\"");
    expect_refused(GENERATOR_NUMPY_MT19937, "4294967296",
        "seed: expected an integer below 2^32 for numpy-mt19937, got \"4294967296\"");
    expect_refused(GENERATOR_TORCH_CPU_PLAIN, "0x10000000000000000",
        "seed: expected an integer below 2^64 for torch-cpu-plain, got \"0x10000000000000000\"");
}
END_TEST

START_TEST(names)
{
    ck_assert_int_eq(generator_kind_of("numpy-pcg64"), GENERATOR_NUMPY_PCG64);
    ck_assert_int_eq(generator_kind_of("torch-cpu"), GENERATOR_TORCH_CPU);
    ck_assert_int_eq(generator_kind_of("torch-cpu-plain"), GENERATOR_TORCH_CPU_PLAIN);
    ck_assert_int_eq(generator_kind_of("torch"), GENERATOR_KINDS);
    for (int kind = 0; kind < GENERATOR_KINDS; kind++)
        ck_assert_int_eq(generator_kind_of(generator_name((enum generator_kind)kind)), kind);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generator definitions");
    TCase *principles = tcase_create("definitions"), *seeds = tcase_create("seeds");
    tcase_add_test(principles, mt19937_known_answer);
    tcase_add_test(principles, pcg64_known_answer);
    tcase_add_test(principles, pcg64_long_seed);
    tcase_add_test(principles, numpy_legacy_known_answers);
    tcase_add_test(principles, ziggurat_layers);
    tcase_add_test(principles, avx2_polynomials);
    tcase_add_test(principles, blocks_have_the_bits_of_single_numbers);
    tcase_add_loop_test(principles, moments, 0, GENERATOR_KINDS);
    tcase_add_test(seeds, seeds_of_any_size);
    tcase_add_test(seeds, seeds_refused);
    tcase_add_test(seeds, names);
    tcase_set_timeout(principles, 60);
    suite_add_tcase(suite, principles);
    suite_add_tcase(suite, seeds);
    return run_suite(suite);
}
