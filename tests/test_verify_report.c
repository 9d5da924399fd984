/*
 * What is shown of a verification: texts, the table, JSON, from verifications made by hand;
 * test_verify_page.c has the page.
 */
#include "program.h"
#include "report_support.h"

#include "ref/safe_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct made_report made;

static void set_up(void)
{
    make_test_folder();
    make_report(&made);
}

static void tear_down(void)
{
    free_report(&made);
    drop_program_folder();
}

/* --- Texts -------------------------------------------------------------------------------- */

START_TEST(texts_are_made_safe)
{
    char text[64];
    ck_assert_str_eq(safe_text("step.00.latents", text, sizeof text), "step.00.latents");
    ck_assert_str_eq(safe_text("\x1b[31m", text, sizeof text), "\\x1b[31m");
    ck_assert_str_eq(safe_text("\xc3\xa9\xff", text, sizeof text), "\xc3\xa9\\xff");
    ck_assert_str_eq(safe_text("\xe2\x80\xae", text, sizeof text), "\\xe2\\x80\\xae"); /* right to left */
    ck_assert_str_eq(safe_text("\xed\xa0\x80", text, sizeof text), "\\xed\\xa0\\x80"); /* half of a pair */
    ck_assert_str_eq(safe_text("\xc3", text, sizeof text), "\\xc3");                   /* cut off */
    ck_assert_str_eq(safe_text("abcdefgh", text, 9), "abcdefgh");
    ck_assert_str_eq(safe_text("abcdefghi", text, 9), "abcde...");
    ck_assert_str_eq(safe_text("abcde\xc3\xa9hij", text, 9), "abcde...");
    for (size_t size = 8; size < 20; size++) /* a byte of what is shown too much is seen by the sanitizer */
        ck_assert_uint_lt(strlen(safe_text("\x01\xe2\x82\xac\x02z\xe2\x82\xac", text, size)), size);
}
END_TEST

/* --- The table ---------------------------------------------------------------------------- */

/* The column at which a heading or a cell begins or ends is the same in each line. */
static void expect_aligned(const char *table)
{
    const char *end = strchr(table, '\n');
    size_t verdict = (size_t)(strstr(table, "verdict") - table);
    size_t floors = (size_t)(strstr(table, "floors") - table) + strlen("floors");
    size_t lines = 0;
    for (const char *line = end + 1; *line && *line != '\n'; line = end + 1, lines++) {
        end = strchr(line, '\n');
        size_t length = (size_t)(end - line);
        ck_assert_msg(length > verdict, "a short line: %.*s", (int)length, line);
        ck_assert_msg(line[verdict - 1] == ' ' && line[verdict] != ' ',
            "verdicts do not begin under each "
            "other: %.*s",
            (int)length, line);
        ck_assert_msg(line[length - 1] != ' ', "spaces at an end: %.*s", (int)length, line);
        if (length >= floors && line[floors - 1] != ' ')
            ck_assert_msg(length == floors || line[floors] == ' ', "floors do not end under each other: %.*s",
                (int)length, line);
    }
    ck_assert_uint_ge(lines, 5);
}

START_TEST(tables_fold_what_is_rounding)
{
    add_many_rows(&made);
    char *table = written_table(&made, false, false);
    expect_aligned(table);
    ck_assert_ptr_null(strchr(table, '\033'));
    expect_in(table, "10 tensors, exact"); /* model inputs */
    expect_in(table, "19 tensors, most step.00.noise_pred_text");
    expect_in(table, "9 tensors, most step.00.latents");
    expect_in(table, "step.05.latents");
    ck_assert_ptr_null(strstr(table, "step.07.latents"));
    expect_in(table, "latents.final and 1 more: step.09.x is not recorded");
    expect_in(table, "[0, 0, 1, 1]"); /* of the NaN */
    free(table);
    table = written_table(&made, true, false);
    expect_aligned(table);
    expect_in(table, "step.07.latents");
    for (size_t i = 0; i + 1 < made.verification.count; i++) expect_in(table, made.verification.rows[i].name);
    free(table);
}
END_TEST

