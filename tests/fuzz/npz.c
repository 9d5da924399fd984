/*
 * A .npz archive, its entries stored or deflated: refused, or tensors that, written once more, are the same.
 */
#include "fuzz.h"

#include "ref/tensor_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_container(data, size, npz_read, npz_write);
    return 0;
}
