#include "small_tokenizer.h"
#include "support.h"

#include <string.h>

struct tokenizer *open_tokenizer(const char *folder)
{
    struct tokenizer *tokenizer = NULL;
    struct error error = {""};
    enum status status = tokenizer_open(folder, &tokenizer, &error);
    ck_assert_msg(status == STATUS_OK, "%s", error.message);
    return tokenizer;
}

void write_text(const char *folder, const char *name, const char *text)
{
    write_bytes(path_in(folder, "%s", name), text, strlen(text));
}

/* A vocabulary of a few letters: enough for every rule, small enough to read. "x" and most bytes are
 * missing. */
#define SMALL_VOCAB                                                                                          \
    "{\"a\": 0, \"b\": 1, \"c\": 2, \"a</w>\": 3, \"b</w>\": 4, \"c</w>\": 5, \"ab\": 6, \"bc</w>\": 7, "    \
    "\"abc</w>\": 8, \"!</w>\": 9, \"<B>\": 10, \"<E>\": 11, \"!\": 12}"
#define SMALL_MERGES "#version: 0.2\nb c</w>\na b\na bc</w>\n"
#define SMALL_MAP                                                                                            \
    "{\"bos_token\": \"<B>\", \"eos_token\": \"<E>\", \"unk_token\": \"<E>\", \"pad_token\": \"!\"}"
#define SMALL_CONFIG                                                                                         \
    "{\"model_max_length\": 8, \"tokenizer_class\": \"CLIPTokenizer\", \"do_lower_case\": true}"

char *small_folder(void)
{
    char *folder = temporary_folder();
    write_text(folder, "vocab.json", SMALL_VOCAB);
    write_text(folder, "merges.txt", SMALL_MERGES);
    write_text(folder, "special_tokens_map.json", SMALL_MAP);
    write_text(folder, "tokenizer_config.json", SMALL_CONFIG);
    return folder;
}

uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}