START_TEST(conclusions_are_in_words)
{
    add_many_rows(&made);
    char *table = written_table(&made, false, false);
    for (char *c = table; *c; c++)
        if (*c == '\n') *c = ' '; /* paragraphs are broken into lines */
    expect_in(table, "The first tensor that is wrong is step.03.noise_pred_text (");
    expect_in(table, "step 3): 41 floors");
    expect_in(table, "the fault is between the model input, the timestep and the embeddings and "
                     "step.03.noise_pred_text");
    expect_in(table, "Diagnosis: equals ours at timestep 980, not 981.");
    expect_in(table, "2 of 51 tensors could not be checked; each says why.");
    expect_in(table, "Also wrong, from inputs of its own: decoder, 1 of 2 tensors; the first is image");
    free(table);
}
END_TEST

START_TEST(multiples_are_short)
{
    static const struct {
        double multiple;
        const char *shown;
    } cases[] = {{0, "0"}, {0.0721, "0.0721"}, {1.919, "1.92"}, {41.26, "41.3"}, {75602.3, "75602"},
        {17.9e6, "1.79e7"}, {9.999e6, "1.00e7"}, {3e120, "3.00e120"}, {(double)INFINITY, "inf"}};
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct verify_row row = {.verdict = VERIFY_WRONG, .multiple = cases[i].multiple};
        ck_assert_str_eq(verify_show_multiple(&row, text), cases[i].shown);
    }
    ck_assert_str_eq(verify_show_multiple(&(struct verify_row){.verdict = VERIFY_SHAPE}, text), "");
}
END_TEST

START_TEST(faults_lie_behind_the_last_right_module)
{
    add_report_row(&made, "act.text_encoder_2.text_model.encoder.layers.0", VERIFY_ROUNDING, 1);
    add_report_row(&made, "act.unet.conv_in", VERIFY_ROUNDING, 1);
    add_report_row(&made, "act.unet.mid_block", VERIFY_WRONG, 900);
    finish_report(&made);
    char *json = written_json(&made);
    expect_in(json, "the fault is between act.unet.conv_in, which is rounding, and act.unet.mid_block.");
    expect_in(json, "None of the known faults fits it.");
    free(json);
}
END_TEST

/* The first convolution takes the model input, and nothing of the embeddings that a run computes before
 * it. */
START_TEST(embeddings_are_beside_the_path)
{
    add_report_row(&made, "act.unet.time_proj", VERIFY_ROUNDING, 1);
    add_report_row(&made, "act.unet.add_embedding", VERIFY_ROUNDING, 1);
    add_report_row(&made, "act.unet.conv_in", VERIFY_WRONG, 900);
    finish_report(&made);
    char *json = written_json(&made);
    expect_in(json, "between the model input, the timestep and the embeddings and act.unet.conv_in.");
    free(json);
    made.verification.rows[2].verdict = VERIFY_ROUNDING;
    add_report_row(&made, "act.unet.time_embedding", VERIFY_WRONG, 900);
    made.verification.first_wrong = NULL;
    finish_report(&made);
    json = written_json(&made);
    expect_in(json, "between act.unet.time_proj, which is rounding, and act.unet.time_embedding.");
    free(json);
}
END_TEST

START_TEST(drift_is_told_of_the_ends_of_stages)
{
    char name[64];
    for (int step = 0; step < 50; step++) {
        snprintf(name, sizeof name, "step.%02d.noise_pred", step);
        add_report_row(&made, name, VERIFY_ROUNDING, 1);
        snprintf(name, sizeof name, "step.%02d.latents", step);
        add_report_row(&made, name, VERIFY_ROUNDING, 1);
    }
    add_report_row(&made, "image", VERIFY_ROUNDING, 1);
    finish_report(&made);
    for (size_t i = 0; i < made.verification.count; i++) {
        made.verification.rows[i].drifted = true;
        made.verification.rows[i].drift = made.verification.rows[i].error;
    }
    char *table = written_table(&made, false, false), *all = written_table(&made, true, false);
    const char *drift = strstr(table, "Drift:");
    ck_assert_ptr_nonnull(drift);
    expect_in(drift, "step.49.latents");
    expect_in(drift, "image ");
    ck_assert_uint_eq(count_in(drift, "  step."), 10);
    ck_assert_ptr_null(strstr(drift, "noise_pred "));
    ck_assert_uint_eq(count_in(strstr(all, "Drift:"), "  step."), 100);
    char *page = written_page(&made);
    expect_well_formed(page);
    expect_in(page, "<h2>Drift</h2>");
    free(table);
    free(all);
    free(page);
}
END_TEST

