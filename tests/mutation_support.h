/*
 * What the tests that damage valid input at random share. The damage follows from the number of an attempt
 * alone, so that a failure can be had again.
 */
#ifndef TESTS_MUTATION_SUPPORT_H
#define TESTS_MUTATION_SUPPORT_H

#include "support.h"

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014): any two seeds give unrelated streams. */
uint64_t next_random(uint64_t *state);
/* 0 .. limit-1; 0 where `limit` is 0. */
size_t below(uint64_t *state, size_t limit);

/* The number in an environment variable, or `otherwise`. */
uint64_t mutation_setting(const char *name, uint64_t otherwise);

/* A few damages of a JSON document: values replaced by telling ones, by others of the document and by numbers
 * near or far; list entries that stand twice; keys that go, change places, or turn into others of `donor`.
 * Returns the text, allocated; one time in four its bytes are damaged too, so that it may no longer be
 * JSON. */
char *damaged_json(const cJSON *json, const cJSON *donor, uint64_t *state);

#endif
