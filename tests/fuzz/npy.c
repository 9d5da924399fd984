/*
 * A .npy file of any version: refused, or a tensor that, written once more, is the same.
 */
#include "fuzz.h"

#include "ref/tensor_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_written(const struct tensor *tensor)
{
    char *bytes = NULL;
    size_t size = 0;
    struct error error = {""};
    struct tensor again;
    void *owned = NULL;
    FILE *stream = open_memstream(&bytes, &size);
    fuzz_require(stream, "out of memory");
    enum status status = npy_write(tensor, stream, &error);
    fuzz_require(fclose(stream) == 0 && status == STATUS_OK, "cannot be written: %s", error.message);
    status = npy_read((struct bytes){(unsigned char *)bytes, size}, &again, &owned, &error);
    fuzz_require(status == STATUS_OK, "what was written is refused: %s", error.message);
    fuzz_require(again.dtype == tensor->dtype && tensor_same_shape(&again, tensor) &&
                     (tensor_bytes(tensor) == 0 || !memcmp(again.data, tensor->data, tensor_bytes(tensor))),
        "what was written is something else");
    free(owned);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tensor tensor;
    void *owned = NULL;
    struct error error = {""};
    enum status status = npy_read((struct bytes){data, size}, &tensor, &owned, &error);
    if (!fuzz_accepted(status, &error)) {
        fuzz_require(!owned, "memory is left behind");
        return 0;
    }
    for (size_t i = 0; i < tensor_count(&tensor); i++) {
        (void)tensor_get_double(&tensor, i);
        (void)tensor_get_int(&tensor, i);
    }
    check_written(&tensor);
    free(owned);
    return 0;
}