START_TEST(nothing_wrong_is_said_so)
{
    add_report_row(&made, "act.unet.conv_in", VERIFY_ROUNDING, 1.25);
    add_report_row(&made, "act.unet.mid_block", VERIFY_ROUNDING, 0.5);
    finish_report(&made);
    char *json = written_json(&made);
    expect_in(json, "none is further than 1.25 floors from the exact answer (act.unet.conv_in)");
    expect_in(json, "\"verdict\": \"rounding\"");
    free(json);
    add_report_row(&made, "act.unet.conv_out", VERIFY_SUSPECT, 5);
    memset(made.verification.verdicts, 0, sizeof made.verification.verdicts);
    finish_report(&made);
    json = written_json(&made);
    expect_in(json, "No tensor is wrong. 1 of 3 are suspect");
    free(json);
}
END_TEST

/* Takes changes of colour out of a text, in place. */
static void take_colours_out(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from == '\033')
            from = strchr(from, 'm');
        else
            *to++ = *from;
    *to = '\0';
}

START_TEST(colour_changes_no_place)
{
    add_many_rows(&made);
    char *plain = written_table(&made, false, false), *coloured = written_table(&made, false, true);
    ck_assert_uint_gt(count_in(coloured, "\033["), 10);
    ck_assert_uint_eq(count_in(coloured, "\033[0m") * 2, count_in(coloured, "\033["));
    take_colours_out(coloured);
    ck_assert_str_eq(plain, coloured);
    free(plain);
    free(coloured);
    ck_assert(!verify_may_colour(false));
}
END_TEST

/* --- JSON --------------------------------------------------------------------------------- */

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(cJSON_IsNumber(item), "%s is no number", key);
    return item->valuedouble;
}

static const char *string(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    ck_assert_msg(text != NULL, "%s is no string", key);
    return text;
}

START_TEST(json_has_all)
{
    add_many_rows(&made);
    char *text = written_json(&made);
    cJSON *json;
    struct error error;
    ck_assert_msg(json_parse(text, strlen(text), "json", &json, &error) == STATUS_OK, "%s", error.message);
    const struct verification *v = &made.verification;
    ck_assert_str_eq(string(json, "verdict"), "shape");
    ck_assert_str_eq(string(json, "first_wrong"), "step.03.noise_pred_text");
    ck_assert_str_eq(string(json, "their_dtype"), "f32");
    ck_assert_double_eq(number(cJSON_GetObjectItem(json, "counts"), "rounding"), (double)v->verdicts[0]);
    const cJSON *tensors = cJSON_GetObjectItem(json, "tensors"), *row = tensors->child;
    ck_assert_uint_eq((size_t)cJSON_GetArraySize(tensors), v->count);
    for (size_t i = 0; i < v->count; i++, row = row->next) {
        const struct verify_row *expected = &v->rows[i];
        const cJSON *distance = cJSON_GetObjectItem(row, "error");
        if (expected->name != NULL && i + 1 < v->count) ck_assert_str_eq(string(row, "name"), expected->name);
        ck_assert_str_eq(string(row, "verdict"), verify_verdict_names[expected->verdict]);
        ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(row, "shape")), 4);
        if (expected->step < 0)
            ck_assert(cJSON_IsNull(cJSON_GetObjectItem(row, "step")));
        else
            ck_assert_double_eq(number(row, "step"), expected->step);
        if (!verify_has_error(expected)) {
            ck_assert(cJSON_IsNull(distance));
            ck_assert_str_eq(string(row, "reason"), expected->reason);
            continue;
        }
        ck_assert_double_eq(number(distance, "rms"), expected->error.rms); /* the same bits */
        ck_assert_double_eq(number(cJSON_GetObjectItem(row, "floor"), "rms"), expected->floor.rms);
        ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(distance, "worst_index")), 4);
        if (expected->verdict != VERIFY_NONFINITE) continue;
        ck_assert_str_eq(string(row, "multiple"), "inf");
        ck_assert_str_eq(string(distance, "max_abs"), "inf");
        ck_assert_str_eq(string(distance, "worst_a"), "nan");
        ck_assert_str_eq(string(distance, "psnr"), "-inf");
    }
    cJSON_Delete(json);
    ck_assert_ptr_null(strchr(text, '\033'));
    expect_in(text, "\\u001b[31m\\ufffd\\u0001");
    free(text);
}
END_TEST

