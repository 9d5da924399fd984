#include "safe_text.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

struct text_character text_character(const char *text)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t bytes =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)strnlen(text, 4), &code);
    if (bytes <= 0) return (struct text_character){.bytes = 1};
    struct text_character character = {.bytes = (size_t)bytes, .is_utf8 = true, .is_shown = true};
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CN: /* not assigned */
    case UTF8PROC_CATEGORY_CC: /* control characters */
    case UTF8PROC_CATEGORY_CF: /* those of direction among them */
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: character.is_shown = false; break;
    default: break;
    }
    return character;
}

const char *safe_text(const char *text, char *buffer, size_t size)
{
    size_t used = 0, whole = 0; /* `whole`: so much of it leaves room for the three points */
    while (*text) {
        struct text_character character = text_character(text);
        char piece[4 * 4 + 1];
        size_t length = 0;
        if (character.is_shown) {
            memcpy(piece, text, character.bytes);
            length = character.bytes;
        } else {
            for (size_t i = 0; i < character.bytes; i++)
                length += (size_t)snprintf(
                    piece + length, sizeof piece - length, "\\x%02x", (unsigned)(unsigned char)text[i]);
        }
        if (used + length + 1 > size) {
            memcpy(buffer + whole, "...", 4);
            return buffer;
        }
        memcpy(buffer + used, piece, length);
        used += length;
        if (used + 4 <= size) whole = used;
        text += character.bytes;
    }
    buffer[used] = '\0';
    return buffer;
}
