/*
 * What a run leaves: a trace's metadata, pictures, and the check beforehand that they can be written.
 */
#ifndef REF_RUN_FILES_H
#define REF_RUN_FILES_H

#include "pipeline.h"

/* What --precision says: the first two are ours, the others are other backends', which a run in float
 * imitates. */
enum precision { PRECISION_F32, PRECISION_F64, PRECISION_F16, PRECISION_BF16, PRECISION_TF32 };
extern const char *const precision_names[]; /* in that order; ends with NULL */
enum number_format precision_format(enum precision precision);

/* Puts into the trace what run it is: recipe, schedule, seed, generator, pipeline, precision, versions, and
 * under "machine" all that depends on where the run is made, and nothing else does. */
enum status run_files_metadata(struct trace *trace, const struct pipeline *pipeline,
    const struct recipe *recipe, enum precision precision, struct error *error);

/* "P.png", or "P-<i>.png" where there are several pictures. Allocated; NULL where memory is out. */
char *run_files_picture(const char *out, size_t i, size_t count);
/* How many there will be. */
size_t run_files_pictures(const struct recipe *recipe);

/* Writes the pictures with their recipe in a text chunk. */
enum status run_files_write_pictures(
    const char *out, const struct pictures *pictures, const struct recipe *recipe, struct error *error);

/* An hour's run must not end in "no such folder": outputs (any may be NULL) are opened, and left again,
 * before it starts. */
enum status run_files_check(const char *out, const char *trace, const char *noise_log,
    const struct recipe *recipe, struct error *error);

#endif
