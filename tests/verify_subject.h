/*
 * A golden trace as `plumb verify` sees it: the tensors, or some of them, the checkpoint and the call.
 */
#ifndef TESTS_VERIFY_SUBJECT_H
#define TESTS_VERIFY_SUBJECT_H

#include "ref/verify.h"

#define GOLDEN_TRACES 19
extern const char *const golden_traces[GOLDEN_TRACES];

struct subject {
    const char *name;
    struct tensor_set *tensors; /* the golden file */
    struct pipeline pipeline;
    struct recipe recipe;
    struct verify_options options; /* the default, without drift and diagnosis */
};

/* Opens golden/models/traces/<name> and the checkpoint that made it; the call is the trace's own. */
void subject_open(const char *name, struct subject *subject);
void subject_close(struct subject *subject);

/* The tensors whose names fit one of the globs (up to a NULL), as a set of their own; f64.* never does. */
struct tensor_set *subject_part(const struct subject *subject, ...) __attribute__((sentinel));
/* A copy of the one tensor in a set, to be changed. */
struct tensor *part_tensor(const struct tensor_set *part, const char *name);

/* Verifies; fails the test where that fails. */
struct verification subject_verify(const struct subject *subject, const struct tensor_set *theirs);
/* The row of this name; fails the test where there is none. */
const struct verify_row *row_of(const struct verification *verification, const char *name);

#endif
