/*
 * plumb verify on files that are damaged, cut off, mislabelled or hostile, one of each kind in each format:
 * one line that names the file and the tensor, exit status 2, and nothing else happens.
 */
#include "numpy_support.h"
#include "program.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define NAME "step.00.latents"

/* The dump must be refused, with these words; `inputs` entries stand in the test's folder. */
static void expect_refusal(const char *dump, size_t inputs, const char *words)
{
    int status =
        plumb("verify %s %s --prompt a", golden_path("models/tiny-sd"), path_in(test_folder, "%s", dump));
    expect_failure(status, STATUS_BAD_INPUT, inputs, dump, words, NULL);
}

static void write_buffer(const char *name, const struct buffer *b)
{
    write_bytes(path_in(test_folder, "%s", name), b->bytes, b->size);
}

/* --- safetensors -------------------------------------------------------------------------- */

START_TEST(safetensors_files)
{
    static const struct {
        const char *header, *words;
        size_t data;
    } cases[] = {
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", NAME ": data_offsets",
            8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", NAME ": data_offsets", 8},
        {"{\"" NAME "\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}",
            NAME ": dtype: expected F32", 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", NAME ": shape[0]", 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,8]}}", NAME ": shape[0]", 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,8]}}", "header", 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}",
            NAME ": shape: [4294967296, 4294967296] of F32 is more than memory can hold", 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[2]}}", NAME ": data_offsets", 8},
        {"{\"" NAME "\":3}", NAME, 8},
        {"{\"step\\u0000.00\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "zero bytes", 8},
        {"{\"" NAME
         "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"x\":{\"dtype\":\"F32\",\"shape\":"
         "[1],\"data_offsets\":[4,8]}}",
            "tensor x: data_offsets: [4, 8] overlaps tensor " NAME, 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
            NAME ": data_offsets: a gap", 8},
        {"{\"" NAME "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"" NAME
         "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
            "\"" NAME "\" stands twice", 8},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested deeper", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = {.size = 0};
        put_number(&b, strlen(cases[i].header), 8);
        put(&b, cases[i].header, strlen(cases[i].header));
        for (size_t n = 0; n < cases[i].data; n++) put_number(&b, n, 1);
        write_buffer("x.safetensors", &b);
        expect_refusal("x.safetensors", 1, cases[i].words);
    }
}
END_TEST

/* --- .npy --------------------------------------------------------------------------------- */

START_TEST(npy_files)
{
    static const struct {
        const char *dict, *words;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
            "8 bytes of data, but [3] of F32 takes 12"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "descr: '>f4' is big-endian"},
        {"{'descr': '<f3', 'fortran_order': False, 'shape': (2,), }", "got '<f3'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "got '|O'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (nan,), }",
            "shape: expected a tuple of integers"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (4294967296, 4294967296), }",
            "more than memory can hold"},
        {"{'descr': '<f4'", "header"},
    };
    ck_assert_int_eq(mkdir(path_in(test_folder, "dump"), 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = make_npy(1, cases[i].dict, "12345678", 8);
        write_buffer("dump/" NAME ".npy", &b);
        expect_refusal("dump", 1, cases[i].words);
        expect_in(err, "dump/" NAME ".npy: ");
    }
    struct buffer whole =
        make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "12345678", 8);
    whole.size -= 1;
    write_buffer("dump/" NAME ".npy", &whole);
    expect_refusal("dump", 1, NAME ".npy: 7 bytes of data");
    const char *path = path_in(test_folder, "dump/" NAME ".npy");
    unlink(path);
    ck_assert_int_eq(symlink(NAME ".npy", path), 0);
    expect_refusal("dump", 1, NAME ".npy: cannot be read");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refusal("dump", 1, NAME ".npy: expected a regular file");
}
END_TEST

/* --- .npz --------------------------------------------------------------------------------- */

static struct zip archive;

/* An archive of one entry of which the byte at `at`, in the directory or in front of it, is another. */
static void write_damaged(bool directory, size_t at, unsigned char byte, int how)
{
    struct buffer npy =
        make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "12345678", 8);
    archive = (struct zip){.count = 0};
    add_entry(&archive, NAME ".npy", &npy, how);
    (directory ? &archive.directory : &archive.file)->bytes[at] = byte;
    struct buffer b = finish_zip(&archive, false, "");
    write_buffer("x.npz", &b);
}

START_TEST(npz_files)
{
    const size_t data = 30 + strlen(NAME ".npy");
    write_damaged(true, 8, 1, 0);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: the entry is encrypted");
    write_damaged(true, 10, 14, 0);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: compression method");
    write_damaged(false, data + 100, 'X', 0);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: the CRC differs");
    write_damaged(false, data, 0xff, DEFLATE);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: the compressed data is damaged");
    write_damaged(true, 27, 0x7f, DEFLATE); /* 2 GiB out of a hundred bytes */
    expect_refusal("x.npz", 1, "entry " NAME ".npy: 2130706");
    write_damaged(true, 45, 0x7f, 0);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: the archive has no such entry");

    put(&archive.directory, archive.directory.bytes, archive.directory.size); /* the same bytes twice */
    archive.count = 2;
    archive.directory.bytes[45] = 0;
    memcpy(archive.directory.bytes + archive.directory.size / 2, archive.directory.bytes,
        archive.directory.size / 2);
    struct buffer b = finish_zip(&archive, false, "");
    write_buffer("x.npz", &b);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: it overlaps another entry");
    b.size /= 2;
    write_buffer("x.npz", &b);
    expect_refusal("x.npz", 1, "end record is missing");
}
END_TEST

