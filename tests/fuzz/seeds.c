/*
 * Writes the corpus that the fuzzers start from (make fuzz-corpus): small files that are valid, made of
 * golden/, of configs/ and of tensors of every type.
 *
 *     seeds FOLDER      writes FOLDER/TARGET/NAME; files that are there are written anew
 */
#include "../numpy_support.h"

#include "ref/png_file.h"
#include "ref/tensor_files.h"
#include "ref/trace_journal.h"

#include <dirent.h>
#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *out_folder;

static void write_seed(const char *target, const char *name, const void *bytes, size_t size)
{
    const char *folder = path_in(out_folder, "%s", target);
    ck_assert_msg(mkdir(folder, 0777) == 0 || errno == EEXIST, "%s: %s", folder, strerror(errno));
    write_bytes(path_in(folder, "%s", name), bytes, size);
}

static void write_json(const char *target, const char *name, const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    ck_assert_ptr_nonnull(text);
    write_seed(target, name, text, strlen(text));
    cJSON_free(text);
}

/* Calls `take` with each file of the folder whose name ends so, and that name without the ending. */
static void each_file(
    const char *folder, const char *ending, void (*take)(const char *path, const char *name))
{
    DIR *entries = opendir(folder);
    ck_assert_msg(entries, "%s", folder);
    struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        const char *dot = strstr(entry->d_name, ending);
        if (!dot || strcmp(dot, ending) != 0) continue;
        char name[NAME_MAX + 1];
        snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
        take(path_in(folder, "%s", entry->d_name), name);
    }
    closedir(entries);
}

static cJSON *read_json(const char *path)
{
    cJSON *json = NULL;
    struct error error;
    ck_assert_msg(json_read_file(path, &json, &error) == STATUS_OK, "%s", error.message);
    return json;
}

/* --- JSON --------------------------------------------------------------------------------- */

/* What Plumb reads of a case, with a sample of few numbers; and the command's options for it. */
static void take_case(const char *path, const char *name)
{
    static const char *const keys[] = {
        "scheduler", "set_timesteps", "step_kwargs", "seed", "generator", "begin_index", "tables_only"};
    static const char *const formats[] = {"json", "csv", "table"};
    size_t number = 0; /* of the name, so that the order of a folder decides nothing */
    for (const char *c = name; *c; c++) number += (unsigned char)*c;
    cJSON *json = read_json(path), *kept = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(json, keys[i]);
        if (item && !cJSON_IsNull(item))
            cJSON_AddItemToObject(kept, keys[i], item);
        else
            cJSON_Delete(item);
    }
    cJSON_AddItemToObject(kept, "shape", cJSON_CreateIntArray((const int[]){2, 1, 1, 3}, 4));
    write_json("case", name, kept);
    cJSON *options = cJSON_AddObjectToObject(kept, "options");
    cJSON_AddNumberToObject(options, "steps", (double)(3 + number % 8));
    cJSON_AddStringToObject(options, "format", formats[number % 3]);
    if (number % 4 == 1) cJSON_AddTrueToObject(options, "coefficients");
    if (number % 4 == 2) cJSON_AddTrueToObject(options, "explain");
    if (number % 5 == 3) cJSON_AddStringToObject(options, "arithmetic", number % 2 ? "f64" : "both");
    write_json("schedule", name, kept);
    cJSON_Delete(kept);
    cJSON_Delete(json);
}

static void take_config(const char *path, const char *name)
{
    cJSON *json = read_json(path);
    write_json("config", name, json);
    cJSON_Delete(json);
}

/* The recipe, and its prompt for the small tokenizer: five empty files in front of it. */
static void take_recipe(const char *path, const char *name)
{
    cJSON *json = read_json(path);
    write_json("recipe", name, json);
    const char *prompt = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "prompt"));
    char input[1024] = "";
    if (prompt) {
        int length = snprintf(input + 5, sizeof input - 5, "%s", prompt);
        write_seed("tokenizer", name, input, (size_t)length + 5);
    }
    cJSON_Delete(json);
}

static void write_configs_of_models(void)
{
    static const char *const models[] = {"tiny-sd", "tiny-sdxl"};
    static const char *const parts[] = {"unet", "vae", "text_encoder"};
    for (size_t m = 0; m < 2; m++) {
        char name[64];
        snprintf(name, sizeof name, "%s_index", models[m]);
        take_config(golden_path("models/%s/model_index.json", models[m]), name);
        for (size_t p = 0; p < 3; p++) {
            snprintf(name, sizeof name, "%s_%s", models[m], parts[p]);
            take_config(golden_path("models/%s/%s/config.json", models[m], parts[p]), name);
        }
    }
    static const char shards[] = "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"conv_in.weight\":"
                                 "\"diffusion_pytorch_model-00001-of-00002.safetensors\",\"conv_in.bias\":"
                                 "\"diffusion_pytorch_model-00002-of-00002.safetensors\"}}";
    write_seed("config", "shards", shards, sizeof shards - 1);
}

