/*
 * The random generators against recorded NumPy and PyTorch streams (golden/rng), bit for bit.
 * (What the generators' definitions promise is in test_generator_definitions.c.)
 *
 * Of the recorded NumPy tensors only normal_f32 and the two beside it are not used: they are what
 * standard_normal(dtype=float32) gives, another ziggurat, while the documented examples draw float64 and
 * round.
 */
#include "tests/sampler_support.h"
#include "tests/support.h"

#include "sched/generator.h"
#include "sched/numpy_pcg64.h"
#include "sched/seed_sequence.h"
#include "sched/torch_mt19937.h"
#include "sched/torch_philox.h"
#include "sched/ziggurat_tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const numpy_seeds[] = {"0", "1", "23", "123", "2487854446", "4294967295", "4294967296",
    "18446744073709551615", "0x10000000000000000000000007"};
static const char *const torch_seeds[] = {
    "0", "1", "23", "123", "2487854446", "4294967295", "4294967296", "18446744073709551615"};
static const char *const tail_seeds[] = {"0", "1", "23", "123"};
enum {
    NUMPY_SEEDS = sizeof numpy_seeds / sizeof *numpy_seeds,
    TORCH_SEEDS = sizeof torch_seeds / sizeof *torch_seeds,
    TAIL_SEEDS = sizeof tail_seeds / sizeof *tail_seeds,
    LONG_RUN = 1000000,
    COUNTED = 20000 /* draws of the long run whose words were counted */
};

