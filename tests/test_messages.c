/*
 * What the program says that no other suite has it say: command lines, architectures whose parts do not fit
 * each other, files. `make coverage` lists the messages that no suite produces.
 */
#include "program.h"

#include "ref/png_file.h"
#include "ref/tensor_files.h"
#include "ref/verify_kept.h"
#include "sched/checksum.h"
#include "sched/scheduler.h"
#include "sched/scheduler_save.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- Command lines ------------------------------------------------------------------------ */

static const struct {
    const char *arguments, *words;
} lines[] = {
    {"sample a.json b.json --tensors x --out y", "several schedulers go into a picture: add --plot P.png"},
    {"schedule DDIM --panel sigmas", "--panel says what --plot draws: add --plot P.png"},
    {"verify a b --rounding 9 --wrong 8", "--wrong: expected at least --rounding, 9, got 8"},
    {"sample 'EulerDiscrete,num_inference_steps=5,timesteps=[9]' --plot p.png",
        "num_inference_steps, timesteps and sigmas exclude each other: give one"},
    {"sample CMStochasticIterative --plot p.png",
        "CMStochasticIterativeScheduler: no picture of it can be drawn, since its model is not a denoiser"},
};

START_TEST(command_lines)
{
    expect_failure(plumb("%s", lines[_i].arguments), STATUS_BAD_INPUT, 0, lines[_i].words, NULL);
}
END_TEST

/* --- Architectures ------------------------------------------------------------------------ */

/* tiny-sdxl with one member of one part changed (a value of NULL: taken out), and what is asked of it. */
static const struct {
    const char *part, *key, *value, *command, *words;
} architectures[] = {
    {"unet", "in_channels", "9", "info --plan",
        "in_channels: expected 4, the VAE's latent_channels, got 9 (a model for inpainting or editing"},
    {"unet", "projection_class_embeddings_input_dim", "999", "info --plan",
        "projection_class_embeddings_input_dim: expected 68 (six time ids of addition_time_embed_dim"},
    {"unet", "projection_class_embeddings_input_dim", "10", "bench --stages --architecture",
        "projection_class_embeddings_input_dim: leaves no room for a pooled text"},
    {"unet", "sample_size", NULL, "info --plan",
        "height, width: give both: unet/config.json has no sample_size to take them from"},
    {"vae", "block_out_channels", "[32, 32, 32, 32, 32, 32]", "info --height 8 --width 8 --plan",
        "height, width: expected at least 32, one latent, got 8 and 8"},
    {"vae", "latents_mean", "[0, 0, 0, 1e999]", "info --plan", "latents_mean[3]: expected a finite number"},
    {"unet", "down_block_types", "7", "info --plan", "down_block_types: expected a list"},
};

static void set_member(cJSON *part, const char *key, const char *value)
{
    if (!value) {
        cJSON_DeleteItemFromObjectCaseSensitive(part, key);
        return;
    }
    cJSON *item = cJSON_CreateRaw(value);
    ck_assert_ptr_nonnull(item);
    ck_assert(cJSON_HasObjectItem(part, key) ? cJSON_ReplaceItemInObjectCaseSensitive(part, key, item)
                                             : cJSON_AddItemToObject(part, key, item));
}

START_TEST(architectures_that_do_not_fit)
{
    const char *path = path_in(test_folder, "architecture.json");
    cJSON *json;
    struct error error = {""};
    ck_assert_int_eq(json_read_file("configs/architectures/tiny-sdxl.json", &json, &error), STATUS_OK);
    cJSON *part = cJSON_GetObjectItem(json, architectures[_i].part);
    set_member(part, architectures[_i].key, architectures[_i].value);
    if (strcmp(architectures[_i].key, "block_out_channels") == 0) { /* six levels: 32 pixels a latent */
        static const char downs[] = "\"DownEncoderBlock2D\"", ups[] = "\"UpDecoderBlock2D\"";
        char list[256];
        snprintf(list, sizeof list, "[%s,%s,%s,%s,%s,%s]", downs, downs, downs, downs, downs, downs);
        set_member(part, "down_block_types", list);
        snprintf(list, sizeof list, "[%s,%s,%s,%s,%s,%s]", ups, ups, ups, ups, ups, ups);
        set_member(part, "up_block_types", list);
    }
    char *text = cJSON_Print(json);
    write_bytes(path, text, strlen(text));
    expect_failure(plumb("%s '%s'", architectures[_i].command, path), STATUS_BAD_INPUT, 1,
        architectures[_i].words, NULL);
    cJSON_free(text);
    cJSON_Delete(json);
}
END_TEST

