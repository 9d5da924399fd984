/*
 * Containers: what is written is read back, and an output is there whole or not at all. (NumPy's own files:
 * test_numpy_files.c; broken safetensors: test_safetensors.c.)
 */
#include "file_support.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Round trips -------------------------------------------------------------------------- */

static const struct {
    int rank;
    int64_t sides[TENSOR_MAX_RANK];
} shapes[] = {{0, {0}}, {1, {0}}, {1, {5}}, {2, {3, 0}}, {3, {2, 3, 4}}, {8, {1, 2, 1, 2, 1, 2, 1, 2}}};
#define SHAPES (sizeof shapes / sizeof shapes[0])

/* One tensor of each type (but BF16, unless asked for) and each shape, added in no particular order. */
static struct tensor_set *all_kinds(bool bf16)
{
    struct tensor_set *set = empty_set();
    unsigned char bytes[8 * 24];
    for (int k = 0; k < DTYPES * (int)SHAPES; k++) {
        int i = k * 7 % (DTYPES * (int)SHAPES); /* 78 kinds; 7 visits each once */
        enum dtype dtype = (enum dtype)(i % DTYPES);
        size_t shape = (size_t)(i / DTYPES);
        if (dtype == DTYPE_BF16 && !bf16) continue;
        for (size_t b = 0; b < sizeof bytes; b++)
            bytes[b] = (unsigned char)(dtype == DTYPE_BOOL ? b % 3 == 0 : b * 37 + (size_t)i);
        struct tensor tensor = {.dtype = dtype, .rank = shapes[shape].rank, .data = bytes};
        memcpy(tensor.shape, shapes[shape].sides, sizeof tensor.shape);
        char name[64];
        snprintf(name, sizeof name, "%s.%zu", dtype_name(dtype), shape);
        add_tensor(set, name, &tensor);
    }
    return set;
}

static void check_same(const struct tensor_set *a, const struct tensor_set *b)
{
    ck_assert_uint_eq(tensor_set_count(a), tensor_set_count(b));
    for (size_t i = 0; i < tensor_set_count(a); i++) {
        const char *name = tensor_set_name(a, i);
        const struct tensor *x = tensor_set_at(a, i), *y = need_tensor(b, "%s", name);
        ck_assert_msg(x->dtype == y->dtype && tensor_same_shape(x, y), "%s: another type or shape", name);
        ck_assert_msg(memcmp(x->data, y->data, tensor_bytes(x)) == 0, "%s: other bytes", name);
    }
}

START_TEST(every_type_and_shape_comes_back)
{
    static const char *const endings[] = {"a.safetensors", "a.npz", "folder/"};
    struct tensor_set *set = all_kinds(_i == 0);
    ck_assert_uint_eq(tensor_set_count(set), (size_t)(DTYPES - (_i != 0)) * SHAPES);
    const char *path = path_in(test_folder, "%s", endings[_i]);
    write_set(set, path);
    struct tensor_set *back = open_set(path);
    check_same(set, back);
    for (size_t i = 1; i < tensor_set_count(back); i++)
        ck_assert_str_lt(tensor_set_name(back, i - 1), tensor_set_name(back, i));
    tensor_set_free(back);
    tensor_set_free(set);
    ck_assert_uint_eq(count_entries(test_folder), 1);
}
END_TEST

START_TEST(a_single_npy_is_named_by_its_file)
{
    struct tensor_set *set = empty_set();
    float data[6] = {1, 2, 3, 4, 5, 6};
    struct tensor tensor = {.dtype = DTYPE_F32, .rank = 2, .shape = {2, 3}, .data = data};
    add_tensor(set, "whatever", &tensor);
    write_set(set, path_in(test_folder, "step.03.noise.npy"));
    struct tensor_set *back = open_set(path_in(test_folder, "step.03.noise.npy"));
    const struct tensor *found = need_tensor(back, "step.03.noise");
    ck_assert(tensor_same_shape(found, &tensor) && memcmp(found->data, data, sizeof data) == 0);
    tensor_set_free(back);
    add_tensor(set, "another", &tensor);
    struct error error = {""};
    enum status status = tensor_set_write(set, path_in(test_folder, "two.npy"), &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "two.npy", "one tensor", NULL);
    tensor_set_free(set);
    ck_assert_uint_eq(count_entries(test_folder), 1);
}
END_TEST

