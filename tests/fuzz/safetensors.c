/*
 * A safetensors file: refused, or tensors that lie in it, which written once more are the same.
 */
#include "fuzz.h"

#include "ref/tensor_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_container(data, size, safetensors_read, safetensors_write);
    return 0;
}