/* An archive that would unpack to much more than it is, and says so honestly: what comes out is what its
 * header must account for. */
START_TEST(an_archive_that_grows)
{
    enum { LARGE = 1 << 20 };
    static unsigned char zeros[LARGE], packed[8192];
    struct buffer npy = make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "", 0);
    memcpy(zeros, npy.bytes, npy.size);
    z_stream stream = {.next_in = zeros, .avail_in = LARGE, .next_out = packed, .avail_out = sizeof packed};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    struct buffer deflated = {.size = 0};
    put(&deflated, packed, sizeof packed - stream.avail_out);
    deflateEnd(&stream);
    archive = (struct zip){.count = 0};
    add_entry(&archive, NAME ".npy", &deflated, 0); /* stored, and then called deflated */
    struct buffer number = {.size = 0};
    put_number(&number, crc32(0, zeros, LARGE), 4);
    memcpy(archive.directory.bytes + 16, number.bytes, 4);
    number.size = 0;
    put_number(&number, LARGE, 4);
    memcpy(archive.directory.bytes + 24, number.bytes, 4);
    archive.directory.bytes[10] = archive.file.bytes[8] = 8;
    struct buffer b = finish_zip(&archive, false, "");
    write_buffer("x.npz", &b);
    expect_refusal("x.npz", 1, "entry " NAME ".npy: 1048448 bytes of data, but [2] of F32 takes 8");
}
END_TEST

/* --- Raw files and maps ------------------------------------------------------------------- */

START_TEST(raw_files)
{
    static const struct {
        const char *side, *words;
    } cases[] = {
        {"{\"shape\": [3]}", NAME ".f32: 8 bytes, but [3] of F32 takes 12"},
        {"{\"shape\": [NaN]}", NAME ".json"},
        {"{\"shape\": [2], \"dtype\": \"F64\"}", NAME ".json: dtype: expected F32"},
        {"{\"shape\": [2], \"file\": \"../../etc/passwd\"}", NAME ".json: file: expected dtype and shape"},
        {"{\"shape\": [4294967296, 4294967296]}",
            NAME ".f32: shape: [4294967296, 4294967296] of F32 is more"},
    };
    ck_assert_int_eq(mkdir(path_in(test_folder, "dump"), 0700), 0);
    write_bytes(path_in(test_folder, "dump/" NAME ".f32"), "12345678", 8);
    expect_refusal("dump", 1, NAME ".json: cannot be read");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_bytes(path_in(test_folder, "dump/" NAME ".json"), cases[i].side, strlen(cases[i].side));
        expect_refusal("dump", 1, cases[i].words);
    }
}
END_TEST

START_TEST(maps)
{
    static const char map[] = "{\"lat*\": {\"to\": \"step.*.latents\", \"layout\": \"chw\"}}";
    struct buffer npy =
        make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "12345678", 8);
    write_buffer("lat0.npy", &npy);
    write_bytes(path_in(test_folder, "names.json"), map, strlen(map));
    int status = plumb(
        "verify %s %s/lat0.npy --map %s/names.json", golden_path("models/tiny-sd"), test_folder, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, 2,
        "names.json: \"lat*\".layout: expected \"nchw\" or \"nhwc\", got \"chw\"", NULL);
}
END_TEST

START_TEST(what_is_no_dump)
{
    expect_refusal("nothing.safetensors", 0, "cannot be read");
    ck_assert_int_eq(mkdir(path_in(test_folder, "empty"), 0700), 0);
    expect_refusal("empty", 1, "the folder holds no .npy file and no raw one");
    write_bytes(path_in(test_folder, "x.npz"), "", 0);
    expect_refusal("x.npz", 2, "x.npz");
    write_bytes(path_in(test_folder, "x.npz"), "some text", 9);
    expect_refusal("x.npz", 2, "x.npz");
    unlink(path_in(test_folder, "x.npz"));
    ck_assert_int_eq(symlink("x.npz", path_in(test_folder, "x.npz")), 0);
    expect_refusal("x.npz", 2, "cannot be read");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("files that plumb verify refuses");
    TCase *cases = tcase_create("files");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_add_test(cases, safetensors_files);
    tcase_add_test(cases, npy_files);
    tcase_add_test(cases, npz_files);
    tcase_add_test(cases, an_archive_that_grows);
    tcase_add_test(cases, raw_files);
    tcase_add_test(cases, maps);
    tcase_add_test(cases, what_is_no_dump);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