START_TEST(bf16_has_no_npy_type)
{
    static const char *const endings[] = {"a.npz", "a.npy", "folder/"};
    struct tensor_set *set = empty_set();
    struct tensor tensor = {.dtype = DTYPE_BF16, .rank = 1, .shape = {1}, .data = (uint16_t[]){0x3f80}};
    add_tensor(set, "x", &tensor);
    struct error error = {""};
    enum status status = tensor_set_write(set, path_in(test_folder, "%s", endings[_i]), &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "BF16", NULL);
    tensor_set_free(set);
    ck_assert_uint_eq(count_entries(test_folder), 0);
}
END_TEST

START_TEST(metadata_comes_back)
{
    struct tensor_set *set = empty_set();
    ck_assert_int_eq(
        tensor_set_put_metadata(set, "recipe", "{\"prompt\":\"\\u0000 \\\"K\xc3\xa4se\\\"\"}", NULL),
        STATUS_OK);
    ck_assert_int_eq(tensor_set_put_metadata(set, "b", "old", NULL), STATUS_OK);
    ck_assert_int_eq(tensor_set_put_metadata(set, "a", "line\nline\ttab \x01", NULL), STATUS_OK);
    ck_assert_int_eq(tensor_set_put_metadata(set, "b", "new", NULL), STATUS_OK);
    struct error error = {""};
    expect_error(tensor_set_put_metadata(set, "c", "\xff", &error), STATUS_BAD_INPUT, &error, "UTF-8", NULL);
    const char *path = path_in(test_folder, "a.safetensors");
    write_set(set, path);
    struct tensor_set *back = open_set(path);
    ck_assert_str_eq(tensor_set_metadata(back, "recipe"), "{\"prompt\":\"\\u0000 \\\"K\xc3\xa4se\\\"\"}");
    ck_assert_str_eq(tensor_set_metadata(back, "a"), "line\nline\ttab \x01");
    ck_assert_str_eq(tensor_set_metadata(back, "b"), "new");
    ck_assert(tensor_set_metadata(back, "c") == NULL);
    ck_assert_uint_eq(tensor_set_count(back), 0);
    tensor_set_free(back);
    tensor_set_free(set);
}
END_TEST

START_TEST(bytes_depend_on_the_content_alone)
{
    static const char *const endings[] = {"safetensors", "npz"};
    struct tensor_set *one = all_kinds(_i == 0), *two = empty_set();
    for (size_t i = tensor_set_count(one); i-- > 0;)
        add_tensor(two, tensor_set_name(one, i), tensor_set_at(one, i));
    for (int i = 0; i < 3; i++) {
        char key[2] = {(char)('a' + i), 0}, yek[2] = {(char)('c' - i), 0};
        ck_assert_int_eq(tensor_set_put_metadata(one, key, key, NULL), STATUS_OK);
        ck_assert_int_eq(tensor_set_put_metadata(two, yek, yek, NULL), STATUS_OK);
    }
    const char *path_one = path_in(test_folder, "one.%s", endings[_i]);
    const char *path_two = path_in(test_folder, "two.%s", endings[_i]);
    write_set(one, path_one);
    write_set(two, path_two);
    size_t size_one, size_two;
    unsigned char *bytes_one = read_bytes(path_one, &size_one), *bytes_two = read_bytes(path_two, &size_two);
    ck_assert_uint_eq(size_one, size_two);
    ck_assert_mem_eq(bytes_one, bytes_two, size_one);
    free(bytes_one);
    free(bytes_two);
    tensor_set_free(one);
    tensor_set_free(two);
}
END_TEST

START_TEST(safetensors_are_laid_out_as_promised)
{
    struct tensor_set *set = all_kinds(true);
    const char *path = path_in(test_folder, "a.safetensors");
    write_set(set, path);
    tensor_set_free(set);
    struct tensor_set *back = open_set(path);
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    ck_assert_uint_eq(bytes[0] % 8, 0); /* the header's length, whose last byte says the rest of it by 8 */
    free(bytes);
    /* A mapping starts on a page, the data on a multiple of 8. */
    for (size_t i = 0; i < tensor_set_count(back); i++) {
        const struct tensor *t = tensor_set_at(back, i);
        ck_assert_uint_eq((uintptr_t)t->data % dtype_size(t->dtype), 0);
    }
    tensor_set_free(back);
}
END_TEST

