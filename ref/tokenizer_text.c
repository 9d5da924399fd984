/*
 * Normalisation and splitting, as the fast CLIP tokenizer does them.
 *
 * The slow tokenizer without ftfy differs: it drops control characters, makes a word of each ideograph and
 * lowers a final sigma specially. Nothing of this happens here. Character data are utf8proc's; a character
 * that its version of Unicode does not know counts as "neither space, letter nor digit".
 */
#include "tokenizer_text.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* The longest canonical decomposition of one character, as Unicode guarantees for NFD in UTF-32. */
#define MAX_DECOMPOSITION 4
/* U+0130, capital I with dot above: the one character whose lower case, taken alone, is two characters. */
#define CAPITAL_I_WITH_DOT 0x130
#define COMBINING_DOT_ABOVE 0x307

enum status text_check(const char *text, size_t length, struct error *error)
{
    for (size_t at = 0; at < length;) {
        int32_t code_point;
        size_t bytes = text_code_point(text, length, at, &code_point);
        if (bytes == 0)
            return error_input(error, "expected UTF-8 text, got the byte 0x%02X at offset %zu",
                (unsigned)(unsigned char)text[at], at);
        at += bytes;
    }
    return STATUS_OK;
}

size_t text_code_point(const char *text, size_t length, size_t at, int32_t *code_point)
{
    utf8proc_ssize_t bytes =
        utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(length - at), code_point);
    return bytes > 0 ? (size_t)bytes : 0;
}

size_t text_code_point_before(const char *text, size_t at, int32_t *code_point)
{
    size_t start = at - 1;
    while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80) start--;
    return text_code_point(text, at, start, code_point);
}

bool text_is_space(int32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

static bool is_letter(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_number(int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

/* Unicode's technical standard 18, annex C: Alphabetic, marks, decimal digits, connectors, join controls. The
 * alphabetic characters that are neither letters, marks nor letter numbers are the circled and squared
 * ones. */
bool text_is_word(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: break;
    }
    return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
           (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

/* Sorts a run of combining marks by combining class, stably: a merge sort, since utf8proc's own exchange sort
 * takes quadratic time on a prompt that is one long run of marks. */
static void sort_marks(int32_t *marks, size_t count, int32_t *room)
{
    if (count < 2) return;
    size_t half = count / 2, left = 0, right = half;
    sort_marks(marks, half, room);
    sort_marks(marks + half, count - half, room);
    for (size_t i = 0; i < count; i++) {
        bool take_left = right == count;
        if (left < half && right < count)
            take_left = utf8proc_get_property(marks[left])->combining_class <=
                        utf8proc_get_property(marks[right])->combining_class;
        room[i] = take_left ? marks[left++] : marks[right++];
    }
    memcpy(marks, room, count * sizeof *marks);
}

/* The canonical ordering algorithm (Unicode, section 3.11) over text[count]; `room` holds as much. */
static void order_marks(int32_t *text, size_t count, int32_t *room)
{
    for (size_t i = 0; i < count; i++) {
        size_t end = i;
        while (end < count && utf8proc_get_property(text[end])->combining_class != 0) end++;
        sort_marks(text + i, end - i, room);
        i = end;
    }
}

/* Decomposed and ordered code points: buffer[MAX_DECOMPOSITION * length] -> their number. */
static size_t decompose(const char *text, size_t length, int32_t *buffer)
{
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        int32_t code_point;
        int boundary = 0;
        at += text_code_point(text, length, at, &code_point);
        utf8proc_ssize_t written = utf8proc_decompose_char(
            code_point, buffer + count, MAX_DECOMPOSITION, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        if (written > 0 && written <= MAX_DECOMPOSITION) {
            count += (size_t)written;
        } else { /* cannot happen for the code points of checked text */
            buffer[count++] = code_point;
        }
    }
    return count;
}

/* White space and case of composed[count] -> UTF-8; the result's length. `out` holds 4 bytes a code point. */
static size_t write_lowered(const int32_t *composed, size_t count, char *out)
{
    size_t length = 0;
    bool after_space = false;
    for (size_t i = 0; i < count; i++) {
        int32_t c = composed[i];
        if (text_is_space(c)) {
            if (!after_space) out[length++] = ' ';
            after_space = true;
            continue;
        }
        after_space = false;
        int32_t lower = c == CAPITAL_I_WITH_DOT ? 'i' : utf8proc_tolower(c);
        length += (size_t)utf8proc_encode_char(lower, (utf8proc_uint8_t *)out + length);
        if (c == CAPITAL_I_WITH_DOT)
            length += (size_t)utf8proc_encode_char(COMBINING_DOT_ABOVE, (utf8proc_uint8_t *)out + length);
    }
    out[length] = '\0';
    return length;
}

enum status text_normalise(
    const char *text, size_t length, char **out, size_t *out_length, struct error *error)
{
    *out = NULL;
    *out_length = 0;
    if (length > SIZE_MAX / (8 * MAX_DECOMPOSITION) - 1)
        return error_input(error, "a text of %zu bytes is too long", length);
    size_t bytes = (length + 1) * MAX_DECOMPOSITION * sizeof(int32_t);
    int32_t *buffer = malloc(bytes);
    int32_t *room = malloc(bytes);
    char *result = NULL;
    enum status status = STATUS_OK;
    if (!buffer || !room) {
        status = error_memory(error, bytes);
        goto done;
    }
    size_t count = decompose(text, length, buffer);
    order_marks(buffer, count, room);
    utf8proc_ssize_t composed =
        utf8proc_normalize_utf32(buffer, (utf8proc_ssize_t)count, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (composed < 0) {
        status = error_input(error, "%s", utf8proc_errmsg(composed));
        goto done;
    }
    result = malloc(4 * (size_t)composed + 1);
    if (!result) {
        status = error_memory(error, 4 * (size_t)composed + 1);
        goto done;
    }
    *out_length = write_lowered(buffer, (size_t)composed, result);
    *out = result;
done:
    free(room);
    free(buffer);
    return status;
}

/* The length of the contraction at the start of `text`, 0 where there is none. */
static size_t contraction(const char *text, size_t length)
{
    static const char *const contractions[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof contractions / sizeof *contractions; i++) {
        size_t n = strlen(contractions[i]);
        if (n <= length && memcmp(text, contractions[i], n) == 0) return n;
    }
    return 0;
}

enum word_class { WORD_SPACE, WORD_LETTER, WORD_NUMBER, WORD_OTHER };

static enum word_class class_of(int32_t c)
{
    if (text_is_space(c)) return WORD_SPACE;
    if (is_letter(c)) return WORD_LETTER;
    return is_number(c) ? WORD_NUMBER : WORD_OTHER;
}

bool text_next_word(const char *text, size_t length, size_t *start, size_t *end)
{
    int32_t c;
    size_t at = *start, bytes = 0;
    for (; at < length; at += bytes) {
        bytes = text_code_point(text, length, at, &c);
        if (bytes == 0) return false;
        if (!text_is_space(c)) break;
    }
    if (at >= length) return false;

    *start = at;
    size_t short_form = contraction(text + at, length - at);
    if (short_form) {
        *end = at + short_form;
        return true;
    }
    enum word_class first = class_of(c);
    at += bytes;
    if (first != WORD_NUMBER) { /* a digit is a word of its own, the others go on while the class lasts */
        while (at < length) {
            bytes = text_code_point(text, length, at, &c);
            if (bytes == 0 || class_of(c) != first) break;
            at += bytes;
        }
    }
    *end = at;
    return true;
}
