/*
 * Files as NumPy makes them (np.save, np.savez, np.savez_compressed), put together byte by byte
 * (numpy_support.c), so that reader and writer cannot share a mistake; and files that only look like them.
 */
#include "numpy_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- .npy --------------------------------------------------------------------------------- */

static const char *write_npy(int major, const char *dict, const void *data, size_t size)
{
    struct buffer b = make_npy(major, dict, data, size);
    const char *path = path_in(test_folder, "x.npy");
    write_bytes(path, b.bytes, b.size);
    return path;
}

START_TEST(npy_types)
{
    static const struct {
        const char *descr;
        enum dtype dtype;
    } types[] = {{"<f4", DTYPE_F32}, {"<f8", DTYPE_F64}, {"<f2", DTYPE_F16}, {"<i8", DTYPE_I64},
        {"<i4", DTYPE_I32}, {"<i2", DTYPE_I16}, {"|i1", DTYPE_I8}, {"<u8", DTYPE_U64}, {"<u4", DTYPE_U32},
        {"<u2", DTYPE_U16}, {"|u1", DTYPE_U8}, {"|b1", DTYPE_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        unsigned char data[16] = {1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1};
        char dict[128];
        snprintf(
            dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }", types[i].descr);
        struct tensor_set *set = open_set(write_npy(1, dict, data, 2 * dtype_size(types[i].dtype)));
        const struct tensor *x = need_tensor(set, "x");
        ck_assert_int_eq(x->dtype, types[i].dtype);
        ck_assert(x->rank == 1 && x->shape[0] == 2);
        ck_assert_mem_eq(x->data, data, 2 * dtype_size(x->dtype));
        tensor_set_free(set);
    }
}
END_TEST

START_TEST(npy_versions_and_spellings)
{
    static const char *const dicts[] = {
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
        "{'shape': (2, 3,), 'fortran_order': False, 'descr': '<i2'}",
        "{\"descr\":\"<i2\",\"fortran_order\":False,\"shape\":(2L,3L)}",
    };
    const int16_t data[] = {1, 2, 3, 4, 5, -6};
    for (int major = 1; major <= 3; major++)
        for (size_t i = 0; i < sizeof dicts / sizeof dicts[0]; i++) {
            struct tensor_set *set = open_set(write_npy(major, dicts[i], data, sizeof data));
            const struct tensor *x = need_tensor(set, "x");
            ck_assert(x->rank == 2 && x->shape[0] == 2 && x->shape[1] == 3);
            ck_assert_int_eq(tensor_get_int(x, 5), -6);
            tensor_set_free(set);
        }
    struct tensor_set *set =
        open_set(write_npy(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (), }", data, 2));
    ck_assert_int_eq(need_tensor(set, "x")->rank, 0);
    tensor_set_free(set);
}
END_TEST

START_TEST(npy_in_fortran_order)
{
    /* x[i, j, k] = 100 i + 10 j + k of shape [2, 3, 4], first index fastest. */
    int32_t data[24];
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 4; k++) data[i + 2 * j + 6 * k] = 100 * i + 10 * j + k;
    struct tensor_set *set = open_set(
        write_npy(1, "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3, 4), }", data, sizeof data));
    const struct tensor *x = need_tensor(set, "x");
    for (size_t n = 0; n < 24; n++)
        ck_assert_int_eq(tensor_get_int(x, n), (int64_t)(100 * (n / 12) + 10 * (n / 4 % 3) + n % 4));
    tensor_set_free(set);
}
END_TEST

START_TEST(npy_that_lies)
{
    static const struct {
        const char *dict, *words;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "big-endian"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "descr"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", "'<c8'"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2,), }", "descr"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "descr"},
        {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", "fortran_order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2), }", "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 2,), }", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "shape"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }", "memory"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2,), }", "at most 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "takes 12"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "takes 4"},
        {"{'descr': '<f4', 'shape': (2,), }", "once each"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "once each"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "'more'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } + 1", "after"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "header"},
        {"", "dict"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_open_error(write_npy(1, cases[i].dict, "12345678", 8), cases[i].words);
    expect_open_error(write_npy(4, "{}", "", 0), "version");

    struct buffer b = make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "12345678", 8);
    const char *path = path_in(test_folder, "x.npy");
    for (size_t size = 0; size < b.size; size++) { /* every truncation */
        write_bytes(path, b.bytes, size);
        expect_open_error(path, "x.npy");
    }
    b.bytes[9] = 0xff; /* a header of more than 65 thousand bytes */
    write_bytes(path, b.bytes, b.size);
    expect_open_error(path, "header length");
}
END_TEST

/* --- .npz --------------------------------------------------------------------------------- */

static const char *write_zip(const struct zip *zip, bool zip64, const char *comment)
{
    struct buffer b = finish_zip(zip, zip64, comment);
    const char *path = path_in(test_folder, "x.npz");
    write_bytes(path, b.bytes, b.size);
    return path;
}

static struct buffer npy_of_three(void)
{
    return make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", (float[]){1, 2, 3}, 12);
}

