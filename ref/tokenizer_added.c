#include "tokenizer_added.h"
#include "tokenizer_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The roles in the order in which transformers adds them; the first four have a default in CLIPTokenizer. */
static const struct role {
    const char *key;
    const char *default_content;
    bool normalized; /* where the token is a plain string */
} ROLES[] = {
    {"bos_token", "<|startoftext|>", true},
    {"eos_token", "<|endoftext|>", true},
    {"unk_token", "<|endoftext|>", true},
    {"pad_token", "<|endoftext|>", false},
    {"sep_token", NULL, false},
    {"cls_token", NULL, false},
    {"mask_token", NULL, false},
};
enum { BOS, EOS, UNK, PAD, ROLE_COUNT = sizeof ROLES / sizeof *ROLES };
#define ADDITIONAL "additional_special_tokens"
#define NO_ROLE "added token"
/* Tokens are kept in a plain list. Collections of textual inversions stay far below this. */
#define MAX_ADDED 4096

static struct added_token *find_content(const struct added_tokens *added, const char *content)
{
    for (size_t i = 0; i < added->count; i++)
        if (strcmp(added->items[i].content, content) == 0) return &added->items[i];
    return NULL;
}

/* Adds a token unless one of its content is there: the first definition stands. */
static enum status add_token(struct added_tokens *added, const struct added_token *token, struct error *error)
{
    if (find_content(added, token->content)) return STATUS_OK;
    if (added->count == MAX_ADDED) return error_input(error, "more than %d added tokens", MAX_ADDED);
    struct added_token *items = realloc(added->items, (added->count + 1) * sizeof *items);
    if (!items) return error_memory(error, (added->count + 1) * sizeof *items);
    added->items = items;
    struct added_token copy = *token;
    copy.pattern = NULL;
    copy.content = strdup(token->content);
    if (!copy.content) return error_memory(error, strlen(token->content) + 1);
    added->items[added->count++] = copy;
    return STATUS_OK;
}

/* A token as JSON: a string, or an object with `content` and flags. `token` holds the defaults and receives
 * the value; its content points into the document. */
static enum status read_token(const cJSON *item, struct added_token *token, struct error *error)
{
    char shown[80];
    const char *content = cJSON_IsString(item) ? item->valuestring : NULL;
    enum status status = STATUS_OK;
    if (cJSON_IsObject(item)) {
        status = json_get_string(item, "content", &content, NULL, error);
        if (status == STATUS_OK) status = json_get_bool(item, "lstrip", &token->lstrip, NULL, error);
        if (status == STATUS_OK) status = json_get_bool(item, "rstrip", &token->rstrip, NULL, error);
        if (status == STATUS_OK)
            status = json_get_bool(item, "single_word", &token->single_word, NULL, error);
        if (status == STATUS_OK) status = json_get_bool(item, "normalized", &token->normalized, NULL, error);
        if (status == STATUS_OK) status = json_get_bool(item, "special", &token->special, NULL, error);
        if (status != STATUS_OK) return status;
    }
    if (!content || !*content)
        return error_input(error, "expected a token (a string, or an object with \"content\"), got %s",
            json_show(item, shown, sizeof shown));
    status = text_check(content, strlen(content), error);
    token->content = content; /* add_token() copies it */
    return status;
}

/* --- The files
 * ---------------------------------------------------------------------------------------------- */

/* tokenizer_config.json's added_tokens_decoder: {"49408": {"content": ...}}. */
static enum status read_decoder(const cJSON *decoder, struct added_tokens *added, struct error *error)
{
    if (!cJSON_IsObject(decoder)) return error_input(error, "expected an object from id to token");
    const cJSON *item;
    cJSON_ArrayForEach(item, decoder)
    {
        size_t digits = strspn(item->string, "0123456789");
        if (digits == 0 || digits > 9 || item->string[digits] != '\0')
            return error_input(error, "expected ids as keys, got \"%.60s\"", item->string);
        struct added_token token = {
            .role = NO_ROLE, .id = strtol(item->string, NULL, 10), .normalized = true};
        enum status status = read_token(item, &token, error);
        const cJSON *normalized = cJSON_GetObjectItemCaseSensitive(item, "normalized");
        if (!cJSON_IsBool(normalized)) token.normalized = !token.special;
        if (status == STATUS_OK) status = add_token(added, &token, error);
        if (status != STATUS_OK) return error_prefix(error, status, "\"%.20s\": ", item->string);
    }
    return STATUS_OK;
}

