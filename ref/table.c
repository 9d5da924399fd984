#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MOST_COLUMNS 64

void table_add(struct table *table, const char *format, ...)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        char **cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) {
            table->out_of_memory = true;
            return;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    char *cell = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&cell, format, arguments) < 0) cell = NULL;
    va_end(arguments);
    if (cell)
        table->cells[table->count++] = cell;
    else
        table->out_of_memory = true;
}

void table_free(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) free(table->cells[i]);
    free(table->cells);
    *table = (struct table){.alignment = table->alignment};
}

/* Characters, not bytes: UTF-8's continuation bytes take no room, nor do a terminal's changes of colour,
 * ESC [ ... m. */
static int characters(const char *text)
{
    int count = 0;
    for (; *text; text++) {
        if (text[0] == '\033' && text[1] == '[') {
            text += strcspn(text, "m");
            if (!*text) break;
        } else {
            count += ((unsigned char)*text & 0xC0) != 0x80;
        }
    }
    return count;
}

/* How many characters of a cell stand left of its decimal point (or of an exponent where there is no
 * point). */
static int before_point(const char *cell)
{
    return (int)strcspn(cell, cell[strspn(cell, "+-0123456789")] == '.' ? "." : "e");
}

/* A column is as wide as its widest cell; with decimal points, as the widest parts on either side of the
 * point. */
struct column {
    int width, left;
};

static struct column measure(const struct table *table, size_t column)
{
    size_t columns = strlen(table->alignment);
    struct column size = {0, 0};
    int right = 0;
    for (size_t i = column; i < table->count; i += columns) {
        const char *cell = table->cells[i];
        if (characters(cell) > size.width) size.width = characters(cell);
        if (i < columns || table->alignment[column] != '.') continue;
        if (before_point(cell) > size.left) size.left = before_point(cell);
        if (characters(cell) - before_point(cell) > right) right = characters(cell) - before_point(cell);
    }
    if (size.left + right > size.width) size.width = size.left + right;
    return size;
}

enum status table_write(const struct table *table, FILE *out, const char *indent, struct error *error)
{
    size_t columns = strlen(table->alignment);
    struct column sizes[MOST_COLUMNS] = {{0}};
    if (table->out_of_memory) return error_memory(error, 0);
    if (columns == 0 || columns > MOST_COLUMNS)
        return error_input(error, "a table has 1 to %d columns, not %zu", MOST_COLUMNS, columns);
    for (size_t column = 0; column < columns; column++) sizes[column] = measure(table, column);
    int owed = 0; /* spaces that are written once something follows them */
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % columns;
        const char *cell = table->cells[i];
        int room = sizes[column].width - characters(cell), before = 0;
        if (table->alignment[column] == 'r' || (table->alignment[column] == '.' && i < columns))
            before = room;
        if (table->alignment[column] == '.' && i >= columns) before = sizes[column].left - before_point(cell);
        if (before > room) before = room;
        owed += before;
        if (column == 0) fputs(indent, out);
        if (*cell) {
            fprintf(out, "%*s%s", owed, "", cell);
            owed = 0;
        }
        owed += room - before + 2;
        if (column + 1 == columns || i + 1 == table->count) {
            fputc('\n', out);
            owed = 0;
        }
    }
    return STATUS_OK;
}
