/*
 * Checkpoints with synthetic weights: the published names, shapes and sizes; values that depend on name,
 * seed and index alone; the same in every kind of file; a tokenizer that takes every text.
 */
#include "file_support.h"
#include "support.h"

#include "ref/inspection.h"
#include "ref/synth.h"
#include "ref/tokenizer.h"

#include "kernels/cpu.h"
#include "kernels/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct architecture open_architecture(const char *name)
{
    struct architecture architecture;
    struct error error = {""};
    ck_assert_msg(architecture_open(name, &architecture, &error) == STATUS_OK, "%s", error.message);
    return architecture;
}

static void synth(const char *name, struct synth_request request)
{
    struct architecture architecture = open_architecture(name);
    struct error error = {""};
    if (request.shard_size == 0) request.shard_size = 10000000000u;
    ck_assert_msg(synth_write(&architecture, &request, &error) == STATUS_OK, "%s", error.message);
    architecture_close(&architecture);
}

static struct weights *open_weights(const char *folder, const char *component, const char *variant)
{
    struct checkpoint checkpoint;
    struct weights *weights = NULL;
    struct error error = {""};
    enum status status = checkpoint_open(folder, &checkpoint, &error);
    if (status == STATUS_OK) status = weights_open(&checkpoint, component, variant, &weights, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    checkpoint_close(&checkpoint);
    return weights;
}

/* --- Names and shapes --------------------------------------------------------------------- */

static const struct {
    const char *architecture, *golden;
} tiny[] = {{"tiny-sd15", "tiny-sd"}, {"tiny-sd21", "tiny-sd21v"}, {"tiny-sdxl", "tiny-sdxl"}};

/* What diffusers before 0.12 called a tensor of the autoencoder's attention. */
static const char *older_name(const char *name, char *buffer, size_t size)
{
    static const char *const names[][2] = {
        {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *at = strstr(name, names[i][0]);
        if (!at) continue;
        snprintf(buffer, size, "%.*s%s%s", (int)(at - name), name, names[i][1], at + strlen(names[i][0]));
        return buffer;
    }
    return name;
}

/* Diffusers and transformers wrote the golden checkpoints: the same tensors in the same shapes. */
START_TEST(tensors_are_those_of_the_libraries)
{
    struct architecture architecture = open_architecture(tiny[_i].architecture);
    struct error error = {""};
    for (size_t m = 0; m < ARCHITECTURE_MODELS; m++) {
        const char *model = architecture_models[m];
        struct tensor_set *set = NULL;
        if (!architecture_part(&architecture, model)) continue;
        ck_assert_int_eq(architecture_tensors(&architecture, model, DTYPE_F32, &set, &error), STATUS_OK);
        struct weights *weights = open_weights(golden_path("models/%s", tiny[_i].golden), model, NULL);
        /* Older transformers saved the positions 0 .. 76, too. */
        size_t positions = weights_has(weights, "text_model.embeddings.position_ids");
        ck_assert_uint_eq(tensor_set_count(set) + positions, weights_tensor_count(weights));
        for (size_t i = 0; i < tensor_set_count(set); i++) {
            const char *name = tensor_set_name(set, i);
            char older[200];
            if (!weights_has(weights, "%s", name)) name = older_name(name, older, sizeof older);
            ck_assert_msg(weights_has(weights, "%s", name), "%s: no tensor %s", model, name);
            struct tensor taken;
            const struct tensor *shape = tensor_set_at(set, i);
            weights_take(weights, &taken, shape->rank, shape->shape, "%s", name);
            ck_assert_msg(taken.data != NULL, "%s: %s has another shape", model, name);
        }
        weights_close(weights);
        tensor_set_free(set);
    }
    architecture_close(&architecture);
}
END_TEST

/* The published models' numbers of parameters. */
static const struct {
    const char *architecture, *model;
    size_t parameters;
} published[] = {
    {"sd15", "text_encoder", 123060480},
    {"sd15", "unet", 859520964},
    {"sd15", "vae", 83653863},
    {"sd21", "text_encoder", 340387840},
    {"sd21", "unet", 865910724},
    {"sdxl", "text_encoder", 123060480},
    {"sdxl", "text_encoder_2", 694659840},
    {"sdxl", "unet", 2567463684},
    {"sdxl", "vae", 83653863},
};

START_TEST(sizes_are_the_published_ones)
{
    struct architecture architecture = open_architecture(published[_i].architecture);
    struct tensor_set *set = NULL;
    struct error error = {""};
    size_t parameters = 0;
    ck_assert_int_eq(
        architecture_tensors(&architecture, published[_i].model, DTYPE_F32, &set, &error), STATUS_OK);
    for (size_t i = 0; i < tensor_set_count(set); i++) parameters += tensor_count(tensor_set_at(set, i));
    ck_assert_uint_eq(parameters, published[_i].parameters);
    tensor_set_free(set);
    architecture_close(&architecture);
}
END_TEST

/* Two places hold the published schedulers: as configs to look at, and in the architectures. */
START_TEST(schedulers_are_those_of_the_configs)
{
    static const char *const pairs[][2] = {{"sd15", "sd15"}, {"sd21", "sd21v"}, {"sdxl", "sdxl"},
        {"tiny-sd15", "sd15"}, {"tiny-sd21", "sd21v"}, {"tiny-sdxl", "sdxl"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct architecture architecture = open_architecture(pairs[i][0]);
        cJSON *config = golden_json("../configs/schedulers/%s.json", pairs[i][1]);
        ck_assert_msg(
            cJSON_Compare(config, architecture_part(&architecture, "scheduler"), true), "%s", pairs[i][0]);
        cJSON_Delete(config);
        architecture_close(&architecture);
    }
}
END_TEST

/* --- Values ------------------------------------------------------------------------------- */

/* The first outputs of SplitMix64 with seed 1234567, as its authors' program prints them. */
START_TEST(the_stream_is_splitmix64)
{
    static const uint64_t words[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
        4593380528125082431u, 16408922859458223821u};
    struct synth_values values = {.key = 1234567, .centre = 0, .scale = 1};
    float got[10];
    synth_values_fill(&values, 0, 10, DTYPE_F32, got);
    for (size_t i = 0; i < 5; i++) {
        int32_t low = (int32_t)(uint32_t)words[i], high = (int32_t)(uint32_t)(words[i] >> 32);
        ck_assert(got[2 * i] == (float)floor(low / 256.0));
        ck_assert(got[2 * i + 1] == (float)floor(high / 256.0));
    }
}
END_TEST

/* Any piece of a tensor, from any place, for any number of threads, is the same as in the whole. */
START_TEST(pieces_are_those_of_the_whole)
{
    enum { COUNT = 10007 };
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
    struct tensor shape = {DTYPE_F32, 2, {COUNT, 3}, NULL};
    struct synth_values values = synth_values_of("unet.x.weight", 5, &shape);
    static unsigned char whole[4 * COUNT], piece[4 * COUNT + 1]; /* and what may not be written */
    for (size_t d = 0; d < 3; d++) {
        size_t size = dtype_size(dtypes[d]);
        synth_values_fill(&values, 0, COUNT, dtypes[d], whole);
        for (int threads = 1; threads <= 8; threads++) {
            kernels_set_threads(threads);
            for (size_t first = 0; first < 12; first++) {
                size_t n = COUNT - 100 * first;
                memset(piece, 0, sizeof piece);
                synth_values_fill(&values, first, n - first, dtypes[d], piece);
                ck_assert_mem_eq(piece, whole + first * size, (n - first) * size);
                ck_assert_uint_eq(piece[(n - first) * size], 0);
            }
        }
    }
}
END_TEST

START_TEST(names_and_seeds_make_other_values)
{
    struct tensor shape = {DTYPE_F32, 1, {64}, NULL};
    float a[64], b[64];
    const struct {
        const char *name;
        uint64_t seed;
    } others[] = {{"unet.a.bias", 1}, {"unet.b.bias", 0}, {"vae.a.bias", 0}, {"unet.a.bias", UINT64_MAX}};
    struct synth_values values = synth_values_of("unet.a.bias", 0, &shape);
    synth_values_fill(&values, 0, 64, DTYPE_F32, a);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        values = synth_values_of(others[i].name, others[i].seed, &shape);
        synth_values_fill(&values, 0, 64, DTYPE_F32, b);
        size_t equal = 0;
        for (size_t k = 0; k < 64; k++) equal += a[k] == b[k];
        ck_assert_uint_eq(equal, 0);
    }
}
END_TEST

/* Mean, deviation and range of n uniform numbers: the mean of n is within 5 s / sqrt(n), and their variance
 * within 5 s^2 sqrt(0.8 / n) of s^2 (the fourth moment of a uniform number is 1.8 s^4), unless one of 10^6
 * draws is seen. */
START_TEST(values_have_the_stated_deviation)
{
    enum { COUNT = 1 << 20 };
    static const struct {
        const char *name;
        struct tensor shape;
        double mean, deviation;
    } cases[] = {
        {"unet.conv1.weight", {DTYPE_F32, 4, {COUNT, 16, 3, 3}, NULL}, 0, 1.0 / 12},
        {"unet.conv2.weight", {DTYPE_F32, 4, {COUNT, 16, 3, 3}, NULL}, 0, 0.5 / 12},
        {"unet.to_q.weight", {DTYPE_F32, 2, {COUNT, 64}, NULL}, 0, 0.125},
        {"unet.x.attn1.to_out.0.weight", {DTYPE_F32, 2, {COUNT, 64}, NULL}, 0, 0.0625},
        {"text_encoder.embeddings.token_embedding.weight", {DTYPE_F32, 2, {COUNT, 768}, NULL}, 0,
            0.70710678118654752},
        {"unet.norm1.weight", {DTYPE_F32, 1, {COUNT}, NULL}, 1, 0.1},
        {"unet.norm1.bias", {DTYPE_F32, 1, {COUNT}, NULL}, 0, 0.05},
    };
    float *values = malloc(COUNT * sizeof *values);
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct synth_values of = synth_values_of(cases[i].name, 0, &cases[i].shape);
        synth_values_fill(&of, 0, COUNT, DTYPE_F32, values);
        double sum = 0, squares = 0, largest = 0, s = cases[i].deviation;
        for (size_t k = 0; k < COUNT; k++) {
            double x = (double)values[k] - cases[i].mean;
            sum += x;
            squares += x * x;
            largest = fmax(largest, fabs(x));
        }
        ck_assert_double_le(fabs(sum / COUNT), 5 * s / sqrt(COUNT));
        ck_assert_double_le(fabs(squares / COUNT - s * s), 5 * s * s * sqrt(0.8 / COUNT));
        ck_assert_double_le(largest, s * sqrt(3) * (1 + 1e-5)); /* the float of 1 + x is rounded */
        ck_assert_double_ge(largest, s * sqrt(3) * (1 - 1e-4));
    }
    free(values);
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

/* Every tensor of two checkpoints' component; `narrow` rounds those of `a`. */
static void expect_same_weights(
    const char *a, const char *b, const char *component, const char *variant, uint16_t (*narrow)(float))
{
    struct weights *first = open_weights(a, component, NULL), *second = open_weights(b, component, variant);
    ck_assert_uint_eq(weights_tensor_count(first), weights_tensor_count(second));
    for (size_t i = 0; i < weights_tensor_count(first); i++) {
        struct tensor x, y;
        ck_assert_str_eq(weights_tensor_at(first, i, &x), weights_tensor_at(second, i, &y));
        ck_assert(tensor_same_shape(&x, &y));
        for (size_t k = 0; narrow && k < tensor_count(&x); k++) {
            uint16_t bits;
            memcpy(&bits, (const char *)y.data + k * sizeof bits, sizeof bits);
            ck_assert_uint_eq(bits, narrow((float)tensor_get_double(&x, k)));
        }
        if (!narrow) ck_assert_mem_eq(x.data, y.data, tensor_bytes(&x));
    }
    weights_close(first);
    weights_close(second);
}

/* One file or shards, f32 or narrower, named for a variant or not: the same weights. */
START_TEST(the_same_weights_in_every_file)
{
    const char *plain = path_in(test_folder, "plain"), *shards = path_in(test_folder, "shards");
    const char *fp16 = path_in(test_folder, "fp16"), *bf16 = path_in(test_folder, "bf16");
    static const char *const models[] = {"text_encoder", "text_encoder_2", "unet", "vae"};
    synth("tiny-sdxl", (struct synth_request){.folder = plain});
    synth("tiny-sdxl", (struct synth_request){.folder = shards, .shard_size = 400000});
    synth("tiny-sdxl",
        (struct synth_request){.folder = fp16, .shard_size = 300000, .dtype = DTYPE_F16, .variant = "fp16"});
    synth("tiny-sdxl", (struct synth_request){.folder = bf16, .dtype = DTYPE_BF16});
    for (size_t i = 0; i < 4; i++) {
        expect_same_weights(plain, shards, models[i], NULL, NULL);
        expect_same_weights(plain, fp16, models[i], "fp16", f16_from_f32);
        expect_same_weights(plain, bf16, models[i], NULL, bf16_from_f32);
    }
    /* 1,653,712 bytes in files of at most 400,000. */
    struct weights *weights = open_weights(shards, "unet", NULL);
    ck_assert_uint_eq(weights_file_count(weights), 5);
    weights_close(weights);
    ck_assert_int_eq(access(path_in(shards, "unet/diffusion_pytorch_model.safetensors.index.json"), F_OK), 0);
    ck_assert_int_eq(
        access(path_in(fp16, "unet/diffusion_pytorch_model.safetensors.index.fp16.json"), F_OK), 0);
    ck_assert_int_eq(
        access(path_in(fp16, "unet/diffusion_pytorch_model.fp16-00001-of-00003.safetensors"), F_OK), 0);
    ck_assert_int_eq(access(path_in(fp16, "text_encoder/model.fp16.safetensors"), F_OK), 0);
}
END_TEST

START_TEST(the_same_bytes_twice)
{
    static const char *const files[] = {"model_index.json", "scheduler/scheduler_config.json",
        "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/tokenizer_config.json",
        "tokenizer/special_tokens_map.json", "text_encoder/config.json", "text_encoder/model.safetensors",
        "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors"};
    for (int threads = 1; threads <= 3; threads++) {
        kernels_set_threads(threads);
        synth("tiny-sd15", (struct synth_request){.folder = path_in(test_folder, "%d", threads), .seed = 3});
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size, other_size;
        unsigned char *one = read_bytes(path_in(test_folder, "1/%s", files[i]), &size);
        for (int threads = 2; threads <= 3; threads++) {
            unsigned char *other = read_bytes(path_in(test_folder, "%d/%s", threads, files[i]), &other_size);
            ck_assert_uint_eq(size, other_size);
            ck_assert_mem_eq(one, other, size);
            free(other);
        }
        free(one);
    }
}
END_TEST

/* --- The tokenizer ------------------------------------------------------------------------ */

static size_t tokens_of(const struct tokenizer *tokenizer, const char *prompt, int64_t **ids)
{
    size_t count;
    struct error error = {""};
    ck_assert_msg(
        tokenizer_encode_all(tokenizer, prompt, ids, &count, &error) == STATUS_OK, "%s", error.message);
    return count;
}

START_TEST(every_text_has_tokens)
{
    static const size_t sizes[] = {49408, 1214, 514};
    struct tokenizer *tokenizer;
    struct error error = {""};
    int64_t *ids;
    ck_assert_msg(synth_tokenizer(test_folder, sizes[_i], "!", &error) == STATUS_OK, "%s", error.message);
    ck_assert_msg(tokenizer_open(test_folder, &tokenizer, &error) == STATUS_OK, "%s", error.message);
    ck_assert_int_eq(tokenizer_vocabulary_size(tokenizer), (int64_t)sizes[_i]);
    ck_assert_uint_eq(tokenizer_length(tokenizer), 77);

    /* Every byte inside a word and at its end; no unknown tokens, which would be the end's. */
    const char *const prompts[] = {"a photograph of an astronaut riding a horse, 8k", "\"quotes\" \\ /",
        "caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88", "x0123456789", ""};
    for (size_t p = 0; p < sizeof prompts / sizeof *prompts; p++) {
        size_t count = tokens_of(tokenizer, prompts[p], &ids);
        ck_assert_int_eq(ids[0], (int64_t)sizes[_i] - 2);
        ck_assert_int_eq(ids[count - 1], (int64_t)sizes[_i] - 1);
        for (size_t i = 1; i + 1 < count; i++) ck_assert_int_lt(ids[i], (int64_t)sizes[_i] - 2);
        free(ids);
    }
    size_t count = tokens_of(tokenizer, "a cat", &ids);
    ck_assert_uint_eq(count, sizes[_i] == 49408 ? 4 : sizes[_i] == 1214 ? 5 : 6);
    ck_assert_int_eq(ids[1], 256 + 'a' - '!'); /* a</w> */
    free(ids);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(vocabularies_that_cannot_be)
{
    struct error error = {""};
    expect_error(synth_tokenizer(test_folder, 513, "!", &error), STATUS_BAD_INPUT, &error, "vocab_size",
        "514 to 49408", "513", NULL);
    expect_error(synth_tokenizer(test_folder, 49409, "!", &error), STATUS_BAD_INPUT, &error, "49409", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 0);
}
END_TEST

int main(void)
{
    const int tiny_count = sizeof tiny / sizeof *tiny;
    Suite *suite = suite_create("synthetic checkpoints");
    TCase *cases = tcase_create("tensors");
    tcase_add_loop_test(cases, tensors_are_those_of_the_libraries, 0, tiny_count);
    tcase_add_loop_test(cases, sizes_are_the_published_ones, 0, (int)(sizeof published / sizeof *published));
    tcase_add_test(cases, schedulers_are_those_of_the_configs);
    tcase_add_test(cases, the_stream_is_splitmix64);
    tcase_add_test(cases, pieces_are_those_of_the_whole);
    tcase_add_test(cases, names_and_seeds_make_other_values);
    tcase_add_test(cases, values_have_the_stated_deviation);
    suite_add_tcase(suite, cases);

    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_test_folder, drop_test_folder);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, the_same_weights_in_every_file);
    tcase_add_test(files, the_same_bytes_twice);
    tcase_add_loop_test(files, every_text_has_tokens, 0, 3);
    tcase_add_test(files, vocabularies_that_cannot_be);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
