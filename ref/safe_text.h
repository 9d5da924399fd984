/*
 * Texts from files that nobody vouches for, shown to a person: names of tensors may hold a terminal's control
 * sequences, bytes that are no UTF-8, or characters that turn the direction of what follows.
 */
#ifndef REF_SAFE_TEXT_H
#define REF_SAFE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The character at the start of a text that is not empty. */
struct text_character {
    size_t bytes;  /* that it takes, at least 1 */
    bool is_utf8;  /* false: `bytes` is 1, and it belongs to no character */
    bool is_shown; /* it has a place on the screen, and does nothing to what stands around it */
};
/* `text` ends in a zero byte and is not empty. */
struct text_character text_character(const char *text);

/* Copies `text` with "\x1b" for each byte of what is not shown, and "..." in place of what does not fit.
 * Returns `buffer`, of at least 8 bytes. */
const char *safe_text(const char *text, char *buffer, size_t size);

#endif