static void write_recipe_and_maps(void)
{
    static const char recipe[] =
        "{\"name\":\"n\",\"prompt\":[\"a\",\"b\"],\"prompt_2\":[\"c\",\"d\"],\"negative_prompt\":\"\","
        "\"negative_prompt_2\":[\"e\",\"f\"],\"height\":64,\"width\":48,\"timesteps\":[999,500.5],"
        "\"num_inference_steps\":10,\"denoising_end\":0.8,\"guidance_scale\":1,\"guidance_rescale\":0.7,"
        "\"eta\":0.5,\"clip_skip\":2,\"num_images_per_prompt\":3,\"original_size\":[96,128],"
        "\"crops_coords_top_left\":[8,16],\"target_size\":[64,48],\"negative_target_size\":[2,2],"
        "\"seed\":[1,\"340282366920938463463374607431768211455\",\"0xfedc\"],\"generator\":\"torch-cpu\","
        "\"variant\":\"fp16\",\"latents\":\"l.npy\",\"scheduler\":{\"_class_name\":\"DDIMScheduler\"}}";
    static const char map[] =
        "{\"out_*\":[\"step.{1-1:02d}.noise_pred_uncond\",\"step.*.noise_pred_text\"],"
        "\"lat*\":{\"to\":\"step.*.latents\",\"layout\":\"nhwc\",\"reshape\":[1,2,-1,4]},"
        "\"u.*\":{\"to\":\"act.unet.*\",\"half\":\"uncond\",\"transpose\":[0,3,1,2]},"
        "\"t.*\":{\"to\":\"act.unet.*\",\"half\":\"text\",\"transpose\":[0,3,1,2]},"
        "\"*.x\":null,\"a*b*c\":[null,\"init_noise\"]}";
    static const char digits[] =
        "{\"in/it_*/x\":\"step.{1-7:02d}.latents\",\"{1}*\":\"step.*.noise\",\"*\":\"{1}\"}";
    static const char limits[] =
        "{\"*o*u*t*_****1*\":[\"{1}{2}{3}{4}{5}{6}{7}{8}{9}\",null,\"init_noise\",null,\"step.*.noise\",null,"
        "null,"
        "null],\"*\":{\"to\":\"act.*\",\"reshape\":[1,1,1,1,1,1,1,-1],\"transpose\":[7,6,5,4,3,2,1,0]}}";
    write_seed("map", "limits", limits, sizeof limits - 1);
    write_seed("recipe", "every_key", recipe, sizeof recipe - 1);
    write_seed("map", "every_kind", map, sizeof map - 1);
    write_seed("map", "digits", digits, sizeof digits - 1);
}

static void write_lists(void)
{
    static const char plain[] = "\0{\"prompt\":\"a\",\"name\":\"x\",\"checkpoint\":\"/sd\"}\n\n"
                                "{\"prompt\":[\"b\",\"c\"],\"seed\":[3,4],\"sigmas\":[14.6,3,0]}\n";
    static const char seeded[] = "1-3\0{\"prompt\":\"a\",\"name\":\"x\"}\n"
                                 "{\"recipe\":\"configs/recipes/karras_sigmas.json\",\"prompt\":\"b\"}";
    write_seed("list", "plain", plain, sizeof plain - 1);
    write_seed("list", "seeded", seeded, sizeof seeded - 1);
}

/* --- Tensors ------------------------------------------------------------------------------ */

static const double values[48] = {1, 2, 3, -4, 0.5, 6};

/* Tensors of every type, a scalar, an empty one, and metadata. */
static void write_safetensors(
    const char *target, const char *name, const char *const *names, int rank, size_t count)
{
    static const int64_t shape[TENSOR_MAX_RANK] = {1, 2, 3, 1, 1, 2, 1, 1};
    struct tensor_set *set = NULL;
    struct error error;
    ck_assert_int_eq(tensor_set_create(&set, &error), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        struct tensor tensor = {
            .dtype = (enum dtype)(i % DTYPES), .rank = rank, .data = (void *)(uintptr_t)values};
        memcpy(tensor.shape, shape, sizeof shape);
        char numbered[16];
        snprintf(numbered, sizeof numbered, "t.%zu", i);
        ck_assert_int_eq(tensor_set_add(set, names ? names[i] : numbered, &tensor, &error), STATUS_OK);
    }
    ck_assert_int_eq(tensor_set_put_metadata(set, "format", "pt", &error), STATUS_OK);
    char *bytes = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&bytes, &size);
    ck_assert(stream && safetensors_write(set, stream, &error) == STATUS_OK && fclose(stream) == 0);
    write_seed(target, name, bytes, size);
    free(bytes);
    tensor_set_free(set);
}