/* --- All three ---------------------------------------------------------------------------- */

START_TEST(nothing_at_all_is_a_report_too)
{
    finish_report(&made);
    char *page = written_page(&made), *json = written_json(&made),
         *table = written_table(&made, false, false);
    expect_well_formed(page);
    expect_in(page, "nothing could be checked");
    expect_in(json, "\"verdict\": \"unchecked\"");
    expect_in(table, "0 tensors");
    free(page);
    free(json);
    free(table);
}
END_TEST

START_TEST(names_that_are_none_of_ours)
{
    add_report_row(&made, "act.unet.conv_in", VERIFY_ROUNDING, 1);
    finish_report(&made);
    char mapped[] = "step.xx";
    struct unknown_name unknown[] = {
        {.their_name = hostile_name, .nearest = {"latents.init", "latents.final"}},
        {.their_name = "out.1", .mapped = mapped}};
    struct name_twice twice = {.name = "image", .their_name = "a", .left_out = "b<c>"};
    struct their_tensors theirs = {.unknown = unknown, .unknown_count = 2, .twice = &twice, .twice_count = 1};
    made.report.theirs = &theirs;
    char *page = written_page(&made), *json = written_json(&made),
         *table = written_table(&made, false, false);
    expect_well_formed(page);
    expect_self_contained(page);
    expect_in(page, "<code>latents.final</code>");
    expect_in(page, "b&lt;c&gt;");
    expect_in(table, "nearest latents.init, latents.final");
    expect_in(table, "out.1 (mapped to step.xx)");
    ck_assert_ptr_null(strchr(table, '\033'));
    cJSON *parsed;
    struct error error;
    ck_assert_msg(json_parse(json, strlen(json), "json", &parsed, &error) == STATUS_OK, "%s", error.message);
    const cJSON *first = cJSON_GetObjectItem(parsed, "unknown_names")->child;
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(first, "nearest")), 2);
    ck_assert_str_eq(string(first->next, "mapped"), "step.xx");
    ck_assert_str_eq(string(cJSON_GetObjectItem(parsed, "names_given_twice")->child, "left_out"), "b<c>");
    cJSON_Delete(parsed);
    free(page);
    free(json);
    free(table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify_report");
    TCase *hand = tcase_create("made by hand");
    tcase_add_checked_fixture(hand, set_up, tear_down);
    tcase_set_timeout(hand, 60);
    tcase_add_test(hand, texts_are_made_safe);
    tcase_add_test(hand, tables_fold_what_is_rounding);
    tcase_add_test(hand, conclusions_are_in_words);
    tcase_add_test(hand, multiples_are_short);
    tcase_add_test(hand, faults_lie_behind_the_last_right_module);
    tcase_add_test(hand, embeddings_are_beside_the_path);
    tcase_add_test(hand, drift_is_told_of_the_ends_of_stages);
    tcase_add_test(hand, nothing_wrong_is_said_so);
    tcase_add_test(hand, colour_changes_no_place);
    tcase_add_test(hand, json_has_all);
    tcase_add_test(hand, nothing_at_all_is_a_report_too);
    tcase_add_test(hand, names_that_are_none_of_ours);
    suite_add_tcase(suite, hand);
    return run_suite(suite);
}
