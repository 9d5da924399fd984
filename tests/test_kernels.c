/*
 * The kernel checker: every kernel in both precisions, each instruction set that this processor has, 1 to 8
 * threads.
 */
#include "kernels/cpu.h"
#include "tests/support.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

TCase *kernel_products_tcase_f32(void);
TCase *kernel_products_tcase_f64(void);
TCase *kernel_attention_tcase_f32(void);
TCase *kernel_attention_tcase_f64(void);
TCase *kernel_norms_tcase_f32(void);
TCase *kernel_norms_tcase_f64(void);
TCase *kernel_elements_tcase_f32(void);
TCase *kernel_elements_tcase_f64(void);

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
    suite_add_tcase(suite, kernel_elements_tcase_f32());
    suite_add_tcase(suite, kernel_elements_tcase_f64());
    suite_add_tcase(suite, kernel_norms_tcase_f32());
    suite_add_tcase(suite, kernel_norms_tcase_f64());
    suite_add_tcase(suite, kernel_products_tcase_f32());
    suite_add_tcase(suite, kernel_products_tcase_f64());
    suite_add_tcase(suite, kernel_attention_tcase_f32());
    suite_add_tcase(suite, kernel_attention_tcase_f64());
    return run_suite(suite);
}
