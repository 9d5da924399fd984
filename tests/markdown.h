/*
 * The parts of a Markdown text that can be held to what they say: its fences, with what kind of text each one
 * has, and the names in its links and between backticks.
 */
#ifndef TESTS_MARKDOWN_H
#define TESTS_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>

struct fence {
    char *info;   /* "sh", "text" ...; "" where the fence has none */
    char *text;   /* the lines between, without the fence's own indentation */
    size_t line;  /* of its first line of text, from 1 */
    bool follows; /* nothing but blank lines stands between the fence before and this one */
};

struct markdown {
    struct fence *fences;
    size_t count;
    /* Of a fence that is not closed, or of a block that is code by its indentation alone; 0: there is
     * none. */
    size_t unclosed, indented;
};

/* Reads all fences of a text; they fail the test where memory is short. */
void markdown_read(const char *text, struct markdown *m);
void markdown_free(struct markdown *m);

/* The next name outside of fences, from *at on, as a string for the caller to free: where a link or a picture
 * leads ("sched/DEVIATIONS.md"; `link` is true), or what stands between two backticks. NULL at the end. */
char *markdown_next_name(const char *text, size_t *at, bool *link);

/* Whether a heading of the text has this anchor, as GitHub makes it: lower case, letters and digits and '-'
 * and
 * '_' alone, '-' for a space. */
bool markdown_has_anchor(const char *text, const char *anchor);

/* Whether `text` is `pattern`, line by line but for white space at their ends. A line "..." in the pattern
 * stands for any number of lines, "..." within a line for any characters of it. */
bool text_is(const char *pattern, const char *text);

/* Whether the pattern's lines stand together somewhere in `text`, whatever the indentation; blank lines do
 * not count, "..." means what it does above. */
bool text_contains(const char *pattern, const char *text);

#endif
