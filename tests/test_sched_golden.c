/*
 * Every recorded sampler case of a class that Plumb has, run again: tables and timesteps bit for bit, each
 * step from its recorded inputs. The limits are those that the project holds itself to; what is behind each
 * stands beside it.
 */
#include "sched/scheduler.h"
#include "sched_case.h"
#include "support.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the cases under golden/sched whose class is known, sorted; allocated. */
static char **case_names(size_t *count)
{
    char **names = NULL;
    *count = 0;
    DIR *folder = opendir(golden_path("sched"));
    ck_assert_msg(folder != NULL, "%s cannot be read", golden_path("sched"));
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".json") != 0) continue;
        *dot = '\0';
        if (!sched_case_is_known(entry->d_name)) continue;
        char **larger = realloc(names, (*count + 1) * sizeof *names);
        ck_assert(larger != NULL);
        names = larger;
        names[*count] = strdup(entry->d_name);
        ck_assert(names[(*count)++] != NULL);
    }
    closedir(folder);
    ck_assert_msg(*count > 0, "there are no cases under %s", golden_path("sched"));
    qsort(names, *count, sizeof *names, compare_names);
    return names;
}

static void print_nearness(const char *what, const struct nearness *nearness, const char *unit)
{
    if (nearness->count == 0) return;
    printf("  %-22s %8zu elements, %8.4f %% equal bit for bit, largest distance %.3g %s\n", what,
        nearness->count, 100.0 * (double)nearness->equal / (double)nearness->count, nearness->largest, unit);
}

static void print_totals(const char *arithmetic, const struct case_totals *totals)
{
    printf("%s against diffusers: %zu cases, %zu steps\n", arithmetic, totals->cases, totals->steps);
    print_nearness("tables of the class", &totals->tables, "ulp");
    print_nearness("integer timesteps", &totals->integers, "steps");
    print_nearness("fractional timesteps", &totals->fractions, "steps");
    print_nearness("sigmas", &totals->sigmas, "ulp");
    print_nearness("scale_model_input", &totals->model_input, "of the largest element");
    print_nearness("prev_sample", &totals->prev_sample, "of the largest term");
    print_nearness("pred_original_sample", &totals->pred_original_sample, "of the largest term");
    print_nearness("noise made by the class", &totals->made_noise, "standard deviations");
    print_nearness("add_noise", &totals->noised, "of the largest element");
    fflush(stdout);
}

static void check_all(void (*check)(const char *, const struct case_limits *, struct case_totals *),
    const struct case_limits *limits, struct case_totals *totals)
{
    size_t count = 0;
    char **names = case_names(&count);
    for (size_t i = 0; i < count; i++) {
        check(names[i], limits, totals);
        free(names[i]);
    }
    free(names);
}

START_TEST(every_case_in_the_arithmetic_of_diffusers)
{
    const struct case_limits limits = {
        .table_ulp = 0,   /* the arithmetic of these tables is known in full */
        .fraction = 1e-4, /* torch's exp is behind those of log_linear */
        .sigma_ulp = 2,   /* torch's exp again */
        /* The project's gate is 5e-6 (1e-5 for classes that solve small systems); torch's functions are known
         * to the bit, so that 1.2e-7 of the largest term is the most that any class is off, the last bit of a
         * sum that the BLAS orders otherwise. Two last bits of a float32 are the limit. */
        .score_sde_vp_step = 0x1p-22,
        .step = 0x1p-22,
        .made_noise = 0, /* a seed decides every bit */
    };
    struct case_totals totals = {0};
    check_all(sched_case_check_f32, &limits, &totals);
    print_totals("The arithmetic of diffusers", &totals);
    ck_assert_msg(totals.failures == 0, "%zu things are beyond their limits", totals.failures);
    ck_assert(totals.steps > 0 && totals.sigmas.count > 0 && totals.integers.count > 0);
}
END_TEST

/* The same source in double, against the recorded float32: not bit for bit, but near. */
START_TEST(every_case_in_double)
{
    const struct case_limits limits = {
        .table_ulp = 4096, /* a product of 1000 rounded alphas, and what zero-SNR rescaling leaves of it */
        .fraction = 1e-2,  /* float32 log sigma, 1e-7 away, over 1e-4 or so a step where betas are small */
        .sigma_ulp = 2048, /* 1 - alphas_cumprod, of which rounding is a larger part the smaller sigma is */
        .step = 1e-5,      /* what an independent replay in double found */
        .score_sde_vp_step = 2e-5, /* 1 - alpha^2, of which float32 leaves four digits at the last step */
        /* A Brownian path moves by the root of the time: by 4e-3 over the 1.5e-5 that a float32 sigma of 200
         * is wide, five times that at worst, in noise whose steps are at least 1 wide. */
        .made_noise = 2e-2,
    };
    struct case_totals totals = {0};
    check_all(sched_case_check_f64, &limits, &totals);
    print_totals("Double", &totals);
    ck_assert_msg(totals.failures == 0, "%zu things are beyond their limits", totals.failures);
    ck_assert(totals.steps > 0);
}
END_TEST

/* "Align your steps" on Euler: the documentation's sigmas, and the timesteps that diffusers finds for them,
 * whatever the schedule says otherwise. */
START_TEST(documented_sigmas_on_euler)
{
    static const double sigmas[] = {
        14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.0};
    static const float timesteps[] = {999.0f, 844.88763427734375f, 730.179931640625f, 586.980712890625f,
        443.3353271484375f, 309.9755859375f, 192.97047424316406f, 116.06510925292969f, 53.3032112121582f,
        13.390400886535645f};
    static const int documented[] = {999, 845, 730, 587, 443, 310, 193, 116, 53, 13};
    static const char config_text[] =
        "{\"_class_name\": \"EulerDiscreteScheduler\", \"beta_start\": 0.00085, \"beta_end\": 0.012, "
        "\"beta_schedule\": \"scaled_linear\", \"timestep_spacing\": \"leading\", \"steps_offset\": 1}";
    cJSON *config = NULL;
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    ck_assert_int_eq(json_parse(config_text, strlen(config_text), "config", &config, &error), STATUS_OK);
    ck_assert_msg(scheduler_create(config, &scheduler, NULL, &error) == STATUS_OK, "%s", error.message);
    const struct schedule_request request = {.sigmas = sigmas, .num_sigmas = 11};
    ck_assert_msg(
        scheduler_set_timesteps(scheduler, &request, NULL, &error) == STATUS_OK, "%s", error.message);

    ck_assert_uint_eq(scheduler->num_timesteps, 10);
    ck_assert_uint_eq(scheduler->num_sigmas, 11);
    for (size_t i = 0; i < 10; i++) {
        ck_assert_msg(scheduler->timesteps[i] == (double)timesteps[i],
            "timestep %zu: expected %.9g, got %.9g", i, (double)timesteps[i], scheduler->timesteps[i]);
        ck_assert_int_eq((int)round(scheduler->timesteps[i]), documented[i]);
        ck_assert(scheduler->sigmas[i] == (float)sigmas[i]);
    }
    scheduler_free(scheduler);
    cJSON_Delete(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sched_golden");
    TCase *tcase = tcase_create("cases");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_case_in_the_arithmetic_of_diffusers);
    tcase_add_test(tcase, every_case_in_double);
    tcase_add_test(tcase, documented_sigmas_on_euler);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
