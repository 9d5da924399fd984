/*
 * The cases of the kernel checker (checkkernels.c) as tests: every kernel in both precisions, each
 * instruction set that this processor has, 1 to 8 threads. And what cpu.h promises.
 */
#include "kernels/cpu.h"
#include "tests/kernel_report.h"
#include "tests/support.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static struct kernel_item *items; /* before Check forks */

/* One case of one kernel. */
START_TEST(kernel)
{
    struct checker k = checker_usual();
    k.effort = effort_of_environment();
    kernel_item_check(&k, &items[_i]);
    ck_assert_msg(k.failures == 0, "%s", k.first);
    checker_free(&k);
}
END_TEST

START_TEST(sets)
{
    ck_assert(kernels_available(KERNELS_SCALAR));
    ck_assert(kernels_available(kernels_best()));
    ck_assert_int_eq(kernels_in_use(), kernels_best());
    ck_assert(!kernels_available(KERNEL_SETS));
    ck_assert(!(kernels_available(KERNELS_AVX2) && kernels_available(KERNELS_NEON)));
    ck_assert(kernels_available(KERNELS_AVX2) || !kernels_available(KERNELS_AVX512));
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        enum kernel_set before = kernels_in_use();
        ck_assert_int_eq(kernels_use(set), kernels_available(set));
        ck_assert_int_eq(kernels_in_use(), kernels_available(set) ? set : before);
    }
    ck_assert_str_eq(kernels_set_name(KERNELS_SCALAR), "scalar");
    ck_assert_str_eq(kernels_set_name(KERNELS_AVX2), "avx2");
    ck_assert_str_eq(kernels_set_name(KERNELS_AVX512), "avx512");
    ck_assert_str_eq(kernels_set_name(KERNELS_NEON), "neon");
}
END_TEST

START_TEST(threads)
{
    ck_assert_int_eq(kernels_threads(), omp_get_max_threads());
    kernels_set_threads(3);
    ck_assert_int_eq(kernels_threads(), 3);
    kernels_set_threads(0);
    ck_assert_int_eq(kernels_threads(), 1);
    kernels_set_threads(-5);
    ck_assert_int_eq(kernels_threads(), 1);
}
END_TEST

START_TEST(descriptions)
{
    char name[200] = "", small[8];
    ck_assert_ptr_eq(kernels_cpu_name(name, sizeof name), name);
    ck_assert_uint_gt(strlen(name), 0);
    ck_assert_uint_lt(strlen(kernels_cpu_name(small, sizeof small)), sizeof small);
    ck_assert_ptr_nonnull(strstr(kernels_blas_description(), "OpenBLAS"));
    ck_assert_uint_gt(strlen(kernels_blas_core()), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *cpu = tcase_create("cpu");
    tcase_add_test(cpu, sets);
    tcase_add_test(cpu, threads);
    tcase_add_test(cpu, descriptions);
    suite_add_tcase(suite, cpu);
    size_t count;
    items = kernel_list(&count);
    TCase *kernels = tcase_create("kernels");
    tcase_set_timeout(kernels, 300);
    tcase_add_loop_test(kernels, kernel, 0, (int)count);
    suite_add_tcase(suite, kernels);
    int status = run_suite(suite);
    free(items);
    return status;
}
