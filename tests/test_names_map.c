/*
 * The map from another backend's names to ours: which pattern a name fits, what it turns into, and what is
 * said of a map that is wrong.
 */
#include "file_support.h"

#include "ref/names_map.h"

#include <stdio.h>
#include <string.h>

static struct names_map map;
static char targets[NAMES_MAP_PARTS][NAME_SIZE];

static const char *write_map(const char *text)
{
    const char *path = path_in(test_folder, "names.json");
    write_bytes(path, text, strlen(text));
    return path;
}

static void read_map(const char *text)
{
    struct error error = {""};
    enum status status = names_map_read(write_map(text), &map, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

/* The name must turn into `expected`; NULL: into nothing. */
static void expect_target(const char *name, const char *expected)
{
    const struct names_entry *entry = names_map_find(&map, name, targets);
    if (!expected) {
        ck_assert_msg(entry == NULL, "%s became %s", name, targets[0]);
        return;
    }
    ck_assert_msg(entry != NULL, "%s fits no pattern", name);
    ck_assert_str_eq(targets[0], expected);
}

START_TEST(pieces_go_where_they_belong)
{
    static const struct {
        const char *pattern, *target, *name, *expected;
    } cases[] = {
        {"a", "b", "a", "b"},
        {"a", "b", "aa", NULL},
        {"*", "act.*", "unet.conv_in", "act.unet.conv_in"},
        {"*", "act.*", "", "act."},
        {"out_*", "step.*.noise_pred", "out_7", "step.7.noise_pred"},
        {"out_*", "step.*.noise_pred", "xout_7", NULL},
        {"*.out", "act.*", "a.out.out", "act.a.out"}, /* the end is at the end */
        {"*.*", "{2}/{1}", "a.b.c", "b.c/a"},         /* the first takes the shortest */
        {"*x*x", "{1}|{2}", "xxx", "|x"},
        {"*xx", "{1}", "x", NULL},
        {"ab*ba", "{1}", "aba", NULL}, /* no letter counts twice */
        {"ab*ba", "<{1}>", "abba", "<>"},
        {"*a*b*", "{3}{2}{1}", "1a2b3", "321"},
        {"*a*b*", "* * *", "1a2b3", "1 2 3"},
        {"*-*", "{2}.*.{2}.*", "a-b", "b.a.b.b"}, /* stars count apart from numbers */
        {"l*", "step.{1:02d}.latents", "l3", "step.03.latents"},
        {"l*", "step.{1:02d}.latents", "l123", "step.123.latents"},
        {"l*", "step.{1-1:02d}.latents", "l10", "step.09.latents"},
        {"l*", "step.{1+1}.latents", "l0009", "step.10.latents"},
        {"l*", "step.{1-1}.latents", "l0", NULL}, /* there is no step -1 */
        {"l*", "step.{1:02d}.latents", "lx", NULL},
        {"l*", "step.{1:02d}.latents", "l", NULL},
        {"l*", "step.{1:02d}.latents", "l1234567890", NULL},
        {"l*", "step.{1}.latents", "lx", "step.x.latents"}, /* as it is written */
        {"schr\xc3\xb6*", "*",
            "schr\xc3\xb6"
            "dinger",
            "dinger"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"%s\": \"%s\"}", cases[i].pattern, cases[i].target);
        read_map(text);
        expect_target(cases[i].name, cases[i].expected);
        names_map_free(&map);
    }
}
END_TEST

START_TEST(the_first_pattern_that_fits)
{
    read_map("{\"out.*\": \"step.{1:02d}.noise_pred\", \"out.final\": \"image\", \"out.*\\u002e*\": \"x\","
             " \"*\": \"act.*\"}");
    expect_target("out.3", "step.03.noise_pred");
    expect_target("out.final", "image"); /* no number, so not the first */
    expect_target("out.a.b", "x");
    expect_target("conv_in", "act.conv_in");
    names_map_free(&map);
}
END_TEST

START_TEST(what_an_entry_says)
{
    read_map(
        "{\"a\": [\"x\", null, \"y\"], \"b\": null, \"c\": {\"to\": \"z\", \"layout\": \"nhwc\", \"half\": "
        "\"text\"}, \"d\": {\"to\": null}, \"e\": {\"reshape\": [2, -1], \"transpose\": [1, 0], \"to\": "
        "[\"u\", \"v\"]}, \"f\": {\"to\": \"w\", \"layout\": \"nchw\", \"half\": \"uncond\"}}");
    ck_assert_uint_eq(map.count, 6);
    const struct names_entry *e = names_map_find(&map, "a", targets);
    ck_assert(e->parts == 3 && e->targets[1] == NULL && e->layout == LAYOUT_AS_OURS && e->half == HALF_NONE);
    ck_assert(e->reshape_rank == -1 && e->transpose_rank == -1);
    ck_assert_str_eq(targets[0], "x");
    ck_assert_str_eq(targets[1], "");
    ck_assert_str_eq(targets[2], "y");
    ck_assert_int_eq(names_map_find(&map, "b", targets)->parts, 0);
    e = names_map_find(&map, "c", targets);
    ck_assert(e->parts == 1 && e->layout == LAYOUT_NHWC && e->half == HALF_TEXT);
    ck_assert_int_eq(names_map_find(&map, "d", targets)->parts, 0);
    e = names_map_find(&map, "e", targets);
    ck_assert(e->reshape_rank == 2 && e->reshape[0] == 2 && e->reshape[1] == -1);
    ck_assert(e->transpose_rank == 2 && e->transpose[0] == 1 && e->transpose[1] == 0 && e->parts == 2);
    e = names_map_find(&map, "f", targets);
    ck_assert(e->layout == LAYOUT_NCHW && e->half == HALF_UNCOND);
    names_map_free(&map);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[]", "names.json: expected a JSON object"},
        {"", "names.json"},
        {"{\"a\": \"b\", \"a\": \"c\"}", "stands twice"},
        {"{\"unet.*\": 3}", "names.json: \"unet.*\": expected a name of ours, got 3"},
        {"{\"a\": \"\"}", "names.json: \"a\": expected a name of ours"},
        {"{\"a\": []}", "\"a\": expected a list of 1 to 8 names, got 0"},
        {"{\"a\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}", "got 9"},
        {"{\"a\": [\"x\", 1]}", "\"a\": [1]: expected a name of ours, got 1"},
        {"{\"a\": {}}", "\"a\".to: expected"},
        {"{\"a\": {\"to\": 1}}", "\"a\".to: expected a name of ours"},
        {"{\"a\": {\"to\": \"b\", \"layouts\": \"nhwc\"}}", "\"layouts\""},
        {"{\"unet.*\": {\"to\": \"b\", \"layout\": \"x\"}}",
            "names.json: \"unet.*\".layout: expected \"nchw\" or \"nhwc\", got \"x\""},
        {"{\"a\": {\"to\": \"b\", \"layout\": 1}}", "\"a\".layout: expected"},
        {"{\"a\": {\"to\": \"b\", \"half\": \"both\"}}", "\"a\".half: expected \"uncond\" or \"text\""},
        {"{\"a\": {\"to\": [\"b\", \"c\"], \"half\": \"text\"}}", "\"a\".half: expected one name"},
        {"{\"a\": {\"to\": \"b\", \"layout\": \"nhwc\", \"transpose\": [0]}}", "\"a\": expected layout or"},
        {"{\"a\": {\"to\": \"b\", \"transpose\": [0, 0]}}", "\"a\".transpose: expected each of 0 to 1 once"},
        {"{\"a\": {\"to\": \"b\", \"transpose\": [0, 2]}}", "\"a\".transpose: expected each of 0 to 1 once"},
        {"{\"a\": {\"to\": \"b\", \"transpose\": [8]}}",
            "\"a\".transpose: [0]: expected an integer from 0 to 7"},
        {"{\"a\": {\"to\": \"b\", \"transpose\": [0.5]}}", "got 0.5"},
        {"{\"a\": {\"to\": \"b\", \"transpose\": []}}", "\"a\".transpose: expected a list of 1 to 8"},
        {"{\"a\": {\"to\": \"b\", \"transpose\": \"nhwc\"}}", "\"a\".transpose: expected a list of 1 to 8"},
        {"{\"a\": {\"to\": \"b\", \"reshape\": [-1, -1]}}", "\"a\".reshape: expected at most one -1, got 2"},
        {"{\"a\": {\"to\": \"b\", \"reshape\": [-2]}}", "\"a\".reshape: [0]: expected an integer from -1"},
        {"{\"a\": {\"to\": \"b\", \"reshape\": [1e300]}}", "\"a\".reshape: [0]"},
        {"{\"a\": {\"to\": \"b\", \"reshape\": [1,1,1,1,1,1,1,1,1]}}", "list of 1 to 8"},
        {"{\"a\": \"*\"}", "at most the pattern's 0 '*'"},
        {"{\"a*\": \"* *\"}", "at most the pattern's 1 '*'"},
        {"{\"a*\": \"{2}\"}", "{2}: the pattern has 1 '*'"},
        {"{\"a*\": \"{0}\"}", "expected {1}"},
        {"{\"a*\": \"{1\"}", "expected {1}"},
        {"{\"a*\": \"{1:2d}\"}", "expected {1}"},
        {"{\"a*\": \"{1-}\"}", "expected {1}"},
        {"{\"a*\": \"{1-1234567}\"}", "expected {1}"},
        {"{\"a*\": \"x}\"}", "'}' without its '{'"},
        {"{\"**********\": \"x\"}", "at most 9 '*'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {""};
        enum status status = names_map_read(write_map(cases[i].text), &map, &error);
        expect_error(status, STATUS_BAD_INPUT, &error, "names.json", cases[i].words, NULL);
        ck_assert(map.entries == NULL && map.path == NULL && map.count == 0);
    }
    struct error error = {""};
    enum status status = names_map_read(path_in(test_folder, "none.json"), &map, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, "none.json", NULL);
}
END_TEST

/* A name as long as a file allows, against patterns that could be tried in very many ways. */
START_TEST(long_names_take_no_time)
{
    enum { LONG = 1 << 20 };
    static char name[LONG + 1];
    memset(name, 'a', LONG);
    read_map("{\"*a*a*a*a*a*a*a*a*b\": \"{1}\", \"*\": \"act.*\", \"a*\": \"x\"}");
    expect_target(name, "x"); /* the second is too long for any name of ours */
    names_map_free(&map);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("maps of names");
    TCase *cases = tcase_create("maps");
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_test(cases, pieces_go_where_they_belong);
    tcase_add_test(cases, the_first_pattern_that_fits);
    tcase_add_test(cases, what_an_entry_says);
    tcase_add_test(cases, what_is_wrong_is_named);
    tcase_add_test(cases, long_names_take_no_time);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
