/*
 * How much is taken of what comes from outside: each limit that ref/README.md states, at it and one above.
 */
#include "file_support.h"
#include "small_tokenizer.h"

#include "ref/names_map.h"
#include "ref/recipe.h"
#include "ref/sample_case.h"
#include "ref/schedule_table.h"
#include "ref/tensor_files.h"
#include "ref/text_encoder_config.h"
#include "ref/unet_config.h"
#include "ref/vae_config.h"
#include "sched/config.h"
#include "sched/seed_sequence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Texts -------------------------------------------------------------------------------- */

/* "<head>item,item,...,item<tail>", allocated. */
static char *list_of(const char *head, const char *item, size_t count, const char *tail)
{
    size_t length = strlen(item) + 1, used = strlen(head);
    char *text = malloc(used + count * length + strlen(tail) + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, head, used);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + used, item, length - 1);
        used += length - 1;
        if (i + 1 < count) text[used++] = ',';
    }
    memcpy(text + used, tail, strlen(tail) + 1);
    return text;
}

static cJSON *parse_formatted(const char *format, ...) PRINTF_LIKE(1, 2);
static cJSON *parse_formatted(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cJSON *json = NULL;
    ck_assert_int_lt(length, (int)sizeof text);
    ck_assert_int_eq(json_parse(text, (size_t)length, "text", &json, NULL), STATUS_OK);
    return json;
}

static enum status read_recipe_text(const char *text, struct error *error)
{
    cJSON *json = NULL;
    struct recipe recipe = {0};
    enum status status = json_parse(text, strlen(text), "recipe", &json, error);
    if (status == STATUS_OK) status = recipe_read(json, &recipe, error);
    recipe_free(&recipe);
    cJSON_Delete(json);
    return status;
}

/* A recipe with `count` times the item in a list. */
static enum status read_recipe_list(const char *key, const char *item, size_t count, struct error *error)
{
    char head[64];
    snprintf(head, sizeof head, "{\"%s\":[", key);
    char *text = list_of(head, item, count, "]}");
    enum status status = read_recipe_text(text, error);
    free(text);
    return status;
}

static enum status read_recipe_number(const char *key, size_t number, struct error *error)
{
    char text[96];
    snprintf(text, sizeof text, "{\"%s\": %zu}", key, number);
    return read_recipe_text(text, error);
}

/* --- JSON and tensors --------------------------------------------------------------------- */

static enum status json_depth(size_t n, struct error *error)
{
    char *text = calloc(2, n + 1);
    cJSON *json = NULL;
    ck_assert_ptr_nonnull(text);
    memset(text, '[', n);
    memset(text + n, ']', n);
    enum status status = json_parse(text, 2 * n, "text", &json, error);
    cJSON_Delete(json);
    free(text);
    return status;
}

/* `n` bytes of which the first are `text`, the others spaces. */
static unsigned char *spaces_after(const char *text, size_t length, size_t n)
{
    unsigned char *bytes = malloc(n);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, ' ', n);
    memcpy(bytes, text, length);
    return bytes;
}

static enum status json_file(size_t n, struct error *error)
{
    unsigned char *bytes = spaces_after("{}", 2, n);
    const char *path = path_in(test_folder, "large.json");
    cJSON *json = NULL;
    write_bytes(path, bytes, n);
    free(bytes);
    enum status status = json_read_file(path, &json, error);
    cJSON_Delete(json);
    return status;
}

static enum status read_safetensors(const unsigned char *bytes, size_t size, struct error *error)
{
    struct tensor_set *set = empty_set();
    enum status status = safetensors_read(set, (struct bytes){bytes, size}, error);
    tensor_set_free(set);
    return status;
}

static enum status safetensors_header(size_t n, struct error *error)
{
    unsigned char *bytes = spaces_after("________{}", 10, n + 8);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(n >> 8 * i);
    enum status status = read_safetensors(bytes, n + 8, error);
    free(bytes);
    return status;
}