/* added_tokens.json: {"<token>": 49408}. A token that has a role is special, the others are ordinary text. */
static enum status read_added_json(const cJSON *json, struct added_tokens *added, struct error *error)
{
    if (!cJSON_IsObject(json)) return error_input(error, "expected an object from token to id");
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        char shown[80];
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(id >= 0 && id < INT32_MAX) || id != (double)(int32_t)id)
            return error_input(error, "\"%.60s\": expected an id, got %s", item->string,
                json_show(item, shown, sizeof shown));
        struct added_token *known = find_content(added, item->string);
        if (known) {
            known->id = (int64_t)id;
            continue;
        }
        if (!*item->string) return error_input(error, "expected a token, got an empty key");
        enum status status = text_check(item->string, strlen(item->string), error);
        struct added_token token = {
            .content = item->string, .role = NO_ROLE, .id = (int64_t)id, .normalized = true};
        if (status == STATUS_OK) status = add_token(added, &token, error);
        if (status != STATUS_OK) return error_prefix(error, status, "\"%.60s\": ", item->string);
    }
    return STATUS_OK;
}

/* One of the two documents that name the roles: fills `contents` where a role is named there and not yet
 * known, and adds the tokens. The additional ones are added at the end, by the caller's `with_additional`. */
static enum status read_roles(const cJSON *json, const char **contents, struct added_tokens *added,
    bool with_additional, struct error *error)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, ROLES[i].key);
        if (!item || cJSON_IsNull(item) || contents[i]) continue;
        struct added_token token = {
            .role = ROLES[i].key, .id = -1, .normalized = ROLES[i].normalized, .special = true};
        enum status status = read_token(item, &token, error);
        token.special = true;
        if (status == STATUS_OK) status = add_token(added, &token, error);
        if (status != STATUS_OK) return error_prefix(error, status, "%s: ", ROLES[i].key);
        contents[i] = token.content;
    }
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, ADDITIONAL), *item;
    if (!with_additional || !list || cJSON_IsNull(list)) return STATUS_OK;
    if (!cJSON_IsArray(list)) return error_input(error, ADDITIONAL ": expected a list of tokens");
    size_t i = 0;
    cJSON_ArrayForEach(item, list)
    {
        struct added_token token = {.role = ADDITIONAL, .id = -1, .special = true};
        enum status status = read_token(item, &token, error);
        token.special = true;
        if (status == STATUS_OK) status = add_token(added, &token, error);
        if (status != STATUS_OK) return error_prefix(error, status, ADDITIONAL "[%zu]: ", i);
        i++;
    }
    return STATUS_OK;
}

/* A file that may be missing: `*out` is NULL then. `*path` is allocated. */
static enum status read_optional(
    const char *folder, const char *name, char **path, cJSON **out, struct error *error)
{
    *out = NULL;
    size_t size = strlen(folder) + strlen(name) + 2;
    *path = malloc(size);
    if (!*path) return error_memory(error, size);
    memcpy(*path, folder, strlen(folder));
    (*path)[strlen(folder)] = '/';
    memcpy(*path + strlen(folder) + 1, name, strlen(name) + 1);
    if (access(*path, F_OK) != 0) return STATUS_OK;
    return json_read_file(*path, out, error);
}

/* --- Ids and patterns
 * --------------------------------------------------------------------------------------- */

