/* Looking for added tokens in a text; tokenizer_added_open.c reads them. */
#include "tokenizer_added.h"
#include "tokenizer_text.h"

#include <stdlib.h>
#include <string.h>

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