START_TEST(npz_as_numpy_writes_it)
{
    struct buffer c = npy_of_three();
    struct buffer f =
        make_npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }", (uint8_t[]){1, 2, 3, 4}, 4);
    for (int zip64 = 0; zip64 <= 1; zip64++) {
        static struct zip zip;
        zip = (struct zip){.count = 0};
        int wide = zip64 ? ZIP64 : 0;
        add_entry(&zip, "b/stored.npy", &c, wide);
        add_entry(&zip, "deflated.npy", &c, DEFLATE | wide);
        add_entry(&zip, "a.npy", &f, DEFLATE);
        add_entry(&zip, "later.npy", &f, DESCRIPTOR);
        struct tensor_set *set = open_set(write_zip(&zip, zip64, zip64 ? "" : "a comment"));
        ck_assert_uint_eq(tensor_set_count(set), 4);
        ck_assert_str_eq(tensor_set_name(set, 0), "a");
        ck_assert_double_eq(tensor_get_double(need_tensor(set, "b/stored"), 2), 3.0);
        ck_assert_double_eq(tensor_get_double(need_tensor(set, "deflated"), 1), 2.0);
        ck_assert_int_eq(tensor_get_int(need_tensor(set, "a"), 1), 3);
        ck_assert_int_eq(tensor_get_int(need_tensor(set, "later"), 2), 2);
        tensor_set_free(set);
    }
}
END_TEST

/* Changes `width` bytes at `at` (from the end of the directory's first header where `directory`). */
static const char *broken_zip(bool directory, size_t at, uint64_t number, size_t width, int how)
{
    static struct zip zip;
    zip = (struct zip){.count = 0};
    struct buffer npy = npy_of_three();
    add_entry(&zip, "x.npy", &npy, how);
    struct buffer *b = directory ? &zip.directory : &zip.file, patch = {.size = 0};
    put_number(&patch, number, width);
    memcpy(b->bytes + at, patch.bytes, width);
    return write_zip(&zip, false, "");
}

START_TEST(npz_that_lies)
{
    const size_t name = strlen("x.npy");
    ck_assert_uint_eq(npy_of_three().size, 140);
    expect_open_error(broken_zip(true, 8, 1, 2, 0), "encrypted");
    expect_open_error(broken_zip(true, 10, 12, 2, 0), "method");
    expect_open_error(broken_zip(true, 46 + name - 4, '_', 1, 0), "*.npy");
    expect_open_error(broken_zip(false, 30, 'y', 1, 0), "directory says");
    expect_open_error(broken_zip(false, 8, 8, 2, 0), "directory says");
    expect_open_error(broken_zip(false, 0, 0, 4, 0), "no such entry");
    expect_open_error(broken_zip(true, 42, 1 << 20, 4, 0), "no such entry");
    expect_open_error(broken_zip(true, 20, 1 << 20, 4, 0), "past the end");
    expect_open_error(broken_zip(true, 24, 139, 4, 0), "139 bytes cannot come out of 140");
    expect_open_error(broken_zip(true, 24, 1U << 31, 4, DEFLATE), "cannot come out of");
    expect_open_error(broken_zip(true, 24, 139, 4, DEFLATE), "damaged");
    expect_open_error(broken_zip(true, 24, 141, 4, DEFLATE), "damaged");
    expect_open_error(broken_zip(false, 30 + name, 0xff, 1, DEFLATE), "damaged");
    expect_open_error(broken_zip(false, 30 + name + 139, 0, 1, 0), "CRC");
    expect_open_error(broken_zip(true, 16, 0, 4, DEFLATE), "CRC");
    expect_open_error(broken_zip(true, 28, 1000, 2, 0), "directory is damaged");
    expect_open_error(broken_zip(true, 46, 0xc3, 1, 0), "UTF-8");

    static struct zip zip;
    zip = (struct zip){.count = 0};
    struct buffer npy = npy_of_three();
    add_entry(&zip, "x.npy", &npy, 0);
    add_entry(&zip, "y.npy", &npy, 0);
    add_entry(&zip, "x.npy", &npy, 0);
    expect_open_error(write_zip(&zip, false, ""), "x: the name stands twice");
    zip.count = 2; /* an entry that the end record does not count */
    expect_open_error(write_zip(&zip, false, ""), "more than it says");

    /* A second entry that is the first one again: an archive that unpacks its bytes many times over. */
    zip = (struct zip){.count = 0};
    add_entry(&zip, "x.npy", &npy, 0);
    put(&zip.directory, zip.directory.bytes, zip.directory.size);
    zip.count = 2;
    expect_open_error(write_zip(&zip, false, ""), "overlaps");

    const char *path = write_zip(&zip, false, "");
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    for (size_t cut = 0; cut < size; cut++) {
        write_bytes(path, bytes, cut);
        expect_open_error(path, "x.npz");
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("NumPy's files");
    TCase *npy = tcase_create("npy");
    tcase_add_checked_fixture(npy, make_test_folder, drop_test_folder);
    tcase_add_test(npy, npy_types);
    tcase_add_test(npy, npy_versions_and_spellings);
    tcase_add_test(npy, npy_in_fortran_order);
    tcase_add_test(npy, npy_that_lies);
    suite_add_tcase(suite, npy);
    TCase *npz = tcase_create("npz");
    tcase_add_checked_fixture(npz, make_test_folder, drop_test_folder);
    tcase_add_test(npz, npz_as_numpy_writes_it);
    tcase_add_test(npz, npz_that_lies);
    suite_add_tcase(suite, npz);
    return run_suite(suite);
}
