/*
 * The rows that `plumb schedule` marks as touched by a departure of diffusers from its documentation: every
 * difference between the semantics has a name, which is a heading of sched/DEVIATIONS.md, and every name is
 * found by some schedule.
 */
#include "ref/schedule_departures.h"
#include "ref/schedule_table.h"
#include "sched/scheduler.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* --- Every difference has a name ---------------------------------------------------------- */

/* Options that are put on top of a class's defaults, where the class has them. */
static const char *const settings[] = {
    "{}",
    "{\"timestep_spacing\": \"trailing\"}",
    "{\"timestep_spacing\": \"linspace\"}",
    "{\"use_karras_sigmas\": true}",
    "{\"use_karras_sigmas\": true, \"final_sigmas_type\": \"sigma_min\"}",
    "{\"use_karras_sigmas\": true, \"sigma_max\": 5, \"sigma_min\": 0.1}",
    "{\"use_exponential_sigmas\": true}",
    "{\"use_beta_sigmas\": true}",
    "{\"use_lu_lambdas\": true, \"beta_schedule\": \"squaredcos_cap_v2\"}",
    "{\"use_karras_sigmas\": true, \"timestep_spacing\": \"trailing\"}",
    "{\"use_flow_sigmas\": true, \"prediction_type\": \"flow_prediction\", \"flow_shift\": 3}",
    "{\"prediction_type\": \"flow_prediction\"}",
    "{\"prediction_type\": \"sample\"}",
    "{\"beta_schedule\": \"squaredcos_cap_v2\"}",
    "{\"rescale_betas_zero_snr\": true, \"prediction_type\": \"v_prediction\"}",
    "{\"interpolation_type\": \"log_linear\"}",
    "{\"variance_type\": \"fixed_large_log\"}",
    "{\"shift\": 3}",
    "{\"solver_order\": 3}",
    "{\"solver_order\": 3, \"algorithm_type\": \"sde-dpmsolver++\", \"solver_type\": \"heun\"}",
    "{\"solver_order\": 3, \"algorithm_type\": \"sde-dpmsolver\", \"final_sigmas_type\": \"sigma_min\"}",
    "{\"algorithm_type\": \"dpmsolver\", \"final_sigmas_type\": \"sigma_min\", \"thresholding\": true}",
    "{\"algorithm_type\": \"noise_prediction\", \"thresholding\": true}",
    "{\"final_sigmas_type\": \"sigma_min\"}",
};
enum { SETTINGS = sizeof settings / sizeof *settings };

/* The class's config with the settings; NULL where it lacks one of them. */
static cJSON *config_with(const char *class_name, const char *json)
{
    cJSON *config = cJSON_Parse(json);
    ck_assert_msg(config != NULL, "%s", json);
    const cJSON *option;
    cJSON_ArrayForEach(option, config)
    {
        if (scheduler_class_has_option(class_name, option->string)) continue;
        cJSON_Delete(config);
        return NULL;
    }
    ck_assert(cJSON_AddStringToObject(config, "_class_name", class_name) != NULL);
    return config;
}

/* Checks the schedule's rows and returns the departures that they show; 0 where the config is refused. */
static uint32_t check_schedule(const cJSON *config, const struct schedule_request *request, bool f64)
{
    struct schedule_table table;
    struct error error;
    enum status status = f64 ? schedule_table_make_f64(config, request, false, &table, NULL, &error)
                             : schedule_table_make_f32(config, request, false, &table, NULL, &error);
    if (status != STATUS_OK) return 0;
    char *text = cJSON_PrintUnformatted(config);
    for (size_t i = 0; i < table.count; i++)
        ck_assert_msg((table.signs[i] != 0) == (table.departures[i] != 0),
            "%s, %d steps, %s: row %zu shows %u, and no departure is named", text,
            request->num_inference_steps, f64 ? "f64" : "f32", i, table.signs[i]);
    const uint32_t all = schedule_departures_of(&table);
    schedule_table_free(&table);
    cJSON_free(text);
    return all;
}

START_TEST(every_difference_is_named)
{
    static const int counts[] = {1, 2, 7, 20, 61};
    const double timesteps[] = {999, 500, 250, 100}, sigmas[] = {1, 0.5, 0.25};
    uint32_t found = 0;
    size_t schedules = 0;
    for (size_t c = 0; c < scheduler_class_count(); c++) {
        for (size_t s = 0; s < SETTINGS; s++) {
            cJSON *config = config_with(scheduler_class_name(c), settings[s]);
            if (!config) continue;
            for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
                const struct schedule_request request = {
                    .has_num_inference_steps = true, .num_inference_steps = counts[k]};
                found |= check_schedule(config, &request, false) | check_schedule(config, &request, true);
                schedules++;
            }
            const struct schedule_request at_timesteps = {.timesteps = timesteps, .num_timesteps = 4},
                                          at_sigmas = {.sigmas = sigmas, .num_sigmas = 3},
                                          cut = {.timesteps = timesteps,
                                              .num_timesteps = 4,
                                              .has_strength = true,
                                              .strength = 0.5};
            found |= check_schedule(config, &at_timesteps, false) |
                     check_schedule(config, &at_sigmas, false) | check_schedule(config, &cut, false);
            cJSON_Delete(config);
        }
    }
    printf("departures: %zu schedules\n", schedules);
    for (size_t d = 0; d < departure_count(); d++)
        ck_assert_msg(found >> d & 1, "no schedule shows: %s", departure_heading(d));
}
END_TEST

/* --- The headings of DEVIATIONS.md -------------------------------------------------------- */

/* The line "### heading" of the text. */
static const char *find_heading(const char *text, const char *heading)
{
    char line[200];
    snprintf(line, sizeof line, "\n### %s\n", heading);
    return strstr(text, line);
}

START_TEST(every_name_is_a_heading)
{
    char *text = read_whole_text("sched/DEVIATIONS.md");
    for (size_t d = 0; d < departure_count(); d++)
        ck_assert_msg(find_heading(text, departure_heading(d)) != NULL, "%s", departure_heading(d));
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedule_departures");
    TCase *tcase = tcase_create("departures");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_difference_is_named);
    tcase_add_test(tcase, every_name_is_a_heading);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