/* The ids that the tokens have in the vocabulary; the others must follow it without a gap. */
static enum status settle_ids(
    struct added_tokens *added, const struct vocabulary *vocabulary, struct error *error)
{
    size_t beyond = 0;
    for (size_t i = 0; i < added->count; i++) {
        struct added_token *token = &added->items[i];
        int32_t id = vocabulary_find(vocabulary, token->content, strlen(token->content));
        if (id < 0 && token->id < 0)
            return error_input(error, "vocab.json: the %s \"%.60s\" is missing", token->role, token->content);
        if (id >= 0 && token->id >= 0 && token->id != id)
            return error_input(error,
                "vocab.json: the %s \"%.60s\" has the id %" PRId32 ", but among the added tokens %" PRId64,
                token->role, token->content, id, token->id);
        if (id >= 0)
            token->id = id;
        else
            beyond++;
    }
    added->id_end = (int64_t)(vocabulary->size + beyond);
    const char **seen = calloc(beyond ? beyond : 1, sizeof *seen);
    if (!seen) return error_memory(error, beyond * sizeof *seen);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < added->count && status == STATUS_OK; i++) {
        struct added_token *token = &added->items[i];
        if (vocabulary_find(vocabulary, token->content, strlen(token->content)) >= 0) continue;
        int64_t place = token->id - (int64_t)vocabulary->size;
        if (place < 0 || token->id >= added->id_end || seen[place])
            status = error_input(error,
                "the %s \"%.60s\" has the id %" PRId64
                "; those that are not in vocab.json must have the ids %zu to %" PRId64 ", each once",
                token->role, token->content, token->id, vocabulary->size, added->id_end - 1);
        else
            seen[place] = token->content;
    }
    free(seen);
    return status;
}

static enum status make_patterns(struct added_tokens *added, struct error *error)
{
    for (size_t i = 0; i < added->count; i++) {
        struct added_token *token = &added->items[i];
        size_t length = strlen(token->content);
        if (token->normalized) {
            enum status status =
                text_normalise(token->content, length, &token->pattern, &token->pattern_length, error);
            if (status != STATUS_OK) return status;
        } else {
            token->pattern = strdup(token->content);
            token->pattern_length = length;
            if (!token->pattern) return error_memory(error, length + 1);
        }
        added->first_bytes[token->normalized][(unsigned char)token->pattern[0]] = true;
    }
    return STATUS_OK;
}

enum status added_tokens_open(const char *folder, const cJSON *config, const struct vocabulary *vocabulary,
    struct added_tokens *added, struct error *error)
{
    *added = (struct added_tokens){0};
    const char *contents[ROLE_COUNT] = {NULL};
    char *map_path = NULL, *added_path = NULL;
    cJSON *map = NULL, *added_json = NULL;
    enum status status = STATUS_OK;
    const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder");
    if (decoder && !cJSON_IsNull(decoder)) {
        status = read_decoder(decoder, added, error);
        status = error_prefix(error, status, "%s/tokenizer_config.json: added_tokens_decoder: ", folder);
    } else {
        decoder = NULL;
        status = read_optional(folder, "special_tokens_map.json", &map_path, &map, error);
        if (status == STATUS_OK)
            status = read_optional(folder, "added_tokens.json", &added_path, &added_json, error);
    }
    if (status == STATUS_OK && map) {
        if (!cJSON_IsObject(map))
            status = error_input(error, "expected an object from role to token");
        else
            status = read_roles(map, contents, added, true, error);
        status = error_prefix(error, status, "%s: ", map_path);
    }
    if (status == STATUS_OK && config) {
        bool listed = map && cJSON_GetObjectItemCaseSensitive(map, ADDITIONAL);
        status = read_roles(config, contents, added, !listed, error);
        status = error_prefix(error, status, "%s/tokenizer_config.json: ", folder);
    }
    for (size_t i = 0; i < ROLE_COUNT && status == STATUS_OK; i++) {
        if (contents[i] || !ROLES[i].default_content) continue;
        contents[i] = ROLES[i].default_content;
        struct added_token token = {.content = ROLES[i].default_content,
            .role = ROLES[i].key,
            .id = -1,
            .normalized = ROLES[i].normalized,
            .special = true};
        status = add_token(added, &token, error);
    }
    if (status == STATUS_OK && added_json)
        status = error_prefix(error, read_added_json(added_json, added, error), "%s: ", added_path);
    if (status == STATUS_OK) {
        status = settle_ids(added, vocabulary, error);
        if (status == STATUS_OK) status = make_patterns(added, error);
        status = error_prefix(error, status, "%s/", folder);
    }
    if (status == STATUS_OK) {
        added->bos = find_content(added, contents[BOS])->id;
        added->eos = find_content(added, contents[EOS])->id;
        added->unk = find_content(added, contents[UNK])->id;
        added->pad = find_content(added, contents[PAD])->id;
    }
    cJSON_Delete(added_json);
    cJSON_Delete(map);
    free(added_path);
    free(map_path);
    if (status != STATUS_OK) added_tokens_close(added);
    return status;
}

