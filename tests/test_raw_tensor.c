/*
 * Raw elements with their shape in a side file, alone and in folders beside .npy files; and what is said of
 * side files that lie.
 */
#include "program.h"

#include "ref/tensor_files.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Writes folder/name.ending with data and, where `side` is not NULL, folder/name.json; the first one's
 * path. */
static const char *write_raw(
    const char *name, const char *ending, const char *side, const void *data, size_t size)
{
    const char *path = path_in(test_folder, "%s.%s", name, ending);
    write_bytes(path, data, size);
    if (side) write_bytes(path_in(test_folder, "%s.json", name), side, strlen(side));
    return path;
}

START_TEST(every_type_is_named_by_its_ending)
{
    static const char *const endings[DTYPES] = {
        "f32", "f64", "f16", "bf16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool"};
    const unsigned char data[48] = {1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1};
    for (int dtype = 0; dtype < DTYPES; dtype++) {
        char side[64];
        size_t size = 6 * dtype_size((enum dtype)dtype);
        for (int way = 0; way < 3; way++) { /* the type in the ending, in both places, in the side file */
            snprintf(side, sizeof side,
                way ? "{\"shape\": [2, 3], \"dtype\": \"%s\"}" : "{\"shape\": [2, 3]}",
                dtype_name((enum dtype)dtype));
            const char *path =
                write_raw("step.03.noise", way == 2 ? "bin" : endings[dtype], side, data, size);
            struct tensor_set *set = open_set(path);
            ck_assert_uint_eq(tensor_set_count(set), 1);
            const struct tensor *x = need_tensor(set, "step.03.noise");
            ck_assert(x->dtype == (enum dtype)dtype && x->rank == 2 && x->shape[0] == 2 && x->shape[1] == 3);
            ck_assert_mem_eq(x->data, data, size);
            tensor_set_free(set);
        }
    }
}
END_TEST

START_TEST(scalars_and_empty_tensors)
{
    struct tensor_set *set = open_set(write_raw("x", "f32", "{\"shape\": []}", "\0\0\x80\x3f", 4));
    ck_assert_int_eq(need_tensor(set, "x")->rank, 0);
    ck_assert_double_eq(tensor_get_double(need_tensor(set, "x"), 0), 1.0);
    tensor_set_free(set);
    set = open_set(write_raw("x", "f32", "{\"shape\": [3, 0]}", "", 0));
    ck_assert_uint_eq(tensor_count(need_tensor(set, "x")), 0);
    tensor_set_free(set);
}
END_TEST

START_TEST(a_folder_may_mix)
{
    const float data[2] = {1, 2};
    struct tensor_set *one = empty_set();
    add_tensor(one, "any", &(struct tensor){DTYPE_F32, 1, {2}, (void *)(uintptr_t)data});
    write_set(one, path_in(test_folder, "a.npy"));
    tensor_set_free(one);
    write_raw("b", "f32", "{\"shape\": [2]}", data, 8);
    write_raw("c", "bin", "{\"dtype\": \"I32\", \"shape\": [1, 2]}", data, 8);
    write_raw("pytorch_model", "bin", NULL, "something else", 14); /* no side file: no tensor */
    write_raw("notes", "txt", NULL, "", 0);
    write_raw("names", "json", NULL, "{}", 2);
    write_raw(".hidden", "f32", NULL, "", 0);
    write_raw("\xff\xfe", "txt", NULL, "", 0);
    struct tensor_set *set = open_set(test_folder);
    ck_assert_uint_eq(tensor_set_count(set), 3);
    ck_assert_double_eq(tensor_get_double(need_tensor(set, "a"), 1), 2.0);
    ck_assert_double_eq(tensor_get_double(need_tensor(set, "b"), 1), 2.0);
    ck_assert_int_eq(need_tensor(set, "c")->dtype, DTYPE_I32);
    tensor_set_free(set);

    write_raw("a", "f32", "{\"shape\": [2]}", data, 8);
    expect_open_error(test_folder, "tensor a: the name stands twice");
}
END_TEST

