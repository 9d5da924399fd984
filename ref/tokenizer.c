/*
 * From a prompt to ids:
 *
 *   1. tokens that are looked for as they stand ("!" where it pads) are taken out of the text;
 *   2. what is left is normalised (tokenizer_text.h), and tokens that are looked for in normalised text
 *      ("<|endoftext|>") are taken out of it;
 *   3. what is left is split into words, and each word into pieces of the vocabulary (tokenizer_bpe.h);
 *   4. begin and end are put around the ids; the first 75 stay; the rest is padding.
 */
#include "tokenizer.h"
#include "paths.h"
#include "sched/json.h"
#include "tokenizer_added.h"
#include "tokenizer_bpe.h"
#include "tokenizer_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CLIP's context, where tokenizer_config.json does not say. */
#define DEFAULT_LENGTH 77
/* Far above any text encoder's positions; transformers writes 1e30 for "no limit", which cannot be padded
 * to. */
#define MAX_LENGTH 65536
/* How much of a cut prompt a warning quotes, in bytes. */
#define QUOTED 400

struct tokenizer {
    struct vocabulary vocabulary;
    struct added_tokens added;
    size_t length;
};

/* --- tokenizer_config.json ---------------------------------------------------------------- */

/* A boolean option of which only one value is implemented (absent means that one). */
static enum status need_bool(const cJSON *config, const char *key, bool needed, struct error *error)
{
    bool value = needed;
    enum status status = json_get_bool(config, key, &value, NULL, error);
    if (status == STATUS_OK && value != needed)
        status = error_input(error, "%s: %s is not implemented, expected %s", key, value ? "true" : "false",
            needed ? "true" : "false");
    return status;
}

static enum status need_string(
    const cJSON *config, const char *key, const char *needed, const char *also, struct error *error)
{
    const char *value = needed;
    enum status status = json_get_string(config, key, &value, NULL, error);
    if (status == STATUS_OK && strcmp(value, needed) != 0 && strcmp(value, also) != 0)
        status = error_input(error, "%s: \"%.60s\" is not implemented, expected \"%s\"", key, value, needed);
    return status;
}

/* The keys that change what encode gives. The others concern decoding or say where the files came from. */
static enum status read_config(const cJSON *config, struct tokenizer *tokenizer, struct error *error)
{
    if (!cJSON_IsObject(config)) return error_input(error, "expected an object");
    int64_t length = DEFAULT_LENGTH;
    enum status status = need_string(config, "tokenizer_class", "CLIPTokenizer", "CLIPTokenizerFast", error);
    if (status == STATUS_OK) status = need_bool(config, "do_lower_case", true, error);
    if (status == STATUS_OK) status = need_bool(config, "add_prefix_space", false, error);
    if (status == STATUS_OK) status = need_bool(config, "split_special_tokens", false, error);
    if (status == STATUS_OK) status = need_string(config, "padding_side", "right", "right", error);
    if (status == STATUS_OK) status = need_string(config, "truncation_side", "right", "right", error);
    if (status == STATUS_OK)
        status = json_get_int(config, "model_max_length", 2, MAX_LENGTH, &length, NULL, error);
    const cJSON *extra = cJSON_GetObjectItemCaseSensitive(config, "extra_special_tokens");
    if (status == STATUS_OK && cJSON_GetArraySize(extra) > 0)
        status = error_input(error, "extra_special_tokens: not implemented, expected none");
    tokenizer->length = (size_t)length;
    return status;
}

static char *path_in(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", folder, name);
    return path;
}

