/*
 * A tokenizer of CLIP's form with a vocabulary of its own: the 256 byte symbols, the same at a word's end,
 * merges, and the two special tokens (tokenizer_vocabulary.h says what these are).
 *
 * The merges count through all pairs of letters, then all triples, each first inside a word and then at its
 * end, then groups of four, until the vocabulary is full; letters count in the order of their frequency in
 * English. A group is joined from its first half, which is a piece already, and its second:
 *
 *     e e   e t   e a ...   e e</w> ...   ee e   ee t ...   ee e</w> ...   ee ee   ee et ...
 */
#include "synth.h"

#include "output_file.h"
#include "tokenizer_vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define BEGIN "<|startoftext|>"
#define END "<|endoftext|>"

static const char LETTERS[] = "etaoinshrdlcumwfgypbvkjxqz";
enum { LETTER_COUNT = sizeof LETTERS - 1 };

static const struct {
    int letters;
    bool ends_word;
} GROUPS[] = {{2, false}, {2, true}, {3, false}, {3, true}, {4, false}};
enum { GROUP_COUNT = sizeof GROUPS / sizeof *GROUPS };

/* The two pieces of merge `rank`, which is below VOCABULARY_MAX_MERGES: there are that many. */
static void merge_at(size_t rank, char left[8], char right[8])
{
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        int letters = GROUPS[g].letters, half = (letters + 1) / 2;
        size_t members = 1;
        for (int i = 0; i < letters; i++) members *= LETTER_COUNT;
        if (rank >= members) {
            rank -= members;
            continue;
        }
        char group[5] = "";
        for (int i = letters - 1; i >= 0; i--, rank /= LETTER_COUNT) group[i] = LETTERS[rank % LETTER_COUNT];
        snprintf(left, 8, "%.*s", half, group);
        snprintf(right, 8, "%s%s", group + half, GROUPS[g].ends_word ? VOCABULARY_END_OF_WORD : "");
        return;
    }
}

/* A piece and its id, in JSON's quotes. No piece holds a control character. */
static void write_piece(FILE *out, const char *piece, const char *ending, size_t id)
{
    fprintf(out, id > 0 ? ", \"" : "{\"");
    for (; *piece; piece++) {
        if (*piece == '"' || *piece == '\\') fputc('\\', out);
        fputc(*piece, out);
    }
    fprintf(out, "%s\": %zu", ending, id);
}

static void write_vocabulary(FILE *out, size_t size)
{
    size_t id = 0, merges = size - SYNTH_SMALLEST_VOCABULARY;
    for (int ends_word = 0; ends_word < 2; ends_word++) {
        for (int32_t symbol = 0; symbol <= VOCABULARY_LAST_SYMBOL; symbol++) {
            if (vocabulary_byte_of_symbol(symbol) < 0) continue;
            char piece[5] = "";
            utf8proc_encode_char(symbol, (utf8proc_uint8_t *)piece);
            write_piece(out, piece, ends_word ? VOCABULARY_END_OF_WORD : "", id++);
        }
    }
    for (size_t rank = 0; rank < merges; rank++) {
        char left[8], right[8];
        merge_at(rank, left, right);
        write_piece(out, left, right, id++);
    }
    write_piece(out, BEGIN, "", id++);
    write_piece(out, END, "", id);
    fputs("}\n", out);
}

static void write_merges(FILE *out, size_t size)
{
    fputs("#version: 0.2\n", out);
    for (size_t rank = 0; rank < size - SYNTH_SMALLEST_VOCABULARY; rank++) {
        char left[8], right[8];
        merge_at(rank, left, right);
        fprintf(out, "%s %s\n", left, right);
    }
}

static enum status write_text(const char *folder, const char *name, void (*write)(FILE *out, size_t size),
    size_t size, struct error *error)
{
    struct output_file file;
    char *path = synth_path(folder, name);
    if (!path) return error_memory(error, strlen(folder));
    enum status status = output_file_open(&file, path, error);
    free(path);
    if (status != STATUS_OK) return status;
    write(file.stream, size);
    return output_file_commit(&file, error);
}

/* Adds a special token as the published files write it: an object, with a note of its Python type in
 * tokenizer_config.json. */
static bool add_token(cJSON *object, const char *key, const char *content, bool with_type)
{
    cJSON *token = cJSON_AddObjectToObject(object, key);
    return token && (!with_type || cJSON_AddStringToObject(token, "__type", "AddedToken")) &&
           cJSON_AddStringToObject(token, "content", content) && cJSON_AddFalseToObject(token, "lstrip") &&
           cJSON_AddTrueToObject(token, "normalized") && cJSON_AddFalseToObject(token, "rstrip") &&
           cJSON_AddFalseToObject(token, "single_word");
}

static bool add_tokens(cJSON *object, const char *pad_token, bool with_type)
{
    return add_token(object, "bos_token", BEGIN, with_type) &&
           add_token(object, "eos_token", END, with_type) && add_token(object, "unk_token", END, with_type) &&
           cJSON_AddStringToObject(object, "pad_token", pad_token);
}

static bool add_settings(cJSON *object)
{
    return cJSON_AddStringToObject(object, "tokenizer_class", "CLIPTokenizer") &&
           cJSON_AddNumberToObject(object, "model_max_length", 77) &&
           cJSON_AddTrueToObject(object, "do_lower_case") &&
           cJSON_AddFalseToObject(object, "add_prefix_space") &&
           cJSON_AddStringToObject(object, "errors", "replace");
}

enum status synth_tokenizer(const char *folder, size_t size, const char *pad_token, struct error *error)
{
    cJSON *map = cJSON_CreateObject(), *config = cJSON_CreateObject();
    enum status status = STATUS_OK;
    if (size < SYNTH_SMALLEST_VOCABULARY || size - SYNTH_SMALLEST_VOCABULARY > VOCABULARY_MAX_MERGES)
        status = error_input(error, "vocab_size: expected %d to %d, got %zu", SYNTH_SMALLEST_VOCABULARY,
            SYNTH_SMALLEST_VOCABULARY + VOCABULARY_MAX_MERGES, size);
    else if (!add_tokens(map, pad_token, false) || !add_settings(config) ||
             !add_tokens(config, pad_token, true))
        status = error_machine(error, "out of memory");
    if (status == STATUS_OK) status = write_text(folder, "vocab.json", write_vocabulary, size, error);
    if (status == STATUS_OK) status = write_text(folder, "merges.txt", write_merges, size, error);
    if (status == STATUS_OK) status = synth_json(folder, "special_tokens_map.json", map, error);
    if (status == STATUS_OK) status = synth_json(folder, "tokenizer_config.json", config, error);
    cJSON_Delete(map);
    cJSON_Delete(config);
    return status;
}