void added_tokens_close(struct added_tokens *added)
{
    for (size_t i = 0; i < added->count; i++) {
        free((void *)added->items[i].content);
        free(added->items[i].pattern);
    }
    free(added->items);
    *added = (struct added_tokens){0};
}

const char *added_tokens_text(const struct added_tokens *added, int64_t id)
{
    for (size_t i = 0; i < added->count; i++)
        if (added->items[i].id == id) return added->items[i].content;
    return NULL;
}

/* --- Looking for them
 * --------------------------------------------------------------------------------------- */

/* The longest pattern at text[at], the first defined of several alike; NULL where there is none. */
static const struct added_token *longest_at(
    const struct added_tokens *added, bool normalized, const char *text, size_t length, size_t at)
{
    const struct added_token *best = NULL;
    if (!added->first_bytes[normalized][(unsigned char)text[at]]) return NULL;
    for (size_t i = 0; i < added->count; i++) {
        const struct added_token *token = &added->items[i];
        if (token->normalized != normalized || token->pattern_length > length - at) continue;
        if (best && token->pattern_length <= best->pattern_length) continue;
        if (memcmp(text + at, token->pattern, token->pattern_length) == 0) best = token;
    }
    return best;
}

static bool stands_alone(const char *text, size_t length, size_t start, size_t end)
{
    int32_t c;
    if (start > 0 && text_code_point_before(text, start, &c) > 0 && text_is_word(c)) return false;
    return !(end < length && text_code_point(text, length, end, &c) > 0 && text_is_word(c));
}

static size_t spaces_before(const char *text, size_t start)
{
    int32_t c;
    while (start > 0) {
        size_t bytes = text_code_point_before(text, start, &c);
        if (bytes == 0 || !text_is_space(c)) break;
        start -= bytes;
    }
    return start;
}

static size_t spaces_after(const char *text, size_t length, size_t end)
{
    int32_t c;
    while (end < length) {
        size_t bytes = text_code_point(text, length, end, &c);
        if (bytes == 0 || !text_is_space(c)) break;
        end += bytes;
    }
    return end;
}

bool added_tokens_next(const struct added_tokens *added, bool normalized, const char *text, size_t length,
    size_t from, size_t taken, struct added_match *match)
{
    for (size_t at = from; at < length; at++) {
        const struct added_token *token = longest_at(added, normalized, text, length, at);
        if (!token) continue;
        size_t end = at + token->pattern_length;
        if (token->single_word && !stands_alone(text, length, at, end)) {
            at = end - 1; /* the library goes on behind an occurrence that it rejects */
            continue;
        }
        *match = (struct added_match){.start = at, .end = end, .id = token->id, .resume = end};
        if (token->lstrip) {
            match->start = spaces_before(text, at);
            if (match->start < taken) match->start = taken;
        }
        if (token->rstrip) match->end = spaces_after(text, length, end);
        return true;
    }
    return false;
}
