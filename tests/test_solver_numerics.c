/*
 * The small numerical parts of the solvers, from first principles: linear systems and weights of integrals.
 */
#include "solver_numerics.h"
#include "support.h"

START_TEST(linear_systems)
{
    check_linear_systems_f32();
    check_linear_systems_f64();
}
END_TEST

START_TEST(sasolver_weights)
{
    check_sasolver_weights_f32();
    check_sasolver_weights_f64();
}
END_TEST

START_TEST(dpm_coefficients)
{
    check_dpm_coefficients_f32();
    check_dpm_coefficients_f64();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("solver_numerics");
    TCase *tcase = tcase_create("parts");
    tcase_add_test(tcase, linear_systems);
    tcase_add_test(tcase, sasolver_weights);
    tcase_add_test(tcase, dpm_coefficients);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
