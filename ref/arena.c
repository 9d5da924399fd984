#include "arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer, memory that is not in use may not be touched: a pass that keeps a tensor beyond its
 * scope, or writes past its end, is caught. Elsewhere these do nothing. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#endif

#define ALIGNMENT 64                   /* a cache line, and the widest vector */
#define FIRST_CHUNK ((size_t)16 << 20) /* pages that nobody touches cost nothing */
#define MAX_CHUNKS 256

struct chunk {
    unsigned char *data; /* on a 64-byte boundary */
    size_t size, used;
};

/* Chunks 0..top hold what is in use, in order; those above `top` are empty and wait to be used again. */
struct arena {
    struct chunk chunks[MAX_CHUNKS];
    size_t count, top;
    size_t peak;
};

enum status arena_create(struct arena **out, struct error *error)
{
    *out = calloc(1, sizeof **out);
    return *out ? STATUS_OK : error_memory(error, sizeof **out);
}

void arena_free(struct arena *arena)
{
    if (!arena) return;
    for (size_t i = 0; i < arena->count; i++) free(arena->chunks[i].data);
    free(arena);
}

static bool round_up(size_t bytes, size_t *rounded)
{
    if (bytes > SIZE_MAX - ALIGNMENT) return false;
    *rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return true;
}

static void swap_chunks(struct arena *arena, size_t i, size_t j)
{
    struct chunk chunk = arena->chunks[i];
    arena->chunks[i] = arena->chunks[j];
    arena->chunks[j] = chunk;
}

/* A new chunk of at least `bytes` at the end. Each doubles the room there is, so that there are few; where
 * the system refuses that, just what is asked for. */
static bool grow(struct arena *arena, size_t bytes)
{
    if (arena->count == MAX_CHUNKS) return false;
    size_t room = 0;
    for (size_t i = 0; i < arena->count; i++) room += arena->chunks[i].size;
    size_t size = room > FIRST_CHUNK ? room : FIRST_CHUNK;
    if (size < bytes) size = bytes;
    unsigned char *data = aligned_alloc(ALIGNMENT, size);
    if (!data && size > bytes) {
        size = bytes;
        data = aligned_alloc(ALIGNMENT, size);
    }
    if (!data) return false;
    ASAN_POISON_MEMORY_REGION(data, size);
    arena->chunks[arena->count++] = (struct chunk){data, size, 0};
    return true;
}

/* Makes a chunk with room for `bytes` the top one: the present one, else the smallest empty one that fits,
 * else a new one. */
static bool make_room(struct arena *arena, size_t bytes)
{
    const struct chunk *top = &arena->chunks[arena->top];
    if (arena->count > 0 && top->size - top->used >= bytes) return true;

    size_t first_empty = arena->count == 0 ? 0 : arena->top + 1;
    size_t best = arena->count;
    for (size_t i = first_empty; i < arena->count; i++)
        if (arena->chunks[i].size >= bytes &&
            (best == arena->count || arena->chunks[i].size < arena->chunks[best].size))
            best = i;
    if (best == arena->count && !grow(arena, bytes)) return false;
    swap_chunks(arena, first_empty, best);
    arena->top = first_empty;
    return true;
}

static void note_peak(struct arena *arena)
{
    size_t used = 0;
    for (size_t i = 0; i < arena->count && i <= arena->top; i++) used += arena->chunks[i].used;
    if (used > arena->peak) arena->peak = used;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded;
    if (!round_up(bytes ? bytes : 1, &rounded) || !make_room(arena, rounded)) return NULL;
    struct chunk *top = &arena->chunks[arena->top];
    void *data = top->data + top->used;
    top->used += rounded;
    note_peak(arena);
    ASAN_UNPOISON_MEMORY_REGION(data, bytes);
    return data;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->top, arena->chunks[arena->top].used};
}

/* Cuts a chunk back to `used` bytes. */
static void cut(struct chunk *chunk, size_t used)
{
    ASAN_POISON_MEMORY_REGION(chunk->data + used, chunk->used - used);
    chunk->used = used;
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
    if (arena->count == 0) return;
    for (size_t i = mark.chunk + 1; i <= arena->top; i++) cut(&arena->chunks[i], 0);
    arena->top = mark.chunk;
    cut(&arena->chunks[mark.chunk], mark.used);
}

/* The chunk that `data` lies in, from `first` to the top; the number of chunks where there is none. */
static size_t chunk_of(const struct arena *arena, size_t first, const void *data)
{
    uintptr_t address = (uintptr_t)data;
    for (size_t i = first; i < arena->count && i <= arena->top; i++) {
        uintptr_t start = (uintptr_t)arena->chunks[i].data;
        if (address >= start && address < start + arena->chunks[i].size) return i;
    }
    return arena->count;
}

void *arena_release_keep(struct arena *arena, struct arena_mark mark, void *data, size_t bytes)
{
    size_t home = chunk_of(arena, mark.chunk, data);
    arena_release(arena, mark);
    const struct chunk *lowest = &arena->chunks[mark.chunk];
    if (home == arena->count || (home == mark.chunk && (unsigned char *)data < lowest->data + mark.used))
        return data; /* older than the mark, and so not given back */

    /* Straight after the mark where it fits there. Where it does not, it lies in a chunk above the mark's,
     * which becomes the next one: nothing can lie in front of it there any more. The two places may overlap.
     */
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (home != mark.chunk && lowest->size - lowest->used < rounded) {
        swap_chunks(arena, mark.chunk + 1, home);
        arena->top = mark.chunk + 1;
    }
    struct chunk *top = &arena->chunks[arena->top];
    void *place = top->data + top->used;
    if (place != data) {
        ASAN_UNPOISON_MEMORY_REGION(data, bytes);
        ASAN_UNPOISON_MEMORY_REGION(place, bytes);
        memmove(place, data, bytes);
        ASAN_POISON_MEMORY_REGION(data, bytes);
    }
    top->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(place, bytes);
    return place;
}

size_t arena_peak(const struct arena *arena)
{
    return arena->peak;
}
