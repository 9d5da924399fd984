/*
 * Golden checkpoints, copied and damaged.
 */
#ifndef TESTS_WEIGHTS_SUPPORT_H
#define TESTS_WEIGHTS_SUPPORT_H

#include "file_support.h"

#include "ref/checkpoint.h"

/* A copy of golden/models/<name> in the test's folder; its path. */
const char *copy_model(const char *name);
/* Fails the test where there is no checkpoint. */
struct checkpoint open_checkpoint(const char *path);

/* What happens to a tensor of a file: it goes; another, "surplus.weight", comes; its shape gets a 1 at the
 * end; its first two sides change places; its bytes get the type `dtype`; the bits of its last element but
 * one (the only one of a scalar) become `bits`. The file is written again. */
enum change { DROP, ADD, RESHAPE, TRANSPOSE, RETYPE, POISON };
void change_file(const char *path, const char *name, enum change change, enum dtype dtype, uint64_t bits);

#endif
