#include "markdown.h"

#include <check.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* --- Lines -------------------------------------------------------------------------------- */

struct line {
    const char *start;
    size_t length; /* without the newline and white space in front of it */
    size_t indent;
};

static bool next_line(const char **at, struct line *line)
{
    if (**at == '\0') return false;
    const char *end = strchr(*at, '\n');
    if (!end) end = *at + strlen(*at);
    line->start = *at;
    line->length = (size_t)(end - *at);
    while (line->length && isspace((unsigned char)line->start[line->length - 1])) line->length--;
    line->indent = strspn(line->start, " ");
    if (line->indent > line->length) line->indent = line->length;
    *at = *end ? end + 1 : end;
    return true;
}

static bool is_blank(const struct line *line)
{
    return line->length == 0;
}

static char *copy(const char *text, size_t length)
{
    char *made = malloc(length + 1);
    ck_assert_ptr_nonnull(made);
    memcpy(made, text, length);
    made[length] = '\0';
    return made;
}

/* How many backticks a line begins with, where they open or close a fence; else 0. */
static size_t ticks_of(const struct line *line)
{
    size_t count = strspn(line->start + line->indent, "`");
    return count >= 3 ? count : 0;
}

/* "* ", "- ", "1. ": what is indented under it belongs to it. */
static bool is_list_item(const struct line *line)
{
    const char *at = line->start + line->indent;
    size_t digits = strspn(at, "0123456789");
    if (digits) return at[digits] == '.' && at[digits + 1] == ' ';
    return (*at == '*' || *at == '-') && at[1] == ' ';
}

/* --- Fences ------------------------------------------------------------------------------- */

/* The text of a fence that `opening` opens, up to the line that closes it; false where none does. */
static bool read_fence(const char **at, const struct line *opening, size_t *number, struct fence *fence)
{
    size_t ticks = ticks_of(opening), used = 0;
    const char *info = opening->start + opening->indent + ticks;
    fence->info = copy(info, (size_t)(opening->start + opening->length - info));
    fence->line = *number + 1;
    fence->text = copy("", 0);
    struct line line;
    while (next_line(at, &line)) {
        ++*number;
        size_t closing = ticks_of(&line);
        if (closing >= ticks && line.indent + closing == line.length) return true;
        size_t skipped = line.indent < opening->indent ? line.indent : opening->indent;
        size_t length = line.length - skipped;
        fence->text = realloc(fence->text, used + length + 2);
        ck_assert_ptr_nonnull(fence->text);
        memcpy(fence->text + used, line.start + skipped, length);
        used += length;
        memcpy(fence->text + used++, "\n", 2);
    }
    return false;
}

void markdown_read(const char *text, struct markdown *m)
{
    *m = (struct markdown){0};
    struct line line;
    size_t number = 0;
    bool after_blank = true, in_list = false, only_blanks = false;
    for (const char *at = text; next_line(&at, &line);) {
        number++;
        if (ticks_of(&line)) {
            m->fences = realloc(m->fences, (m->count + 1) * sizeof *m->fences);
            ck_assert_ptr_nonnull(m->fences);
            size_t opened = number;
            struct fence *fence = &m->fences[m->count++];
            *fence = (struct fence){.follows = only_blanks};
            if (!read_fence(&at, &line, &number, fence)) m->unclosed = opened;
            only_blanks = true;
        } else if (!is_blank(&line)) {
            if (line.indent < 4)
                in_list = is_list_item(&line) || (in_list && line.indent > 0);
            else if (after_blank && !in_list && !m->indented)
                m->indented = number;
            only_blanks = false;
        }
        after_blank = is_blank(&line);
    }
}

void markdown_free(struct markdown *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->fences[i].info);
        free(m->fences[i].text);
    }
    free(m->fences);
    *m = (struct markdown){0};
}

/* --- Names -------------------------------------------------------------------------------- */

