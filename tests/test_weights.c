/*
 * The weights of a component: which files hold them, and files that do not fit the model. The checkpoints are
 * the golden ones, copied and changed.
 */
#include "weights_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Tools -------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static struct weights *open_weights(const char *path, const char *component, const char *variant)
{
    struct checkpoint checkpoint = open_checkpoint(path);
    struct weights *weights = NULL;
    struct error error = {""};
    enum status status = weights_open(&checkpoint, component, variant, &weights, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    checkpoint_close(&checkpoint);
    return weights;
}

static void expect_no_weights(const char *path, const char *component, const char *variant, const char *words)
{
    struct checkpoint checkpoint = open_checkpoint(path);
    struct weights *weights = NULL;
    struct error error = {""};
    enum status status = weights_open(&checkpoint, component, variant, &weights, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, words, NULL);
    ck_assert(weights == NULL);
    checkpoint_close(&checkpoint);
}

/* Takes what the tensors of a golden file say, as a model's loader would. */
static void take_all(struct weights *weights, const struct tensor_set *wanted)
{
    for (size_t i = 0; i < tensor_set_count(wanted); i++) {
        const struct tensor *like = tensor_set_at(wanted, i);
        struct tensor tensor;
        weights_take(weights, &tensor, like->rank, like->shape, "%s", tensor_set_name(wanted, i));
    }
}

/* --- Whole components --------------------------------------------------------------------- */

static const struct {
    const char *model, *component, *variant, *file;
} wholes[] = {
    {"tiny-sd", "unet", NULL, "diffusion_pytorch_model.safetensors"},
    {"tiny-sd", "vae", NULL, "diffusion_pytorch_model.safetensors"},
    {"tiny-sd21v", "text_encoder", NULL, "model.safetensors"},
    {"tiny-sdxl", "text_encoder_2", NULL, "model.safetensors"},
    {"tiny-sdxl-fp16", "unet", "fp16", "diffusion_pytorch_model.fp16.safetensors"},
    {"tiny-sdxl-fp16", "text_encoder", "fp16", "model.fp16.safetensors"},
    {"shapes-xl", "unet", NULL, "diffusion_pytorch_model.safetensors"},
};

START_TEST(golden_components_are_whole)
{
    struct weights *weights =
        open_weights(golden_path("models/%s", wholes[_i].model), wholes[_i].component, wholes[_i].variant);
    struct tensor_set *wanted =
        golden_tensors("models/%s/%s/%s", wholes[_i].model, wholes[_i].component, wholes[_i].file);
    take_all(weights, wanted);
    struct error error = {""};
    ck_assert_msg(weights_finish(weights, &error) == STATUS_OK, "%s", error.message);
    ck_assert_uint_eq(weights_file_count(weights), 1);
    ck_assert_uint_eq(weights_tensor_count(weights), tensor_set_count(wanted));
    ck_assert(strstr(weights_file_name(weights, 0), wholes[_i].file) != NULL);
    struct tensor tensor;
    ck_assert_str_eq(weights_tensor_at(weights, 3, &tensor), tensor_set_name(wanted, 3));
    ck_assert(tensor_same_shape(&tensor, tensor_set_at(wanted, 3)));
    tensor_set_free(wanted);
    weights_close(weights);
}
END_TEST

/* The text encoder of old checkpoints holds its positions as integers, which a model ignores. */
START_TEST(tensors_can_be_ignored)
{
    const char *name = "text_model.embeddings.position_ids";
    struct tensor_set *wanted = golden_tensors("models/tiny-sd/text_encoder/model.safetensors");
    for (int ignored = 0; ignored < 2; ignored++) {
        struct weights *weights = open_weights(golden_path("models/tiny-sd"), "text_encoder", NULL);
        ck_assert(weights_has(weights, "text_model.%s.position_ids", "embeddings"));
        ck_assert(!weights_has(weights, "text_model.embeddings"));
        if (ignored) weights_ignore(weights, "*.position_ids");
        for (size_t i = 0; i < tensor_set_count(wanted); i++) {
            const struct tensor *like = tensor_set_at(wanted, i);
            struct tensor tensor;
            if (strcmp(tensor_set_name(wanted, i), name) != 0)
                weights_take(weights, &tensor, like->rank, like->shape, "%s", tensor_set_name(wanted, i));
        }
        struct error error = {""};
        enum status status = weights_finish(weights, &error);
        if (ignored)
            ck_assert_msg(status == STATUS_OK, "%s", error.message);
        else
            expect_error(status, STATUS_BAD_INPUT, &error, "model.safetensors", name, "no such tensor", NULL);
        weights_close(weights);
    }
    tensor_set_free(wanted);
}
END_TEST

/* --- Weights that do not fit -------------------------------------------------------------- */

static const struct {
    const char *model, *component, *variant, *file, *name;
    enum change change;
    enum dtype dtype;
    uint64_t bits;
    const char *words;
} damages[] = {
#define UNET "tiny-sd", "unet", NULL, "diffusion_pytorch_model.safetensors", "conv_in.weight"
#define HALF "tiny-sdxl-fp16", "unet", "fp16", "diffusion_pytorch_model.fp16.safetensors", "conv_in.weight"
    {UNET, DROP, DTYPE_F32, 0, "expected one of shape [16, 4, 3, 3], and it is missing"},
    {UNET, ADD, DTYPE_F32, 0,
        "tensor surplus.weight: the model that config.json describes has no such tensor"},
    {UNET, RESHAPE, DTYPE_F32, 0, "expected shape [16, 4, 3, 3], got [16, 4, 3, 3, 1]"},
    {UNET, TRANSPOSE, DTYPE_F32, 0, "expected shape [16, 4, 3, 3], got [4, 16, 3, 3]"},
    {UNET, RETYPE, DTYPE_I32, 0, "expected F32, F16 or BF16, got I32"},
    {UNET, POISON, DTYPE_F32, 0x7f800000, "element 574: expected a finite number, got inf"},
    {UNET, POISON, DTYPE_F32, 0xff800000, "element 574: expected a finite number, got -inf"},
    {UNET, POISON, DTYPE_F32, 0x7fc00000, "element 574: expected a finite number, got nan"},
    {UNET, POISON, DTYPE_F32, 0x7f7fffff, NULL}, /* the largest float */
    {HALF, POISON, DTYPE_F16, 0x7c00, "expected a finite number, got inf"},
    {HALF, POISON, DTYPE_F16, 0xfe00, "expected a finite number, got"},
    {HALF, POISON, DTYPE_F16, 0xfbff, NULL}, /* the most negative half */
    {HALF, RETYPE, DTYPE_BF16, 0, NULL},     /* another number, but a number */
#undef UNET
#undef HALF
};

START_TEST(weights_that_do_not_fit)
{
    const char *model = copy_model(damages[_i].model);
    struct tensor_set *wanted =
        golden_tensors("models/%s/%s/%s", damages[_i].model, damages[_i].component, damages[_i].file);
    const char *path = path_in(model, "%s/%s", damages[_i].component, damages[_i].file);
    change_file(path, damages[_i].name, damages[_i].change, damages[_i].dtype, damages[_i].bits);

    struct weights *weights = open_weights(model, damages[_i].component, damages[_i].variant);
    take_all(weights, wanted);
    struct error error = {""};
    enum status status = weights_finish(weights, &error);
    const char *words = damages[_i].words;
    if (!words)
        ck_assert_msg(status == STATUS_OK, "%s", error.message);
    else if (damages[_i].change == ADD)
        expect_error(status, STATUS_BAD_INPUT, &error, path, words, NULL);
    else
        expect_error(status, STATUS_BAD_INPUT, &error, path, damages[_i].name, words, NULL);
    weights_close(weights);
    tensor_set_free(wanted);
}
END_TEST

START_TEST(a_bf16_infinity_is_found)
{
    const char *model = copy_model("tiny-sdxl-fp16"), *file = "unet/diffusion_pytorch_model.fp16.safetensors";
    struct tensor_set *wanted = golden_tensors("models/tiny-sdxl-fp16/%s", file);
    change_file(path_in(model, "%s", file), "conv_in.bias", RETYPE, DTYPE_BF16, 0);
    change_file(path_in(model, "%s", file), "conv_in.bias", POISON, DTYPE_BF16, 0x7f80);
    struct weights *weights = open_weights(model, "unet", "fp16");
    take_all(weights, wanted);
    struct error error = {""};
    expect_error(weights_finish(weights, &error), STATUS_BAD_INPUT, &error, "conv_in.bias", "inf", NULL);
    weights_close(weights);
    tensor_set_free(wanted);
}
END_TEST

START_TEST(the_first_failure_stays)
{
    struct weights *weights = open_weights(golden_path("models/tiny-sd"), "unet", NULL);
    struct tensor tensor;
    weights_take(weights, &tensor, 1, (int64_t[]){7}, "first.missing");
    ck_assert(tensor.data == NULL && tensor.rank == 1 && tensor.shape[0] == 7);
    weights_take(weights, &tensor, 1, (int64_t[]){7}, "second.missing");
    weights_take(weights, &tensor, 1, (int64_t[]){16}, "conv_in.bias");
    ck_assert(tensor.data == NULL);
    for (int i = 0; i < 2; i++) {
        struct error error = {""};
        enum status status = weights_finish(weights, &error);
        expect_error(
            status, STATUS_BAD_INPUT, &error, "diffusion_pytorch_model.safetensors", "first.missing", NULL);
    }
    weights_close(weights);
}
END_TEST

START_TEST(a_truncated_file_of_weights)
{
    const char *model = copy_model("tiny-sd"),
               *path = path_in(model, "vae/diffusion_pytorch_model.safetensors");
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(truncate(path, info.st_size / 2), 0);
    expect_no_weights(model, "vae", NULL, "data_offsets");
}
END_TEST

/* --- Shards ------------------------------------------------------------------------------- */

static const char *copy_sharded(void)
{
    const char *model = copy_model("tiny-sdxl"), *unet = path_in(model, "unet");
    ck_assert_int_eq(rename(unet, path_in(model, "old")), 0);
    copy_folder(golden_path("models/tiny-sdxl-sharded/unet"), unet);
    return model;
}

START_TEST(shards_are_one_component)
{
    struct weights *weights = open_weights(copy_sharded(), "unet", NULL);
    struct tensor_set *wanted = golden_tensors("models/tiny-sdxl/unet/diffusion_pytorch_model.safetensors");
    ck_assert_uint_eq(weights_file_count(weights), 3);
    ck_assert_uint_eq(weights_tensor_count(weights), tensor_set_count(wanted));
    for (size_t i = 0; i < tensor_set_count(wanted); i++) {
        const struct tensor *like = tensor_set_at(wanted, i);
        struct tensor tensor;
        weights_take(weights, &tensor, like->rank, like->shape, "%s", tensor_set_name(wanted, i));
        ck_assert_msg(tensor.data != NULL && memcmp(tensor.data, like->data, tensor_bytes(like)) == 0,
            "%s: other bytes", tensor_set_name(wanted, i));
    }
    ck_assert_int_eq(weights_finish(weights, NULL), STATUS_OK);
    tensor_set_free(wanted);
    weights_close(weights);
}
END_TEST

#define SHARD "diffusion_pytorch_model-0000%d-of-00003.safetensors"
#define INDEX "diffusion_pytorch_model.safetensors.index.json"

START_TEST(shards_that_are_not_as_listed)
{
    const char *model = copy_sharded(), *third = path_in(model, "unet/" SHARD, 3);
    ck_assert_int_eq(rename(third, path_in(model, "away")), 0);
    expect_no_weights(model, "unet", NULL, "00003-of-00003.safetensors: cannot be read");
    ck_assert_int_eq(rename(path_in(model, "away"), third), 0);

    /* conv_in.bias is listed in the first shard, conv_out.bias in the third. */
    change_file(third, "conv_out.bias", DROP, DTYPE_F32, 0);
    expect_no_weights(model, "unet", NULL, "tensor conv_out.bias is in no shard");
    size_t size;
    unsigned char *bytes = read_bytes(path_in(model, "unet/" SHARD, 1), &size);
    write_bytes(third, bytes, size);
    free(bytes);
    expect_no_weights(model, "unet", NULL, "it is in ");
}
END_TEST

START_TEST(a_tensor_in_the_wrong_shard)
{
    const char *model = copy_sharded(), *path = path_in(model, "unet/" INDEX);
    size_t size;
    char *text = (char *)read_bytes(path, &size);
    text[size] = '\0';
    char *entry = strstr(text, "\"conv_in.bias\"");
    ck_assert(entry != NULL);
    char *number = strstr(entry, "00001-of");
    ck_assert(number != NULL);
    number[4] = '2';
    write_bytes(path, text, size);
    free(text);
    expect_no_weights(model, "unet", NULL, "conv_in.bias: listed in diffusion_pytorch_model-00002-of-00003");
}
END_TEST

START_TEST(an_index_that_lies)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"{}", "weight_map: expected an object"},
        {"[]", "weight_map"},
        {"{\"weight_map\": {\"a\": 1}}", "weight_map: a: expected a .safetensors file"},
        {"{\"weight_map\": {}}", "at least one tensor"},
        {"{\"weight_map\": {\"a\": \"../../../etc/x.safetensors\"}}", "of the same folder"},
        {"{\"weight_map\": {\"a\": \"..safetensors\"}}", "of the same folder"},
        {"{\"weight_map\": {\"a\": \"/elsewhere/x.safetensors\"}}", "of the same folder"},
        {"{\"weight_map\": {\"a\": \"x.bin\"}}", "expected a .safetensors file"},
        {"{\"weight_map\": {\"a\": \"x.safetensors\"}}", "cannot be read"},
        {"{\"weight_map\": ", "JSON"},
    };
    const char *model = copy_sharded();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(path_in(model, "unet/" INDEX), cases[i].text);
        expect_no_weights(model, "unet", NULL, cases[i].words);
    }
}
END_TEST