enum status tokenizer_open(const char *folder, struct tokenizer **out, struct error *error)
{
    *out = NULL;
    char *vocab_path = path_in(folder, "vocab.json");
    char *merges_path = path_in(folder, "merges.txt");
    char *config_path = path_in(folder, "tokenizer_config.json"), *fast_path = NULL;
    cJSON *config = NULL;
    enum status status = STATUS_OK;
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (!tokenizer || !vocab_path || !merges_path || !config_path) {
        status = error_memory(error, sizeof *tokenizer);
        goto done;
    }
    tokenizer->length = DEFAULT_LENGTH;
    bool there;
    status = path_look(config_path, &there, error);
    if (status == STATUS_OK && there) {
        status = json_read_file(config_path, &config, error);
        if (status == STATUS_OK)
            status = error_prefix(error, read_config(config, tokenizer, error), "%s: ", config_path);
    }
    if (status != STATUS_OK) goto done;
    fast_path = path_in(folder, "tokenizer.json");
    if (access(vocab_path, F_OK) != 0 && fast_path && access(fast_path, F_OK) == 0) {
        status = error_input(error,
            "%s: cannot be read: there is only tokenizer.json, the fast tokenizer's; CLIPTokenizer's "
            "save_pretrained() "
            "writes vocab.json and merges.txt",
            vocab_path);
        goto done;
    }
    status = vocabulary_open(vocab_path, merges_path, &tokenizer->vocabulary, error);
    if (status == STATUS_OK)
        status = added_tokens_open(folder, config, &tokenizer->vocabulary, &tokenizer->added, error);
done:
    cJSON_Delete(config);
    free(fast_path);
    free(config_path);
    free(merges_path);
    free(vocab_path);
    if (status != STATUS_OK) {
        tokenizer_free(tokenizer);
        return status;
    }
    *out = tokenizer;
    return STATUS_OK;
}

void tokenizer_free(struct tokenizer *tokenizer)
{
    if (!tokenizer) return;
    added_tokens_close(&tokenizer->added);
    vocabulary_close(&tokenizer->vocabulary);
    free(tokenizer);
}

size_t tokenizer_length(const struct tokenizer *tokenizer)
{
    return tokenizer->length;
}

int64_t tokenizer_vocabulary_size(const struct tokenizer *tokenizer)
{
    return tokenizer->added.id_end;
}

/* --- Encoding ----------------------------------------------------------------------------- */

/* The ids so far. */
struct encoding {
    const struct tokenizer *tokenizer;
    int64_t *ids;
    size_t count, capacity;
    struct error *error;
};

static enum status reserve(struct encoding *encoding, size_t more)
{
    if (encoding->capacity - encoding->count >= more) return STATUS_OK;
    size_t capacity = 2 * encoding->capacity + more + 64;
    int64_t *ids = realloc(encoding->ids, capacity * sizeof *ids);
    if (!ids) return error_memory(encoding->error, capacity * sizeof *ids);
    encoding->ids = ids;
    encoding->capacity = capacity;
    return STATUS_OK;
}

static enum status add_id(struct encoding *encoding, int64_t id)
{
    enum status status = reserve(encoding, 1);
    if (status == STATUS_OK) encoding->ids[encoding->count++] = id;
    return status;
}

/* Step 3: normalised text without added tokens. */
static enum status encode_words(struct encoding *encoding, const char *text, size_t length)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    int32_t *pieces = malloc((length ? length : 1) * sizeof *pieces);
    if (!pieces) return error_memory(encoding->error, length * sizeof *pieces);
    enum status status = STATUS_OK;
    for (size_t start = 0, end = 0; status == STATUS_OK && text_next_word(text, length, &start, &end);
         start = end) {
        size_t count = 0;
        status = byte_pairs_encode(&tokenizer->vocabulary, text + start, end - start,
            (int32_t)tokenizer->added.unk, pieces, &count, encoding->error);
        if (status == STATUS_OK) status = reserve(encoding, count);
        if (status == STATUS_OK)
            for (size_t i = 0; i < count; i++) encoding->ids[encoding->count++] = pieces[i];
    }
    free(pieces);
    return status;
}

static enum status encode_normalised(struct encoding *encoding, const char *text, size_t length);

/* Steps 1 and 2: takes the added tokens out of `text`; what is between them goes on to the next step. */
static enum status split_added(struct encoding *encoding, bool normalised, const char *text, size_t length)
{
    enum status (*go_on)(struct encoding *, const char *, size_t) =
        normalised ? encode_words : encode_normalised;
    size_t taken = 0, from = 0;
    struct added_match match;
    enum status status = STATUS_OK;
    while (status == STATUS_OK &&
           added_tokens_next(&encoding->tokenizer->added, normalised, text, length, from, taken, &match)) {
        if (taken < match.start) status = go_on(encoding, text + taken, match.start - taken);
        if (status == STATUS_OK) status = add_id(encoding, match.id);
        taken = match.end;
        from = match.resume;
    }
    if (status == STATUS_OK && taken < length) status = go_on(encoding, text + taken, length - taken);
    return status;
}

