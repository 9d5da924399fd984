/*
 * plumb hash: one number for the tensors of a file, which nothing but their bits changes.
 *
 * The number is the SHA-256 of, tensor by tensor in the order of their names' bytes,
 *
 *     NAME DTYPE [SIDE, SIDE ...]\n   as `plumb inspect --tensors` shows them, then the elements, row by row,
 *                                     little-endian
 *
 * so it is the same for a .safetensors, an .npz and a folder of .npy, and metadata (which name the machine)
 * do not count. In Python: h.update(f"{name} {dtype} {shape}\n".encode()); h.update(array.tobytes()).
 */
#include "cli.h"
#include "sha256.h"
#include "tensor_set.h"

#include <stdlib.h>
#include <string.h>

static const char description[] =
    "One number for the tensors of a file, which nothing but their bits changes: the SHA-256 of their names, "
    "types, "
    "shapes and elements, in the order of the names. Metadata do not count, nor the container: two runs of "
    "one "
    "recipe have the same number where all their tensors are the same, whatever machine they name.\n"
    "\n"
    "Each line is the number, two spaces and the file. With several files, exit status 1 where they differ.";
static const char examples[] = "  plumb hash run.safetensors\n"
                               "  plumb hash one-thread.safetensors eight-threads.npz\n"
                               "  plumb hash run.safetensors --tensors | grep step.00";

static void add_tensor(struct sha256 *hash, const char *name, const struct tensor *tensor)
{
    char shape[256];
    sha256_add(hash, name, strlen(name));
    sha256_add(hash, " ", 1);
    sha256_add(hash, dtype_name(tensor->dtype), strlen(dtype_name(tensor->dtype)));
    sha256_add(hash, " ", 1);
    tensor_show_shape(tensor, shape, sizeof shape);
    sha256_add(hash, shape, strlen(shape));
    sha256_add(hash, "\n", 1);
    sha256_add(hash, tensor->data, tensor_bytes(tensor));
}

/* The number of the whole file; with `out` a line for each tensor, its own number and its name. */
static enum status hash_file(const char *path, FILE *out, char digits[65], struct error *error)
{
    struct tensor_set *set = NULL;
    enum status status = tensor_set_open(path, &set, error);
    if (status != STATUS_OK) return status;
    struct sha256 whole, alone;
    sha256_begin(&whole);
    for (size_t i = 0; i < tensor_set_count(set); i++) {
        add_tensor(&whole, tensor_set_name(set, i), tensor_set_at(set, i));
        if (!out) continue;
        sha256_begin(&alone);
        add_tensor(&alone, tensor_set_name(set, i), tensor_set_at(set, i));
        fprintf(out, "%s  %s:%s\n", sha256_end(&alone, digits), path, tensor_set_name(set, i));
    }
    sha256_end(&whole, digits);
    tensor_set_free(set);
    return STATUS_OK;
}

enum status command_hash(struct invocation *invocation)
{
    bool tensors = false;
    const struct cli_option options[] = {{.name = "tensors",
        .kind = CLI_FLAG,
        .value = &tensors,
        .help = "also a line for each tensor: its own number, the file and its name"}};
    const struct cli_usage usage = {
        "F... [options]", description, examples, options, sizeof options / sizeof *options, 1, 1024};
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) return status;
    char first[65] = "", digits[65];
    bool differ = false;
    for (size_t i = 0; i < invocation->positional_count && status == STATUS_OK; i++) {
        const char *path = invocation->positionals[i];
        status = hash_file(path, tensors ? invocation->out : NULL, digits, &invocation->error);
        if (status != STATUS_OK) break;
        fprintf(invocation->out, "%s  %s\n", digits, path);
        if (i == 0) memcpy(first, digits, sizeof first);
        differ = differ || strcmp(first, digits) != 0;
    }
    return status == STATUS_OK && differ ? STATUS_DISAGREE : status;
}
