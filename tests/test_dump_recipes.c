/*
 * golden/recipes: how a port dumps its tensors. The files compile, what the C and C++ ones write is read back
 * as it was, and every name that they put is one that Plumb knows. What needs a compiler or an interpreter
 * that is not there is skipped, and says so.
 */
#include "file_support.h"

#include "golden/recipes/dump_tensors.h"
#include "ref/names_map.h"
#include "ref/pipeline.h"
#include "ref/their_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- What a run of a tiny SDXL has -------------------------------------------------------- */

static struct known_tensors known;

static void know_a_run(void)
{
    struct pipeline pipeline = {0};
    struct recipe recipe = {0};
    struct error error = {""};
    cJSON *json =
        cJSON_Parse("{\"prompt\": \"a\", \"num_inference_steps\": 2, \"height\": 32, \"width\": 32}");
    enum status status = recipe_read(json, &recipe, &error);
    if (status == STATUS_OK) status = pipeline_open(golden_path("models/tiny-sdxl"), NULL, &pipeline, &error);
    if (status == STATUS_OK) status = known_tensors_of_run(&pipeline, &recipe, &known, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    pipeline_close(&pipeline);
    recipe_free(&recipe);
    cJSON_Delete(json);
}

static void set_up(void)
{
    make_test_folder();
    know_a_run();
}

static void tear_down(void)
{
    known_tensors_free(&known);
    drop_test_folder();
}

static bool runs(const char *command)
{
    return system(command) == 0;
}

/* Whether a tool is there; says what is skipped where it is not. */
static bool there_is(const char *tool, const char *what)
{
    char command[256];
    snprintf(command, sizeof command, "%s --version >/dev/null 2>&1", tool);
    if (runs(command)) return true;
    fprintf(stderr, "skipped: there is no %s to %s\n", tool, what);
    return false;
}

/* --- C ------------------------------------------------------------------------------------ */

START_TEST(the_function_for_c)
{
    static const struct {
        const char *ending;
        enum dtype dtype;
    } types[] = {{"f32", DTYPE_F32}, {"f16", DTYPE_F16}, {"bf16", DTYPE_BF16}, {"f64", DTYPE_F64},
        {"i64", DTYPE_I64}, {"i32", DTYPE_I32}, {"u8", DTYPE_U8}};
    unsigned char data[12 * 8];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 31);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        char name[32];
        snprintf(name, sizeof name, "step.%02zu.noise", t);
        ck_assert_int_eq(dump_tensor(test_folder, name, types[t].ending, data, 3, (int64_t[]){2, 3, 2}), 0);
    }
    ck_assert_int_eq(dump_tensor(test_folder, "scalar", "f32", data, 0, NULL), 0);
    struct tensor_set *set = open_set(test_folder);
    ck_assert_uint_eq(tensor_set_count(set), sizeof types / sizeof *types + 1);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        char shape[64];
        const struct tensor *tensor = need_tensor(set, "step.%02zu.noise", t);
        ck_assert_int_eq(tensor->dtype, types[t].dtype);
        ck_assert_str_eq(tensor_show_shape(tensor, shape, sizeof shape), "[2, 3, 2]");
        ck_assert_mem_eq(tensor->data, data, 12 * dtype_size(types[t].dtype));
    }
    ck_assert_int_eq(need_tensor(set, "scalar")->rank, 0);
    tensor_set_free(set);
    ck_assert_int_eq(dump_tensor("/nowhere/at/all", "x", "f32", data, 0, NULL), -1);
    ck_assert_int_eq(dump_tensor("/dev/full", "x", "f32", data, 0, NULL), -1);
    ck_assert_int_eq(dump_tensor(test_folder, "x", "float32", data, 0, NULL), -1);
    char long_name[1100];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    ck_assert_int_eq(dump_tensor(test_folder, long_name, "f32", data, 0, NULL), -1);
}
END_TEST

/* --- C++ ---------------------------------------------------------------------------------- */

/* One of ours must have the shape that a run has, and count up from `first`. */
static void expect_count(const struct their_tensors *theirs, const char *name, double first)
{
    char got[96], expected[96];
    const struct tensor *tensor = need_tensor(theirs->tensors, "%s", name);
    const struct known_tensor *ours = known_tensors_find(&known, name);
    struct tensor shape = {.rank = ours->rank};
    memcpy(shape.shape, ours->shape, sizeof shape.shape);
    ck_assert_str_eq(
        tensor_show_shape(tensor, got, sizeof got), tensor_show_shape(&shape, expected, sizeof expected));
    for (size_t i = 0; i < tensor_count(tensor); i++)
        ck_assert_double_eq(tensor_get_double(tensor, i), first + (double)i);
}

