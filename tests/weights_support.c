#include "weights_support.h"

#include <stdlib.h>
#include <string.h>

const char *copy_model(const char *name)
{
    const char *path = path_in(test_folder, "%s", name);
    copy_folder(golden_path("models/%s", name), path);
    return path;
}

struct checkpoint open_checkpoint(const char *path)
{
    struct checkpoint checkpoint;
    struct error error = {""};
    enum status status = checkpoint_open(path, &checkpoint, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return checkpoint;
}

void change_file(const char *path, const char *name, enum change change, enum dtype dtype, uint64_t bits)
{
    struct tensor_set *old = open_set(path), *new = empty_set();
    need_tensor(old, "%s", name);
    for (size_t i = 0; i < tensor_set_count(old); i++) {
        struct tensor tensor = *tensor_set_at(old, i);
        const char *key = tensor_set_name(old, i);
        size_t bytes = tensor_bytes(&tensor);
        unsigned char *data = malloc(bytes + 1);
        ck_assert(data != NULL);
        memcpy(data, tensor.data, bytes);
        tensor.data = data;
        if (strcmp(key, name) == 0) {
            if (change == RESHAPE) tensor.shape[tensor.rank++] = 1;
            if (change == TRANSPOSE) {
                int64_t first = tensor.shape[0];
                tensor.shape[0] = tensor.shape[1];
                tensor.shape[1] = first;
            }
            if (change == RETYPE) tensor.dtype = dtype;
            size_t size = dtype_size(tensor.dtype);
            if (change == POISON) memcpy(data + (bytes > size ? bytes - 2 * size : 0), &bits, size);
            if (change == ADD) add_tensor(new, "surplus.weight", &tensor);
        }
        if (change != DROP || strcmp(key, name) != 0) add_tensor(new, key, &tensor);
        free(data);
    }
    write_set(new, path);
    tensor_set_free(new);
    tensor_set_free(old);
}
