#include "html.h"

#include "safe_text.h"

static const char *reference(char c)
{
    switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

static void write_text(FILE *out, const char *text, bool breaks)
{
    while (*text) {
        struct text_character character = text_character(text);
        const char *instead = reference(*text);
        if (instead)
            fputs(instead, out);
        else if (character.is_shown)
            fwrite(text, 1, character.bytes, out);
        else
            for (size_t i = 0; i < character.bytes; i++)
                fprintf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
        if (breaks && *text == '.' && text[1] && text[1] != ' ') fputs("<wbr/>", out);
        text += character.bytes;
    }
}

void html_text(FILE *out, const char *text)
{
    write_text(out, text, false);
}

void html_breaking_text(FILE *out, const char *text)
{
    write_text(out, text, true);
}

void html_png(FILE *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fputs("data:image/png;base64,", out);
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (i + 1 < size) three |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < size) three |= bytes[i + 2];
        fputc(digits[three >> 18], out);
        fputc(digits[three >> 12 & 63], out);
        fputc(i + 1 < size ? digits[three >> 6 & 63] : '=', out);
        fputc(i + 2 < size ? digits[three & 63] : '=', out);
    }
}
