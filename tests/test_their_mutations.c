/*
 * Dumps, side files and maps damaged at random: opening must say what is wrong and in which file, or give
 * tensors all of whose elements can be read, each with a record; run under the sanitizers this looks for
 * reads beyond a file and for leaks. The containers alone are damaged in test_tensor_mutations.c.
 *
 * The damage follows from the number of the attempt alone. PLUMB_MUTATIONS sets how many attempts there are
 * (1500); PLUMB_MUTATION_START the first.
 */
#include "mutation_support.h"
#include "numpy_support.h"

#include "ref/their_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct known_tensors known;

static void set_up(void)
{
    make_test_folder();
    known = (struct known_tensors){0};
    const int64_t latents[] = {1, 4, 2, 3}, module[] = {2, 4, 2, 3};
    for (int step = 0; step < 3; step++) {
        char name[32];
        snprintf(name, sizeof name, "step.%02d.latents", step);
        ck_assert_int_eq(known_tensors_add(&known, name, 4, latents, NULL), STATUS_OK);
    }
    ck_assert_int_eq(known_tensors_add(&known, "act.unet.conv_in", 4, module, NULL), STATUS_OK);
    ck_assert_int_eq(known_tensors_add_keys(&known, 3, NULL), STATUS_OK);
    known_tensors_order(&known);
}

static void tear_down(void)
{
    known_tensors_free(&known);
    drop_test_folder();
}

/* Every element of every tensor, so that a sanitizer sees each byte that a tensor claims. */
static void read_all(const struct their_tensors *theirs)
{
    struct warnings warnings = {0};
    ck_assert_uint_eq(tensor_set_count(theirs->tensors), theirs->count);
    for (size_t i = 0; i < theirs->count; i++) {
        const struct tensor *tensor = tensor_set_at(theirs->tensors, i);
        ck_assert_str_eq(theirs->records[i].name, tensor_set_name(theirs->tensors, i));
        ck_assert_ptr_nonnull(known_tensors_find(&known, theirs->records[i].name));
        for (size_t n = 0; n < tensor_count(tensor); n++) (void)tensor_get_double(tensor, n);
    }
    their_tensors_warn(theirs, 100, &warnings);
    warnings_free(&warnings);
}

/* Opens, and returns whether that went well; if not, the message must name the folder that all is in. */
static bool open_or_refuse(const char *path, const char *map, bool channels_last, uint64_t attempt)
{
    struct their_tensors theirs;
    struct warnings warnings = {0};
    struct error error = {""};
    struct their_options options = {map, channels_last};
    enum status status = their_tensors_open(path, &options, &known, &theirs, &warnings, &error);
    warnings_free(&warnings);
    if (status == STATUS_OK) {
        read_all(&theirs);
        their_tensors_free(&theirs);
        return true;
    }
    ck_assert_msg(status == STATUS_BAD_INPUT && strstr(error.message, test_folder),
        "attempt %llu: status %d: %s", (unsigned long long)attempt, (int)status, error.message);
    ck_assert(theirs.tensors == NULL && theirs.file == NULL);
    return false;
}

/* Some attempts must go either way, or nothing is tested. */
static void check_counts(const char *what, uint64_t count, uint64_t opened)
{
    ck_assert_msg(opened < count, "%s: all %llu attempts opened", what, (unsigned long long)count);
    ck_assert_msg(opened > 0 || count < 100, "%s: none opened", what);
    if (getenv("PLUMB_MUTATIONS"))
        fprintf(stderr, "%s: %llu attempts, %llu opened\n", what, (unsigned long long)count,
            (unsigned long long)opened);
}

static uint64_t attempts(void)
{
    return mutation_setting("PLUMB_MUTATIONS", 1500);
}

static uint64_t first_attempt(void)
{
    return mutation_setting("PLUMB_MUTATION_START", 0);
}

/* --- Maps --------------------------------------------------------------------------------- */

static const char good_map[] =
    "{\"out_*\": [\"step.{1-1:02d}.noise_pred_uncond\", \"step.*.noise_pred_text\"],"
    " \"lat*\": {\"to\": \"step.*.latents\", \"layout\": \"nhwc\", \"reshape\": [1, 2, -1, 4]},"
    " \"u.*\": {\"to\": \"act.unet.*\", \"half\": \"uncond\", \"transpose\": [0, 3, 1, 2]},"
    " \"t.*\": {\"to\": \"act.unet.*\", \"half\": \"text\", \"transpose\": [0, 3, 1, 2]},"
    " \"*.x\": null, \"a*b*c\": [null, \"init_noise\"]}";

static const char *write_dump(void)
{
    static const struct {
        const char *name;
        int rank;
        int64_t shape[4];
    } tensors[] = {{"out_1", 4, {2, 4, 2, 3}}, {"out_2", 4, {2, 4, 2, 3}}, {"lat0", 2, {6, 4}},
        {"u.conv_in", 4, {1, 2, 3, 4}}, {"t.conv_in", 4, {1, 2, 3, 4}}, {"t.other", 1, {3}},
        {"debug.x", 0, {0}}, {"abc", 4, {2, 4, 2, 3}}, {"step.1.latents", 3, {4, 2, 3}}, {"nobody", 1, {0}}};
    const char *path = path_in(test_folder, "dump.safetensors");
    float data[48];
    for (size_t i = 0; i < 48; i++) data[i] = (float)i;
    struct tensor_set *set = empty_set();
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        struct tensor tensor = {.dtype = DTYPE_F32, .rank = tensors[i].rank, .data = data};
        memcpy(tensor.shape, tensors[i].shape, sizeof tensors[i].shape);
        add_tensor(set, tensors[i].name, &tensor);
    }
    write_set(set, path);
    tensor_set_free(set);
    return path;
}

