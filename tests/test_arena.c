/*
 * The arena: alignment, reuse, what release_keep() keeps, chunks of every size, and memory that is not there.
 */
#include "ref/arena.h"
#include "support.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* AddressSanitizer would end the program where memory is out, which is what one test is about. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

#define MIB ((size_t)1 << 20)

static struct arena *new_arena(void)
{
    struct arena *arena = NULL;
    struct error error = {""};
    ck_assert_int_eq(arena_create(&arena, &error), STATUS_OK);
    return arena;
}

START_TEST(every_size_is_aligned_and_apart)
{
    struct arena *arena = new_arena();
    unsigned char *previous = NULL;
    for (size_t bytes = 0; bytes < 300; bytes += 7) {
        unsigned char *data = arena_alloc(arena, bytes);
        ck_assert_ptr_nonnull(data);
        ck_assert_uint_eq((uintptr_t)data % 64, 0);
        ck_assert(!previous || data > previous);
        memset(data, 0xee, bytes);
        previous = data;
    }
    arena_free(arena);
}
END_TEST

START_TEST(released_memory_is_used_again)
{
    struct arena *arena = new_arena();
    arena_alloc(arena, 1000);
    struct arena_mark mark = arena_mark(arena);
    void *first = arena_alloc(arena, 5 * MIB);
    arena_alloc(arena, 30 * MIB); /* in another chunk */
    size_t peak = arena_peak(arena);
    ck_assert_uint_ge(peak, 35 * MIB + 1000);
    ck_assert_uint_le(peak, 35 * MIB + 1000 + 3 * 64);
    for (int i = 0; i < 100; i++) {
        arena_release(arena, mark);
        ck_assert_ptr_eq(arena_alloc(arena, 5 * MIB), first);
        arena_alloc(arena, 30 * MIB);
    }
    ck_assert_uint_eq(arena_peak(arena), peak);
    arena_free(arena);
}
END_TEST

/* What is kept comes to lie at the mark, where it may overlap its old place. */
START_TEST(kept_memory_moves_down)
{
    struct arena *arena = new_arena();
    struct arena_mark mark = arena_mark(arena);
    unsigned char *dropped = arena_alloc(arena, 128);
    unsigned char *kept = arena_alloc(arena, 1000);
    for (int i = 0; i < 1000; i++) kept[i] = (unsigned char)(i * 7);
    unsigned char *moved = arena_release_keep(arena, mark, kept, 1000);
    ck_assert_ptr_eq(moved, dropped);
    for (int i = 0; i < 1000; i++) ck_assert_uint_eq(moved[i], (unsigned char)(i * 7));
    unsigned char *next = arena_alloc(arena, 1);
    ck_assert(next >= moved + 1000);
    arena_free(arena);
}
END_TEST

/* Where it does not fit behind the mark it stays, in a chunk that follows the mark's from then on; the chunk
 * that lay between is empty and used again. */
START_TEST(kept_memory_stays_in_its_chunk)
{
    struct arena *arena = new_arena();
    arena_alloc(arena, 10 * MIB);
    struct arena_mark mark = arena_mark(arena);
    unsigned char *between = arena_alloc(arena, 12 * MIB);
    unsigned char *large = arena_alloc(arena, 31 * MIB);
    large[0] = 1, large[31 * MIB - 1] = 2;
    unsigned char *kept = arena_release_keep(arena, mark, large, 31 * MIB);
    ck_assert_ptr_eq(kept, large);
    ck_assert(kept[0] == 1 && kept[31 * MIB - 1] == 2);
    ck_assert_ptr_eq(arena_alloc(arena, 12 * MIB), between);
    arena_release(arena, mark);
    ck_assert_ptr_eq(arena_alloc(arena, 12 * MIB), between);
    ck_assert_ptr_eq(arena_alloc(arena, 31 * MIB), large);
    arena_free(arena);
}
END_TEST

