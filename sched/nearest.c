#include "nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_LENGTH 64

static size_t minimum(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance (Damerau 1964, with adjacent swaps only) of two names shorter than
 * MAX_LENGTH. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][MAX_LENGTH + 1];
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    size_t length_a = strlen(a), length_b = strlen(b);
    for (size_t j = 0; j <= length_b; j++) before[j] = previous[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        current[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t change = previous[j - 1] + (a[i - 1] != b[j - 1]);
            current[j] = minimum(change, minimum(previous[j], current[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                current[j] = minimum(current[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = previous;
        previous = current;
        current = oldest;
    }
    return previous[length_b];
}

/* `name` in small letters, and '-' for '_' and spaces. Returns false where it is too long. */
static bool fold(const char *name, char folded[MAX_LENGTH])
{
    size_t length = strlen(name);
    if (length >= MAX_LENGTH) return false;
    for (size_t i = 0; i <= length; i++)
        folded[i] = (char)(name[i] == '_' || name[i] == ' ' ? '-' : tolower((unsigned char)name[i]));
    return true;
}

/* Whether `name` is the beginning of `candidate`, or words of it. Two letters are the beginning of too
 * much. */
static bool is_part(const char *name, const char *candidate)
{
    size_t length = strlen(name);
    if (length < 3) return false;
    if (strncmp(candidate, name, length) == 0) return true;
    for (const char *at = candidate; (at = strstr(at, name)); at++)
        if (at[-1] == '-' && (at[length] == '-' || !at[length])) return true;
    return false;
}

const char *nearest_name(const char *name, const char *const *candidates, size_t count)
{
    char wanted[MAX_LENGTH], folded[MAX_LENGTH];
    if (!fold(name, wanted)) return NULL;
    const char *best = NULL, *whole = NULL;
    size_t best_distance = (strlen(name) + 2) / 3 + 1; /* at most a third of the letters, and at least one */
    for (size_t i = 0; i < count; i++) {
        if (!fold(candidates[i], folded)) continue;
        size_t distance = edit_distance(wanted, folded);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
        if (is_part(wanted, folded) && (!whole || strlen(candidates[i]) < strlen(whole)))
            whole = candidates[i];
    }
    return whole && best_distance > 1 ? whole : best;
}

const char *did_you_mean(const char *nearest, const char *before, char *buffer, size_t size)
{
    *buffer = '\0';
    if (nearest) snprintf(buffer, size, " (did you mean %s%s?)", before, nearest);
    return buffer;
}
