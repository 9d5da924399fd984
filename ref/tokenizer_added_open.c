/*
 * Where the added tokens are defined. What is read first stands: a token's first definition, a role's first
 * token. That gives transformers' order: added_tokens_decoder, special_tokens_map.json,
 * tokenizer_config.json, CLIPTokenizer's defaults, added_tokens.json.
 */
#include "tokenizer_added.h"
#include "tokenizer_text.h"

#include <inttypes.h>
#include <stdio.h>
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
#define NO_TOKEN SIZE_MAX
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

/* --- The files --- */

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

/* The tokens that have a role of their own, in one of the two documents that name them: `roles` says where in
 * the list each role's token is. */
static enum status read_roles(
    const cJSON *json, size_t roles[ROLE_COUNT], struct added_tokens *added, struct error *error)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, ROLES[i].key);
        if (!item || cJSON_IsNull(item) || roles[i] != NO_TOKEN) continue;
        struct added_token token = {
            .role = ROLES[i].key, .id = -1, .normalized = ROLES[i].normalized, .special = true};
        enum status status = read_token(item, &token, error);
        token.special = true;
        if (status == STATUS_OK) status = add_token(added, &token, &roles[i], error);
        if (status != STATUS_OK) return error_prefix(error, status, "%s: ", ROLES[i].key);
    }
    return STATUS_OK;
}

/* The list of special tokens without a role; `*found` where there is one. */
static enum status read_additional(
    const cJSON *json, struct added_tokens *added, bool *found, struct error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, ADDITIONAL), *item;
    *found = list && !cJSON_IsNull(list);
    if (!*found) return STATUS_OK;
    if (!cJSON_IsArray(list)) return error_input(error, ADDITIONAL ": expected a list of tokens");
    size_t i = 0;
    cJSON_ArrayForEach(item, list)
    {
        struct added_token token = {.role = ADDITIONAL, .id = -1, .special = true};
        enum status status = read_token(item, &token, error);
        token.special = true;
        if (status == STATUS_OK) status = add_token(added, &token, NULL, error);
        if (status != STATUS_OK) return error_prefix(error, status, ADDITIONAL "[%zu]: ", i);
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
    enum status status = access(path, F_OK) == 0 ? json_read_file(path, out, error) : STATUS_OK;
    free(path);
    return status;
}

/* special_tokens_map.json. */
static enum status read_map(const char *folder, size_t roles[ROLE_COUNT], struct added_tokens *added,
    bool *has_additional, struct error *error)
{
    static const char name[] = "special_tokens_map.json";
    cJSON *map = NULL;
    enum status status = read_optional(folder, name, &map, error);
    if (status != STATUS_OK || !map) return status;
    if (!cJSON_IsObject(map)) status = error_input(error, "expected an object from role to token");
    if (status == STATUS_OK) status = read_roles(map, roles, added, error);
    if (status == STATUS_OK) status = read_additional(map, added, has_additional, error);
    cJSON_Delete(map);
    return error_prefix(error, status, "%s/%s: ", folder, name);
}

static enum status read_config(const cJSON *config, size_t roles[ROLE_COUNT], struct added_tokens *added,
    bool has_additional, struct error *error)
{
    enum status status = read_roles(config, roles, added, error);
    if (status == STATUS_OK && !has_additional)
        status = read_additional(config, added, &has_additional, error);
    return status;
}

static enum status add_defaults(size_t roles[ROLE_COUNT], struct added_tokens *added, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < ROLE_COUNT && status == STATUS_OK; i++) {
        if (roles[i] != NO_TOKEN || !ROLES[i].default_content) continue;
        struct added_token token = {.content = ROLES[i].default_content,
            .role = ROLES[i].key,
            .id = -1,
            .normalized = ROLES[i].normalized,
            .special = true};
        status = add_token(added, &token, &roles[i], error);
    }
    return status;
}

/* added_tokens.json. */
static enum status read_added(const char *folder, struct added_tokens *added, struct error *error)
{
    static const char name[] = "added_tokens.json";
    cJSON *json = NULL;
    enum status status = read_optional(folder, name, &json, error);
    if (status != STATUS_OK || !json) return status;
    status = read_added_json(json, added, error);
    cJSON_Delete(json);
    return error_prefix(error, status, "%s/%s: ", folder, name);
}

/* --- Ids and patterns --- */

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

enum status added_tokens_open(const char *folder, const cJSON *config, const struct vocabulary *vocabulary,
    struct added_tokens *added, struct error *error)
{
    *added = (struct added_tokens){0};
    size_t roles[ROLE_COUNT];
    for (size_t i = 0; i < ROLE_COUNT; i++) roles[i] = NO_TOKEN;
    bool has_additional = false;
    const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder");
    if (cJSON_IsNull(decoder)) decoder = NULL;

    enum status status = STATUS_OK;
    if (decoder)
        status = error_prefix(error, read_decoder(decoder, added, error),
            "%s/tokenizer_config.json: added_tokens_decoder: ", folder);
    else
        status = read_map(folder, roles, added, &has_additional, error);
    if (status == STATUS_OK && config)
        status = error_prefix(error, read_config(config, roles, added, has_additional, error),
            "%s/tokenizer_config.json: ", folder);
    if (status == STATUS_OK) status = add_defaults(roles, added, error);
    if (status == STATUS_OK && !decoder) status = read_added(folder, added, error);
    if (status == STATUS_OK)
        status = error_prefix(error, settle_ids(added, vocabulary, error), "%s/", folder);
    if (status == STATUS_OK) status = make_patterns(added, error);
    if (status != STATUS_OK) {
        added_tokens_close(added);
        return status;
    }
    added->bos = added->items[roles[BOS]].id;
    added->eos = added->items[roles[EOS]].id;
    added->unk = added->items[roles[UNK]].id;
    added->pad = added->items[roles[PAD]].id;
    return STATUS_OK;
}