static void *need_memory(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* Fails unless `got` holds the tensor's `count` elements bit for bit. */
static void expect_bits(
    const struct tensor *want, enum dtype dtype, const void *got, size_t count, const char *what)
{
    ck_assert_msg(want->dtype == dtype, "%s is of type %s", what, dtype_name(want->dtype));
    ck_assert_msg(
        tensor_count(want) == count, "%s has %zu elements, not %zu", what, tensor_count(want), count);
    const size_t size = dtype_size(dtype);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(memcmp((const char *)got + i * size, (const char *)want->data + i * size, size) == 0,
            "%s differs first at element %zu of %zu, recorded %.17g", what, i, count,
            tensor_get_double(want, i));
}

static void expect_128(const struct tensor *want, uint128 got, const char *what)
{
    const uint64_t halves[2] = {(uint64_t)(got >> 64), (uint64_t)got};
    expect_bits(want, DTYPE_I64, halves, 2, what);
}

/* --- NumPy -------------------------------------------------------------------------------- */

START_TEST(numpy_seed_sequence)
{
    const char *seed = numpy_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/numpy-%s.safetensors", seed);
    uint32_t *words, state[16];
    size_t count;
    struct seed_sequence sequence;

    ck_assert_int_eq(seed_words(seed, &words, &count, NULL), STATUS_OK);
    seed_sequence_mix(&sequence, SEED_POOL, words, count);
    expect_bits(need_tensor(set, "seed_sequence.pool"), DTYPE_I32, sequence.pool, SEED_POOL, "pool");
    seed_sequence_generate(&sequence, state, 16);
    expect_bits(need_tensor(set, "seed_sequence.state_u32"), DTYPE_I32, state, 16, "state_u32");
    uint64_t wide[8];
    for (int i = 0; i < 8; i++) wide[i] = (uint64_t)state[2 * i + 1] << 32 | state[2 * i];
    expect_bits(need_tensor(set, "seed_sequence.state_u64"), DTYPE_I64, wide, 8, "state_u64");
    free(words);
    tensor_set_free(set);
}
END_TEST

START_TEST(numpy_words_and_uniforms)
{
    const char *seed = numpy_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/numpy-%s.safetensors", seed);
    struct numpy_pcg64 generator = numpy_seeded(seed);
    expect_128(need_tensor(set, "pcg64.state"), generator.state, "pcg64.state");
    expect_128(need_tensor(set, "pcg64.inc"), generator.increment, "pcg64.inc");

    uint64_t raw[128];
    for (int i = 0; i < 128; i++) raw[i] = numpy_pcg64_next(&generator);
    expect_bits(need_tensor(set, "pcg64.raw"), DTYPE_I64, raw, 64, "pcg64.raw");
    double uniform[256];
    generator = numpy_seeded(seed);
    for (int i = 0; i < 256; i++) uniform[i] = numpy_pcg64_uniform(&generator);
    expect_bits(need_tensor(set, "uniform_f64"), DTYPE_F64, uniform, 256, "uniform_f64");

    /* NumPy's float32 uniforms are the upper 24 bits of the words' halves, the low half first ... */
    float single[256];
    for (int i = 0; i < 256; i++)
        single[i] = (float)((uint32_t)(raw[i / 2] >> (i % 2 ? 32 : 0)) >> 8) * 0x1p-24f;
    expect_bits(need_tensor(set, "uniform_f32"), DTYPE_F32, single, 256, "uniform_f32");
    /* ... and the half that an odd number of them leaves waits, untouched by float64 draws in between. */
    const double mixed[6] = {
        (double)single[0], (double)single[1], (double)single[2], uniform[2], uniform[3], (double)single[3]};
    expect_bits(need_tensor(set, "mixed_f32_f64"), DTYPE_F64, mixed, 6, "mixed_f32_f64");
    tensor_set_free(set);
}
END_TEST

/* How many words the next draw takes, by replaying the words until the states meet. */
static int words_of_draw(struct numpy_pcg64 *generator, double *value, unsigned *layer)
{
    struct numpy_pcg64 follower = *generator;
    *value = numpy_pcg64_normal(generator);
    int used = 1;
    *layer = (unsigned)(numpy_pcg64_next(&follower) & 0xff);
    for (; follower.state != generator->state; used++) (void)numpy_pcg64_next(&follower);
    return used;
}

START_TEST(numpy_normals)
{
    const char *seed = numpy_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/numpy-%s.safetensors", seed);
    const struct tensor *recorded = need_tensor(set, "normal_f64");
    const size_t n = tensor_count(recorded);
    double *normal = need_memory(n, sizeof *normal);
    int32_t *used = need_memory(n, sizeof *used);
    int64_t *slow = need_memory(n, sizeof *slow), *tail = need_memory(n, sizeof *tail);
    size_t slow_count = 0, tail_count = 0;

    struct numpy_pcg64 generator = numpy_seeded(seed);
    for (size_t i = 0; i < n; i++) {
        unsigned layer;
        used[i] = words_of_draw(&generator, &normal[i], &layer);
        if (used[i] == 1) continue;
        slow[slow_count++] = (int64_t)i;
        if (layer == 0) tail[tail_count++] = (int64_t)i;
    }
    expect_bits(recorded, DTYPE_F64, normal, n, "normal_f64");
    expect_128(need_tensor(set, "state_after_normal_f64"), generator.state, "state_after_normal_f64");
    expect_bits(need_tensor(set, "normal_f64.words_used"), DTYPE_I32, used, n, "words_used");
    expect_bits(need_tensor(set, "normal_f64.slow_index"), DTYPE_I64, slow, slow_count, "slow_index");
    expect_bits(need_tensor(set, "normal_f64.tail_index"), DTYPE_I64, tail, tail_count, "tail_index");

    /* The public generator: float64 as they are, float32 rounded, one stream over the calls. */
    struct generator *doubles = seeded(GENERATOR_NUMPY_PCG64, seed),
                     *singles = seeded(GENERATOR_NUMPY_PCG64, seed);
    double *again = need_memory(n, sizeof *again);
    float *rounded = need_memory(n, sizeof *rounded);
    generator_normal_f64(doubles, again, 1000);
    generator_normal_f64(doubles, again + 1000, n - 1000);
    expect_bits(recorded, DTYPE_F64, again, n, "generator_normal_f64");
    generator_normal_f32(singles, rounded, 7);
    generator_normal_f32(singles, rounded + 7, n - 7);
    for (size_t i = 0; i < n; i++) ck_assert_msg(rounded[i] == (float)normal[i], "float32 draw %zu", i);

    /* A pipeline's order: three tensors of 64, then three uniforms, then five normals. */
    double mixed[200];
    generator = numpy_seeded(seed);
    for (int i = 0; i < 200; i++)
        mixed[i] = i >= 192 && i < 195 ? numpy_pcg64_uniform(&generator) : numpy_pcg64_normal(&generator);
    expect_bits(need_tensor(set, "mixed_f64"), DTYPE_F64, mixed, 200, "mixed_f64");

    generator_free(doubles);
    generator_free(singles);
    free(again);
    free(rounded);
    free(normal);
    free(used);
    free(slow);
    free(tail);
    tensor_set_free(set);
}
END_TEST

/* A million draws: every one beyond R by place and value, every 10000th, and the words that the first
 * took. */
START_TEST(numpy_tails)
{
    const char *seed = tail_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/numpy-tails.safetensors");
    const struct tensor *values = need_tensor(set, "seed_%s.tail_value", seed);
    const size_t capacity = tensor_count(values);
    double *value = need_memory(capacity, sizeof *value);
    int64_t *index = need_memory(capacity, sizeof *index);
    double sampled[LONG_RUN / 10000];
    size_t tails = 0;
    int64_t counts[3] = {0, 0, 0}, max_words = 0, max_words_index = 0;

    struct numpy_pcg64 generator = numpy_seeded(seed);
    for (int64_t i = 0; i < LONG_RUN; i++) {
        double x;
        if (i < COUNTED) {
            unsigned layer;
            int used = words_of_draw(&generator, &x, &layer);
            counts[used > 1]++;
            counts[2] += used > 1 && layer == 0;
            if (used > max_words) {
                max_words = used;
                max_words_index = i;
            }
        } else {
            x = numpy_pcg64_normal(&generator);
        }
        if (i % 10000 == 0) sampled[i / 10000] = x;
        if (fabs(x) <= ZIGGURAT_R) continue;
        ck_assert_msg(tails < capacity, "draw %ld lies beyond R, after all that were recorded", (long)i);
        index[tails] = i;
        value[tails++] = x;
    }
    expect_bits(values, DTYPE_F64, value, tails, "tail_value");
    expect_bits(need_tensor(set, "seed_%s.tail_index", seed), DTYPE_I64, index, tails, "tail_index");
    expect_bits(
        need_tensor(set, "seed_%s.every_10000", seed), DTYPE_F64, sampled, LONG_RUN / 10000, "every_10000");
    expect_bits(need_tensor(set, "seed_%s.counts_first_20000", seed), DTYPE_I64, counts, 3, "counts");
    expect_bits(need_tensor(set, "seed_%s.max_words", seed), DTYPE_I64, &max_words, 1, "max_words");
    expect_bits(
        need_tensor(set, "seed_%s.max_words_index", seed), DTYPE_I64, &max_words_index, 1, "max_words_index");
    free(value);
    free(index);
    tensor_set_free(set);
}
END_TEST

/* --- PyTorch ------------------------------------------------------------------------------ */

START_TEST(torch_words_and_uniforms)
{
    const char *seed = torch_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/torch-%s.safetensors", seed);
    uint32_t *words, raw[2000];
    size_t count;
    struct torch_mt19937 generator;
    float single[1000];
    double wide[1000];

    ck_assert_int_eq(seed_words(seed, &words, &count, NULL), STATUS_OK);
    torch_mt19937_seed(&generator, words[0]);
    for (int i = 0; i < 2000; i++) raw[i] = torch_mt19937_next(&generator);
    expect_bits(need_tensor(set, "mt19937_u32"), DTYPE_I32, raw, 2000, "mt19937_u32");
    torch_mt19937_seed(&generator, words[0]);
    torch_mt19937_uniforms_f32(&generator, single, 1000);
    expect_bits(need_tensor(set, "rand_f32"), DTYPE_F32, single, 1000, "rand_f32");
    torch_mt19937_seed(&generator, words[0]);
    for (int i = 0; i < 1000; i++) wide[i] = torch_mt19937_uniform_f64(&generator);
    expect_bits(need_tensor(set, "rand_f64"), DTYPE_F64, wide, 1000, "rand_f64");

    /* PyTorch keeps the seed whole and seeds the twister with its low word alone. */
    uint64_t whole = count > 1 ? (uint64_t)words[1] << 32 | words[0] : words[0];
    expect_bits(need_tensor(set, "seed_in_state"), DTYPE_I64, &whole, 1, "seed_in_state");
    free(words);
    tensor_set_free(set);
}
END_TEST

/* Draws the tensors whose sizes `sizes` lists ("5_16_5") from one generator and compares them end to end. */
static void expect_randn(const struct tensor *want, enum generator_kind kind, const char *seed,
    const char *sizes, const char *what)
{
    const size_t total = tensor_count(want), size = dtype_size(want->dtype);
    char *drawn = need_memory(total, size);
    struct generator *generator = seeded(kind, seed);
    size_t at = 0;
    while (*sizes) {
        char *end;
        size_t n = strtoul(sizes, &end, 10);
        ck_assert_msg(end != sizes && at + n <= total, "%s: the sizes in the name", what);
        if (want->dtype == DTYPE_F32)
            generator_normal_f32(generator, (float *)(void *)drawn + at, n);
        else
            generator_normal_f64(generator, (double *)(void *)drawn + at, n);
        at += n;
        sizes = *end == '_' ? end + 1 : end;
    }
    expect_bits(want, want->dtype, drawn, at, what);
    generator_free(generator);
    free(drawn);
}

/* The cached half of a float64 pair crosses from float32 draws to float64 ones and back. */
static void expect_mixed(const struct tensor *want, enum generator_kind kind, const char *seed)
{
    float drawn[8];
    double wide[3];
    struct generator *generator = seeded(kind, seed);
    generator_normal_f32(generator, drawn, 3);
    generator_normal_f64(generator, wide, 3);
    for (int i = 0; i < 3; i++) drawn[3 + i] = (float)wide[i];
    generator_normal_f32(generator, drawn + 6, 2);
    expect_bits(want, DTYPE_F32, drawn, 8, "mixed dtypes");
    generator_free(generator);
}

/* Every recorded randn: "avx2." and "plain." tensors with their kernel, those without a prefix with both. */
START_TEST(torch_normals)
{
    const char *seed = torch_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/torch-%s.safetensors", seed);
    int compared = 0;
    for (size_t i = 0; i < tensor_set_count(set); i++) {
        const char *name = tensor_set_name(set, i);
        const struct tensor *want = tensor_set_at(set, i);
        const char *randn = strstr(name, "randn");
        if (!randn) continue; /* words and uniforms: the test above */
        bool avx2 = strncmp(name, "plain.", 6) != 0, plain = strncmp(name, "avx2.", 5) != 0;
        const char *sizes = strchr(randn, '.') + 1;
        if (strstr(name, "mixed")) {
            ck_assert_str_eq(name, "randn_seq_mixed.f32_3_f64_3_f32_2");
            expect_mixed(want, GENERATOR_TORCH_CPU, seed);
            expect_mixed(want, GENERATOR_TORCH_CPU_PLAIN, seed);
        } else {
            if (avx2) expect_randn(want, GENERATOR_TORCH_CPU, seed, sizes, name);
            if (plain) expect_randn(want, GENERATOR_TORCH_CPU_PLAIN, seed, sizes, name);
        }
        compared++;
    }
    ck_assert_int_eq(compared, 53);
    tensor_set_free(set);
}
END_TEST

/* --- torch-cuda: Philox ------------------------------------------------------------------- */

START_TEST(philox_known_answers)
{
    struct tensor_set *set = golden_tensors("rng/philox.safetensors");
    for (int i = 0; i < 3; i++) {
        const struct tensor *counter = need_tensor(set, "known.%d.counter", i);
        const struct tensor *key = need_tensor(set, "known.%d.key", i);
        uint32_t words[4];
        philox4x32_10(counter->data, key->data, words);
        expect_bits(need_tensor(set, "known.%d.result", i), DTYPE_I32, words, 4, "Random123's answer");
    }
    tensor_set_free(set);
}
END_TEST

static const char *const philox_offsets[] = {"0", "1", "2", "4294967297"};

/* The words of 64 threads at some offsets, and the normals of those words in exact arithmetic. */
START_TEST(philox_words_and_normals)
{
    const char *seed = torch_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/philox.safetensors");
    for (size_t k = 0; k < sizeof philox_offsets / sizeof *philox_offsets; k++) {
        const uint64_t offset = strtoull(philox_offsets[k], NULL, 10), key = strtoull(seed, NULL, 10);
        const uint32_t keys[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
        uint32_t words[64][4];
        for (uint32_t thread = 0; thread < 64; thread++) {
            const uint32_t counter[4] = {(uint32_t)offset, (uint32_t)(offset >> 32), thread, 0};
            philox4x32_10(counter, keys, words[thread]);
        }
        expect_bits(need_tensor(set, "seed_%s.words.offset_%s", seed, philox_offsets[k]), DTYPE_I32, words,
            256, "words");

        struct torch_philox generator = {key, offset, TORCH_PHILOX_A100_THREADS};
        float normals[1024];
        torch_philox_randn_f32(&generator, normals, 1024); /* as many threads: their first ones */
        const struct tensor *exact =
            need_tensor(set, "seed_%s.normal4_f64.offset_%s", seed, philox_offsets[k]);
        for (size_t thread = 0; thread < 64; thread++)
            ck_assert_double_eq_tol((double)normals[thread], tensor_get_double(exact, 4 * thread), 4e-6);
    }
    tensor_set_free(set);
}
END_TEST

static void expect_near(const struct tensor *want, const float *got, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(fabs((double)got[i] - tensor_get_double(want, first + i)) <= 4e-6,
            "element %zu: %.9g, recorded %.9g", i, (double)got[i], tensor_get_double(want, first + i));
}

/* Where the numbers go: two calls one after the other, and a tensor of more elements than the GPU has
 * threads. The bound is float32's rounding of logarithms, roots and angles, a few times 1e-7 of up to 5. */
START_TEST(philox_layout)
{
    const char *seed = torch_seeds[_i];
    struct tensor_set *set = golden_tensors("rng/philox.safetensors");
    float normals[5000];
    struct torch_philox generator = {strtoull(seed, NULL, 10), 0, TORCH_PHILOX_A100_THREADS};
    const struct tensor *two_calls = need_tensor(set, "seed_%s.randn_two_calls_f64", seed);
    torch_philox_randn_f32(&generator, normals, 1024);
    expect_near(two_calls, normals, 0, 1024);
    expect_near(need_tensor(set, "seed_%s.randn_f32_opwise", seed), normals, 0, 1024);
    torch_philox_randn_f32(&generator, normals, 1024);
    expect_near(two_calls, normals, 1024, 1024);
    generator = (struct torch_philox){strtoull(seed, NULL, 10), 0, 512};
    torch_philox_randn_f32(&generator, normals, 5000);
    expect_near(need_tensor(set, "seed_%s.randn_wrapped_512_threads_f64", seed), normals, 0, 5000);
    tensor_set_free(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("generators");
    TCase *numpy = tcase_create("numpy-pcg64"), *torch = tcase_create("torch-cpu");
    TCase *cuda = tcase_create("torch-cuda");
    tcase_add_loop_test(numpy, numpy_seed_sequence, 0, NUMPY_SEEDS);
    tcase_add_loop_test(numpy, numpy_words_and_uniforms, 0, NUMPY_SEEDS);
    tcase_add_loop_test(numpy, numpy_normals, 0, NUMPY_SEEDS);
    tcase_add_loop_test(numpy, numpy_tails, 0, TAIL_SEEDS);
    tcase_add_loop_test(torch, torch_words_and_uniforms, 0, TORCH_SEEDS);
    tcase_add_loop_test(torch, torch_normals, 0, TORCH_SEEDS);
    tcase_set_timeout(numpy, 60);
    suite_add_tcase(suite, numpy);
    tcase_add_test(cuda, philox_known_answers);
    tcase_add_loop_test(cuda, philox_words_and_normals, 0, TORCH_SEEDS);
    tcase_add_loop_test(cuda, philox_layout, 0, TORCH_SEEDS);
    suite_add_tcase(suite, torch);
    suite_add_tcase(suite, cuda);
    return run_suite(suite);
}