/* 16 million tokens of 65536 numbers each: four terabytes. */
START_TEST(weights_that_no_memory_holds)
{
    const char *path = path_in(test_folder, "architecture.json");
    cJSON *json;
    struct error error = {""};
    ck_assert_int_eq(json_read_file("configs/architectures/tiny-sdxl.json", &json, &error), STATUS_OK);
    cJSON *part = cJSON_GetObjectItem(json, "text_encoder");
    set_member(part, "vocab_size", "16777216");
    set_member(part, "hidden_size", "65536");
    char *text = cJSON_Print(json);
    write_bytes(path, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(json);
    expect_failure(plumb("bench --stages --architecture '%s'", path), STATUS_MACHINE, 1,
        "the weights of text_encoder take 4604.3 GB in F32, and the machine has ",
        " GB free; try --dtype f16", NULL);
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

START_TEST(files)
{
    const char *path = path_in(test_folder, "architecture.json");
    write_bytes(path, "[]", 2);
    expect_failure(
        plumb("info --plan '%s'", path), STATUS_BAD_INPUT, 1, path, "expected a JSON object", NULL);

    path = path_in(test_folder, "pytorch_lora_weights.safetensors");
    write_bytes(path, "", 0);
    expect_failure(
        plumb("inspect '%s'", path), STATUS_BAD_INPUT, 2, "LoRA weights, which Plumb does not read", NULL);

    path = path_in(test_folder, "recipe.json");
    write_bytes(path, "{\"strength\": 0.5}", strlen("{\"strength\": 0.5}"));
    expect_failure(plumb("run %s --recipe '%s' --out o.png", golden_path("models/tiny-sd"), path),
        STATUS_BAD_INPUT, 3, "strength: no such argument: Plumb makes no picture out of a picture", NULL);

    path = path_in(test_folder, "cut.npy");
    write_bytes(path, "\x93NUMPY\x02\x00\x01\x00", 10);
    expect_failure(plumb("compare '%s' '%s'", path, path), STATUS_BAD_INPUT, 4,
        "header length: the file ends inside it", NULL);

    path = path_in(test_folder, "circle.json");
    ck_assert_int_eq(symlink("circle.json", path), 0);
    expect_failure(plumb("schedule '%s' --steps 3", path), STATUS_BAD_INPUT, 5,
        "circle.json: cannot be read: Too many levels of symbolic links", NULL);
}
END_TEST

/* A folder of tiny-sd with one thing changed. */
static const char *changed_model(void)
{
    const char *model = path_in(test_folder, "model");
    copy_folder(golden_path("models/tiny-sd"), model);
    return model;
}

static void expect_no_trace(const char *model, const char *words)
{
    expect_failure(plumb("run '%s' --prompt x --steps 1 --height 64 --width 64 --trace '%s'", model,
                       path_in(test_folder, "t.npz")),
        STATUS_BAD_INPUT, 1, words, NULL);
}

START_TEST(files_of_a_checkpoint)
{
    const char *model = changed_model(), *extra = path_in(model, "tokenizer/extra.json");
    ck_assert_int_eq(symlink("extra.json", extra), 0);
    expect_no_trace(model, "tokenizer/extra.json: cannot be read: Too many levels of symbolic links");
    ck_assert_int_eq(unlink(extra), 0);
    ck_assert_int_eq(mkdir(extra, 0777), 0);
    expect_no_trace(model, "tokenizer/extra.json: cannot be read: Is a directory");
    ck_assert_int_eq(rmdir(extra), 0);

    const char *config = path_in(model, "unet/config.json"), *kept = path_in(test_folder, "kept.json");
    ck_assert_int_eq(rename(config, kept), 0);
    write_bytes(config, "[]", 2);
    ck_assert_int_eq(plumb("inspect '%s/unet'", model), STATUS_BAD_INPUT);
    expect_in(err, "unet/config.json: expected a JSON object");
    ck_assert_int_eq(plumb("run '%s' --prompt x --steps 1", model), STATUS_BAD_INPUT);
    expect_in(err, "unet/config.json: expected a JSON object");
    ck_assert_int_eq(rename(kept, config), 0);

    const char *path = path_in(model, "tokenizer/tokenizer_config.json");
    cJSON *json;
    struct error error = {""};
    ck_assert_int_eq(json_read_file(path, &json, &error), STATUS_OK);
    set_member(json, "model_max_length", "100");
    char *text = cJSON_Print(json);
    write_bytes(path, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(json);
    expect_no_trace(model, "tokenizer: prompts of 100 tokens, but text_encoder has only 77 positions");
}
END_TEST

START_TEST(lists_of_recipes)
{
    static const char line[] = "{\"recipe\": \"configs/../golden/models/tiny-sd/tokenizer/merges.txt\"}\n";
    const char *list = path_in(test_folder, "list.jsonl"), *folder = path_in(test_folder, "items");
    const char *recipe = path_in(test_folder, "recipe.json");
    char own[512];
    snprintf(own, sizeof own, "{\"prompt\": \"x\", \"recipe\": \"%s\"}\n", recipe);
    write_bytes(list, own, strlen(own));
    write_bytes(recipe, "[]", 2);
    const char *model = golden_path("models/tiny-sd");
    expect_failure(plumb("run %s --recipes '%s' --out-dir '%s'", model, list, folder), STATUS_BAD_INPUT, 2,
        "list.jsonl:1: ", "recipe.json: expected a JSON object", NULL);
    write_bytes(list, line, strlen(line));
    expect_failure(plumb("run %s --recipes '%s' --out-dir '%s'", model, list, folder), STATUS_BAD_INPUT, 2,
        "list.jsonl:1: ", "merges.txt: not valid JSON", NULL);
    write_bytes(list, "{]\n", 3);
    expect_failure(plumb("run %s --recipes '%s' --out-dir '%s'", model, list, folder), STATUS_BAD_INPUT, 2,
        "list.jsonl:1: not valid JSON", NULL);
    expect_failure(plumb("run %s --recipes '%s' --out-dir '%s'", model, test_folder, folder),
        STATUS_BAD_INPUT, 2, "cannot be read: Is a directory", NULL);
    write_bytes(list, "{\"prompt\": \"x\"}\n", 16);
    folder = path_in(test_folder, "items");
    ck_assert(mkdir(folder, 0777) == 0 && symlink("status.jsonl", path_in(folder, "status.jsonl")) == 0);
    expect_failure(plumb("run %s --recipes '%s' --out-dir '%s'", model, list, folder), STATUS_BAD_INPUT, 3,
        "items/status.jsonl: cannot be read: Too many levels of symbolic links", NULL);
}
END_TEST

START_TEST(sheets_and_pictures)
{
    char pictures[2048] = "";
    for (size_t i = 0, used = 0; i < 40; i++)
        used += (size_t)snprintf(pictures + used, sizeof pictures - used, " configs/pictures/sde.png");
    expect_failure(plumb("sheet '%s' --size 4096 --across 40%s", path_in(test_folder, "s.png"), pictures),
        STATUS_BAD_INPUT, 0, "the sheet would be ", "sides go up to 32768", NULL);
    struct error error = {""};
    const uint8_t pixel[3] = {0};
    expect_error(png_write(path_in(test_folder, "none.png"), pixel, 1, 0, NULL, 0, &error), STATUS_BAD_INPUT,
        &error, "none.png: a picture of 1 x 0 pixels: sides go from 1 to ", NULL);
}
END_TEST

/* Under no name of this run's. */
START_TEST(dumps_of_something_else)
{
    const char *path = path_in(test_folder, "other.safetensors");
    struct tensor_set *set = empty_set();
    float number = 1;
    const struct tensor tensor = {DTYPE_F32, 1, {1}, &number};
    add_tensor(set, "quaternions", &tensor);
    write_set(set, path);
    tensor_set_free(set);
    ck_assert_int_eq(plumb("verify %s '%s'", golden_path("models/tiny-sd"), path), STATUS_BAD_INPUT);
    expect_in(err, "other.safetensors: nothing in it is a tensor of this run");
}
END_TEST

START_TEST(room_for_what_is_kept)
{
    struct verify_kept kept;
    struct error error = {""};
    ck_assert_int_eq(setenv("TMPDIR", path_in(test_folder, "nowhere"), 1), 0);
    expect_error(verify_kept_open((size_t)64 << 20, &kept, &error), STATUS_MACHINE, &error,
        "nowhere: no file for 67108864 bytes can be made there: No such file or directory", NULL);
    ck_assert_int_eq(setenv("TMPDIR", test_folder, 1), 0);
    expect_error(verify_kept_open((size_t)1 << 60, &kept, &error), STATUS_MACHINE, &error,
        ": no room for 1152921504606846976 bytes: ", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 0);
    ck_assert_int_eq(verify_kept_open((size_t)64 << 20, &kept, &error), STATUS_OK);
    kept.data[((size_t)64 << 20) - 1] = 1;
    verify_kept_close(&kept);
}
END_TEST

/* 100 MB of names. */
START_TEST(more_names_than_a_header_holds)
{
    enum { TENSORS = 210000, NAME = 450 };
    struct tensor_set *set = empty_set();
    struct error error = {""};
    float number = 1;
    const struct tensor tensor = {DTYPE_F32, 1, {1}, &number};
    char name[NAME + 1];
    for (int i = 0; i < TENSORS; i++) {
        snprintf(name, sizeof name, "%0*d", (int)NAME, i);
        ck_assert_int_eq(tensor_set_append(set, name, NAME, &tensor, NULL, &error), STATUS_OK);
    }
    ck_assert_int_eq(tensor_set_order(set, &error), STATUS_OK);
    expect_error(tensor_set_write(set, path_in(test_folder, "many.safetensors"), &error), STATUS_BAD_INPUT,
        &error, "many.safetensors: header: ", " bytes, more than the 100000000 that the format allows", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 0);
    tensor_set_free(set);
}
END_TEST

/* --- The sampler's recorded tensors ------------------------------------------------------- */

/* A recorded case without one of its tensors, or with another in its place. */
static void sample_without(const char *left_out, const struct tensor *instead, const char *words)
{
    struct tensor_set *golden = open_set(golden_path("sched/euler_linspace.safetensors")), *set = empty_set();
    for (size_t i = 0; i < tensor_set_count(golden); i++)
        if (strcmp(tensor_set_name(golden, i), left_out) != 0)
            add_tensor(set, tensor_set_name(golden, i), tensor_set_at(golden, i));
    if (instead) add_tensor(set, left_out, instead);
    const char *path = path_in(test_folder, "in.safetensors");
    write_set(set, path);
    tensor_set_free(set);
    tensor_set_free(golden);
    expect_failure(plumb("sample %s --tensors '%s' --out '%s'", golden_path("sched/euler_linspace.json"),
                       path, path_in(test_folder, "out.safetensors")),
        STATUS_BAD_INPUT, 1, words, NULL);
}

START_TEST(recorded_tensors)
{
    float zeros[7] = {0};
    const struct tensor seven = {DTYPE_F32, 1, {7}, zeros};
    sample_without(
        "add_noise.timesteps", &seven, "add_noise.timesteps: expected one a picture of add_noise.original");
    sample_without("add_noise.noise", NULL, "add_noise.noise: missing");
    sample_without("step.0.model_output", NULL, "step.0.model_output: missing; the schedule has ");
}
END_TEST

START_TEST(texts_that_are_too_long)
{
    const size_t size = (size_t)65 << 20;
    char *spaces = malloc(size);
    ck_assert_ptr_nonnull(spaces);
    memset(spaces, ' ', size);
    const char *path = path_in(test_folder, "long.json");
    write_bytes(path, spaces, size);
    expect_failure(plumb("schedule '%s'", path), STATUS_BAD_INPUT, 1, "larger than ",
        " bytes, which no config is", NULL);
    const char *model = path_in(test_folder, "model");
    copy_folder(golden_path("models/tiny-sd"), model);
    write_bytes(path_in(model, "tokenizer/merges.txt"), spaces, size);
    free(spaces);
    expect_failure(plumb("run '%s' --prompt x --out '%s'", model, path_in(test_folder, "o.png")),
        STATUS_BAD_INPUT, 2, "tokenizer/merges.txt: larger than ", " bytes, which no list of merges is",
        NULL);
}
END_TEST

START_TEST(noise_that_is_no_number)
{
    const char *path = path_in(test_folder, "noise.npz");
    float numbers[4 * 16 * 16];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) numbers[i] = i == 7 ? NAN : 1;
    struct tensor_set *set;
    struct error error = {""};
    ck_assert_int_eq(tensor_set_create(&set, &error), STATUS_OK);
    const struct tensor noise = {DTYPE_F32, 4, {1, 4, 16, 16}, numbers};
    ck_assert_int_eq(tensor_set_add(set, "init_noise", &noise, &error), STATUS_OK);
    ck_assert_int_eq(tensor_set_write(set, path, &error), STATUS_OK);
    tensor_set_free(set);
    expect_failure(plumb("run %s --prompt x --steps 2 --noise '%s' --out '%s'", golden_path("models/tiny-sd"),
                       path, path_in(test_folder, "o.png")),
        STATUS_BAD_INPUT, 1, "init_noise: element 7: expected a finite number, got nan", NULL);
}
END_TEST

/* added_tokens.json of a tokenizer; a name that no token can have, and more tokens than there may be. */
START_TEST(added_tokens)
{
    const char *model = path_in(test_folder, "model");
    copy_folder(golden_path("models/tiny-sd"), model);
    const char *path = path_in(model, "tokenizer/added_tokens.json"),
               *picture = path_in(test_folder, "o.png");
    write_bytes(path, "{\"\": 5}", strlen("{\"\": 5}"));
    expect_failure(plumb("run '%s' --prompt x --out '%s'", model, picture), STATUS_BAD_INPUT, 1,
        "added_tokens.json: expected a token, got an empty key", NULL);
    enum { TOKENS = 4200, ENTRY = 32 };
    char *text = malloc(TOKENS * ENTRY + 2), *end = text;
    ck_assert_ptr_nonnull(text);
    for (int i = 0; i < TOKENS; i++)
        end += snprintf(end, ENTRY, "%s\"<t%d>\": %d", i ? ", " : "{", i, 2000 + i);
    *end++ = '}';
    write_bytes(path, text, (size_t)(end - text));
    free(text);
    expect_failure(plumb("run '%s' --prompt x --out '%s'", model, picture), STATUS_BAD_INPUT, 1,
        "more than 4096 added tokens", NULL);
}
END_TEST

START_TEST(more_tensors_than_a_zip_archive_has)
{
    enum { TENSORS = 65535 };
    struct tensor_set *set;
    struct error error = {""};
    float number = 1;
    const struct tensor tensor = {DTYPE_F32, 1, {1}, &number};
    ck_assert_int_eq(tensor_set_create(&set, &error), STATUS_OK);
    for (int i = 0; i < TENSORS; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        ck_assert_int_eq(tensor_set_append(set, name, strlen(name), &tensor, NULL, &error), STATUS_OK);
    }
    expect_error(tensor_set_write(set, path_in(test_folder, "many.npz"), &error), STATUS_BAD_INPUT, &error,
        "many.npz: a .npz file is written with up to 65534 tensors: write .safetensors", NULL);
    ck_assert_uint_eq(count_entries(test_folder), 0);
    tensor_set_free(set);
}
END_TEST

/* --- Saved schedulers --------------------------------------------------------------------- */

/* Bytes with a right checksum that are still not what was saved: each number made too large in its turn, and
 * what comes behind it cut off. Nothing is read beyond them, and each of these things is said of some of
 * them. */
START_TEST(saved_schedulers)
{
    enum { HEADER = 96 }; /* its counts and sizes */
    static const char *const said[] = {"cut short", "of another build", "not the memory of PNDMScheduler"};
    bool is_said[sizeof said / sizeof *said] = {false};
    static const char config[] = "{\"_class_name\": \"PNDMScheduler\", \"num_train_timesteps\": 50}";
    struct scheduler *scheduler;
    struct error error = {""};
    cJSON *json;
    ck_assert_int_eq(json_parse(config, strlen(config), "config", &json, &error), STATUS_OK);
    ck_assert_int_eq(scheduler_create(json, &scheduler, NULL, &error), STATUS_OK);
    cJSON_Delete(json);
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = 4};
    ck_assert_int_eq(scheduler_set_timesteps(scheduler, &request, NULL, &error), STATUS_OK);
    float sample[4] = {1, 2, 3, 4}, next[4];
    const struct step_input input = {.timestep = scheduler->timesteps[0],
        .model_output = sample,
        .model_output_size = 4,
        .sample = sample,
        .batch = 1,
        .sample_size = 4,
        .options = STEP_OPTIONS_DEFAULT};
    ck_assert_int_eq(scheduler_step(scheduler, &input, next, NULL, &error), STATUS_OK);
    unsigned char *saved;
    size_t size;
    ck_assert_int_eq(scheduler_save(scheduler, &saved, &size, &error), STATUS_OK);
    scheduler_free(scheduler);
    unsigned char *changed = malloc(size);
    ck_assert_ptr_nonnull(changed);
    for (size_t at = 0; at + 16 <= size; at += 4)
        for (int cut = at < HEADER ? 0 : 1; cut < 2; cut++) {
            const size_t length = cut ? at + 16 : size;
            memcpy(changed, saved, size);
            if (!cut) memset(changed + at, 0x3f, 8);
            const uint64_t sum = checksum_of(changed, length - sizeof sum);
            memcpy(changed + length - sizeof sum, &sum, sizeof sum);
            struct scheduler *restored = NULL;
            const enum status status = scheduler_restore(changed, length, &restored, &error);
            scheduler_free(restored);
            for (size_t i = 0; status != STATUS_OK && i < sizeof said / sizeof *said; i++)
                is_said[i] |= strstr(error.message, said[i]) != NULL;
        }
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        ck_assert_msg(is_said[i], "nothing is %s", said[i]);
    free(saved);
    free(changed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("messages");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, make_test_folder, drop_program_folder);
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, command_lines, 0, sizeof lines / sizeof *lines);
    tcase_add_loop_test(all, architectures_that_do_not_fit, 0, sizeof architectures / sizeof *architectures);
    tcase_add_test(all, files);
    tcase_add_test(all, weights_that_no_memory_holds);
    tcase_add_test(all, files_of_a_checkpoint);
    tcase_add_test(all, lists_of_recipes);
    tcase_add_test(all, sheets_and_pictures);
    tcase_add_test(all, dumps_of_something_else);
    tcase_add_test(all, room_for_what_is_kept);
    tcase_add_test(all, more_names_than_a_header_holds);
    tcase_add_test(all, recorded_tensors);
    tcase_add_test(all, texts_that_are_too_long);
    tcase_add_test(all, noise_that_is_no_number);
    tcase_add_test(all, added_tokens);
    tcase_add_test(all, more_tensors_than_a_zip_archive_has);
    tcase_add_test(all, saved_schedulers);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