START_TEST(damaged_maps)
{
    const char *dump = write_dump(), *path = path_in(test_folder, "names.json");
    cJSON *map = cJSON_Parse(good_map);
    cJSON *donor =
        cJSON_Parse("{\"to\": [\"a.{1:02d}*\", null], \"transpose\": [3, 2, 1, 0], \"reshape\": [-1], "
                    "\"half\": \"text\", \"layout\": \"nchw\", \"*\": \"act.unet.*\"}");
    uint64_t opened = 0;
    write_bytes(path, good_map, strlen(good_map));
    ck_assert(open_or_refuse(dump, path, false, 0));
    for (uint64_t attempt = first_attempt(); attempt < first_attempt() + attempts(); attempt++) {
        uint64_t state = attempt;
        char *text = damaged_json(map, donor, &state);
        write_bytes(path, text, strlen(text));
        cJSON_free(text);
        opened += open_or_refuse(dump, path, attempt % 2, attempt);
    }
    check_counts("maps", attempts(), opened);
    cJSON_Delete(map);
    cJSON_Delete(donor);
}
END_TEST

/* --- Raw files ---------------------------------------------------------------------------- */

START_TEST(damaged_side_files)
{
    static const char *const endings[] = {"f32", "bin", "u8", "f64"};
    static const unsigned char zeros[512];
    const char *side = path_in(test_folder, "step.1.latents.json");
    cJSON *good = cJSON_Parse("{\"dtype\": \"F32\", \"shape\": [4, 2, 3]}");
    cJSON *donor = cJSON_Parse("{\"shape\": [96], \"dtype\": \"U8\", \"x\": {\"shape\": [0, 12]}}");
    uint64_t opened = 0;
    for (uint64_t attempt = first_attempt(); attempt < first_attempt() + attempts(); attempt++) {
        uint64_t state = attempt;
        /* Every other attempt the elements are whole: 24 floats. */
        const char *raw =
            path_in(test_folder, "step.1.latents.%s", endings[below(&state, 3) ? 0 : below(&state, 4)]);
        write_bytes(raw, zeros, below(&state, 2) ? 96 : below(&state, sizeof zeros));
        char *text = damaged_json(good, donor, &state);
        write_bytes(side, text, strlen(text));
        cJSON_free(text);
        opened += open_or_refuse(below(&state, 2) ? test_folder : raw, NULL, attempt % 2, attempt);
        unlink(raw);
    }
    check_counts("side files", attempts(), opened);
    cJSON_Delete(good);
    cJSON_Delete(donor);
}
END_TEST

/* --- Archives ----------------------------------------------------------------------------- */

/* Whole archives, so that more comes through than of damaged containers: names, shapes, types at random. */
START_TEST(strange_archives)
{
    static const char *const names[] = {"step.1.latents", "out_1", "out_2", "lat0", "u.conv_in", "t.conv_in",
        "abc", "..", "/", "x/../../y", "step.00000000000000000000000000000001.latents", "act.unet.conv_in",
        "a\tb", "*", "step.1.noise_pred_both", "Step/01/Latents", "f64.image", "{1}"};
    static const struct {
        const char *descr;
        size_t size;
    } types[] = {{"<f4", 4}, {"<f8", 8}, {"<f2", 2}, {"|u1", 1}, {"<i8", 8}, {"|b1", 1}};
    const char *map = path_in(test_folder, "names.json"), *path = path_in(test_folder, "dump.npz");
    uint64_t opened = 0;
    write_bytes(map, good_map, strlen(good_map));
    for (uint64_t attempt = first_attempt(); attempt < first_attempt() + attempts(); attempt++) {
        static struct zip zip;
        static const unsigned char data[512] = {1, 2, 3, 4, 5};
        uint64_t state = attempt;
        zip = (struct zip){.count = 0};
        for (size_t n = 1 + below(&state, 5); n > 0; n--) {
            char dict[128], shape[64] = "", name[96];
            size_t type = below(&state, 6), bytes = types[type].size;
            for (size_t rank = below(&state, 5); rank > 0; rank--) {
                size_t side = 1 + below(&state, 4);
                snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%zu,", side);
                bytes *= side;
            }
            if (bytes > sizeof data) continue;
            snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }",
                types[type].descr, below(&state, 2) ? "True" : "False", shape);
            snprintf(name, sizeof name, "%s.npy", names[below(&state, sizeof names / sizeof *names)]);
            struct buffer npy = make_npy(1, dict, data, bytes);
            if (zip.file.size + npy.size + 256 > sizeof zip.file.bytes) break;
            add_entry(&zip, name, &npy, (int)below(&state, 2) * DEFLATE);
        }
        struct buffer archive = finish_zip(&zip, false, "");
        write_bytes(path, archive.bytes, archive.size);
        opened += open_or_refuse(path, below(&state, 2) ? map : NULL, attempt % 2, attempt);
    }
    check_counts("archives", attempts(), opened);
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damaged dumps");
    TCase *cases = tcase_create("mutations");
    tcase_set_timeout(cases, 0);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, damaged_maps);
    tcase_add_test(cases, damaged_side_files);
    tcase_add_test(cases, strange_archives);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
