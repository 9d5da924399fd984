#include "real.h"
#include "history.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum status history_prepare(struct history *history, size_t capacity, size_t size, struct error *error)
{
    if (history->capacity == capacity && history->size == size) return STATUS_OK;
    if (history->count)
        return error_input(
            error, "sample: expected %zu numbers as in the steps before, got %zu", history->size, size);
    history_clear(history);
    if (size && capacity > SIZE_MAX / sizeof(real) / size) return error_memory(error, SIZE_MAX);
    history->memory = malloc(capacity * size * sizeof *history->memory);
    if (!history->memory) return error_memory(error, capacity * size * sizeof *history->memory);
    history->capacity = capacity;
    history->size = size;
    return STATUS_OK;
}

enum status history_reserve(struct history *history, size_t capacity, size_t size, struct error *error)
{
    if (capacity == 0) capacity = 1;
    if (history->count == 0 || history->size != size || capacity <= history->capacity)
        return history_prepare(
            history, capacity > history->capacity ? capacity : history->capacity, size, error);
    struct history larger = {0};
    enum status status = history_prepare(&larger, capacity, size, error);
    if (status != STATUS_OK) return status;
    for (size_t age = history->count; age > 0; age--) {
        memcpy(history_next(&larger), history_at(history, age - 1), size * sizeof(real));
        history_push(&larger);
    }
    history_clear(history);
    *history = larger;
    return STATUS_OK;
}

static size_t next_place(const struct history *history)
{
    return history->count ? (history->newest + 1) % history->capacity : 0;
}

real *history_next(struct history *history)
{
    return history->memory + next_place(history) * history->size;
}

void history_push(struct history *history)
{
    history->newest = next_place(history);
    if (history->count < history->capacity) history->count++;
}

real *history_at(const struct history *history, size_t age)
{
    size_t place = (history->newest + history->capacity - age) % history->capacity;
    return history->memory + place * history->size;
}

const real *history_newest(const struct history *history)
{
    return history->count > 0 ? history_at(history, 0) : NULL;
}

void history_forget(struct history *history)
{
    history->count = 0;
}

void history_clear(struct history *history)
{
    free(history->memory);
    *history = (struct history){0};
}
