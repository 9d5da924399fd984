/*
 * Safetensors that are truncated or that lie: each is refused with a message that names the file, the tensor
 * and the field. The files are put together here from a header's text and a number of data bytes.
 */
#include "file_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file of a header with so many bytes of data. */
static struct buffer make_file(const char *header, size_t data)
{
    struct buffer b = {.size = 0};
    put_number(&b, strlen(header), 8);
    put(&b, header, strlen(header));
    for (size_t i = 0; i < data; i++) put_number(&b, i, 1);
    return b;
}

static const char *write_file(const char *header, size_t data)
{
    struct buffer b = make_file(header, data);
    const char *path = path_in(test_folder, "x.safetensors");
    write_bytes(path, b.bytes, b.size);
    return path;
}

#define TENSOR(name, dtype, shape, offsets)                                                                  \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

START_TEST(headers_that_are_good)
{
    static const struct {
        const char *header;
        size_t data, count;
    } cases[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0},
        {"{" TENSOR("a", "F32", "[2]", "[0,8]") "}", 8, 1},
        {"{" TENSOR("a", "F64", "[]", "[0,8]") "}", 8, 1},
        {"{" TENSOR("b", "U8", "[3]", "[8,11]") "," TENSOR("a", "F32", "[2]", "[0,8]") "}", 11, 2},
        {"{" TENSOR("a", "F32", "[0]", "[0,0]") "," TENSOR("b", "F32", "[1]", "[0,4]") "," TENSOR(
             "c", "I64", "[3,0,2]", "[4,4]") "}",
            4, 3},
        {"{\"__metadata__\":{}," TENSOR("a.\\u00e9", "BOOL", "[1,1]", "[0,1]") "}", 1, 1},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0, 0},
        /* keys that the format may get some day */
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":null}}", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tensor_set *set = open_set(write_file(cases[i].header, cases[i].data));
        ck_assert_uint_eq(tensor_set_count(set), cases[i].count);
        for (size_t k = 0; k < cases[i].count; k++) {
            const struct tensor *tensor = tensor_set_at(set, k);
            for (size_t n = 0; n < tensor_count(tensor); n++) (void)tensor_get_double(tensor, n);
        }
        tensor_set_free(set);
    }
}
END_TEST

START_TEST(values_are_read_where_they_lie)
{
    struct tensor_set *set = open_set(
        write_file("{" TENSOR("b", "U8", "[3]", "[8,11]") "," TENSOR("a", "I32", "[2]", "[0,8]") "}", 11));
    ck_assert_int_eq(tensor_get_int(need_tensor(set, "b"), 2), 10);
    ck_assert_int_eq(tensor_get_int(need_tensor(set, "a"), 1), 0x07060504);
    tensor_set_free(set);
}
END_TEST