static enum status encode_normalised(struct encoding *encoding, const char *text, size_t length)
{
    char *normalised = NULL;
    size_t normalised_length = 0;
    enum status status = text_normalise(text, length, &normalised, &normalised_length, encoding->error);
    if (status == STATUS_OK) status = split_added(encoding, true, normalised, normalised_length);
    free(normalised);
    return status;
}

enum status tokenizer_encode_all(
    const struct tokenizer *tokenizer, const char *prompt, int64_t **ids, size_t *count, struct error *error)
{
    *ids = NULL;
    *count = 0;
    size_t length = strlen(prompt);
    struct encoding encoding = {.tokenizer = tokenizer, .error = error};
    enum status status = error_prefix(error, text_check(prompt, length, error), "prompt: ");
    if (status == STATUS_OK) status = add_id(&encoding, tokenizer->added.bos);
    if (status == STATUS_OK) status = split_added(&encoding, false, prompt, length);
    if (status == STATUS_OK) status = add_id(&encoding, tokenizer->added.eos);
    if (status != STATUS_OK) {
        free(encoding.ids);
        return status;
    }
    *ids = encoding.ids;
    *count = encoding.count;
    return STATUS_OK;
}

/* --- Cutting ------------------------------------------------------------------------------ */

/* Bytes that are not UTF-8 become U+FFFD; as much as fits whole, in `out` of `size` bytes. */
static void copy_valid(const char *bytes, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        int32_t code_point;
        size_t n = text_code_point(bytes, length, at, &code_point);
        const char *from = n ? bytes + at : "\xEF\xBF\xBD";
        size_t wide = n ? n : 3;
        if (used + wide >= size) break;
        memcpy(out + used, from, wide);
        used += wide;
        at += n ? n : 1;
    }
    out[used] = '\0';
}

/* The text of ids[0 .. count), as far as it fits. True where all of it did. */
static bool decode(
    const struct tokenizer *tokenizer, const int64_t *ids, size_t count, char *out, size_t size)
{
    char bytes[QUOTED];
    size_t length = 0, i = 0;
    for (; i < count; i++) {
        const char *added = added_tokens_text(&tokenizer->added, ids[i]);
        const char *piece = added ? added : tokenizer->vocabulary.text[ids[i]];
        size_t longest = strlen(piece) + 1;
        if (longest > sizeof bytes - length) break;
        if (added) {
            memcpy(bytes + length, added, longest - 1);
            length += longest - 1;
        } else {
            length += vocabulary_decode(piece, bytes + length);
        }
    }
    while (length > 0 && bytes[length - 1] == ' ') length--;
    copy_valid(bytes, length, out, size);
    return i == count;
}

enum status tokenizer_encode(const struct tokenizer *tokenizer, const char *prompt, int64_t *ids,
    struct warnings *warnings, struct error *error)
{
    int64_t *all = NULL;
    size_t count = 0;
    enum status status = tokenizer_encode_all(tokenizer, prompt, &all, &count, error);
    if (status != STATUS_OK) return status;
    size_t kept = count < tokenizer->length ? count : tokenizer->length;
    memcpy(ids, all, kept * sizeof *ids);
    for (size_t i = kept; i < tokenizer->length; i++) ids[i] = tokenizer->added.pad;
    if (count > kept) {
        ids[kept - 1] = tokenizer->added.eos;
        char text[3 * QUOTED + 1];
        bool whole = decode(tokenizer, all + kept - 1, count - kept, text, sizeof text);
        warnings_add(warnings,
            "the prompt has %zu tokens, of which the text encoder takes the first %zu; cut off: \"%s%s\"",
            count - 2, kept - 2, text, whole ? "" : " ...");
    }
    free(all);
    return STATUS_OK;
}
