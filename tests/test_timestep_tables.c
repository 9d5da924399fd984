/*
 * Every class's timesteps for every spacing, kind of sigmas and count of steps against those that diffusers
 * gave (golden/timesteps.txt).
 */
#include "ref/timestep_tables.h"

#include "tests/program.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TABLES = 512 };

/* The tables of one text, which is cut into lines in place: name i belongs to the lines from first[i] up to
 * the next name or the end. */
struct tables {
    char **lines;
    size_t line_count, count;
    const char *names[MOST_TABLES];
    size_t first[MOST_TABLES];
};

static struct tables read_tables(char *text)
{
    struct tables tables = {0};
    size_t capacity = 1, waiting = 0;
    for (const char *c = text; *c; c++) capacity += *c == '\n';
    tables.lines = calloc(capacity, sizeof *tables.lines);
    ck_assert_ptr_nonnull(tables.lines);
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        if (strncmp(line, "= ", 2) == 0) {
            ck_assert_uint_lt(tables.count, MOST_TABLES);
            tables.names[tables.count++] = line + 2;
            waiting++;
            tables.lines[tables.line_count++] = NULL; /* ends the block before */
        } else {
            for (; waiting > 0; waiting--) tables.first[tables.count - waiting] = tables.line_count;
            tables.lines[tables.line_count++] = *line ? line : NULL;
        }
    }
    return tables;
}

static const size_t *find(const struct tables *tables, const char *name)
{
    for (size_t i = 0; i < tables->count; i++)
        if (strcmp(tables->names[i], name) == 0) return &tables->first[i];
    return NULL;
}

/* Whether two lines say the same up to one unit of the last of the five digits that are written, which
 * NumPy's float32 logarithm decides now and then. Integers have runs in their lines, and must be equal. */
static bool nearly_equal(const char *a, const char *b)
{
    if (strchr(a, '*') || strchr(b, '*')) return false;
    while (*a && *b) {
        char *a_end, *b_end;
        const double x = strtod(a, &a_end), y = strtod(b, &b_end);
        if (a_end == a || b_end == b) { /* a word or a space */
            if (*a++ != *b++) return false;
            continue;
        }
        if (!(fabs(x - y) <= 1.01e-4 * fmax(fabs(x), 1e-3))) return false;
        a = a_end;
        b = b_end;
    }
    return *a == *b;
}

START_TEST(every_table_is_diffusers)
{
    char *ours = NULL;
    size_t size, equal = 0, near = 0;
    struct error error = {""};
    FILE *text = open_memstream(&ours, &size);
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(timestep_tables_write(text, &error) == STATUS_OK, "%s", error.message);
    fclose(text);
    unsigned char *bytes = read_bytes(golden_path("timesteps.txt"), &size);
    char *golden = strndup((char *)bytes, size);
    ck_assert_ptr_nonnull(golden);
    struct tables theirs = read_tables(golden), mine = read_tables(ours);
    ck_assert_uint_eq(theirs.count, mine.count);
    for (size_t t = 0; t < theirs.count; t++) {
        const size_t *first = find(&mine, theirs.names[t]);
        ck_assert_msg(first != NULL, "%s: there is no such table", theirs.names[t]);
        char **expected = theirs.lines + theirs.first[t], **line = mine.lines + *first;
        for (; *expected && *line; expected++, line++) {
            const bool same = strcmp(*expected, *line) == 0;
            ck_assert_msg(same || nearly_equal(*expected, *line), "%s: expected %s\ngot %s", theirs.names[t],
                *expected, *line);
            equal += same;
            near += !same;
        }
        ck_assert_msg(!*expected && !*line, "%s: not as many counts of steps", theirs.names[t]);
    }
    printf(
        "timesteps.txt: %zu tables, %zu of %zu lines equal, the others within one unit of the last digit\n",
        theirs.count, equal, equal + near);
    free(theirs.lines);
    free(mine.lines);
    free(golden);
    free(bytes);
    free(ours);
}
END_TEST

START_TEST(the_command_prints_them)
{
    ck_assert_int_eq(plumb("schedule --tables"), 0);
    expect_in(out, "= DDIM leading plain\n");
    expect_failure(plumb("schedule DDIM --tables"), STATUS_BAD_INPUT, 0, "--tables", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timestep tables");
    TCase *tcase = tcase_create("tables");
    tcase_add_checked_fixture(tcase, make_test_folder, drop_program_folder);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_table_is_diffusers);
    tcase_add_test(tcase, the_command_prints_them);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
