#include "nearest.h"

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

const char *nearest_name(const char *name, const char *const *candidates, size_t count)
{
    size_t length = strlen(name);
    if (length >= MAX_LENGTH) return NULL;
    const char *best = NULL;
    size_t best_distance = (length + 2) / 3 + 1; /* at most a third of the letters, and at least one */
    for (size_t i = 0; i < count; i++) {
        if (strlen(candidates[i]) >= MAX_LENGTH) continue;
        size_t distance = edit_distance(name, candidates[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}