/* --- Variants ----------------------------------------------------------------------------- */

START_TEST(a_variant_is_asked_for_by_name)
{
    const char *half = golden_path("models/tiny-sdxl-fp16"), *plain = golden_path("models/tiny-sdxl");
    expect_no_weights(half, "unet", NULL, "the variant fp16: ask for it with --variant fp16");
    expect_no_weights(half, "text_encoder", "bf16", "model.bf16.safetensors, but the variant fp16");
    expect_no_weights(plain, "vae", "fp16", "leave --variant out");
    const char *both = copy_model("tiny-sdxl-fp16");
    write_text(path_in(both, "unet/diffusion_pytorch_model.safetensors"), "");
    expect_no_weights(both, "unet", "non_ema", "but the variant fp16, and the plain weights: leave");
    expect_no_weights(plain, "vae", "../fp16", "variant: expected a name");
    expect_no_weights(plain, "vae", "", "variant: expected a name");
}
END_TEST

START_TEST(shards_of_a_variant)
{
    /* The names of today's diffusers, and of older ones. */
    static const char *const indices[] = {"diffusion_pytorch_model.safetensors.index.fp16.json",
        "diffusion_pytorch_model.safetensors.fp16.index.json"};
    const char *model = copy_sharded();
    expect_no_weights(model, "unet", "fp16", "leave --variant out");
    const char *index = path_in(model, "unet/" INDEX);
    for (size_t i = 0; i < 2; i++) {
        const char *name = path_in(model, "unet/%s", indices[i]);
        ck_assert_int_eq(rename(index, name), 0);
        struct weights *weights = open_weights(model, "unet", "fp16");
        ck_assert_uint_eq(weights_file_count(weights), 3);
        weights_close(weights);
        index = name;
    }
}
END_TEST

