#include "mistaken_content.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool begins(const char *text, size_t size, const char *with)
{
    return size >= strlen(with) && strncasecmp(text, with, strlen(with)) == 0;
}

const char *mistaken_content(const void *bytes, size_t size)
{
    const char *text = bytes;
    if (size == 0) return "an empty file (a download that failed?)";
    if (begins(text, size, "version https://git-lfs"))
        return "a Git LFS pointer, not the file that it stands for (git lfs pull)";
    if (begins(text, size, "<!doctype html") || begins(text, size, "<html"))
        return "an HTML page, not the file (a download that failed?)";
    return NULL;
}

/* The last character in front of `at` that is no space; 0 where there is none. */
static char character_before(const char *text, const char *at)
{
    while (at > text && isspace((unsigned char)at[-1])) at--;
    return (char)(at > text ? at[-1] : '\0');
}

static bool is_word(const char *at, size_t left, const char *word)
{
    size_t length = strlen(word);
    return left >= length && strncmp(at, word, length) == 0 &&
           (left == length || !isalnum((unsigned char)at[length]));
}

/* NULL where nothing is known. */
static const char *known_reason(const char *text, size_t length, const char *at)
{
    size_t left = length - (size_t)(at - text);
    char before = character_before(text, at);
    if (left == 0) return before ? "the text ends here (a truncated file?)" : "there is nothing in it";
    if (!before && (isalpha((unsigned char)*at) || *at == '_' || *at == '-'))
        return "this is no JSON, which begins with { or [";
    if (*at == '\'') return "JSON's quotes are double ones";
    if (*at == '/' || *at == '#') return "JSON has no comments";
    if (before == ',' && (*at == '}' || *at == ']')) return "a comma that nothing follows";
    if (is_word(at, left, "True") || is_word(at, left, "False")) return "JSON writes true and false";
    if (is_word(at, left, "None")) return "JSON writes null";
    if (is_word(at, left, "NaN") || is_word(at, left, "nan")) return "JSON has no NaN";
    if (*at == '"')
        return before && strchr("{[,:", before) ? "a string without its closing quote"
                                                : "a comma is missing in front";
    if (before == '{') return "a key takes double quotes";
    return NULL;
}

/* cJSON stops behind the first character of what should have been a string: back to that. */
static const char *where_it_begins(const char *text, const char *at)
{
    if (at == text || isspace((unsigned char)at[-1]) || isdigit((unsigned char)at[-1])) return at;
    char before = character_before(text, at - 1);
    bool string_is_open = at[-1] == '"' && strchr("{,:[", before);
    return before && (string_is_open || strchr("{,", before)) ? at - 1 : at;
}

const char *explain_json(const char *text, size_t length, const char *at, char *buffer, size_t size)
{
    at = where_it_begins(text, at);
    while (at < text + length && isspace((unsigned char)*at)) at++;
    const char *reason = known_reason(text, length, at);
    if (reason)
        snprintf(buffer, size, ": %s", reason);
    else if (isgraph((unsigned char)*at))
        snprintf(buffer, size, ": unexpected %c", *at);
    else
        snprintf(buffer, size, ": unexpected byte 0x%02X", (unsigned)(unsigned char)*at);
    return buffer;
}
