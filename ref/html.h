/*
 * What a page of HTML is written with. Whatever comes from a file or from the command line goes through
 * html_text(); pages are well-formed as XML too.
 */
#ifndef REF_HTML_H
#define REF_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* `text` as it is to be read, between tags or within quotes: <, >, &, " and ' are written as references, what
 * is no UTF-8 or not shown as in safe_text(). */
void html_text(FILE *out, const char *text);

/* The same where a line may break after each '.', so that names break at their joints. Between tags
 * only. */
void html_breaking_text(FILE *out, const char *text);

/* A picture's bytes (of a PNG file) as an address that holds them: data:image/png;base64,... */
void html_png(FILE *out, const uint8_t *bytes, size_t size);

#endif
