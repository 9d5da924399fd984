/*
 * A small run and dumps of it by another backend: what the tests of names and of layouts share.
 */
#ifndef TESTS_THEIR_DUMP_H
#define TESTS_THEIR_DUMP_H

#include "file_support.h"

#include "ref/their_tensors.h"

extern struct known_tensors
    known;                      /* of twelve steps of a guided run with one picture, latents [1, 4, 6, 8] */
extern struct tensor_set *dump; /* theirs, in the making */
extern struct their_tensors theirs;
extern struct warnings warnings;

/* Check's fixtures: an empty dump in a new folder before each test; all of it goes after it. */
void set_up_dump(void);
void drop_dump(void);

/* Adds a tensor whose elements count up from `first`. */
void put_floats(const char *name, int rank, const int64_t *shape, float first);
#define PUT(name, first, ...)                                                                                \
    put_floats(name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__}, first)

/* Writes the dump, and the map's text (NULL: none), as dump.safetensors and names.json, and opens them. */
enum status open_dump(const char *map, bool channels_last, struct error *error);
void must_open(const char *map, bool channels_last);

/* Ours must be there, from this name of theirs, with this shape in words. */
const struct tensor *expect(const char *name, const char *their_name, const char *shape);
void expect_element(const struct tensor *tensor, size_t i, double value);
/* What was done to one of ours must be said with these words; NULL: nothing was done. */
void expect_change(const char *name, const char *words);
/* Whether a warning holds these words. */
bool warned(const char *words);

#endif