/* Past a fence that opens at the beginning of a line at `at`; 0 where none does. */
static size_t fence_length(const char *text, size_t at)
{
    const char *rest = text + at;
    struct line line;
    if ((at > 0 && text[at - 1] != '\n') || !next_line(&rest, &line) || !ticks_of(&line)) return 0;
    struct fence fence;
    size_t number = 0;
    read_fence(&rest, &line, &number, &fence);
    free(fence.info);
    free(fence.text);
    return (size_t)(rest - (text + at));
}

char *markdown_next_name(const char *text, size_t *at, bool *link)
{
    while (text[*at]) {
        size_t fenced = fence_length(text, *at);
        *at += fenced;
        if (fenced) continue;
        char closes = '\0';
        if (text[*at] == '`') closes = '`';
        if (strncmp(text + *at, "](", 2) == 0) closes = ')';
        if (!closes) {
            ++*at;
            continue;
        }
        *link = closes == ')';
        size_t start = *at + (*link ? 2 : 1), length = 0;
        while (text[start + length] && text[start + length] != closes && text[start + length] != '\n')
            length++;
        *at = start + length + (text[start + length] == closes);
        if (length && text[start + length] == closes) return copy(text + start, length);
    }
    return NULL;
}

bool markdown_has_anchor(const char *text, const char *anchor)
{
    struct line line;
    for (size_t at = 0; text[at];) {
        const char *rest = text + at;
        const size_t fenced = fence_length(text, at);
        at += fenced;
        if (fenced || !next_line(&rest, &line)) continue;
        at = (size_t)(rest - text);
        size_t i = strspn(line.start, "#"), matched = 0;
        if (i == 0 || line.start[i] != ' ') continue;
        bool same = true;
        for (i++; same && i < line.length; i++) {
            const int c = line.start[i] == ' ' ? '-' : tolower((unsigned char)line.start[i]);
            if (!isalnum(c) && c != '-' && c != '_') continue;
            same = anchor[matched] == c;
            matched += same;
        }
        if (same && anchor[matched] == '\0') return true;
    }
    return false;
}

/* --- Texts that are alike ----------------------------------------------------------------- */

static bool is_dots(const char *text, size_t length)
{
    return length == 3 && memcmp(text, "...", 3) == 0;
}

/* Whether a line is a pattern's, "..." being any characters. */
static bool line_is(const char *pattern, size_t wanted, const char *text, size_t length)
{
    while (wanted && (wanted < 3 || !is_dots(pattern, 3))) {
        if (length == 0 || *pattern != *text) return false;
        pattern++, text++, wanted--, length--;
    }
    if (wanted == 0) return length == 0;
    for (size_t skipped = 0; skipped <= length; skipped++)
        if (line_is(pattern + 3, wanted - 3, text + skipped, length - skipped)) return true;
    return false;
}

/* Whether the lines from `text` on are those of `pattern`, to the end or, with `inside`, at their beginning;
 * `inside` also leaves indentation and blank lines out of account. */
static bool lines_are(const char *pattern, const char *text, bool inside)
{
    for (;;) {
        struct line wanted, line;
        bool more;
        while ((more = next_line(&pattern, &wanted)) && inside && is_blank(&wanted)) continue;
        if (!more && inside) return true;
        if (more && is_dots(wanted.start + wanted.indent, wanted.length - wanted.indent)) {
            do {
                if (lines_are(pattern, text, inside)) return true;
            } while (next_line(&text, &line));
            return false;
        }
        bool there;
        while ((there = next_line(&text, &line)) && inside && is_blank(&line)) continue;
        if (!more || !there) return more == there;
        size_t skip = inside ? wanted.indent : 0, skipped = inside ? line.indent : 0;
        if (!line_is(wanted.start + skip, wanted.length - skip, line.start + skipped, line.length - skipped))
            return false;
    }
}

bool text_is(const char *pattern, const char *text)
{
    return lines_are(pattern, text, false);
}

bool text_contains(const char *pattern, const char *text)
{
    struct line line;
    do {
        if (lines_are(pattern, text, true)) return true;
    } while (next_line(&text, &line));
    return false;
}