static const struct {
    const char *header;
    size_t data;
    const char *words;
} lies[] = {
    /* JSON */
    {"", 0, "header"},
    {"[]", 0, "expected a JSON object"},
    {"{", 0, "header"},
    {"{} x", 0, "header"},
    {"{\"a\":1}", 0, "tensor a: expected an object"},
    {"{\"a\xff\":1}", 0, "UTF-8"},
    {"{\"a\\u0000b\":{}}", 0, "zero"},
    {"{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("a", "U8", "[1]", "[1,2]") "}", 2,
        "\"a\" stands twice"},
    {"{" TENSOR("a", "U8", "[1]", "[0,1]") "," TENSOR("\\u0061", "U8", "[1]", "[1,2]") "}", 2,
        "stands twice"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[2],\"data_offsets\":[0,1]}}", 1, "stands twice"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__: a: expected a string"},
    {"{\"__metadata__\":\"a\"}", 0, "__metadata__: expected an object"},
    /* dtype */
    {"{" TENSOR("a", "F31", "[1]", "[0,4]") "}", 4, "tensor a: dtype: expected F32"},
    {"{" TENSOR("a", "f32", "[1]", "[0,4]") "}", 4, "got \"f32\""},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor a: dtype"},
    {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor a: dtype"},
    /* shape */
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor a: shape: expected a list"},
    {"{" TENSOR("a", "F32", "1", "[0,4]") "}", 4, "tensor a: shape: expected a list"},
    {"{" TENSOR("a", "F32", "[-1]", "[0,4]") "}", 4, "tensor a: shape[0]: expected an integer"},
    {"{" TENSOR("a", "F32", "[1,1.5]", "[0,4]") "}", 4, "tensor a: shape[1]: expected an integer"},
    {"{" TENSOR("a", "F32", "[\"1\"]", "[0,4]") "}", 4, "tensor a: shape[0]: expected an integer"},
    {"{" TENSOR("a", "F32", "[1e300]", "[0,4]") "}", 4, "tensor a: shape[0]: expected an integer"},
    {"{" TENSOR("a", "F32", "[Infinity]", "[0,4]") "}", 4, "tensor a: shape[0]: expected an integer"},
    {"{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "tensor a: shape: expected at most 8"},
    /* products that overflow: 2^64; 2^62 elements of 4 bytes; 3 * 6148914691236517206 is not exact, 2^53
     * is */
    {"{" TENSOR("a", "U8", "[4294967296,4294967296]", "[0,0]") "}", 0, "tensor a: shape"},
    {"{" TENSOR("a", "F32", "[2147483648,2147483648]", "[0,0]") "}", 0, "more than memory can hold"},
    {"{" TENSOR("a", "U8", "[9007199254740992,2048]", "[0,0]") "}", 0, "more than memory can hold"},
    {"{" TENSOR("a", "F64", "[0,9007199254740992,9007199254740992]", "[0,0]") "}", 0, "more than memory"},
    /* offsets */
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor a: data_offsets: expected a list"},
    {"{" TENSOR("a", "F32", "[1]", "[0]") "}", 4, "tensor a: data_offsets: expected 2"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4,8]") "}", 4, "tensor a: data_offsets: expected at most 2"},
    {"{" TENSOR("a", "F32", "[1]", "[-4,0]") "}", 4, "tensor a: data_offsets[0]"},
    {"{" TENSOR("a", "F32", "[1]", "[4,0]") "}", 4, "tensor a: data_offsets: expected begin <= end"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 3, "tensor a: data_offsets: expected begin <= end <= 3"},
    {"{" TENSOR("a", "F32", "[1]", "[9007199254740988,9007199254740992]") "}", 4, "tensor a: data_offsets"},
    {"{" TENSOR("a", "F32", "[2]", "[0,4]") "}", 4,
        "tensor a: data_offsets: 4 bytes, but [2] of F32 takes 8"},
    {"{" TENSOR("a", "F32", "[0]", "[0,4]") "}", 4, "tensor a: data_offsets: 4 bytes"},
    /* coverage */
    {"{" TENSOR("a", "F32", "[2]", "[0,8]") "," TENSOR("b", "F32", "[1]", "[4,8]") "}", 8,
        "tensor b: data_offsets: [4, 8] overlaps tensor a"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[0,4]") "}", 4, "overlaps"},
    {"{" TENSOR("a", "F32", "[2]", "[0,8]") "," TENSOR("b", "F32", "[0]", "[4,4]") "}", 8, "overlaps"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "F32", "[1]", "[6,10]") "}", 10,
        "tensor b: data_offsets: a gap of 2 bytes"},
    {"{" TENSOR("a", "F32", "[1]", "[1,5]") "}", 5, "tensor a: data_offsets: a gap of 1 byte"},
    {"{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 5, "the last 1 bytes belong to no tensor"},
    {"{}", 1, "the last 1 bytes belong to no tensor"},
};

START_TEST(headers_that_lie)
{
    expect_open_error(write_file(lies[_i].header, lies[_i].data), lies[_i].words);
}
END_TEST

START_TEST(header_lengths_that_lie)
{
    static const struct {
        uint64_t length;
        const char *words;
    } cases[] = {
        {0, "header"},
        {1, "header"},
        {10000, "header length: 10000 bytes, but only"},
        {100000000, "header length: 100000000 bytes, but only"},
        {100000001, "header length: expected at most 100000000"},
        {UINT64_MAX, "header length: expected at most 100000000"},
        {UINT64_MAX - 7, "header length"}, /* 8 + this is 0 modulo 2^64 */
        {INT64_MAX, "header length"},
    };
    struct buffer b = make_file("{" TENSOR("a", "F32", "[1]", "[0,4]") "}", 4);
    const char *path = path_in(test_folder, "x.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer length = {.size = 0};
        put_number(&length, cases[i].length, 8);
        memcpy(b.bytes, length.bytes, 8);
        write_bytes(path, b.bytes, b.size);
        expect_open_error(path, cases[i].words);
    }
}
END_TEST

START_TEST(every_truncation)
{
    struct buffer b =
        make_file("{" TENSOR("a", "F32", "[1]", "[0,4]") "," TENSOR("b", "U8", "[2]", "[4,6]") "}", 6);
    const char *path = path_in(test_folder, "x.safetensors");
    for (size_t size = 0; size < b.size; size++) {
        write_bytes(path, b.bytes, size);
        expect_open_error(path, "");
    }
    write_bytes(path, b.bytes, b.size);
    tensor_set_free(open_set(path));
}
END_TEST

START_TEST(deep_json)
{
    enum { DEEP = 1500 };
    char header[2 * DEEP + 64];
    size_t used = (size_t)snprintf(header, sizeof header, "{\"a\":");
    for (int i = 0; i < DEEP; i++) header[used++] = '[';
    for (int i = 0; i < DEEP; i++) header[used++] = ']';
    snprintf(header + used, sizeof header - used, "}");
    expect_open_error(write_file(header, 0), "nested deeper");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *cases = tcase_create("safetensors");
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_test(cases, headers_that_are_good);
    tcase_add_test(cases, values_are_read_where_they_lie);
    tcase_add_loop_test(cases, headers_that_lie, 0, (int)(sizeof lies / sizeof lies[0]));
    tcase_add_test(cases, header_lengths_that_lie);
    tcase_add_test(cases, every_truncation);
    tcase_add_test(cases, deep_json);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
