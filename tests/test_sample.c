/*
 * What `plumb sample` leaves for another sampler to be compared with: of every recorded case each tensor that
 * the recording has, under its name, in its type and shape, so that `plumb compare` with a golden file never
 * has a tensor on one side only.
 */
#include "program.h"

#include "ref/compare.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a class computes once, without a model: equal to the recording bit for bit, NaN to NaN. (Timesteps
 * and sigmas, some of which go through transcendental functions of float64, have limits of their own in
 * test_sched_golden.) */
static const char *const exact[] = {"lambda_t", "order_list", "prk_timesteps", "plms_timesteps",
    "sigmas_interpol", "sigmas_up", "sigmas_down", "discrete_sigmas", "final_alpha_cumprod",
    "initial_alpha_cumprod", "x_T", "get_velocity.result"};
enum { EXACT = sizeof exact / sizeof *exact };

struct counts {
    size_t cases, tensors, corrected, exact[EXACT];
};

static void expect_same_bits(const char *where, const struct tensor *mine, const struct tensor *recorded)
{
    for (size_t e = 0; e < tensor_count(recorded); e++) {
        const double a = tensor_get_double(mine, e), b = tensor_get_double(recorded, e);
        ck_assert_msg(a == b ? signbit(a) == signbit(b) : isnan(a) && isnan(b),
            "%s[%zu]: expected %.9g, got %.9g", where, e, b, a);
    }
}

static void expect_tensor(const char *where, const char *name, const struct tensor *mine,
    const struct tensor *recorded, struct counts *counts)
{
    ck_assert_msg(mine != NULL, "%s: missing", where);
    ck_assert_msg(mine->dtype == recorded->dtype, "%s: of another type", where);
    ck_assert_msg(mine->rank == recorded->rank, "%s: of another rank", where);
    for (int i = 0; i < recorded->rank; i++)
        ck_assert_msg(mine->shape[i] == recorded->shape[i], "%s: of another shape", where);
    for (size_t i = 0; i < EXACT; i++) {
        if (strcmp(name, exact[i]) != 0) continue;
        expect_same_bits(where, mine, recorded);
        counts->exact[i]++;
    }
    if (strstr(name, ".corrected_sample")) {
        /* Free-running float32 over a few steps, as the samples themselves. */
        const struct difference d = tensor_difference(mine, recorded);
        ck_assert_msg(d.max_rel_peak <= 1e-5, "%s: %g of the peak", where, d.max_rel_peak);
        counts->corrected++;
    }
    counts->tensors++;
}

/* `name` without its ending. */
static void check_case(const char *name, struct counts *counts)
{
    const char *made = path_in(test_folder, "made.safetensors");
    struct tensor_set *mine, *recorded = golden_tensors("sched/%s.safetensors", name);
    struct error error;
    ck_assert_msg(plumb("sample %s --tensors %s --out %s", golden_path("sched/%s.json", name),
                      golden_path("sched/%s.safetensors", name), made) == 0,
        "%s: %s", name, err);
    ck_assert_int_eq(tensor_set_open(made, &mine, &error), STATUS_OK);
    for (size_t i = 0; i < tensor_set_count(recorded); i++) {
        char where[512];
        const char *tensor = tensor_set_name(recorded, i);
        snprintf(where, sizeof where, "%s, %s", name, tensor);
        expect_tensor(where, tensor, tensor_set_find(mine, tensor), tensor_set_at(recorded, i), counts);
    }
    for (size_t i = 0; i < tensor_set_count(mine); i++)
        ck_assert_msg(tensor_set_find(recorded, tensor_set_name(mine, i)) != NULL,
            "%s, %s: not in the recording", name, tensor_set_name(mine, i));
    counts->cases++;
    tensor_set_free(mine);
    tensor_set_free(recorded);
}

START_TEST(a_result_has_every_recorded_tensor)
{
    struct counts counts = {0};
    DIR *folder = opendir(golden_path("sched"));
    ck_assert(folder != NULL);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0) continue;
        *dot = '\0';
        check_case(entry->d_name, &counts);
    }
    closedir(folder);
    printf("plumb sample: %zu cases, %zu tensors, none missing and none too many\n", counts.cases,
        counts.tensors);
    ck_assert_uint_gt(counts.cases, 0);
    ck_assert_uint_gt(counts.corrected, 0);
    for (size_t i = 0; i < EXACT; i++) /* or the list above names what no case has */
        ck_assert_msg(counts.exact[i] > 0, "%s: in no recorded case", exact[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sample");
    TCase *golden = tcase_create("recorded cases");
    tcase_add_checked_fixture(golden, make_test_folder, drop_program_folder);
    tcase_set_timeout(golden, 120);
    tcase_add_test(golden, a_result_has_every_recorded_tensor);
    suite_add_tcase(suite, golden);
    return run_suite(suite);
}