START_TEST(weights_that_are_not_there)
{
    const char *model = copy_model("tiny-sd");
    ck_assert_int_eq(rename(path_in(model, "vae/diffusion_pytorch_model.safetensors"),
                         path_in(model, "vae/diffusion_pytorch_model.bin")),
        0);
    expect_no_weights(model, "vae", NULL, "diffusion_pytorch_model.bin, a pickle");
    ck_assert_int_eq(unlink(path_in(model, "vae/diffusion_pytorch_model.bin")), 0);
    expect_no_weights(model, "vae", NULL, "there is no diffusion_pytorch_model.safetensors");
    write_text(path_in(model, "vae/other.safetensors"), "");
    expect_no_weights(model, "vae", NULL, "only other.safetensors");
    ck_assert_int_eq(symlink("nowhere", path_in(model, "vae/diffusion_pytorch_model.safetensors")), 0);
    expect_no_weights(model, "vae", NULL, "diffusion_pytorch_model.safetensors: cannot be read");
    expect_no_weights(model, "no_such_component", NULL, "cannot be read");
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    suite_add_tcase(suite, cases);
    return cases;
}

int main(void)
{
    Suite *suite = suite_create("weights");
    TCase *whole = add_case(suite, "whole components");
    tcase_add_loop_test(whole, golden_components_are_whole, 0, (int)(sizeof wholes / sizeof wholes[0]));
    tcase_add_test(whole, tensors_can_be_ignored);
    TCase *misfits = add_case(suite, "weights that do not fit");
    tcase_add_loop_test(misfits, weights_that_do_not_fit, 0, (int)(sizeof damages / sizeof damages[0]));
    tcase_add_test(misfits, a_bf16_infinity_is_found);
    tcase_add_test(misfits, the_first_failure_stays);
    tcase_add_test(misfits, a_truncated_file_of_weights);
    TCase *shards = add_case(suite, "shards");
    tcase_add_test(shards, shards_are_one_component);
    tcase_add_test(shards, shards_that_are_not_as_listed);
    tcase_add_test(shards, a_tensor_in_the_wrong_shard);
    tcase_add_test(shards, an_index_that_lies);
    TCase *variants = add_case(suite, "variants");
    tcase_add_test(variants, a_variant_is_asked_for_by_name);
    tcase_add_test(variants, shards_of_a_variant);
    tcase_add_test(variants, weights_that_are_not_there);
    return run_suite(suite);
}
