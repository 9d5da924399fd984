#include "their_dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct known_tensors known;
struct their_tensors theirs;
struct warnings warnings;
struct tensor_set *dump;

static void know(const char *name, int rank, const int64_t *shape)
{
    ck_assert_int_eq(known_tensors_add(&known, name, rank, shape, NULL), STATUS_OK);
}

void set_up_dump(void)
{
    make_test_folder();
    known = (struct known_tensors){0};
    for (int step = 0; step < 12; step++) {
        static const char *const keys[] = {"model_input", "noise_pred_uncond", "noise_pred_text", "latents"};
        for (size_t i = 0; i < 4; i++) {
            char name[64];
            snprintf(name, sizeof name, "step.%02d.%s", step, keys[i]);
            know(name, 4, (int64_t[]){1, 4, 6, 8});
        }
    }
    know("act.unet.conv_in", 4, (int64_t[]){2, 16, 6, 8});
    know("act.unet.mid_block.attentions.0", 4, (int64_t[]){2, 16, 3, 4});
    know("act.unet.mid_block.attentions.0.transformer_blocks.0", 3, (int64_t[]){2, 12, 16});
    know("step.01.act.unet.conv_in", 4, (int64_t[]){2, 16, 6, 8});
    know("prompt_embeds", 3, (int64_t[]){1, 77, 32});
    know("image_u8", 4, (int64_t[]){1, 12, 16, 3});
    know("somewhere", UNKNOWN_RANK, NULL);
    ck_assert_int_eq(known_tensors_add_keys(&known, 12, NULL), STATUS_OK);
    known_tensors_order(&known);
    dump = empty_set();
    warnings = (struct warnings){0};
}

void drop_dump(void)
{
    their_tensors_free(&theirs);
    known_tensors_free(&known);
    warnings_free(&warnings);
    tensor_set_free(dump);
    drop_test_folder();
}

void put_floats(const char *name, int rank, const int64_t *shape, float first)
{
    struct tensor tensor = {.dtype = DTYPE_F32, .rank = rank};
    memcpy(tensor.shape, shape, (size_t)rank * sizeof *shape);
    size_t count = tensor_count(&tensor);
    float *data = malloc((count + 1) * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (size_t i = 0; i < count; i++) data[i] = first + (float)i;
    tensor.data = data;
    add_tensor(dump, name, &tensor);
    free(data);
}

enum status open_dump(const char *map, bool channels_last, struct error *error)
{
    const char *path = path_in(test_folder, "dump.safetensors"), *names = path_in(test_folder, "names.json");
    write_set(dump, path);
    if (map) write_bytes(names, map, strlen(map));
    struct their_options options = {.map = map ? names : NULL, .channels_last = channels_last};
    return their_tensors_open(path, &options, &known, &theirs, &warnings, error);
}

void must_open(const char *map, bool channels_last)
{
    struct error error = {""};
    enum status status = open_dump(map, channels_last, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
}

const struct tensor *expect(const char *name, const char *their_name, const char *shape)
{
    char shown[128];
    const struct tensor *tensor = tensor_set_find(theirs.tensors, name);
    const struct their_record *record = their_tensors_record(&theirs, name);
    ck_assert_msg(tensor && record, "%s is not there", name);
    ck_assert_str_eq(record->their_name, their_name);
    ck_assert_str_eq(tensor_show_shape(tensor, shown, sizeof shown), shape);
    return tensor;
}

void expect_element(const struct tensor *tensor, size_t i, double value)
{
    ck_assert_double_eq(tensor_get_double(tensor, i), value);
}

void expect_change(const char *name, const char *words)
{
    const struct their_record *record = their_tensors_record(&theirs, name);
    if (words == NULL)
        ck_assert_msg(record->change == NULL, "%s: %s", name, record->change);
    else
        ck_assert_msg(record->change && strstr(record->change, words), "%s: expected \"%s\", got %s", name,
            words, record->change);
}

bool warned(const char *words)
{
    for (size_t i = 0; i < warnings.count; i++)
        if (strstr(warnings.items[i], words)) return true;
    return false;
}