START_TEST(side_files_that_lie)
{
    static const struct {
        const char *ending, *side, *words;
    } cases[] = {
        {"f32", "{\"shape\": [3]}", "x.f32: 8 bytes, but [3] of F32 takes 12"},
        {"f32", "{\"shape\": [1]}", "takes 4"},
        {"f16", "{\"shape\": [2]}", "8 bytes, but [2] of F16 takes 4"},
        {"f32", "{\"shape\": []}", "takes 4"},
        {"f32", "{\"shape\": [0]}", "takes 0"},
        {"f32", "{\"dtype\": \"F16\", \"shape\": [2]}",
            "x.json: dtype: expected F32, which the file's ending names, got \"F16\""},
        {"f32", "{\"dtype\": \"F31\", \"shape\": [2]}", "x.json: dtype: expected F32, F64, F16"},
        {"f32", "{\"dtype\": 3, \"shape\": [2]}", "got 3"},
        {"f32", "{\"dtype\": null, \"shape\": [2]}", "got null"},
        {"bin", "{\"shape\": [2]}", "x.json: dtype: expected F32, F64"},
        {"f32", "{}", "x.json: shape: expected a list of integers"},
        {"f32", "{\"shape\": 2}", "x.json: shape: expected a list of integers"},
        {"f32", "{\"shape\": [2, \"x\"]}", "x.json: shape[1]: expected an integer"},
        {"f32", "{\"shape\": [-2]}", "x.json: shape[0]: expected an integer"},
        {"f32", "{\"shape\": [0.5]}", "got 0.5"},
        {"f32", "{\"shape\": [NaN]}", "x.json"},
        {"f32", "{\"shape\": [Infinity]}", "x.json: shape[0]"},
        {"f32", "{\"shape\": [1e19]}", "x.json: shape[0]"},
        {"f32", "{\"shape\": [1,1,1,1,1,1,1,1,2]}", "x.json: shape: expected at most 8"},
        {"f32", "{\"shape\": [4294967296, 4294967296, 0]}", "more than memory can hold"},
        {"f32", "{\"shape\": [9007199254740992, 9007199254740992]}", "more than memory can hold"},
        {"f32", "{\"shape\": [2], \"shape\": [1]}", "stands twice"},
        {"f32", "{\"shape\": [2], \"order\": \"F\"}", "order: expected dtype and shape and nothing else"},
        {"f32", "[2]", "x.json: expected a JSON object"},
        {"f32", "", "x.json"},
        {"f32", "{\"shape\": [2]} x", "x.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = write_raw("x", cases[i].ending, cases[i].side, "12345678", 8);
        expect_open_error(path, cases[i].words);
        expect_open_error(test_folder, cases[i].words);
        unlink(path);
    }
}
END_TEST

START_TEST(side_files_that_are_none)
{
    const char *path = write_raw("x", "f32", NULL, "12345678", 8);
    expect_open_error(path, "x.json: cannot be read");
    const char *side = path_in(test_folder, "x.json");
    ck_assert_int_eq(symlink("x.json", side), 0); /* a link to itself */
    expect_open_error(path, "x.json: cannot be read");
    unlink(side);
    ck_assert_int_eq(mkfifo(side, 0600), 0); /* must not keep us waiting */
    expect_open_error(path, "x.json: expected a regular file");
    unlink(side);
    ck_assert_int_eq(mkdir(side, 0700), 0);
    expect_open_error(path, "x.json: expected a regular file");
    rmdir(side);
    static char spaces[5000];
    memset(spaces, ' ', sizeof spaces);
    memcpy(spaces, "{\"shape\":[2]}", 13);
    write_bytes(side, spaces, sizeof spaces);
    expect_open_error(path, "x.json: expected at most 4096 bytes");
    write_bytes(side, spaces, 4096);
    tensor_set_free(open_set(path));

    unlink(path);
    ck_assert_int_eq(symlink("x.f32", path), 0);
    expect_open_error(test_folder, "x.f32: cannot be read");
    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_open_error(test_folder, "x.f32: expected a regular file");
    rmdir(path);
    write_bytes(path_in(test_folder, "\xff.f32"), "", 0);
    expect_open_error(test_folder, "UTF-8");
}
END_TEST

START_TEST(commands_read_them)
{
    const float data[4] = {1, 2, 3, 4};
    write_raw("x", "f32", "{\"shape\": [1, 4]}", data, sizeof data);
    struct tensor_set *set = empty_set();
    add_tensor(set, "x", &(struct tensor){DTYPE_F32, 2, {1, 4}, (void *)(uintptr_t)data});
    write_set(set, path_in(test_folder, "x.safetensors"));
    tensor_set_free(set);
    ck_assert_int_eq(plumb("compare %s/x.f32 %s/x.safetensors --atol 0", test_folder, test_folder), 0);
    ck_assert_int_eq(plumb("hash %s/x.f32 %s/x.safetensors", test_folder, test_folder), 0);
    write_raw("x", "f32", NULL, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    ck_assert_int_eq(plumb("compare %s/x.f32 %s/x.safetensors", test_folder, test_folder), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("raw tensors");
    TCase *cases = tcase_create("raw");
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_test(cases, every_type_is_named_by_its_ending);
    tcase_add_test(cases, scalars_and_empty_tensors);
    tcase_add_test(cases, a_folder_may_mix);
    tcase_add_test(cases, side_files_that_lie);
    tcase_add_test(cases, side_files_that_are_none);
    suite_add_tcase(suite, cases);
    TCase *commands = tcase_create("commands");
    tcase_add_checked_fixture(commands, make_test_folder, drop_program_folder);
    tcase_add_test(commands, commands_read_them);
    suite_add_tcase(suite, commands);
    return run_suite(suite);
}
