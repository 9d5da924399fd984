/*
 * Reading vocab.json and merges.txt. Both come from outside, so everything that the encoder relies on is
 * checked here: ids without holes, and merges that lead from pieces to pieces.
 */
#include "tokenizer_vocabulary.h"
#include "sched/json.h"
#include "sched/mistaken_content.h"
#include "sched/text_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

int vocabulary_byte_of_symbol(int32_t symbol)
{
    if (symbol >= 0x21 && symbol <= 0xFF)
        return (symbol >= 0x7F && symbol <= 0xA0) || symbol == 0xAD ? -1 : symbol;
    if (symbol < 0x100 || symbol > VOCABULARY_LAST_SYMBOL) return -1;
    int i = symbol - 0x100;
    if (i <= 0x20) return i;
    return i == 0x43 ? 0xAD : 0x7F + (i - 0x21);
}

static int compare_texts(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    if (order != 0) return order;
    return (a_length > b_length) - (a_length < b_length);
}

int32_t vocabulary_find(const struct vocabulary *vocabulary, const char *text, size_t length)
{
    size_t low = 0, high = vocabulary->size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *other = vocabulary->text[vocabulary->by_text[middle]];
        int order = compare_texts(text, length, other, strlen(other));
        if (order == 0) return vocabulary->by_text[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static int compare_merges(const void *a, const void *b)
{
    const struct merge *left = a, *right = b;
    if (left->left != right->left) return left->left < right->left ? -1 : 1;
    if (left->right != right->right) return left->right < right->right ? -1 : 1;
    return (left->rank > right->rank) - (left->rank < right->rank);
}

const struct merge *vocabulary_merge(const struct vocabulary *vocabulary, int32_t left, int32_t right)
{
    size_t low = 0, high = vocabulary->merge_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct merge *merge = &vocabulary->merges[middle];
        if (merge->left == left && merge->right == right) return merge;
        if (merge->left < left || (merge->left == left && merge->right < right))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t vocabulary_decode(const char *piece, char *out)
{
    size_t length = strlen(piece), count = 0;
    for (size_t at = 0; at < length;) {
        if (strcmp(piece + at, VOCABULARY_END_OF_WORD) == 0) {
            out[count++] = ' ';
            break;
        }
        int32_t symbol;
        utf8proc_ssize_t bytes =
            utf8proc_iterate((const utf8proc_uint8_t *)piece + at, (utf8proc_ssize_t)(length - at), &symbol);
        if (bytes < 1) break;
        int byte = vocabulary_byte_of_symbol(symbol);
        if (byte >= 0) out[count++] = (char)byte;
        at += (size_t)bytes;
    }
    return count;
}

/* --- vocab.json --------------------------------------------------------------------------- */

struct text_id {
    const char *text;
    int32_t id;
};

static int compare_text_ids(const void *a, const void *b)
{
    return strcmp(((const struct text_id *)a)->text, ((const struct text_id *)b)->text);
}

/* Takes one entry of the object into `text` (id -> text), which has `size` places. */
static enum status take_entry(const cJSON *item, const char **text, size_t size, struct error *error)
{
    char shown[80];
    double number = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(number >= 0 && number < (double)size) || number != (double)(int32_t)number)
        return error_input(error, "\"%.60s\": expected an id from 0 to %zu (there are %zu tokens), got %s",
            item->string, size - 1, size, json_show(item, shown, sizeof shown));
    int32_t id = (int32_t)number;
    if (text[id])
        return error_input(error,
            "\"%.60s\" and \"%.60s\" both have the id %" PRId32 ", which leaves a hole elsewhere", text[id],
            item->string, id);
    text[id] = item->string;
    return STATUS_OK;
}

/* Copies the texts out of the JSON document, so that it can go. */
static enum status copy_texts(struct vocabulary *vocabulary, struct error *error)
{
    size_t bytes = 0;
    for (size_t id = 0; id < vocabulary->size; id++) bytes += strlen(vocabulary->text[id]) + 1;
    vocabulary->characters = malloc(bytes);
    if (!vocabulary->characters) return error_memory(error, bytes);
    char *out = vocabulary->characters;
    for (size_t id = 0; id < vocabulary->size; id++) {
        size_t length = strlen(vocabulary->text[id]) + 1;
        memcpy(out, vocabulary->text[id], length);
        vocabulary->text[id] = out;
        out += length;
    }
    return STATUS_OK;
}

static enum status sort_by_text(struct vocabulary *vocabulary, struct error *error)
{
    struct text_id *order = malloc(vocabulary->size * sizeof *order);
    if (!order) return error_memory(error, vocabulary->size * sizeof *order);
    for (size_t id = 0; id < vocabulary->size; id++)
        order[id] = (struct text_id){vocabulary->text[id], (int32_t)id};
    qsort(order, vocabulary->size, sizeof *order, compare_text_ids);
    for (size_t i = 0; i < vocabulary->size; i++) vocabulary->by_text[i] = order[i].id;
    free(order);
    return STATUS_OK;
}

static void find_byte_symbols(struct vocabulary *vocabulary)
{
    for (int32_t symbol = 0; symbol <= VOCABULARY_LAST_SYMBOL; symbol++) {
        int byte = vocabulary_byte_of_symbol(symbol);
        if (byte < 0) continue;
        char text[4 + sizeof VOCABULARY_END_OF_WORD];
        size_t length = (size_t)utf8proc_encode_char(symbol, (utf8proc_uint8_t *)text);
        vocabulary->symbol[byte] = vocabulary_find(vocabulary, text, length);
        memcpy(text + length, VOCABULARY_END_OF_WORD, strlen(VOCABULARY_END_OF_WORD));
        vocabulary->end_symbol[byte] =
            vocabulary_find(vocabulary, text, length + strlen(VOCABULARY_END_OF_WORD));
    }
}

static enum status read_vocab(const char *path, struct vocabulary *vocabulary, struct error *error)
{
    cJSON *json = NULL;
    enum status status = json_read_file(path, &json, error);
    if (status != STATUS_OK) return status;
    if (!cJSON_IsObject(json)) {
        status = error_input(error, "expected an object from token to id");
        goto done;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, json) vocabulary->size++;
    if (vocabulary->size == 0 || vocabulary->size > INT32_MAX) {
        status = error_input(error, "expected 1 to %d tokens, got %zu", INT32_MAX, vocabulary->size);
        goto done;
    }
    vocabulary->text = calloc(vocabulary->size, sizeof *vocabulary->text);
    vocabulary->by_text = calloc(vocabulary->size, sizeof *vocabulary->by_text);
    if (!vocabulary->text || !vocabulary->by_text) {
        status = error_memory(error, vocabulary->size * (sizeof(char *) + sizeof(int32_t)));
        goto done;
    }
    /* As many distinct ids below the number of entries as there are entries: so none is missing. */
    cJSON_ArrayForEach(item, json)
    {
        status = take_entry(item, vocabulary->text, vocabulary->size, error);
        if (status != STATUS_OK) goto done;
    }
    status = copy_texts(vocabulary, error);
    if (status == STATUS_OK) status = sort_by_text(vocabulary, error);
    if (status == STATUS_OK) find_byte_symbols(vocabulary);
done:
    cJSON_Delete(json);
    return error_prefix(error, status, "%s: ", path);
}

/* --- merges.txt --------------------------------------------------------------------------- */

/* One line, "left right": text[length] without its end of line. */
static enum status read_merge(const struct vocabulary *vocabulary, const char *text, size_t length,
    struct merge *merge, struct error *error)
{
    int shown = length < 80 ? (int)length : 80;
    const char *space = memchr(text, ' ', length);
    size_t left = space ? (size_t)(space - text) : 0;
    if (left == 0 || left + 1 == length || memchr(space + 1, ' ', length - left - 1))
        return error_input(
            error, "expected two pieces with one space between them, got \"%.*s\"", shown, text);
    size_t right = length - left - 1;
    char *joined = malloc(left + right);
    if (!joined) return error_memory(error, left + right);
    memcpy(joined, text, left);
    memcpy(joined + left, space + 1, right);
    merge->left = vocabulary_find(vocabulary, text, left);
    merge->right = vocabulary_find(vocabulary, space + 1, right);
    merge->result = vocabulary_find(vocabulary, joined, left + right);
    free(joined);
    if (merge->left < 0 || merge->right < 0)
        return error_input(error, "\"%.*s\": the %s piece is not in vocab.json (of another model?)", shown,
            text, merge->left < 0 ? "first" : "second");
    if (merge->result < 0)
        return error_input(error, "\"%.*s\": the two joined are not in vocab.json", shown, text);
    return STATUS_OK;
}

/* After sorting, equal pairs are neighbours. The rank is the line's number less two. */
static enum status refuse_repeated_merges(const struct vocabulary *vocabulary, struct error *error)
{
    for (size_t i = 1; i < vocabulary->merge_count; i++) {
        const struct merge *a = &vocabulary->merges[i - 1], *b = a + 1;
        if (a->left == b->left && a->right == b->right)
            return error_input(error, "line %" PRId32 ": \"%.40s %.40s\" stands on line %" PRId32 " already",
                b->rank + 2, vocabulary->text[b->left], vocabulary->text[b->right], a->rank + 2);
    }
    return STATUS_OK;
}

static enum status parse_merges(
    const char *text, size_t length, struct vocabulary *vocabulary, struct error *error)
{
    /* Like the original: white space at the end is nothing; the first line is dropped. To drop a merge that
     * somebody put there would be silent damage, so that line has to be the version. */
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) length--;
    const char *end = text + length;
    const char *line_end = memchr(text, '\n', length);
    if (!line_end) line_end = end;
    const char *mistaken = mistaken_content(text, length);
    if (mistaken) return error_input(error, "expected merges, got %s", mistaken);
    if (!memmem(text, (size_t)(line_end - text), "#version", 8))
        return error_input(error, "line 1: expected \"#version: 0.2\"");

    size_t lines = 0;
    for (const char *c = line_end; c < end; c++) lines += *c == '\n';
    if (lines > VOCABULARY_MAX_MERGES) lines = VOCABULARY_MAX_MERGES;
    vocabulary->merges = malloc((lines ? lines : 1) * sizeof *vocabulary->merges);
    if (!vocabulary->merges) return error_memory(error, lines * sizeof *vocabulary->merges);

    for (size_t i = 0; i < lines; i++) {
        const char *line = line_end + 1;
        line_end = memchr(line, '\n', (size_t)(end - line));
        if (!line_end) line_end = end;
        size_t line_length = (size_t)(line_end - line);
        if (line_length > 0 && line[line_length - 1] == '\r') line_length--;
        struct merge *merge = &vocabulary->merges[vocabulary->merge_count];
        enum status status = read_merge(vocabulary, line, line_length, merge, error);
        if (status != STATUS_OK) return error_prefix(error, status, "line %zu: ", i + 2);
        merge->rank = (int32_t)vocabulary->merge_count++;
    }
    qsort(vocabulary->merges, vocabulary->merge_count, sizeof *vocabulary->merges, compare_merges);
    return refuse_repeated_merges(vocabulary, error);
}

enum status vocabulary_open(
    const char *vocab_path, const char *merges_path, struct vocabulary *vocabulary, struct error *error)
{
    *vocabulary = (struct vocabulary){0};
    char *text = NULL;
    size_t length = 0;
    enum status status = read_vocab(vocab_path, vocabulary, error);
    if (status == STATUS_OK)
        status = text_file_read(merges_path, JSON_MAX_FILE, "list of merges", &text, &length, error);
    if (status == STATUS_OK)
        status = error_prefix(error, parse_merges(text, length, vocabulary, error), "%s: ", merges_path);
    free(text);
    if (status != STATUS_OK) vocabulary_close(vocabulary);
    return status;
}

void vocabulary_close(struct vocabulary *vocabulary)
{
    free(vocabulary->characters);
    free(vocabulary->text);
    free(vocabulary->by_text);
    free(vocabulary->merges);
    *vocabulary = (struct vocabulary){0};
}