START_TEST(the_port_in_cpp)
{
    const char *compiler = getenv("CXX") ? getenv("CXX") : "c++", *port = path_in(test_folder, "port");
    const char *dump = path_in(test_folder, "dump");
    char command[4096];
    if (!there_is(compiler, "compile golden/recipes/dump_from_cpp.cpp")) return;
    snprintf(command, sizeof command, "%s -std=c++17 -Wall -Wextra -Werror %s -o %s", compiler,
        golden_path("recipes/dump_from_cpp.cpp"), port);
    ck_assert_msg(runs(command), "%s", command);
    ck_assert_int_eq(mkdir(dump, 0700), 0);
    ck_assert_msg(runs(port), "%s", port); /* without a folder nothing is dumped */
    snprintf(command, sizeof command, "%s %s", port, dump);
    ck_assert_msg(runs(command), "%s", command);

    struct their_tensors theirs;
    struct error error = {""};
    enum status status =
        their_tensors_open(dump, &(struct their_options){.map = NULL}, &known, &theirs, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    ck_assert(theirs.unknown_count == 0 && theirs.twice_count == 0 && theirs.count == 20);
    expect_count(&theirs, "prompt_embeds", 0);
    expect_count(&theirs, "negative_prompt_embeds", 1);
    expect_count(&theirs, "latents.init", 2);
    expect_count(&theirs, "step.01.model_input", 1);
    expect_count(&theirs, "act.unet.conv_in", 3);
    expect_count(&theirs, "act.unet.mid_block.resnets.0", 4);
    expect_count(&theirs, "step.01.noise_pred_uncond", 5);
    expect_count(&theirs, "step.01.noise_pred_text", 5 + 4 * 8 * 8);
    expect_count(&theirs, "step.00.noise_pred", 6);
    expect_count(&theirs, "step.01.noise", 7);
    expect_count(&theirs, "step.01.latents", 8);
    expect_count(&theirs, "latents.final", 8);
    expect_count(&theirs, "vae_input", 9);
    expect_count(&theirs, "image", 10);
    their_tensors_free(&theirs);
}
END_TEST

/* --- Python ------------------------------------------------------------------------------- */

static const char *const python_files[] = {"dump_diffusers.py", "dump_mindone.py"};

START_TEST(the_python_files_compile)
{
    char command[4096];
    if (!there_is("python3", "compile golden/recipes/*.py")) return;
    snprintf(command, sizeof command,
        "python3 -c \"import sys; compile(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1], 'exec')\" "
        "%s",
        golden_path("recipes/%s", python_files[_i]));
    ck_assert_msg(runs(command), "%s", command);
}
END_TEST

/* --- Names -------------------------------------------------------------------------------- */

/* Turns the literal at `at`, behind its opening quote, into a pattern: what is put in, "{...}", becomes
 * '*'. */
static void pattern_of(const char *at, char *pattern, size_t size)
{
    size_t used = strlen(pattern);
    for (; *at != '"'; at++) {
        ck_assert(*at != '\0' && *at != '\n' && used + 1 < size);
        pattern[used++] = (char)(*at == '{' ? '*' : *at);
        if (*at == '{') at = strchr(at, '}');
        ck_assert_ptr_nonnull(at);
    }
    pattern[used] = '\0';
}

static bool is_known(const char *pattern)
{
    char text[256], targets[NAMES_MAP_PARTS][NAME_SIZE];
    const char *path = path_in(test_folder, "names.json");
    struct names_map map;
    bool found = false;
    snprintf(text, sizeof text, "{\"%s\": \"x\"}", pattern);
    write_bytes(path, text, strlen(text));
    ck_assert_int_eq(names_map_read(path, &map, NULL), STATUS_OK);
    for (size_t i = 0; i < known.count && !found; i++)
        found = names_map_find(&map, known.items[i].name, targets) != NULL;
    if (!found) found = names_map_find(&map, "step.00.noise_pred_both", targets) != NULL;
    names_map_free(&map);
    return found;
}

/* Every name that stands in a call of put() as it is, or with numbers and modules to be put in. */
START_TEST(the_names_are_known)
{
    static const struct {
        const char *file;
        size_t least; /* names in it, so that the test sees what it looks for */
    } files[] = {{"dump_diffusers.py", 15}, {"dump_mindone.py", 4}, {"dump_from_cpp.cpp", 12}};
    static const char at_step[] = "at_step(step) + ";
    char *text = read_whole_text(golden_path("recipes/%s", files[_i].file));
    size_t names = 0;
    for (const char *at = text; (at = strstr(at, "put(")) != NULL;) {
        char pattern[128] = "";
        at += strlen("put(");
        if (strncmp(at, at_step, strlen(at_step)) == 0) {
            strcpy(pattern, "step.*.");
            at += strlen(at_step);
        }
        if (*at == 'f') at++;
        if (*at != '"') continue; /* a name that is made elsewhere */
        const char *end = strchr(at + 1, '"');
        bool alone = end && (end[1] == ',' || end[1] == ')');
        if (!alone) continue;
        pattern_of(at + 1, pattern, sizeof pattern);
        ck_assert_msg(is_known(pattern), "%s: %s is no tensor of a run", files[_i].file, pattern);
        names++;
    }
    ck_assert_msg(names >= files[_i].least, "%s: only %zu names were found", files[_i].file, names);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipes for dumping");
    TCase *cases = tcase_create("recipes");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, the_function_for_c);
    tcase_add_test(cases, the_port_in_cpp);
    tcase_add_loop_test(cases, the_python_files_compile, 0, 2);
    tcase_add_loop_test(cases, the_names_are_known, 0, 3);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