/* A header of empty tensors. */
static enum status tensor_count_of(size_t n, struct error *error)
{
    static const char entry[] = "\"%06zx\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},";
    char *bytes = malloc(n * 64 + 16);
    size_t used = 9;
    ck_assert_ptr_nonnull(bytes);
    bytes[8] = '{';
    for (size_t i = 0; i < n; i++) used += (size_t)sprintf(bytes + used, entry, i);
    bytes[used - 1] = '}';
    for (int i = 0; i < 8; i++) bytes[i] = (char)((used - 8) >> 8 * i);
    enum status status = read_safetensors((const unsigned char *)bytes, used, error);
    free(bytes);
    return status;
}

static enum status tensor_sides(size_t n, struct error *error)
{
    char *text =
        list_of("________{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1],\"shape\":[", "1", n, "]}} ");
    size_t size = strlen(text);
    for (int i = 0; i < 8; i++) text[i] = (char)((size - 9) >> 8 * i);
    enum status status = read_safetensors((const unsigned char *)text, size, error);
    free(text);
    return status;
}

static enum status side_file(size_t n, struct error *error)
{
    unsigned char *bytes = spaces_after("{\"shape\":[2]}", 13, n);
    struct tensor_set *set = NULL;
    const char *path = path_in(test_folder, "x.f32");
    write_bytes(path, "12345678", 8);
    write_bytes(path_in(test_folder, "x.json"), bytes, n);
    free(bytes);
    enum status status = tensor_set_open(path, &set, error);
    tensor_set_free(set);
    return status;
}

/* --- Maps --------------------------------------------------------------------------------- */

static enum status read_map(char *text, struct error *error)
{
    struct names_map map = {0};
    const char *path = path_in(test_folder, "map.json");
    write_bytes(path, text, strlen(text));
    free(text);
    enum status status = names_map_read(path, &map, error);
    names_map_free(&map);
    return status;
}

static enum status map_stars(size_t n, struct error *error)
{
    return read_map(list_of("{\"", "*", n, "\": \"init_noise\"}"), error);
}

static enum status map_parts(size_t n, struct error *error)
{
    return read_map(list_of("{\"a\": [", "\"init_noise\"", n, "]}"), error);
}

/* --- Tokenizers and seeds ----------------------------------------------------------------- */

static enum status open_small(const char *file, const char *text, struct error *error)
{
    char *folder = small_folder();
    struct tokenizer *tokenizer = NULL;
    write_text(folder, file, text);
    enum status status = tokenizer_open(folder, &tokenizer, error);
    tokenizer_free(tokenizer);
    remove_folder(folder);
    return status;
}

/* Three have a role in the small tokenizer; the others are text. */
static enum status added_tokens(size_t n, struct error *error)
{
    char *text = malloc(n * 24 + 3);
    size_t used = 1;
    ck_assert_ptr_nonnull(text);
    text[0] = '{';
    for (size_t i = 3; i < n; i++) used += (size_t)sprintf(text + used, "\"<%zu>\":%zu,", i, 10 + i);
    memcpy(text + used - 1, "}", sizeof "}");
    enum status status = open_small("added_tokens.json", text, error);
    free(text);
    return status;
}

static enum status token_places(size_t n, struct error *error)
{
    char text[64];
    snprintf(text, sizeof text, "{\"model_max_length\": %zu}", n);
    return open_small("tokenizer_config.json", text, error);
}

static enum status seed_digits(size_t n, struct error *error)
{
    char *text = list_of("", "", n, "1"); /* n - 1 commas and a digit */
    uint32_t *words = NULL;
    size_t count = 0;
    for (size_t i = 0; i + 1 < n; i++) text[i] = '7';
    enum status status = seed_words(text, &words, &count, error);
    free(words);
    free(text);
    return status;
}

/* --- Recipes and cases -------------------------------------------------------------------- */

static enum status prompts(size_t n, struct error *error)
{
    return read_recipe_list("prompt", "\"a\"", n, error);
}

static enum status seeds(size_t n, struct error *error)
{
    return read_recipe_list("seed", "1", n, error);
}

static enum status run_steps(size_t n, struct error *error)
{
    enum status status = read_recipe_list("timesteps", "1", n, error);
    ck_assert_int_eq(status, read_recipe_number("num_inference_steps", n, error));
    return status;
}

