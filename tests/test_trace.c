/*
 * A trace gathers copies under formatted names and is written with its metadata.
 */
#include "file_support.h"

#include "ref/trace.h"

#include <string.h>

START_TEST(what_is_gathered_is_written)
{
    struct trace *trace = NULL;
    ck_assert_int_eq(trace_create(&trace, NULL), STATUS_OK);
    float values[] = {1.5F, -2.0F};
    double exact[] = {0.1, 0.2};
    struct tensor f32 = {.dtype = DTYPE_F32, .rank = 1, .shape = {2}, .data = values};
    struct tensor f64 = {.dtype = DTYPE_F64, .rank = 1, .shape = {2}, .data = exact};
    for (int i = 0; i < 3; i++) {
        values[0] = (float)i;
        ck_assert_int_eq(trace_add(trace, &f32, NULL, "step.%02d.latents", i), STATUS_OK);
    }
    ck_assert_int_eq(trace_add(trace, &f64, NULL, "sigmas"), STATUS_OK);
    ck_assert_int_eq(trace_put_metadata(trace, "seed", "123", NULL), STATUS_OK);
    ck_assert_uint_eq(tensor_set_count(trace_tensors(trace)), 4);

    struct error error = {""};
    enum status status = trace_add(trace, &f32, &error, "step.%02d.latents", 1);
    expect_error(status, STATUS_BAD_INPUT, &error, "step.01.latents", NULL);
    char long_name[600];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    status = trace_add(trace, &f32, &error, "%s", long_name);
    expect_error(status, STATUS_BAD_INPUT, &error, "at most", NULL);

    const char *path = path_in(test_folder, "trace.safetensors");
    ck_assert_int_eq(trace_write(trace, path, NULL), STATUS_OK);
    trace_free(trace);
    struct tensor_set *set = open_set(path);
    ck_assert_uint_eq(tensor_set_count(set), 4);
    ck_assert_str_eq(tensor_set_metadata(set, "seed"), "123");
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq(tensor_get_double(need_tensor(set, "step.%02d.latents", i), 0), (double)i);
    ck_assert_int_eq(need_tensor(set, "sigmas")->dtype, DTYPE_F64);
    ck_assert_double_eq(tensor_get_double(need_tensor(set, "sigmas"), 1), 0.2);
    tensor_set_free(set);
}
END_TEST

START_TEST(without_a_trace_nothing_happens)
{
    struct tensor scalar = {.dtype = DTYPE_F32, .rank = 0, .data = (float[]){1.0F}};
    ck_assert_int_eq(trace_add(NULL, &scalar, NULL, "x"), STATUS_OK);
    ck_assert_int_eq(trace_put_metadata(NULL, "a", "b", NULL), STATUS_OK);
    trace_free(NULL);
}
END_TEST

START_TEST(a_trace_that_cannot_be_written)
{
    struct trace *trace = NULL;
    ck_assert_int_eq(trace_create(&trace, NULL), STATUS_OK);
    struct error error = {""};
    enum status status = trace_write(trace, path_in(test_folder, "no/x.safetensors"), &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "no/x.safetensors", NULL);
    expect_error(trace_write(trace, "/dev/full", &error), STATUS_MACHINE, &error, "/dev/full", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 0);
    trace_free(trace);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *cases = tcase_create("trace");
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_test(cases, what_is_gathered_is_written);
    tcase_add_test(cases, without_a_trace_nothing_happens);
    tcase_add_test(cases, a_trace_that_cannot_be_written);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
