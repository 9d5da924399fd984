/*
 * A tokenizer's folder and a prompt. The input is vocab.json, merges.txt, tokenizer_config.json,
 * special_tokens_map.json, added_tokens.json and the prompt, with zero bytes between them; where one of the
 * first four is empty the one of a small tokenizer stands, and an empty fifth is left out. Refused, or as
 * many ids as the tokenizer says, each of a token that there is.
 */
#include "fuzz.h"

#include "ref/tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *otherwise;
} files[] = {
    {"vocab.json", "{\"a\": 0, \"b\": 1, \"c\": 2, \"a</w>\": 3, \"b</w>\": 4, \"c</w>\": 5, \"ab\": 6, "
                   "\"bc</w>\": 7, \"abc</w>\": 8, \"!</w>\": 9, \"<B>\": 10, \"<E>\": 11, \"!\": 12}"},
    {"merges.txt", "#version: 0.2\nb c</w>\na b\na bc</w>\n"},
    {"tokenizer_config.json",
        "{\"model_max_length\": 8, \"tokenizer_class\": \"CLIPTokenizer\", \"do_lower_case\": true}"},
    {"special_tokens_map.json", "{\"bos_token\": \"<B>\", \"eos_token\": \"<E>\", \"unk_token\": \"<E>\", "
                                "\"pad_token\": \"!\"}"},
    {"added_tokens.json", NULL},
};
enum { FILES = sizeof files / sizeof *files };

static void check_ids(const struct tokenizer *tokenizer, const int64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fuzz_require(ids[i] >= 0 && ids[i] < tokenizer_vocabulary_size(tokenizer),
            "id %zu is %" PRId64 " of %" PRId64, i, ids[i], tokenizer_vocabulary_size(tokenizer));
}

static void encode(const struct tokenizer *tokenizer, const char *prompt)
{
    struct warnings warnings = {0};
    struct error error = {""};
    size_t length = tokenizer_length(tokenizer), count = 0;
    int64_t *ids = malloc(length * sizeof *ids), *all = NULL;
    fuzz_require(ids && length >= 2, "%zu ids", length);
    if (fuzz_accepted(tokenizer_encode(tokenizer, prompt, ids, &warnings, &error), &error))
        check_ids(tokenizer, ids, length);
    if (fuzz_accepted(tokenizer_encode_all(tokenizer, prompt, &all, &count, &error), &error)) {
        fuzz_require(count >= 2 && all[0] == ids[0], "%zu ids in all", count);
        check_ids(tokenizer, all, count);
        fuzz_require(memcmp(all, ids, (count < length ? count : length - 1) * sizeof *ids) == 0,
            "the ids that are kept are others");
    }
    free(all);
    free(ids);
    warnings_free(&warnings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int i = 0; i < FILES; i++) {
        char *piece = fuzz_piece(&data, &size);
        const char *text = *piece ? piece : files[i].otherwise;
        if (text)
            fuzz_file(files[i].name, text, strlen(text));
        else
            fuzz_remove_file(files[i].name);
        free(piece);
    }
    struct tokenizer *tokenizer = NULL;
    struct error error = {""};
    char *prompt = fuzz_piece(&data, &size);
    if (fuzz_accepted(tokenizer_open(fuzz_folder(), &tokenizer, &error), &error)) {
        encode(tokenizer, prompt);
        tokenizer_free(tokenizer);
    }
    free(prompt);
    return 0;
}