START_TEST(names_stand_once)
{
    struct tensor_set *set = empty_set();
    struct tensor tensor = {.dtype = DTYPE_U8, .rank = 0, .data = (uint8_t[]){1}};
    struct error error = {""};
    add_tensor(set, "x", &tensor);
    expect_error(tensor_set_add(set, "x", &tensor, &error), STATUS_BAD_INPUT, &error, "x", NULL);
    expect_error(tensor_set_add(set, "\xc3", &tensor, &error), STATUS_BAD_INPUT, &error, "UTF-8", NULL);
    ck_assert_uint_eq(tensor_set_count(set), 1);
    add_tensor(set, "__metadata__", &tensor);
    enum status status = tensor_set_write(set, path_in(test_folder, "a.safetensors"), &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "__metadata__", NULL);
    status = tensor_set_add(set, "../x", &tensor, &error);
    ck_assert_int_eq(status, STATUS_OK);
    status = tensor_set_write(set, path_in(test_folder, "folder/"), &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "../x", NULL);
    tensor_set_free(set);
    ck_assert_uint_eq(count_entries(test_folder), 0);
}
END_TEST

START_TEST(thousands_of_tensors)
{
    enum { MANY = 20000 };
    struct tensor_set *set = empty_set();
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "block.%d", i * 7919 % MANY);
        add_tensor(set, name, &(struct tensor){.dtype = DTYPE_I32, .rank = 0, .data = (int32_t[]){i}});
    }
    const char *path = path_in(test_folder, "many.safetensors");
    write_set(set, path);
    tensor_set_free(set);
    set = open_set(path);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(tensor_get_int(need_tensor(set, "block.%d", i * 7919 % MANY), 0), i);
    tensor_set_free(set);
}
END_TEST

/* --- Opening and writing anything --------------------------------------------------------- */

static size_t golden_files, golden_members;

static int open_golden(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void)info, (void)position;
    size_t length = strlen(path), ending = strlen(".safetensors");
    if (type != FTW_F || length < ending || strcmp(path + length - ending, ".safetensors") != 0) return 0;
    struct tensor_set *set = open_set(path);
    ck_assert_msg(tensor_set_count(set) > 0, "%s: no tensors", path);
    golden_files++;
    golden_members += tensor_set_count(set);
    tensor_set_free(set);
    return 0;
}

START_TEST(all_golden_files_open)
{
    ck_assert_int_eq(nftw(golden_path("."), open_golden, 16, FTW_PHYS), 0);
    ck_assert_uint_ge(golden_files, 150);
    ck_assert_uint_ge(golden_members, 5000);
}
END_TEST

START_TEST(a_format_is_known_by_its_content)
{
    struct tensor_set *set = all_kinds(false);
    static const char *const endings[] = {"safetensors", "npz"};
    for (size_t i = 0; i < 2; i++) {
        write_set(set, path_in(test_folder, "a.%s", endings[i]));
        ck_assert_int_eq(rename(path_in(test_folder, "a.%s", endings[i]), path_in(test_folder, "b.dat")), 0);
        struct tensor_set *back = open_set(path_in(test_folder, "b.dat"));
        check_same(set, back);
        tensor_set_free(back);
    }
    tensor_set_free(set);
}
END_TEST

START_TEST(what_is_no_tensor_file)
{
    expect_open_error(path_in(test_folder, "missing.safetensors"), "No such file");
    expect_open_error(test_folder, "no .npy file");
    const char *path = path_in(test_folder, "text.txt");
    write_bytes(path, "some text that is no container", 30);
    expect_open_error(path, "expected a .safetensors");
    path = path_in(test_folder, "model.safetensors");
    const char *pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    write_bytes(path, pointer, strlen(pointer));
    expect_open_error(path, "a Git LFS pointer");
    static const char *const empty[] = {"e.safetensors", "e.npy", "e.npz", "e"};
    for (size_t i = 0; i < 4; i++) {
        write_bytes(path_in(test_folder, "%s", empty[i]), "", 0);
        expect_open_error(path_in(test_folder, "%s", empty[i]), "e");
    }
    ck_assert_int_eq(mkfifo(path_in(test_folder, "pipe"), 0600), 0);
    expect_open_error(path_in(test_folder, "pipe"), "regular file");
}
END_TEST

static void expect_write_error(const struct tensor_set *set, const char *path, enum status expected)
{
    struct error error = {""};
    enum status status = tensor_set_write(set, path, &error);
    expect_error(status, expected, &error, "cannot be written", NULL);
}

