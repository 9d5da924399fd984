/*
 * Many runs in one command: how a list is read and refused; the same bytes as runs of their own; what a
 * command that is started again does, after kill -9 too; parts of a list for several machines.
 */
#include "interrupting.h"

#include "ref/recipe_list.h"
#include "ref/trace_journal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TINY "golden/models/tiny-sd"
#define TINY_XL "golden/models/tiny-sdxl"
#define SMALL "\"height\": 16, \"width\": 16, \"num_inference_steps\": 2"

static const char *write_list(const char *text)
{
    const char *path = path_in(test_folder, "list.jsonl");
    write_bytes(path, text, strlen(text));
    return path;
}

/* --- Reading ------------------------------------------------------------------------------ */

static struct recipe_list read_list(const char *text, cJSON *keys, const char *seeds)
{
    struct error error = {""};
    struct recipe_list list;
    const struct cli_recipe arguments = {.keys = keys};
    enum status status = recipe_list_read(text ? write_list(text) : NULL, &arguments, seeds, &list, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return list;
}

static void expect_item(const struct recipe_list *list, size_t i, const char *name, const char *recipe)
{
    ck_assert_uint_lt(i, list->count);
    char *text = cJSON_PrintUnformatted(list->items[i].recipe);
    ck_assert_str_eq(list->items[i].name, name);
    ck_assert_str_eq(text, recipe);
    cJSON_free(text);
}

START_TEST(lines_become_items)
{
    static const char base[] =
        "{\"prompt\": \"owl\", \"eta\": 0.5, \"timesteps\": [900, 400], \"name\": \"base\"}";
    char text[1024];
    write_bytes(path_in(test_folder, "base.json"), base, strlen(base));
    snprintf(text, sizeof text,
        "{\"prompt\": \"cat\", \"seed\": 5}\n"
        "  \n"
        "{\"recipe\": \"%s/base.json\", \"num_inference_steps\": 3, \"name\": \"a.b-c_d\", \"checkpoint\": "
        "\"xl\"}\r\n"
        "{\"prompt\": \"dog\", \"seed\": [1, 2]}",
        test_folder);
    struct recipe_list list = read_list(text, NULL, NULL);
    ck_assert_uint_eq(list.count, 3);
    expect_item(&list, 0, "0001-seed-5", "{\"prompt\":\"cat\",\"seed\":5}");
    expect_item(&list, 1, "a.b-c_d",
        "{\"prompt\":\"owl\",\"eta\":0.5,\"num_inference_steps\":3,\"name\":\"a.b-c_d\"}");
    expect_item(&list, 2, "0004", "{\"prompt\":\"dog\",\"seed\":[1,2]}");
    ck_assert_ptr_null(list.items[0].checkpoint);
    ck_assert_str_eq(list.items[1].checkpoint, "xl");
    ck_assert_uint_eq(list.items[2].line, 4);
    recipe_list_free(&list);
}
END_TEST

START_TEST(seeds_multiply_lines)
{
    struct recipe_list list = read_list(
        "{\"prompt\": \"cat\", \"seed\": 5}\n{\"prompt\": \"dog\", \"name\": \"dog\"}\n", NULL, "7,0-1");
    ck_assert_uint_eq(list.count, 6);
    expect_item(&list, 0, "0001-seed-7", "{\"prompt\":\"cat\",\"seed\":\"7\"}");
    expect_item(&list, 1, "0001-seed-0", "{\"prompt\":\"cat\",\"seed\":\"0\"}");
    expect_item(&list, 5, "dog-1", "{\"prompt\":\"dog\",\"name\":\"dog\",\"seed\":\"1\"}");
    recipe_list_free(&list);
    cJSON *keys = cJSON_Parse("{\"prompt\": \"owl\"}");
    list = read_list(NULL, keys, "9007199254740992");
    ck_assert_uint_eq(list.count, 1);
    expect_item(&list, 0, "seed-9007199254740992", "{\"prompt\":\"owl\",\"seed\":\"9007199254740992\"}");
    recipe_list_free(&list);
    cJSON_Delete(keys);
}
END_TEST

/* Below the line --recipe, above it the other options. */
START_TEST(the_command_line_wins)
{
    cJSON *keys = cJSON_Parse("{\"prompt\": \"owl\", \"sigmas\": [3, 0]}");
    struct recipe_list list =
        read_list("{\"prompt\": \"cat\", \"num_inference_steps\": 4, \"eta\": 1}\n", keys, NULL);
    expect_item(&list, 0, "0001-seed-0", "{\"eta\":1,\"prompt\":\"owl\",\"sigmas\":[3,0]}");
    recipe_list_free(&list);
    cJSON_Delete(keys);
}
END_TEST

static const struct {
    const char *text, *seeds, *message;
} bad_lists[] = {
    {"", NULL, "list.jsonl: expected a JSON object a line, the recipe of a run each, got nothing"},
    {"{\"prompt\": \"cat\"}\n{\"prompt\": \"dog\"\n", NULL, "list.jsonl:2: "},
    {"\n[1, 2]\n", NULL, "list.jsonl:2: expected a JSON object, the recipe of a run, got [1,2]"},
    {"{\"promt\": \"cat\"}\n", NULL, "list.jsonl:1: promt: no such argument (did you mean prompt?)"},
    {"{\"prompt\": \"cat\", \"eta\": 2}\n", NULL, "list.jsonl:1: eta: expected a number from 0 to 1, got 2"},
    {"{\"prompt\": \"cat\", \"name\": \"a/b\"}\n", NULL, "list.jsonl:1: name: expected at most 100 letters"},
    {"{\"prompt\": \"cat\", \"name\": \"\"}\n", NULL, "list.jsonl:1: name: expected at most 100 letters"},
    {"{\"prompt\": \"cat\", \"name\": \"..\"}\n", NULL, "list.jsonl:1: name: expected at most 100 letters"},
    {"{\"prompt\": \"cat\", \"name\": 3}\n", NULL, "list.jsonl:1: name: expected a string, got 3"},
    {"{\"prompt\": \"cat\", \"checkpoint\": 3}\n", NULL,
        "list.jsonl:1: checkpoint: expected a string, got 3"},
    {"{\"recipe\": \"none.json\"}\n", NULL, "list.jsonl:1: none.json: cannot be read: No such file"},
    {"{\"name\": \"a\"}\n\n{\"name\": \"b\"}\n{\"name\": \"a\"}", NULL,
        "list.jsonl:4: name: \"a\" is that of line 1, too"},
    {"{}\n", "3-1", "--seeds: expected numbers and ranges, as in 0-99 or 1,5,7-9, got \"3-1\""},
    {"{}\n", "1,,2", "--seeds: expected numbers and ranges"},
    {"{}\n", "-1", "--seeds: expected numbers and ranges"},
    {"{}\n", "0-", "--seeds: expected numbers and ranges"},
    {"{}\n", "9007199254740993", "--seeds: expected numbers and ranges"},
    {"{}\n", "0-1000000", "--seeds: expected at most 1000000 seeds"},
    {"{}\n", "1,0-2", "--seeds: a seed stands twice: 0001-seed-1"},
};

START_TEST(bad_lists_are_refused)
{
    struct error error = {""};
    struct recipe_list list;
    enum status status = recipe_list_read(
        write_list(bad_lists[_i].text), &(struct cli_recipe){0}, bad_lists[_i].seeds, &list, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, bad_lists[_i].message, NULL);
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(shards_are_parts)
{
    struct shard shard;
    struct error error = {""};
    ck_assert_int_eq(shard_read(NULL, &shard, &error), STATUS_OK);
    ck_assert(shard_has(&shard, 0) && shard_has(&shard, 12345));
    for (size_t count = 1; count <= 7; count++)
        for (size_t item = 0; item < 50; item++) {
            size_t parts = 0;
            for (size_t part = 1; part <= count; part++) {
                char text[16];
                snprintf(text, sizeof text, "%zu/%zu", part, count);
                ck_assert_int_eq(shard_read(text, &shard, &error), STATUS_OK);
                parts += shard_has(&shard, item);
            }
            ck_assert_uint_eq(parts, 1);
        }
    static const char *const bad[] = {"0/4", "5/4", "1", "1/0", "a/b", "1/4x", "-1/4", "1/1000001", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_error(shard_read(bad[i], &shard, &error), STATUS_BAD_INPUT, &error,
            "--shard: expected i/n with i from 1 to n, as in 2/8, got", NULL);
}
END_TEST

/* --- Running ------------------------------------------------------------------------------ */

static const char list_text[] =
    "{\"prompt\": \"a cat\", \"seed\": 5, " SMALL "}\n"
    "{\"prompt\": \"a dog\", \"name\": \"dogs\", \"num_images_per_prompt\": 2, " SMALL "}\n"
    "{\"prompt\": \"a cow\", \"name\": \"bad\", \"height\": 12, \"width\": 16}\n"
    "{\"prompt\": \"a fox\", \"name\": \"fox\", \"checkpoint\": \"" TINY_XL "\", "
    "\"scheduler\": {\"_class_name\": \"EulerAncestralDiscreteScheduler\"}, " SMALL "}\n";

static const char *const made[] = {"0001-seed-5.png", "0001-seed-5.safetensors", "dogs-0.png", "dogs-1.png",
    "dogs.safetensors", "fox.png", "fox.safetensors"};
enum { MADE = sizeof made / sizeof *made };

static void expect_same_files(const char *a, const char *b)
{
    for (int i = 0; i < MADE; i++) {
        char left[64], right[64];
        snprintf(left, sizeof left, "%s/%s", a, made[i]);
        snprintf(right, sizeof right, "%s/%s", b, made[i]);
        expect_same_bytes(left, right, "a list");
    }
}

static int run_list(const char *folder, const char *options)
{
    return plumb("run " TINY " --recipes %s --out-dir %s/%s --traces %s", write_list(list_text), test_folder,
        folder, options);
}

/* One line of the status file, for an item of this name. */
static void expect_state(const char *file, const char *name, const char *state)
{
    char *text = read_whole_text(path_in(test_folder, "%s", file)), sought[128];
    snprintf(sought, sizeof sought, "\"name\": \"%s\", \"status\": \"%s\"", name, state);
    expect_in(text, sought);
    free(text);
}

START_TEST(a_list_leaves_the_bytes_of_single_runs)
{
    ck_assert_int_eq(run_list("many", ""), STATUS_BAD_INPUT);
    expect_in(err, "error: 1 of 4 items failed; ");
    expect_in(err, "/many/status.jsonl says why\n");
    expect_in(out, "failed ");
    expect_in(out, "/many/bad: ");
    expect_in(out, "list.jsonl:3: height, width: expected multiples of 8, got 12 and 16\n");
    expect_state("many/status.jsonl", "0001-seed-5", "done");
    expect_state("many/status.jsonl", "dogs", "done");
    expect_state("many/status.jsonl", "bad", "failed");
    expect_state("many/status.jsonl", "fox", "done");
    ck_assert_uint_eq(count_entries(path_in(test_folder, "many")), MADE + 1);

    mkdir(path_in(test_folder, "one"), 0777);
    static const char *const recipes[] = {"{\"prompt\": \"a cat\", \"seed\": 5, " SMALL "}",
        "{\"prompt\": \"a dog\", \"name\": \"dogs\", \"num_images_per_prompt\": 2, " SMALL "}",
        "{\"prompt\": \"a fox\", \"name\": \"fox\", \"scheduler\": {\"_class_name\": "
        "\"EulerAncestralDiscreteScheduler\"}, " SMALL "}"};
    static const char *const names[] = {"0001-seed-5", "dogs", "fox"}, *const models[] = {
                                                                           TINY, TINY, TINY_XL};
    for (int i = 0; i < 3; i++) {
        write_bytes(path_in(test_folder, "r.json"), recipes[i], strlen(recipes[i]));
        int status = plumb("run %s --recipe %s/r.json --out %s/one/%s.png --trace %s/one/%s.safetensors",
            models[i], test_folder, test_folder, names[i], test_folder, names[i]);
        ck_assert_msg(status == 0, "%s", err);
    }
    expect_same_files("many", "one");
}
END_TEST

/* How many items the last command says had this state. */
static size_t count_said(const char *state)
{
    size_t count = 0;
    for (const char *line = out; *line; line = strchr(line, '\n') + 1)
        count += strncmp(line, state, strlen(state)) == 0;
    return count;
}

START_TEST(what_is_done_is_left_out)
{
    ck_assert_int_eq(run_list("many", ""), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("done "), 3);
    ck_assert_int_eq(run_list("many", "--threads 2"), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("was done "), 3);
    ck_assert_uint_eq(count_said("failed "), 1); /* is tried again */
    expect_state("many/status.jsonl", "dogs", "done");

    /* A picture that was cut, a trace that is gone: these items alone. */
    ck_assert_int_eq(truncate(path_in(test_folder, "many/dogs-1.png"), 300), 0);
    ck_assert_int_eq(run_list("many", ""), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("was done "), 2);
    unlink(path_in(test_folder, "many/fox.safetensors"));
    ck_assert_int_eq(run_list("many", ""), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("was done "), 2);
    /* A picture of another recipe under the name. */
    write_bytes(path_in(test_folder, "many/fox.png"), "", 0);
    ck_assert_int_eq(run_list("many", ""), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("was done "), 2);
    /* Another recipe, another precision: every item. */
    ck_assert_int_eq(run_list("many", "--guidance-scale 2"), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("done "), 3);
    ck_assert_int_eq(run_list("many", "--guidance-scale 2 --precision f64"), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("done "), 3);
    ck_assert_int_eq(run_list("many", "--guidance-scale 2 --precision f64"), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("was done "), 3);
}
END_TEST

START_TEST(parts_are_together_the_whole)
{
    ck_assert_int_eq(run_list("whole", ""), STATUS_BAD_INPUT);
    for (int part = 1; part <= 3; part++) {
        char options[32], file[64];
        snprintf(options, sizeof options, "--shard %d/3", part);
        int status = run_list("parts", options);
        ck_assert_int_eq(status, part == 3 ? STATUS_BAD_INPUT : 0); /* which has the bad one */
        ck_assert_uint_eq(count_said("done "), part == 1 ? 2 : part == 2 ? 1 : 0);
        snprintf(file, sizeof file, "parts/status-%d-of-3.jsonl", part);
        expect_state(file, part == 1 ? "fox" : part == 2 ? "dogs" : "bad", part == 3 ? "failed" : "done");
    }
    expect_same_files("whole", "parts");
    /* What parts have done, the whole leaves out. */
    ck_assert_int_eq(run_list("parts", ""), STATUS_BAD_INPUT);
    ck_assert_uint_eq(count_said("was done "), 3);
}
END_TEST

/* --- Interruptions ------------------------------------------------------------------------ */

#define LONG_LIST                                                                                            \
    "{\"prompt\": \"a cat\", \"name\": \"a\", \"height\": 16, \"width\": 16, \"num_inference_steps\": "      \
    "150}\n"                                                                                                 \
    "{\"prompt\": \"a dog\", \"name\": \"b\", \"height\": 16, \"width\": 16, \"num_inference_steps\": 150, " \
    "\"scheduler\": {\"_class_name\": \"UniPCMultistepScheduler\"}}\n"

static pid_t start(const char *folder)
{
    const char *list = path_in(test_folder, "list.jsonl"), *to = path_in(test_folder, "%s", folder);
    return start_program((const char *const[]){
        "plumb", "run", TINY, "--recipes", list, "--out-dir", to, "--threads", "1", NULL});
}

START_TEST(a_list_is_killed_until_it_is_done)
{
    write_list(LONG_LIST);
    const double before = milliseconds_now();
    int status = end_of_program(start("whole"));
    const double duration = milliseconds_now() - before;
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    unsigned state = 5;
    size_t kills = 0, gone_on = 0;
    for (bool done = false; !done;) {
        gone_on += is_in_folder("part/a.safetensors.partial") || is_in_folder("part/b.safetensors.partial");
        pid_t child = start("part");
        wait_milliseconds(random_fraction(&state) * duration * (0.5 + 0.05 * (double)kills));
        kill(child, SIGKILL);
        status = end_of_program(child);
        done = WIFEXITED(status);
        kills += !done;
        if (done) ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    expect_same_bytes("whole/a.png", "part/a.png", "a list that was killed");
    expect_same_bytes("whole/b.png", "part/b.png", "a list that was killed");
    ck_assert(!is_in_folder("part/a.safetensors.partial") && !is_in_folder("part/b.safetensors.partial"));
    printf("a list was killed %zu times, gone on in the middle of an item %zu times: the same bytes\n", kills,
        gone_on);
    ck_assert_uint_ge(kills, 1);
}
END_TEST

/* What a command has not yet come to when it is killed stays done. */
START_TEST(what_is_done_is_not_forgotten)
{
    write_list(LONG_LIST);
    int status = end_of_program(start("part"));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(unlink(path_in(test_folder, "part/a.png")), 0);
    pid_t child = start("part");
    while (!is_in_folder("part/a.safetensors.partial")) wait_milliseconds(1);
    kill(child, SIGKILL);
    status = end_of_program(child);
    ck_assert(WIFSIGNALED(status));
    expect_state("part/status.jsonl", "a", "running");
    expect_state("part/status.jsonl", "b", "done");
    ck_assert_int_eq(
        plumb("run " TINY " --recipes %s/list.jsonl --out-dir %s/part", test_folder, test_folder), 0);
    ck_assert_uint_eq(count_said("was done "), 1);
}
END_TEST

/* Neither fails, neither forgets what the other has done, and both leave the bytes of one. */
START_TEST(two_commands_share_a_list)
{
    write_list(LONG_LIST);
    int status = end_of_program(start("whole"));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (int round = 0; round < 4; round++) {
        const pid_t one = start("part");
        if (round % 2 == 1)
            while (!is_in_folder("part/a.safetensors.partial")) wait_milliseconds(1);
        const pid_t two = start("part");
        const int ends[] = {end_of_program(one), end_of_program(two)};
        for (size_t i = 0; i < 2; i++) ck_assert(WIFEXITED(ends[i]) && WEXITSTATUS(ends[i]) == 0);
        expect_state("part/status.jsonl", "a", "done");
        expect_state("part/status.jsonl", "b", "done");
        expect_same_bytes("whole/a.png", "part/a.png", "one of two commands");
        expect_same_bytes("whole/b.png", "part/b.png", "one of two commands");
        remove_folder(strdup(path_in(test_folder, "part")));
    }
}
END_TEST

START_TEST(a_signal_says_how_to_go_on)
{
    write_list(LONG_LIST);
    pid_t child = start("part");
    while (!is_in_folder("part/a.safetensors.partial")) wait_milliseconds(1);
    wait_milliseconds(20); /* past the first step */
    kill(child, SIGINT);
    int status = end_of_program(child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    char *said = read_whole_text(path_in(test_folder, "err"));
    expect_in(said, "interrupted: ");
    expect_in(said, "part/a.safetensors.partial holds ");
    expect_in(said, " of 151 steps; the same command goes on with them\n");
    free(said);
    expect_state("part/status.jsonl", "a", "running");
    expect_state("part/status.jsonl", "b", "waiting");

    /* While another command is at it, it is let be. */
    int file = open(path_in(test_folder, "part/a.safetensors.partial"), O_RDWR);
    ck_assert_int_eq(flock(file, LOCK_EX), 0);
    ck_assert_int_eq(
        plumb("run " TINY " --recipes %s/list.jsonl --out-dir %s/part --shard 1/2", test_folder, test_folder),
        0);
    ck_assert_uint_eq(count_said("elsewhere "), 1);
    close(file);
    /* A journal of another run gives way, and says so. */
    ck_assert_int_eq(
        plumb("run " TINY " --recipes %s/list.jsonl --out-dir %s/part --shard 1/2 --eta 0.5 --steps 3",
            test_folder, test_folder),
        0);
    expect_in(err, "warning: ");
    expect_in(err, "as the run began with, got ");
    expect_in(err, "; the item begins anew\n");
    ck_assert_uint_eq(count_said("done "), 1);
}
END_TEST

/* --- What cannot be ----------------------------------------------------------------------- */

START_TEST(folders_that_will_not_do)
{
    write_list("{\"prompt\": \"cat\"}\n");
    int status = plumb("run --recipes %s/list.jsonl --out-dir %s/o", test_folder, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, 1,
        "list.jsonl:1: checkpoint: missing, on the line and on the command line", NULL);
    status = plumb("run " TINY " --recipes %s/list.jsonl --out-dir %s/no/o", test_folder, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, 1, "/no/o: cannot be made: No such file or directory", NULL);
    status = plumb("run " TINY " --recipes %s/list.jsonl --out-dir %s/list.jsonl", test_folder, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, 1, "list.jsonl: cannot be made: File exists", NULL);
    status = plumb("run " TINY " --recipes %s/none.jsonl --out-dir %s/o", test_folder, test_folder);
    expect_failure(
        status, STATUS_BAD_INPUT, 1, "none.jsonl: cannot be read: No such file or directory", NULL);
}
END_TEST

/* A failure of the machine is told from one of the list. */
START_TEST(a_disk_is_full)
{
    char command[1024];
    write_list("{\"prompt\": \"cat\"}\n{\"prompt\": \"dog\", " SMALL "}\n");
    snprintf(command, sizeof command,
        "ulimit -f 500; %s run " TINY
        " --recipes %s/list.jsonl --out-dir %s/o --steps 40 --height 64 --width 64 >%s/out "
        "2>%s/err",
        getenv("PLUMB") ? getenv("PLUMB") : "build/plumb", test_folder, test_folder, test_folder,
        test_folder);
    int status = system(command);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == STATUS_MACHINE);
    char *said = read_whole_text(path_in(test_folder, "err")),
         *results = read_whole_text(path_in(test_folder, "out"));
    expect_in(said, "error: 2 of 2 items failed; ");
    expect_in(results, "list.jsonl:1: ");
    expect_in(results, "o/0002-seed-0.safetensors.partial: cannot be written: File too large\n");
    free(said);
    free(results);
    ck_assert_uint_eq(count_entries(path_in(test_folder, "o")), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipe list");
    TCase *lists = tcase_create("lists");
    tcase_add_checked_fixture(lists, make_test_folder, drop_test_folder);
    tcase_add_test(lists, lines_become_items);
    tcase_add_test(lists, seeds_multiply_lines);
    tcase_add_test(lists, the_command_line_wins);
    tcase_add_loop_test(lists, bad_lists_are_refused, 0, (int)(sizeof bad_lists / sizeof *bad_lists));
    tcase_add_test(lists, shards_are_parts);
    suite_add_tcase(suite, lists);
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, make_test_folder, drop_program_folder);
    tcase_set_timeout(runs, 300);
    tcase_add_test(runs, a_list_leaves_the_bytes_of_single_runs);
    tcase_add_test(runs, what_is_done_is_left_out);
    tcase_add_test(runs, parts_are_together_the_whole);
    tcase_add_test(runs, a_list_is_killed_until_it_is_done);
    tcase_add_test(runs, what_is_done_is_not_forgotten);
    tcase_add_test(runs, two_commands_share_a_list);
    tcase_add_test(runs, a_signal_says_how_to_go_on);
    tcase_add_test(runs, folders_that_will_not_do);
    tcase_add_test(runs, a_disk_is_full);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