START_TEST(older_memory_stays_where_it_is)
{
    struct arena *arena = new_arena();
    unsigned char *old = arena_alloc(arena, 64);
    old[0] = 42;
    struct arena_mark mark = arena_mark(arena);
    unsigned char *dropped = arena_alloc(arena, 64);
    ck_assert_ptr_eq(arena_release_keep(arena, mark, old, 64), old);
    ck_assert_uint_eq(old[0], 42);
    ck_assert_ptr_eq(arena_alloc(arena, 64), dropped);
    arena_free(arena);
}
END_TEST

START_TEST(memory_that_is_not_there)
{
    struct arena *arena = new_arena();
    unsigned char *data = arena_alloc(arena, 100);
    data[99] = 7;
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX - 100));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX / 2));
    ck_assert_uint_eq(data[99], 7);
    ck_assert_ptr_nonnull(arena_alloc(arena, 100));
    arena_free(arena);
    arena_free(NULL);
}
END_TEST

/* --- Random scopes against a list of what should be alive --------------------------------- */

struct piece {
    unsigned char *data;
    size_t bytes;
    unsigned char pattern;
};

/* Both ends and a byte here and there: large pieces are not worth filling. */
#define STRIDE (MIB / 3)
static void stamp(const struct piece *piece)
{
    for (size_t i = 0; i < piece->bytes; i += STRIDE) piece->data[i] = piece->pattern;
    piece->data[piece->bytes - 1] = piece->pattern;
}

static void check_stamp(const struct piece *piece)
{
    for (size_t i = 0; i < piece->bytes; i += STRIDE) ck_assert_uint_eq(piece->data[i], piece->pattern);
    ck_assert_uint_eq(piece->data[piece->bytes - 1], piece->pattern);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

enum { MOST_PIECES = 64, MOST_SCOPES = 16 };

START_TEST(random_scopes)
{
    struct arena *arena = new_arena();
    struct piece pieces[MOST_PIECES];
    struct arena_mark marks[MOST_SCOPES];
    int starts[MOST_SCOPES]; /* the first piece of each scope */
    int count = 0, depth = 0;
    uint32_t random = (uint32_t)_i + 1;
    for (int round = 0; round < 200; round++) {
        uint32_t action = next_random(&random) % 8;
        if (action < 5 && count < MOST_PIECES) {
            size_t bytes = 1 + next_random(&random) % (round % 8 == 0 ? 24 * MIB : 100000);
            pieces[count] =
                (struct piece){arena_alloc(arena, bytes), bytes, (unsigned char)next_random(&random)};
            ck_assert_ptr_nonnull(pieces[count].data);
            stamp(&pieces[count++]);
        } else if (action < 6 && depth < MOST_SCOPES) {
            marks[depth] = arena_mark(arena);
            starts[depth++] = count;
        } else if (depth > 0) {
            depth--;
            int alive = count - starts[depth];
            if (action == 6 && alive > 0) { /* keeps one of the scope's pieces */
                struct piece kept = pieces[starts[depth] + (int)(next_random(&random) % (uint32_t)alive)];
                kept.data = arena_release_keep(arena, marks[depth], kept.data, kept.bytes);
                pieces[starts[depth]] = kept;
                count = starts[depth] + 1;
            } else {
                arena_release(arena, marks[depth]);
                count = starts[depth];
            }
        }
        for (int i = 0; i < count; i++) {
            check_stamp(&pieces[i]);
            ck_assert_uint_eq((uintptr_t)pieces[i].data % 64, 0);
        }
    }
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *arena = tcase_create("arena");
    tcase_set_timeout(arena, 60);
    tcase_add_test(arena, every_size_is_aligned_and_apart);
    tcase_add_test(arena, released_memory_is_used_again);
    tcase_add_test(arena, kept_memory_moves_down);
    tcase_add_test(arena, kept_memory_stays_in_its_chunk);
    tcase_add_test(arena, older_memory_stays_where_it_is);
    tcase_add_test(arena, memory_that_is_not_there);
    tcase_add_loop_test(arena, random_scopes, 0, 8);
    suite_add_tcase(suite, arena);
    return run_suite(suite);
}