static void write_npy_and_npz(void)
{
    static const struct {
        const char *name, *dict;
        int version;
        size_t size;
    } arrays[] = {{"f8", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", 1, 48},
        {"f4_columns", "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2, 2), }", 2, 48},
        {"i8_scalar", "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", 3, 8},
        {"b1", "{'descr': '|b1', 'fortran_order': False, 'shape': (7,), }", 1, 7},
        {"f2_empty", "{'descr': '<f2', 'fortran_order': False, 'shape': (0, 9), }", 1, 0}};
    static struct zip zip;
    for (int how = 0; how < 8; how++) {
        char name[32];
        zip = (struct zip){.count = 0};
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
            struct buffer npy = make_npy(arrays[i].version, arrays[i].dict, values, arrays[i].size);
            if (how == 0) write_seed("npy", arrays[i].name, npy.bytes, npy.size);
            snprintf(name, sizeof name, "%s.npy", arrays[i].name);
            add_entry(&zip, name, &npy, how);
        }
        struct buffer archive = finish_zip(&zip, how % 2, how == 3 ? "a comment" : "");
        snprintf(name, sizeof name, "how_%d", how);
        write_seed("npz", name, archive.bytes, archive.size);
    }
}

static void write_noise(void)
{
    static const char *const draws[] = {"init_noise", "step.00.noise", "step.01.noise"};
    static const char *const by_count[] = {"noise.0", "arr_1", "noise.2"};
    static const char side[] = "{\"dtype\": \"F32\", \"shape\": [6]}";
    struct buffer raw = {.size = 0};
    const float numbers[6] = {1, -2, 0.5F, 0, 3, 1e-3F};
    put(&raw, side, sizeof side); /* with the zero behind it */
    put(&raw, numbers, sizeof numbers);
    write_seed("noise", "raw", raw.bytes, raw.size);
    write_safetensors("noise", "by_name", draws, 1, 3);
    write_safetensors("noise", "by_count", by_count, 4, 3);
    struct buffer npy =
        make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", numbers, sizeof numbers);
    write_seed("noise", "npy", npy.bytes, npy.size);
}

/* --- What runs leave ---------------------------------------------------------------------- */

static void add_step(struct trace *trace, int step)
{
    static const char *const names[] = {"model_input", "noise_pred", "latents"};
    struct error error;
    for (size_t i = 0; i < 3; i++) {
        const struct tensor tensor = {DTYPE_F32, 2, {1, (int64_t)i + 2}, (void *)(uintptr_t)values};
        ck_assert_int_eq(trace_add(trace, &tensor, &error, "step.%02d.%s", step, names[i]), STATUS_OK);
    }
}

/* After each of three steps; after the second the file has room for the third. */
static void write_journals(void)
{
    static const char asked[] = "{\"checkpoint\":\"/sd\",\"out\":\"o.png\",\"trace\":\"file\",\"noise_log\":"
                                "\"n.json\",\"trace_modules\":true,\"steps\":3,\"fingerprint\":{\"unet\":"
                                "\"0123456789abcdef\"}}";
    static const char *const metadata[][2] = {{"recipe", "{\"prompt\":\"a\",\"num_inference_steps\":3}"},
        {"precision", "f32"}, {"machine", "{\"gemm\":\"openblas\",\"blas_core\":\"Haswell\"}"}};
    const char *path = path_in(out_folder, "made" JOURNAL_ENDING);
    struct trace *trace = NULL;
    struct trace_journal *journal = NULL;
    struct error error;
    ck_assert_int_eq(trace_create(&trace, &error), STATUS_OK);
    for (size_t i = 0; i < sizeof metadata / sizeof *metadata; i++)
        ck_assert_int_eq(trace_put_metadata(trace, metadata[i][0], metadata[i][1], &error), STATUS_OK);
    ck_assert_int_eq(trace_journal_open(path, false, &journal, &error), STATUS_OK);
    for (int step = 0; step < 3; step++) {
        char name[16];
        size_t size;
        add_step(trace, step);
        ck_assert_int_eq(trace_journal_save(journal, trace, asked, (size_t)step + 1, 3, &error), STATUS_OK);
        unsigned char *bytes = read_bytes(path, &size);
        snprintf(name, sizeof name, "steps_%d", step + 1);
        write_seed("journal", name, bytes, size);
        free(bytes);
    }
    trace_journal_remove(journal);
    trace_journal_free(journal);
    trace_free(trace);
}