START_TEST(outputs_that_cannot_be_written)
{
    struct tensor_set *set = all_kinds(false);
    write_bytes(path_in(test_folder, "file"), "", 0);
    ck_assert_int_eq(mkdir(path_in(test_folder, "folder"), 0777), 0);
    expect_write_error(set, path_in(test_folder, "no/such/a.safetensors"), STATUS_BAD_INPUT);
    expect_write_error(set, path_in(test_folder, "no/such/folder/"), STATUS_BAD_INPUT);
    expect_write_error(set, path_in(test_folder, "file/a.npz"), STATUS_BAD_INPUT);
    expect_write_error(set, path_in(test_folder, "folder"), STATUS_BAD_INPUT);
    expect_write_error(set, "/dev/full", STATUS_MACHINE);
    if (geteuid() != 0) { /* nothing is unwritable to root */
        ck_assert_int_eq(chmod(path_in(test_folder, "folder"), 0500), 0);
        expect_write_error(set, path_in(test_folder, "folder/a.npz"), STATUS_BAD_INPUT);
        ck_assert_int_eq(chmod(path_in(test_folder, "folder"), 0700), 0);
        ck_assert_int_eq(chmod(path_in(test_folder, "file"), 0400), 0);
        expect_write_error(set, path_in(test_folder, "file"), STATUS_BAD_INPUT);
    }
    ck_assert_uint_eq(count_entries(test_folder), 2);
    ck_assert_uint_eq(count_entries(path_in(test_folder, "folder")), 0);

    write_set(set, path_in(test_folder, "folder/"));
    struct error error = {""};
    enum status status = tensor_set_write(set, path_in(test_folder, "folder/"), &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "not empty", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 2);
    tensor_set_free(set);
}
END_TEST

/* A limit on the size of files stands in for a full disk: the write in the middle of a file fails. */
START_TEST(a_disk_that_fills_up)
{
    static const char *const endings[] = {"a.safetensors", "a.npz", "a.npy", "folder/"};
    enum { SIDE = 1 << 18 };
    struct tensor_set *set = empty_set();
    float *data = calloc(SIDE, sizeof *data);
    ck_assert(data != NULL);
    add_tensor(set, "x", &(struct tensor){.dtype = DTYPE_F32, .rank = 1, .shape = {SIDE}, .data = data});
    free(data);
    const char *path = path_in(test_folder, "%s", endings[_i]);
    bool is_folder = _i == 3;
    if (!is_folder) write_bytes(path, "old", 3);

    struct rlimit before, limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){4096, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct error error = {""};
    enum status status = tensor_set_write(set, path, &error);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);

    expect_error(status, STATUS_MACHINE, &error, "cannot be written", NULL);
    tensor_set_free(set);
    ck_assert_uint_eq(count_entries(test_folder), is_folder ? 0 : 1);
    if (is_folder) return;
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    ck_assert(size == 3 && memcmp(bytes, "old", 3) == 0);
    free(bytes);
}
END_TEST

START_TEST(an_output_takes_the_place_of_the_old_one)
{
    struct tensor_set *set = all_kinds(false);
    const char *path = path_in(test_folder, "real.npz"), *link = path_in(test_folder, "link.npz");
    write_bytes(path, "old", 3);
    ck_assert_int_eq(symlink("real.npz", link), 0);
    write_set(set, link);
    struct stat info;
    ck_assert(lstat(link, &info) == 0 && S_ISLNK(info.st_mode)); /* what it points to was written */
    struct tensor_set *back = open_set(path);
    check_same(set, back);
    tensor_set_free(back);
    tensor_set_free(set);
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tensor files");
    TCase *trips = tcase_create("round trips");
    tcase_add_checked_fixture(trips, make_test_folder, drop_test_folder);
    tcase_add_loop_test(trips, every_type_and_shape_comes_back, 0, 3);
    tcase_add_test(trips, a_single_npy_is_named_by_its_file);
    tcase_add_loop_test(trips, bf16_has_no_npy_type, 0, 3);
    tcase_add_test(trips, metadata_comes_back);
    tcase_add_loop_test(trips, bytes_depend_on_the_content_alone, 0, 2);
    tcase_add_test(trips, safetensors_are_laid_out_as_promised);
    tcase_add_test(trips, names_stand_once);
    tcase_add_test(trips, thousands_of_tensors);
    suite_add_tcase(suite, trips);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_test_folder, drop_test_folder);
    tcase_add_test(files, all_golden_files_open);
    tcase_add_test(files, a_format_is_known_by_its_content);
    tcase_add_test(files, what_is_no_tensor_file);
    tcase_add_test(files, outputs_that_cannot_be_written);
    tcase_add_loop_test(files, a_disk_that_fills_up, 0, 4);
    tcase_add_test(files, an_output_takes_the_place_of_the_old_one);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
