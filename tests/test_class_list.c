/*
 * plumb schedule --list: every class with its own options, those of diffusers that are not covered with the
 * reason, and the errors that name them.
 */
#include "program.h"

#include "sched/scheduler.h"
#include "sched/uncovered_classes.h"
#include "support.h"

#include <string.h>

/* The scheduler classes of diffusers 0.40.0 and those that 0.35.1 had before (KarrasVe and ScoreSdeVp among
 * the deprecated ones), without the Flax ones. */
enum { CLASSES_OF_DIFFUSERS = 49 };

static cJSON *list_as_json(const char *arguments)
{
    cJSON *document = NULL;
    struct error error = {""};
    ck_assert_int_eq(plumb("schedule --list --format json %s", arguments), 0);
    ck_assert_msg(
        json_parse(out, strlen(out), "the list", &document, &error) == STATUS_OK, "%s", error.message);
    return document;
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool has_name(const cJSON *list, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (strcmp(item->valuestring, name) == 0) return true;
    return false;
}

/* What a class uses or ignores is what its constructor takes in diffusers, as the golden file recorded it;
 * what it refuses is none of that. */
static void check_class(const cJSON *listed, const cJSON *recorded)
{
    const char *name = member(listed, "class")->valuestring;
    const cJSON *option, *refused;
    cJSON_ArrayForEach(option, member(recorded, "config_options"))
    {
        const bool taken = member(member(listed, "uses"), option->valuestring) ||
                           has_name(member(listed, "takes_and_ignores"), option->valuestring);
        ck_assert_msg(taken, "%s takes %s", name, option->valuestring);
        ck_assert_msg(
            !has_name(member(listed, "refuses"), option->valuestring), "%s %s", name, option->valuestring);
    }
    cJSON_ArrayForEach(refused, member(listed, "refuses"))
        ck_assert(!member(member(listed, "uses"), refused->valuestring));
    const char *const arguments[] = {"timesteps", "sigmas", "mu"};
    for (int i = 0; i < 3; i++)
        ck_assert_msg(has_name(member(listed, "set_timesteps_takes"), arguments[i]) ==
                          (cJSON_IsTrue(member(recorded, arguments[i])) != 0),
            "%s: %s", name, arguments[i]);
}

START_TEST(classes_take_what_diffusers_takes)
{
    cJSON *document = list_as_json(""), *golden = golden_json("sched_errors.json");
    const cJSON *support = member(golden, "set_timesteps_support"), *listed;
    size_t count = 0;
    cJSON_ArrayForEach(listed, member(document, "classes"))
    {
        const cJSON *recorded = member(support, member(listed, "class")->valuestring);
        ck_assert_ptr_nonnull(recorded);
        check_class(listed, recorded);
        count++;
    }
    ck_assert_uint_eq(count, scheduler_class_count());
    cJSON_Delete(golden);
    cJSON_Delete(document);
}
END_TEST

START_TEST(defaults_and_ignored_options)
{
    cJSON *document = list_as_json("LCM TCDScheduler");
    const cJSON *classes = member(document, "classes");
    ck_assert_int_eq(cJSON_GetArraySize(classes), 2);
    const cJSON *lcm = cJSON_GetArrayItem(classes, 0), *tcd = cJSON_GetArrayItem(classes, 1);
    ck_assert_double_eq(member(member(lcm, "uses"), "beta_start")->valuedouble, 0.00085);
    ck_assert_str_eq(member(member(lcm, "uses"), "beta_schedule")->valuestring, "scaled_linear");
    ck_assert(cJSON_IsNull(member(member(lcm, "uses"), "trained_betas")));
    ck_assert(cJSON_IsFalse(member(member(lcm, "uses"), "clip_sample")));
    ck_assert(has_name(member(lcm, "takes_and_ignores"), "timestep_spacing"));
    ck_assert(has_name(member(tcd, "takes_and_ignores"), "clip_sample"));
    ck_assert(has_name(member(tcd, "step"), "takes eta"));
    ck_assert_ptr_null(member(document, "not_covered"));
    cJSON_Delete(document);
}
END_TEST

/* Every class of diffusers is covered, or listed with a reason; none is both. */
START_TEST(the_rest_of_diffusers)
{
    cJSON *document = list_as_json("");
    const cJSON *others = member(document, "not_covered"), *other;
    cJSON_ArrayForEach(other, others)
    {
        ck_assert_uint_gt(strlen(other->valuestring), 10);
        ck_assert_msg(!scheduler_class_has_option(other->string, "num_train_timesteps"), "%s", other->string);
        plumb("schedule %s", other->string);
        expect_in(err, other->valuestring);
    }
    const size_t covered = (size_t)cJSON_GetArraySize(member(document, "classes"));
    ck_assert_uint_eq(covered + (size_t)cJSON_GetArraySize(others), CLASSES_OF_DIFFUSERS);
    cJSON_Delete(document);
}
END_TEST

START_TEST(as_a_table)
{
    ck_assert_int_eq(plumb("schedule --list"), 0);
    for (size_t i = 0; i < scheduler_class_count(); i++) expect_in(out, scheduler_class_name(i));
    for (size_t i = 0; i < uncovered_class_count(); i++) {
        expect_in(out, uncovered_class_at(i)->class_name);
        expect_in(out, uncovered_class_at(i)->reason);
    }
    expect_in(out, "takes and ignores");
    for (const char *line = out; (line = strchr(line, '\n')); line++) /* no line ends in a space */
        ck_assert(line == out || line[-1] != ' ');
}
END_TEST

START_TEST(wrong_lists)
{
    expect_failure(
        plumb("schedule --list --format csv"), STATUS_BAD_INPUT, 0, "--list", "table or as json", NULL);
    expect_failure(plumb("schedule --list DDIM Eular"), STATUS_BAD_INPUT, 0, "Eular", "neither", NULL);
    expect_failure(
        plumb("schedule --list RePaint"), STATUS_BAD_INPUT, 0, "RePaintScheduler", "inpainting", NULL);
    expect_failure(plumb("schedule DDIM --set _class_name=AmusedScheduler"), STATUS_BAD_INPUT, 0,
        "_class_name: AmusedScheduler", "tokens", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("class list");
    TCase *tcase = tcase_create("list");
    tcase_add_checked_fixture(tcase, make_test_folder, drop_program_folder);
    tcase_add_test(tcase, classes_take_what_diffusers_takes);
    tcase_add_test(tcase, defaults_and_ignored_options);
    tcase_add_test(tcase, the_rest_of_diffusers);
    tcase_add_test(tcase, as_a_table);
    tcase_add_test(tcase, wrong_lists);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
