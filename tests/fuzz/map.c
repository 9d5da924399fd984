/*
 * A file of --map, applied to the names and tensors of a small dump: refused, or every tensor that it makes
 * is one of a run, with all of its elements there.
 */
#include "fuzz.h"

#include "ref/their_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct known_tensors known;
static char dump[640];

static void make_known(void)
{
    const int64_t latents[] = {1, 4, 2, 3}, module[] = {2, 4, 2, 3};
    struct error error = {""};
    enum status status = STATUS_OK;
    for (int step = 0; step < 3 && status == STATUS_OK; step++) {
        char name[32];
        snprintf(name, sizeof name, "step.%02d.latents", step);
        status = known_tensors_add(&known, name, 4, latents, &error);
    }
    if (status == STATUS_OK) status = known_tensors_add(&known, "act.unet.conv_in", 4, module, &error);
    if (status == STATUS_OK) status = known_tensors_add_keys(&known, 3, &error);
    fuzz_require(status == STATUS_OK, "%s", error.message);
    known_tensors_order(&known);
}

static void make_dump(void)
{
    static const struct {
        const char *name;
        int rank;
        int64_t shape[TENSOR_MAX_RANK];
    } tensors[] = {{"out_1", 4, {2, 4, 2, 3}}, {"out_2", 4, {2, 4, 2, 3}}, {"lat0", 2, {6, 4}},
        {"u.conv_in", 4, {1, 2, 3, 4}}, {"t.conv_in", 4, {1, 2, 3, 4}}, {"t.other", 1, {3}},
        {"debug.x", 0, {0}}, {"abc", 4, {2, 4, 2, 3}}, {"step.1.latents", 3, {4, 2, 3}}, {"nobody", 1, {0}},
        {"in/it_007/x", 8, {1, 1, 2, 1, 4, 1, 3, 1}}, {"{1}*[2]", 1, {24}}};
    float values[48];
    struct tensor_set *set;
    struct error error = {""};
    fuzz_require(tensor_set_create(&set, &error) == STATUS_OK, "%s", error.message);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) values[i] = (float)i;
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        struct tensor tensor = {.dtype = DTYPE_F32, .rank = tensors[i].rank, .data = values};
        memcpy(tensor.shape, tensors[i].shape, sizeof tensor.shape);
        fuzz_require(tensor_set_add(set, tensors[i].name, &tensor, &error) == STATUS_OK, "%s", error.message);
    }
    snprintf(dump, sizeof dump, "%s/dump.safetensors", fuzz_folder());
    fuzz_require(tensor_set_write(set, dump, &error) == STATUS_OK, "%s", error.message);
    tensor_set_free(set);
}

static void open_with(const char *map, bool channels_last)
{
    struct their_tensors theirs;
    struct warnings warnings = {0};
    struct error error = {""};
    const struct their_options options = {map, channels_last};
    enum status status = their_tensors_open(dump, &options, &known, &theirs, &warnings, &error);
    warnings_free(&warnings);
    if (!fuzz_accepted(status, &error)) return;
    fuzz_require(tensor_set_count(theirs.tensors) == theirs.count, "a tensor without a record");
    for (size_t i = 0; i < theirs.count; i++)
        fuzz_require(known_tensors_find(&known, theirs.records[i].name), "%s is no tensor of a run",
            theirs.records[i].name);
    fuzz_read_all(theirs.tensors);
    their_tensors_warn(&theirs, 100, &warnings);
    warnings_free(&warnings);
    their_tensors_free(&theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!known.count) make_known();
    if (!dump[0]) make_dump();
    const char *map = fuzz_file("map.json", data, size);
    open_with(map, false);
    open_with(map, true);
    return 0;
}
