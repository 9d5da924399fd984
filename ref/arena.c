#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Under AddressSanitizer, memory that is not in use may not be touched: a pass that keeps a tensor beyond its
 * scope, or writes past its end, is caught. Elsewhere these do nothing. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#endif

#define ALIGNMENT ((size_t)64) /* a cache line, and the widest vector */
/* Where an arena that plans begins: an address, so that a place is never NULL, that no program has mapped. */
#define PLANNED_BASE ((uintptr_t)ALIGNMENT)

/* Something allocated. */
struct place {
    size_t begin, end; /* in the arena; multiples of ALIGNMENT */
    size_t allocation; /* the how many-th it was */
};

struct arena {
    unsigned char *memory; /* NULL in an arena that plans */
    size_t size;           /* in one that plans as much as addresses can count */
    struct place *places;  /* in the order of their addresses */
    size_t count, capacity;
    size_t allocations; /* so far */
    size_t peak;
};

enum status arena_create_plan(struct arena **out, struct error *error)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return error_memory(error, sizeof **out);
    (*out)->size = PTRDIFF_MAX / ALIGNMENT * ALIGNMENT;
    return STATUS_OK;
}

enum status arena_create(struct arena **out, size_t bytes, struct error *error)
{
    enum status status = arena_create_plan(out, error);
    if (status != STATUS_OK) return status;
    bytes = bytes ? bytes : 1; /* a mapping is not empty */
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        free(*out);
        *out = NULL;
        return error_memory(error, bytes);
    }
    ASAN_POISON_MEMORY_REGION(memory, bytes);
    (*out)->memory = memory;
    (*out)->size = bytes;
    return STATUS_OK;
}

void arena_free(struct arena *arena)
{
    if (!arena) return;
    if (arena->memory) {
        ASAN_UNPOISON_MEMORY_REGION(arena->memory, arena->size);
        munmap(arena->memory, arena->size);
    }
    free(arena->places);
    free(arena);
}

bool arena_holds_memory(const struct arena *arena)
{
    return arena->memory != NULL;
}

/* --- Places ------------------------------------------------------------------------------- */

static void *address_of(const struct arena *arena, size_t offset)
{
    return arena->memory ? arena->memory + offset : (void *)(PLANNED_BASE + offset);
}

/* The place that begins at `data`; `count` where there is none. */
static size_t find(const struct arena *arena, const void *data)
{
    size_t low = 0, high = arena->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uintptr_t begin = (uintptr_t)address_of(arena, arena->places[middle].begin);
        if (begin == (uintptr_t)data) return middle;
        if (begin < (uintptr_t)data)
            low = middle + 1;
        else
            high = middle;
    }
    return arena->count;
}

/* Where `bytes` go: the smallest gap that holds them, the lowest of several; what lies above the last place
 * counts as the largest gap. Returns the index that the new place will have, and `*begin`; false where there
 * is no room. */
static bool choose(const struct arena *arena, size_t bytes, size_t *index, size_t *begin)
{
    size_t best = SIZE_MAX, end_of_previous = 0;
    for (size_t i = 0; i < arena->count; i++) {
        size_t gap = arena->places[i].begin - end_of_previous;
        if (gap >= bytes && gap < best) {
            best = gap;
            *index = i;
            *begin = end_of_previous;
        }
        end_of_previous = arena->places[i].end;
    }
    if (best < SIZE_MAX) return true;
    *index = arena->count;
    *begin = end_of_previous;
    return bytes <= arena->size && end_of_previous <= arena->size - bytes;
}

static bool reserve(struct arena *arena)
{
    if (arena->count < arena->capacity) return true;
    size_t capacity = arena->capacity ? 2 * arena->capacity : 64;
    struct place *places = realloc(arena->places, capacity * sizeof *places);
    if (!places) return false;
    arena->places = places;
    arena->capacity = capacity;
    return true;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > PTRDIFF_MAX - ALIGNMENT || !reserve(arena)) return NULL;
    size_t rounded = ((bytes ? bytes : 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    size_t index, begin;
    if (!choose(arena, rounded, &index, &begin)) return NULL;
    struct place *place = arena->places + index;
    memmove(place + 1, place, (arena->count - index) * sizeof *place);
    arena->count++;
    *place = (struct place){begin, begin + rounded, arena->allocations++};
    if (place->end > arena->peak) arena->peak = place->end;
    void *data = address_of(arena, begin);
    if (arena->memory) ASAN_UNPOISON_MEMORY_REGION(data, bytes);
    return data;
}

static void remove_place(struct arena *arena, size_t index)
{
    struct place *place = arena->places + index;
    if (arena->memory) ASAN_POISON_MEMORY_REGION(arena->memory + place->begin, place->end - place->begin);
    arena->count--;
    memmove(place, place + 1, (arena->count - index) * sizeof *place);
}

void arena_drop(struct arena *arena, const void *data)
{
    size_t index = find(arena, data);
    if (index < arena->count) remove_place(arena, index);
}

void *arena_lower(struct arena *arena, void *data, size_t bytes)
{
    size_t index = find(arena, data);
    if (index == arena->count) return data;
    struct place place = arena->places[index];
    size_t length = place.end - place.begin, lower = 0, end_of_previous = 0;
    while (lower < index && arena->places[lower].begin - end_of_previous < length)
        end_of_previous = arena->places[lower++].end;
    if (end_of_previous == place.begin) return data;

    memmove(arena->places + lower + 1, arena->places + lower, (index - lower) * sizeof place);
    arena->places[lower] = (struct place){end_of_previous, end_of_previous + length, place.allocation};
    void *moved = address_of(arena, end_of_previous);
    if (!arena->memory) return moved;
    ASAN_UNPOISON_MEMORY_REGION(moved, bytes); /* the two places may overlap */
    memmove(moved, data, bytes);
    ASAN_POISON_MEMORY_REGION(data, length);
    ASAN_UNPOISON_MEMORY_REGION(moved, bytes);
    return moved;
}

/* --- Scopes ------------------------------------------------------------------------------- */

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->allocations};
}

void arena_release_but(struct arena *arena, struct arena_mark mark, const void *kept)
{
    size_t stays = find(arena, kept);
    for (size_t i = arena->count; i-- > 0;)
        if (i != stays && arena->places[i].allocation >= mark.allocations) remove_place(arena, i);
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
    arena_release_but(arena, mark, NULL);
}

/* --- How much ----------------------------------------------------------------------------- */

size_t arena_peak(const struct arena *arena)
{
    return arena->peak;
}

void arena_restart_peak(struct arena *arena)
{
    arena->peak = arena->count > 0 ? arena->places[arena->count - 1].end : 0;
}
