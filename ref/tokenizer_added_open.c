/*
 * Where the added tokens are defined. A token's first definition stands, in this order: added_tokens_decoder;
 * the roles in ROLES' order, each in special_tokens_map.json, else in tokenizer_config.json, else by default;
 * the additional special tokens; added_tokens.json.
 */
#include "tokenizer_added.h"
#include "paths.h"
#include "tokenizer_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The roles; the first four have a default in CLIPTokenizer. Where two share a token, the first one's
 * definition of it stands. */
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
#define DECODER "added_tokens_decoder"
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

/* Adds a token unless one of its content is there: the first definition stands. `*place`, which may be NULL,
 * is its place in the list. */
static enum status add_token(
    struct added_tokens *added, const struct added_token *token, size_t *place, struct error *error)
{
    const struct added_token *known = find_content(added, token->content);
    if (place) *place = known ? (size_t)(known - added->items) : added->count;
    if (known) return STATUS_OK;
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

/* --- The files ---------------------------------------------------------------------------- */

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
        if (status == STATUS_OK) status = add_token(added, &token, NULL, error);
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
        if (status == STATUS_OK) status = add_token(added, &token, NULL, error);
        if (status != STATUS_OK) return error_prefix(error, status, "\"%.60s\": ", item->string);
    }
    return STATUS_OK;
}

/* The two documents that may name special tokens; the first one that has a key is the one that counts. */
struct document {
    const char *name;
    const cJSON *json; /* NULL where there is none */
};
enum { DOCUMENTS = 2 };

static const cJSON *find_key(const struct document *documents, const char *key, const char **name)
{
    for (size_t i = 0; i < DOCUMENTS; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(documents[i].json, key);
        *name = documents[i].name;
        if (item && !cJSON_IsNull(item)) return item;
    }
    return NULL;
}

/* The tokens that have a role: `roles` says where in the list each role's token is. */
static enum status read_roles(const struct document *documents, size_t roles[ROLE_COUNT],
    struct added_tokens *added, struct error *error)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        const char *name;
        const cJSON *item = find_key(documents, ROLES[i].key, &name);
        struct added_token token = {.content = ROLES[i].default_content,
            .role = ROLES[i].key,
            .id = -1,
            .normalized = ROLES[i].normalized};
        if (!item && !token.content) continue;
        enum status status = item ? read_token(item, &token, error) : STATUS_OK;
        token.special = true;
        if (status == STATUS_OK) status = add_token(added, &token, &roles[i], error);
        if (status != STATUS_OK) return error_prefix(error, status, "%s: %s: ", name, ROLES[i].key);
    }
    return STATUS_OK;
}

/* The list of special tokens without a role. */
static enum status read_additional(
    const struct document *documents, struct added_tokens *added, struct error *error)
{
    const char *name;
    const cJSON *list = find_key(documents, ADDITIONAL, &name), *item;
    if (!list) return STATUS_OK;
    if (!cJSON_IsArray(list))
        return error_input(error, "%s: " ADDITIONAL ": expected a list of tokens", name);
    size_t i = 0;
    cJSON_ArrayForEach(item, list)
    {
        struct added_token token = {.role = ADDITIONAL, .id = -1};
        enum status status = read_token(item, &token, error);
        token.special = true;
        if (status == STATUS_OK) status = add_token(added, &token, NULL, error);
        if (status != STATUS_OK) return error_prefix(error, status, "%s: " ADDITIONAL "[%zu]: ", name, i);
        i++;
    }
    return STATUS_OK;
}

/* <folder>/<name>, which may be missing: `*out` is NULL then. */
static enum status read_optional(const char *folder, const char *name, cJSON **out, struct error *error)
{
    *out = NULL;
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (!path) return error_memory(error, size);
    snprintf(path, size, "%s/%s", folder, name);
    bool there;
    enum status status = path_look(path, &there, error);
    if (status == STATUS_OK && there) status = json_read_file(path, out, error);
    free(path);
    return status;
}

/* --- Ids and patterns --------------------------------------------------------------------- */

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
                "vocab.json: the %s \"%.60s\" has the id %" PRId64
                "; those beyond the vocabulary must have the ids %zu to %" PRId64 ", each once",
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

/* Everything but the ids. `map` is special_tokens_map.json, `json` added_tokens.json: older folders' files,
 * each NULL where there is none. Errors name the file, without its folder. */
static enum status read_all(const cJSON *config, const cJSON *map, const cJSON *json,
    size_t roles[ROLE_COUNT], struct added_tokens *added, struct error *error)
{
    const struct document documents[DOCUMENTS] = {
        {"special_tokens_map.json", map}, {"tokenizer_config.json", config}};
    const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(config, DECODER);
    if (map && !cJSON_IsObject(map))
        return error_input(error, "special_tokens_map.json: expected an object from role to token");
    enum status status = STATUS_OK;
    if (decoder && !cJSON_IsNull(decoder))
        status =
            error_prefix(error, read_decoder(decoder, added, error), "tokenizer_config.json: " DECODER ": ");
    if (status == STATUS_OK) status = read_roles(documents, roles, added, error);
    if (status == STATUS_OK) status = read_additional(documents, added, error);
    if (status == STATUS_OK && json)
        status = error_prefix(error, read_added_json(json, added, error), "added_tokens.json: ");
    return status;
}

enum status added_tokens_open(const char *folder, const cJSON *config, const struct vocabulary *vocabulary,
    struct added_tokens *added, struct error *error)
{
    *added = (struct added_tokens){0};
    size_t roles[ROLE_COUNT];
    cJSON *map = NULL, *json = NULL;
    const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(config, DECODER);
    enum status status = STATUS_OK;
    if (!decoder || cJSON_IsNull(decoder)) {
        status = read_optional(folder, "special_tokens_map.json", &map, error);
        if (status == STATUS_OK) status = read_optional(folder, "added_tokens.json", &json, error);
        if (status != STATUS_OK) goto done;
    }
    status = read_all(config, map, json, roles, added, error);
    if (status == STATUS_OK) status = settle_ids(added, vocabulary, error);
    if (status == STATUS_OK) status = make_patterns(added, error);
    status = error_prefix(error, status, "%s/", folder);
    if (status != STATUS_OK) goto done;
    added->bos = added->items[roles[BOS]].id;
    added->eos = added->items[roles[EOS]].id;
    added->unk = added->items[roles[UNK]].id;
    added->pad = added->items[roles[PAD]].id;
done:
    cJSON_Delete(json);
    cJSON_Delete(map);
    if (status != STATUS_OK) added_tokens_close(added);
    return status;
}
