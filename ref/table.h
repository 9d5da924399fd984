/*
 * Tables of text with aligned columns.
 */
#ifndef REF_TABLE_H
#define REF_TABLE_H

#include "sched/error.h"

#include <stdbool.h>
#include <stdio.h>

/* Starts as {.alignment = "..."}: a letter a column, 'l' left, 'r' right, '.' numbers under each other by
 * their decimal points. Cells are added row by row, the headings first. A terminal's changes of colour (ESC [
 * ... m) in them take no room. */
struct table {
    const char *alignment;
    char **cells;
    size_t count, capacity;
    bool out_of_memory; /* said by table_write() */
};

/* Adds the next cell. */
void table_add(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);
/* Writes all rows, each line with `indent` in front, columns two spaces apart, no spaces at line ends. */
enum status table_write(const struct table *table, FILE *out, const char *indent, struct error *error);
void table_free(struct table *table);

#endif
