/*
 * A .npz archive, its entries stored or deflated: refused, or tensors that, written once more, are the same.
 */
#include "fuzz.h"

#include "ref/tensor_files.h"

#include <stdio.h>
#include <stdlib.h>

static void check_written(const struct tensor_set *set)
{
    char *bytes = NULL;
    size_t size = 0;
    struct error error = {""};
    FILE *stream = open_memstream(&bytes, &size);
    fuzz_require(stream, "out of memory");
    enum status status = npz_write(set, stream, &error);
    fuzz_require(fclose(stream) == 0, "out of memory");
    if (!fuzz_accepted(status, &error)) { /* a name too long for an entry */
        free(bytes);
        return;
    }
    struct tensor_set *again;
    fuzz_require(tensor_set_create(&again, &error) == STATUS_OK, "%s", error.message);
    status = npz_read(again, (struct bytes){(unsigned char *)bytes, size}, &error);
    if (status == STATUS_OK) status = tensor_set_order(again, &error);
    fuzz_require(status == STATUS_OK, "what was written is refused: %s", error.message);
    fuzz_require(fuzz_same_sets(set, again), "what was written is something else");
    tensor_set_free(again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor_set *set;
    struct error error = {""};
    if (tensor_set_create(&set, &error) != STATUS_OK) return 0;
    enum status status = npz_read(set, (struct bytes){data, size}, &error);
    if (status == STATUS_OK) status = tensor_set_order(set, &error);
    if (fuzz_accepted(status, &error)) {
        fuzz_read_all(set);
        check_written(set);
    }
    tensor_set_free(set);
    return 0;
}