static enum status picture_side(size_t n, struct error *error)
{
    return read_recipe_number("height", n, error);
}

static enum status sample_elements(size_t n, struct error *error)
{
    char text[256];
    struct sample_case sample_case;
    const char *path = path_in(test_folder, "case.json");
    int length = snprintf(text, sizeof text,
        "{\"scheduler\": {\"_class_name\": \"DDIMScheduler\"}, \"set_timesteps\": {}, \"shape\": [%zu]}", n);
    write_bytes(path, text, (size_t)length);
    enum status status = sample_case_read(path, &sample_case, error);
    if (status == STATUS_OK) sample_case_free(&sample_case);
    return status;
}

/* --- Schedules ---------------------------------------------------------------------------- */

static enum status make_schedule(const char *class_name, size_t trained, size_t steps, struct error *error)
{
    struct scheduler *scheduler = NULL;
    cJSON *config =
        parse_formatted("{\"_class_name\": \"%s\", \"num_train_timesteps\": %zu}", class_name, trained);
    const struct schedule_request request = {
        .has_num_inference_steps = true, .num_inference_steps = (int)steps};
    enum status status = scheduler_create(config, &scheduler, NULL, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &request, NULL, error);
    scheduler_free(scheduler);
    cJSON_Delete(config);
    return status;
}

static enum status training_timesteps(size_t n, struct error *error)
{
    return make_schedule("DDIMScheduler", n, 5, error);
}

static enum status schedule_steps(size_t n, struct error *error)
{
    return make_schedule("FlowMatchEulerDiscreteScheduler", 1000, n, error);
}

static enum status coefficient_steps(size_t n, struct error *error)
{
    struct schedule_table table = {0};
    cJSON *config = parse_formatted("{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\"}");
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = (int)n};
    enum status status = schedule_table_make_f32(config, &request, true, &table, NULL, error);
    schedule_table_free(&table);
    cJSON_Delete(config);
    return status;
}

/* --- Models ------------------------------------------------------------------------------- */

static enum status unet_levels(size_t n, struct error *error)
{
    struct unet_config config;
    char *down = list_of("{\"down_block_types\": [", "\"DownBlock2D\"", n, "],"), *up, *channels;
    up = list_of("\"up_block_types\": [", "\"UpBlock2D\"", n, "],");
    channels = list_of("\"block_out_channels\": [", "32", n, "]}");
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s", down, up, channels);
    free(down), free(up), free(channels);
    cJSON *json = NULL;
    ck_assert_int_eq(json_parse(text, strlen(text), "text", &json, NULL), STATUS_OK);
    enum status status = unet_config_read(json, &config, error);
    cJSON_Delete(json);
    return status;
}

static enum status unet_number(const char *format, size_t n, struct error *error)
{
    struct unet_config config;
    char text[64];
    snprintf(text, sizeof text, "{\"%s\": %zu}", format, n);
    cJSON *json = parse_formatted("%s", text);
    enum status status = unet_config_read(json, &config, error);
    cJSON_Delete(json);
    return status;
}

static enum status unet_layers(size_t n, struct error *error)
{
    return unet_number("layers_per_block", n, error);
}

static enum status unet_channels(size_t n, struct error *error)
{
    return unet_number("in_channels", n, error);
}

static enum status latent_channels(size_t n, struct error *error)
{
    struct vae_config config;
    cJSON *json = parse_formatted("{\"latent_channels\": %zu}", n);
    enum status status = vae_config_read(json, &config, error);
    cJSON_Delete(json);
    return status;
}

static enum status text_layers(size_t n, struct error *error)
{
    struct text_encoder_config config;
    cJSON *json = parse_formatted("{\"num_hidden_layers\": %zu}", n);
    enum status status = text_encoder_config_read(json, &config, error);
    cJSON_Delete(json);
    return status;
}

/* --- The tests ---------------------------------------------------------------------------- */

