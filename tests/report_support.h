/*
 * Verifications made by hand, for the tests of what is shown of them; and what a page of HTML must be.
 */
#ifndef TESTS_REPORT_SUPPORT_H
#define TESTS_REPORT_SUPPORT_H

#include "file_support.h"

#include "ref/verify_report.h"

#include <stdio.h>

/* A verification and what it needs, growing row by row. */
struct made_report {
    struct verification verification;
    struct verify_options options;
    struct verify_report report;
    struct tensor_set *theirs, *exact;
};
void make_report(struct made_report *made);
void free_report(struct made_report *made);

/* Adds a row of `count` floats whose errors are `multiple` times a floor of 1e-6 each; the verdict is the one
 * given. The name is copied. */
struct verify_row *add_report_row(
    struct made_report *made, const char *name, enum verify_verdict verdict, double multiple);
/* Call it when all rows are there: rows moved while they were added. */
void finish_report(struct made_report *made);

/* A name that would do harm on a terminal, in a page, in JSON. */
extern const char hostile_name[];
/* Ten steps, the fourth with a UNet that is wrong; what is not recorded; another shape; the name above. */
void add_many_rows(struct made_report *made);

/* What a writer writes, as a text that the caller frees. */
char *written_table(const struct made_report *made, bool all, bool coloured);
char *written_json(const struct made_report *made);
char *written_page(const struct made_report *made);

/* Fails the test unless tags are closed in the order that they were opened in, attributes are quoted, and
 * each & begins a reference that XML knows. Returns the number of elements. */
size_t expect_well_formed(const char *page);
/* Fails the test where the page loads or runs anything. */
void expect_self_contained(const char *page);
/* How often `part` is in `text`. */
size_t count_in(const char *text, const char *part);

#endif
