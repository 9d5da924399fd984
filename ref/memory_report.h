/*
 * What a run needs of the machine's memory: planned from the shapes, and measured.
 */
#ifndef REF_MEMORY_REPORT_H
#define REF_MEMORY_REPORT_H

#include "pipeline.h"

#include <stdio.h>

/* The anonymous memory of this process in bytes: what is in no file, and so has to stay in memory. 0 where
 * the system does not say. */
size_t memory_anonymous(void);

/* The models of a run, what they are read from, and what each stage needs beside them. `words` says what was
 * planned: "512 x 512 pixels, 1 picture, f32, 2 threads". */
enum status memory_report_write_table(const struct pipeline *pipeline, const struct memory_plan *plan,
    const char *words, FILE *out, struct error *error);
/* The same as a JSON object; all sizes in bytes. */
enum status memory_report_write_json(const struct pipeline *pipeline, const struct memory_plan *plan,
    const char *words, FILE *out, struct error *error);

/* "576.3 MiB"; returns `buffer`. */
const char *show_mebibytes(size_t bytes, char buffer[32]);

#endif