static const struct {
    const char *what, *shown; /* a row of the table in ref/README.md */
    size_t most;
    enum status (*take)(size_t n, struct error *error);
    const char *words; /* of the refusal */
} limits[] = {
    {"nesting of JSON", "64", 64, json_depth, "nested deeper than 64 levels"},
    {"bytes of a JSON file", "67,108,864", JSON_MAX_FILE, json_file, "larger than 67108864 bytes"},
    {"bytes of a safetensors header", "100,000,000", 100000000, safetensors_header,
        "expected at most 100000000, got 100000001"},
    {"tensors of a file or folder", "262,144", TENSOR_SET_MOST, tensor_count_of,
        "expected at most 262144 tensors"},
    {"sides of a tensor", "8", TENSOR_MAX_RANK, tensor_sides, "shape: expected at most 8"},
    {"bytes of a side file", "4,096", 4096, side_file, "expected at most 4096 bytes"},
    {"`*` in a pattern of a map", "9", NAMES_MAP_PIECES, map_stars, "9 '*'"},
    {"parts that a map cuts a tensor into", "8", NAMES_MAP_PARTS, map_parts, "expected a list of 1 to 8"},
    {"added tokens of a tokenizer", "4,096", 4096, added_tokens, "more than 4096 added tokens"},
    {"places of a tokenizer (`model_max_length`)", "65,536", 65536, token_places,
        "an integer from 2 to 65536"},
    {"digits of a seed", "4,300", SEED_MOST_DIGITS, seed_digits, "expected at most 4300 digits, got 4301"},
    {"prompts of a recipe", "1,024", 1024, prompts, "expected 1 to 1024 values, got 1025"},
    {"seeds of a recipe", "1,024", 1024, seeds, "expected 1 to 1024 values, got 1025"},
    {"steps of a run", "100,000", 100000, run_steps, "from 1 to 100000"},
    {"pixels of a picture's side", "65,536", 65536, picture_side, "an integer from 0 to 65536"},
    {"elements of a case's sample", "2,147,483,648", (size_t)1 << 31, sample_elements,
        "expected a positive size"},
    {"training timesteps of a scheduler", "1,000,000", MAX_TRAIN_TIMESTEPS, training_timesteps,
        "from 1 to 1000000"},
    {"steps of a schedule", "1,000,000", MAX_INFERENCE_STEPS, schedule_steps,
        "a count of steps up to 1000000"},
    {"steps of a schedule with `--coefficients`", "2,000", 2000, coefficient_steps, "for 1 to 2000 steps"},
    {"levels of a UNet or an autoencoder", "8", CONFIG_MAX_LEVELS, unet_levels, "a list of 1 to 8 integers"},
    {"layers of a level", "16", UNET_MAX_LAYERS, unet_layers, "an integer from 1 to 16"},
    {"channels", "65,536", CONFIG_MAX_SIDE, unet_channels, "an integer from 1 to 65536"},
    {"channels of the latents", "64", VAE_MAX_LATENT_CHANNELS, latent_channels, "an integer from 1 to 64"},
    {"layers of a text encoder", "256", TEXT_ENCODER_MAX_LAYERS, text_layers, "an integer from 1 to 256"},
};
enum { LIMITS = sizeof limits / sizeof *limits };

START_TEST(at_the_limit_and_above)
{
    struct error error = {""};
    enum status status = limits[_i].take(limits[_i].most, &error);
    ck_assert_msg(status == STATUS_OK, "%s, %zu: %s", limits[_i].what, limits[_i].most, error.message);
    status = limits[_i].take(limits[_i].most + 1, &error);
    ck_assert_msg(status != STATUS_OK, "%s: %zu are taken", limits[_i].what, limits[_i].most + 1);
    expect_error(status, STATUS_BAD_INPUT, &error, limits[_i].words, NULL);
}
END_TEST

START_TEST(the_readme_states_them)
{
    char *text = read_whole_text("ref/README.md");
    for (int i = 0; i < LIMITS; i++) {
        char row[160];
        snprintf(row, sizeof row, "| %s | %s |", limits[i].what, limits[i].shown);
        ck_assert_msg(strstr(text, row), "ref/README.md has no row \"%s\"", row);
    }
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *tests = tcase_create("limits");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, make_test_folder, drop_test_folder);
    tcase_add_loop_test(tests, at_the_limit_and_above, 0, LIMITS);
    tcase_add_test(tests, the_readme_states_them);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