/* Of every kind that PNG has, and with texts. */
static void write_pictures(void)
{
    uint16_t numbers[48]; /* each byte is an index of the palette */
    for (unsigned i = 0; i < 48; i++) numbers[i] = (uint16_t)(i % 9 | (i * 5 % 9) << 8);
    const uint8_t *pixels = (const uint8_t *)numbers;
    static const struct {
        const char *name;
        png_uint_32 format;
    } kinds[] = {{"grey", PNG_FORMAT_GRAY}, {"grey_alpha", PNG_FORMAT_GA}, {"rgba", PNG_FORMAT_RGBA},
        {"palette", PNG_FORMAT_RGBA_COLORMAP}, {"rgb_16", PNG_FORMAT_LINEAR_RGB},
        {"rgba_16", PNG_FORMAT_LINEAR_RGB_ALPHA}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        png_image image = {.version = PNG_IMAGE_VERSION,
            .width = 3,
            .height = 2,
            .format = kinds[i].format,
            .colormap_entries = 9};
        uint8_t bytes[1024];
        png_alloc_size_t size = sizeof bytes;
        ck_assert_msg(png_image_write_to_memory(&image, bytes, &size, 0, pixels, 0, pixels), "%s: %s",
            kinds[i].name, image.message);
        write_seed("png", kinds[i].name, bytes, size);
    }
    char recipe[] = "recipe", text[] = "{\"prompt\": \"a\"}", author[] = "Author", name[] = "\xc3\xa9";
    const struct png_text texts[] = {{recipe, text}, {author, name}};
    const char *path = path_in(out_folder, "made.png");
    struct error error;
    size_t size;
    ck_assert_int_eq(png_write(path, pixels, 4, 2, texts, 2, &error), STATUS_OK);
    unsigned char *bytes = read_bytes(path, &size);
    write_seed("png", "texts", bytes, size);
    free(bytes);
    ck_assert_int_eq(remove(path), 0);
}

/* --- Tokenizers --------------------------------------------------------------------------- */

/* The tiny model's own files, and prompts for the small one that the target has. */
static void write_tokenizers(void)
{
    static const char *const files[] = {
        "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"};
    static const char *const prompts[] = {"abc ab!  <E>c<B>a'll",
        "\xc4\xb0stanbul \xea\xb0\x80\xcc\x81\xcc\xa7 9x\xe2\x80\xa8",
        "ab\xf0\x9f\x98\x80"
        "c'S!!1 abcabcabcabcabcabcabc"};
    char *input = malloc(1 << 16);
    size_t used = 0, size;
    ck_assert_ptr_nonnull(input);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unsigned char *bytes = read_bytes(golden_path("models/tiny-sd/tokenizer/%s", files[i]), &size);
        ck_assert_uint_lt(used + size + 64, 1 << 16);
        memcpy(input + used, bytes, size);
        used += size;
        input[used++] = '\0';
        free(bytes);
    }
    used += (size_t)sprintf(input + used, "%cA photo of a tower, 4k!", 0);
    write_seed("tokenizer", "tiny-sd", input, used);
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        char name[16], text[128] = "";
        snprintf(name, sizeof name, "prompt_%zu", i);
        int length = snprintf(text + 5, sizeof text - 5, "%s", prompts[i]);
        write_seed("tokenizer", name, text, (size_t)length + 5);
    }
    static const char added[] =
        "\0\0{\"model_max_length\":12,\"added_tokens_decoder\":{\"10\":{\"content\":\"<B>\",\"special\":true}"
        ","
        "\"11\":{\"content\":\"<E>\",\"special\":true},\"12\":{\"content\":\"!\",\"special\":true},"
        "\"13\":{\"content\":\"<cat>\",\"lstrip\":true,\"rstrip\":true,\"normalized\":false}}}\0\0\0a <cat> "
        "b";
    static const char old_added[] = "\0\0\0\0{\"<dog>\":13,\"<Cat>\":14}\0a <dog><cat> b";
    write_seed("tokenizer", "added", added, sizeof added - 1);
    write_seed("tokenizer", "old_added", old_added, sizeof old_added - 1);
    free(input);
}

START_TEST(corpus)
{
    each_file(golden_path("sched"), ".json", take_case);
    each_file("configs/schedulers", ".json", take_config);
    each_file("configs/architectures", ".json", take_config);
    each_file("configs/recipes", ".json", take_recipe);
    write_configs_of_models();
    write_recipe_and_maps();
    write_safetensors("safetensors", "every_type", NULL, 3, DTYPES);
    write_safetensors("safetensors", "scalars", NULL, 0, 3);
    write_safetensors("safetensors", "rank_8", NULL, 8, 2);
    write_safetensors("safetensors", "no_tensor", NULL, 0, 0);
    write_npy_and_npz();
    write_noise();
    write_journals();
    write_pictures();
    write_lists();
    write_tokenizers();
}
END_TEST

/* A suite of one, since what it shares with the tests asserts. */
int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: seeds FOLDER\n");
        return 2;
    }
    out_folder = argv[1];
    Suite *suite = suite_create("fuzz corpus");
    TCase *tests = tcase_create("seeds");
    tcase_add_test(tests, corpus);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
