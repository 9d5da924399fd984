#include "tests/scheduler_replacement.h"
#include "tests/support.h"

START_TEST(a_copy_goes_on_as_its_original)
{
    check_replaced_schedulers_f32();
    check_replaced_schedulers_f64();
}
END_TEST

START_TEST(damaged_bytes_are_refused)
{
    check_damaged_schedulers_f32();
    check_damaged_schedulers_f64();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scheduler save");
    TCase *tcase = tcase_create("saved schedulers");
    tcase_add_test(tcase, a_copy_goes_on_as_its_original);
    tcase_add_test(tcase, damaged_bytes_are_refused);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
