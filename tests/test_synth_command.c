/*
 * plumb synth as a user meets it: folders that inspect and run take, architectures from files, refusals, and
 * a folder that is whole or not there.
 */
#include "file_support.h"
#include "program.h"
#include "support.h"

#include "ref/architecture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tiny[] = {"tiny-sd15", "tiny-sd21", "tiny-sdxl"};

static struct architecture open_architecture(const char *name)
{
    struct architecture architecture;
    struct error error = {""};
    ck_assert_msg(architecture_open(name, &architecture, &error) == STATUS_OK, "%s", error.message);
    return architecture;
}

START_TEST(a_folder_is_whole_and_runs)
{
    const char *folder = path_in(test_folder, "model");
    ck_assert_int_eq(plumb("synth %s %s --seed 9", tiny[_i], folder), STATUS_OK);
    expect_in(out, "seed 9");
    ck_assert_int_eq(plumb("inspect %s", folder), STATUS_OK);
    expect_in(out, "the checkpoint is whole");
    ck_assert_int_eq(plumb("run %s --prompt 'a cat' --steps 2 --trace %s", folder,
                         path_in(test_folder, "trace.safetensors")),
        STATUS_OK);

    /* A picture, neither flat nor all black and white. */
    struct tensor_set *trace = open_set(path_in(test_folder, "trace.safetensors"));
    const struct tensor *image = need_tensor(trace, "image");
    double sum = 0, squares = 0, n = (double)tensor_count(image);
    for (size_t i = 0; i < tensor_count(image); i++) {
        double x = tensor_get_double(image, i);
        sum += x / n;
        squares += x * x / n;
    }
    ck_assert_double_ge(sqrt(squares - sum * sum), 0.2);
    ck_assert_double_le(sqrt(squares - sum * sum), 2.0);
    tensor_set_free(trace);
}
END_TEST

START_TEST(the_list_needs_no_folder)
{
    ck_assert_int_eq(plumb("synth --list"), STATUS_OK);
    expect_in(out, "2567463684");
    expect_in(out, "tiny-sd21");
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        const char *arguments, *words[2];
    } cases[] = {
        {"synth", {"expected an architecture"}},
        {"synth sd15", {"and a folder"}},
        {"synth --list sd15", {"nothing beside --list"}},
        {"synth sd51 %s/new", {"sd15, sd21, sdxl", "did you mean"}},
        {"synth no.json %s/new", {"no.json", "No such file"}},
        {"synth tiny-sd15 %s/no/new", {"no/new", "No such file"}},
        {"synth tiny-sd15 %s", {"is there already", "not empty"}},
        {"synth tiny-sd15 %s/err", {"err", "exists"}},
        {"synth tiny-sd15 %s/new --shard-size 5XB", {"--shard-size", "5XB"}},
        {"synth tiny-sd15 %s/new --shard-size 0", {"--shard-size", "at least one byte"}},
        {"synth tiny-sd15 %s/new --shard-size nan", {"--shard-size", "nan"}},
        {"synth tiny-sd15 %s/new --variant a/b", {"--variant", "a/b"}},
        {"synth tiny-sd15 %s/new --dtype f64", {"--dtype", "f32, f16, bf16"}},
        {"synth tiny-sd15 %s/new --seed -1", {"--seed", "-1"}},
    };
    char arguments[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *place = strstr(cases[i].arguments, "%s");
        if (place)
            snprintf(arguments, sizeof arguments, "%.*s%s%s", (int)(place - cases[i].arguments),
                cases[i].arguments, test_folder, place + 2);
        else
            snprintf(arguments, sizeof arguments, "%s", cases[i].arguments);
        expect_failure(
            plumb("%s", arguments), STATUS_BAD_INPUT, 0, cases[i].words[0], cases[i].words[1], NULL);
    }
}
END_TEST

/* Files of the architectures' form, with what may be wrong in them. */
START_TEST(files_of_architectures)
{
    static const struct {
        const char *part, *text, *words;
    } cases[] = {
        {"unet", "{\"block_out_channels\": [\"64\"]}", "unet: block_out_channels[0]"},
        {"vae", "7", "vae: expected an object"},
        {"tokenizer_2", "{}", "tokenizer_2: expected none"},
        {"unit", "{}", "unit: an architecture has no such part"},
        {"text_encoder", "{\"vocab_size\": 100}", "vocab_size: expected 514 to 49408, got 100"},
    };
    const char *path = path_in(test_folder, "a.json"), *folder = path_in(test_folder, "new");
    for (size_t i = 0; i <= sizeof cases / sizeof *cases; i++) {
        struct architecture architecture = open_architecture("tiny-sd15");
        bool whole = i == sizeof cases / sizeof *cases;
        if (!whole) {
            cJSON_DeleteItemFromObjectCaseSensitive(architecture.json, cases[i].part);
            cJSON_AddItemToObject(architecture.json, cases[i].part, cJSON_Parse(cases[i].text));
        }
        char *text = cJSON_Print(architecture.json);
        write_bytes(path, text, strlen(text));
        cJSON_free(text);
        architecture_close(&architecture);
        int status = plumb("synth %s %s", path, folder);
        if (whole)
            ck_assert_int_eq(status, STATUS_OK);
        else
            expect_failure(status, STATUS_BAD_INPUT, 1, cases[i].words, NULL);
    }
}
END_TEST

/* Files may be no larger than 100 blocks, as if the disk were full: tokenizers fit, a text encoder does
 * not. */
START_TEST(a_full_disk_leaves_nothing)
{
    const char *program = getenv("PLUMB");
    char limited[512];
    snprintf(limited, sizeof limited, "sh -c 'ulimit -f 100; exec \"$0\" \"$@\"' %s",
        program ? program : "build/plumb");
    setenv("PLUMB", limited, 1);
    int status = plumb("synth tiny-sdxl %s", path_in(test_folder, "new"));
    if (program)
        setenv("PLUMB", program, 1);
    else
        unsetenv("PLUMB");
    expect_failure(
        status, STATUS_MACHINE, 0, "/new/text_encoder/model.safetensors: cannot be written", "large", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plumb synth");
    TCase *commands = tcase_create("commands");
    tcase_add_checked_fixture(commands, make_test_folder, drop_program_folder);
    tcase_set_timeout(commands, 60);
    tcase_add_loop_test(commands, a_folder_is_whole_and_runs, 0, (int)(sizeof tiny / sizeof *tiny));
    tcase_add_test(commands, the_list_needs_no_folder);
    tcase_add_test(commands, refusals);
    tcase_add_test(commands, files_of_architectures);
    tcase_add_test(commands, a_full_disk_leaves_nothing);
    suite_add_tcase(suite, commands);
    return run_suite(suite);
}
