/*
 * The arena: alignment, reuse, what a scope keeps, planning against memory, and memory that is not there.
 */
#include "ref/arena.h"
#include "support.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static struct arena *new_arena(size_t bytes)
{
    struct arena *arena = NULL;
    struct error error = {""};
    ck_assert_int_eq(arena_create(&arena, bytes, &error), STATUS_OK);
    ck_assert(arena_holds_memory(arena));
    return arena;
}

static struct arena *new_plan(void)
{
    struct arena *arena = NULL;
    struct error error = {""};
    ck_assert_int_eq(arena_create_plan(&arena, &error), STATUS_OK);
    ck_assert(!arena_holds_memory(arena));
    return arena;
}

START_TEST(every_size_is_aligned_and_apart)
{
    struct arena *arena = new_arena(MIB);
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
    struct arena *arena = new_arena(36 * MIB);
    arena_alloc(arena, 1000);
    struct arena_mark mark = arena_mark(arena);
    void *first = arena_alloc(arena, 5 * MIB);
    void *second = arena_alloc(arena, 30 * MIB);
    size_t peak = arena_peak(arena);
    ck_assert_uint_eq(peak, 35 * MIB + 1024);
    for (int i = 0; i < 100; i++) {
        arena_release(arena, mark);
        ck_assert_ptr_eq(arena_alloc(arena, 5 * MIB), first);
        ck_assert_ptr_eq(arena_alloc(arena, 30 * MIB), second);
    }
    ck_assert_uint_eq(arena_peak(arena), peak);
    arena_release(arena, mark);
    arena_restart_peak(arena);
    ck_assert_uint_eq(arena_peak(arena), 1024);
    arena_free(arena);
}
END_TEST

/* What a scope keeps stays where it is, and what lay around it makes room. */
START_TEST(a_scope_keeps_one)
{
    struct arena *arena = new_arena(MIB);
    struct arena_mark mark = arena_mark(arena);
    unsigned char *below = arena_alloc(arena, 128);
    unsigned char *kept = arena_alloc(arena, 1000);
    unsigned char *above = arena_alloc(arena, 128);
    for (int i = 0; i < 1000; i++) kept[i] = (unsigned char)(i * 7);
    arena_release_but(arena, mark, kept);
    ck_assert_ptr_eq(arena_alloc(arena, 128), below);
    ck_assert_ptr_eq(arena_alloc(arena, 128), above);
    for (int i = 0; i < 1000; i++) ck_assert_uint_eq(kept[i], (unsigned char)(i * 7));

    /* A later scope does not touch it; an earlier one takes it along. */
    struct arena_mark later = arena_mark(arena);
    arena_release(arena, later);
    ck_assert_ptr_ne(arena_alloc(arena, 1000), kept);
    arena_release(arena, mark);
    ck_assert_ptr_eq(arena_alloc(arena, 2000), below);
    arena_free(arena);
}
END_TEST

START_TEST(older_memory_outlives_a_scope)
{
    struct arena *arena = new_arena(MIB);
    unsigned char *old = arena_alloc(arena, 64);
    old[0] = 42;
    struct arena_mark mark = arena_mark(arena);
    unsigned char *dropped = arena_alloc(arena, 64);
    arena_release_but(arena, mark, old);
    ck_assert_uint_eq(old[0], 42);
    ck_assert_ptr_eq(arena_alloc(arena, 64), dropped);
    arena_free(arena);
}
END_TEST

/* The smallest gap that fits is taken, the lowest of several. */
START_TEST(gaps_are_filled)
{
    struct arena *arena = new_arena(MIB);
    static const size_t sizes[] = {512, 64, 256, 64, 256, 64};
    unsigned char *pieces[6];
    for (int i = 0; i < 6; i++) pieces[i] = arena_alloc(arena, sizes[i]);
    for (int i = 0; i < 6; i += 2) arena_drop(arena, pieces[i]);
    arena_drop(arena, NULL);
    arena_drop(arena, pieces[1] + 1); /* the start of nothing */
    ck_assert_ptr_eq(arena_alloc(arena, 200), pieces[2]);
    ck_assert_ptr_eq(arena_alloc(arena, 256), pieces[4]);
    ck_assert_ptr_eq(arena_alloc(arena, 256), pieces[0]);
    ck_assert_ptr_eq(arena_alloc(arena, 192), pieces[0] + 256);
    ck_assert_ptr_eq(arena_alloc(arena, 65), pieces[5] + 64);
    arena_free(arena);
}
END_TEST

/* Down to the lowest gap that fits, or straight onto what lies below it, which it may overlap. */
START_TEST(what_is_lowered_keeps_its_bytes)
{
    struct arena *arena = new_arena(MIB), *plan = new_plan();
    static const size_t sizes[] = {512, 64, 256, 64, 1000};
    unsigned char *pieces[5], *planned[5];
    for (int i = 0; i < 5; i++) {
        pieces[i] = arena_alloc(arena, sizes[i]);
        planned[i] = arena_alloc(plan, sizes[i]);
    }
    for (int i = 0; i < 1000; i++) pieces[4][i] = (unsigned char)(i * 7);
    ck_assert_ptr_eq(arena_lower(arena, pieces[4], 1000), pieces[4]);
    arena_drop(arena, pieces[2]);
    arena_drop(plan, planned[2]);
    ck_assert_ptr_eq(arena_lower(arena, pieces[4], 1000), pieces[4]);
    arena_drop(arena, pieces[3]);
    arena_drop(plan, planned[3]);
    unsigned char *lower = arena_lower(arena, pieces[4], 1000);
    ck_assert_ptr_eq(lower, pieces[2]);
    ck_assert_ptr_eq(arena_lower(plan, planned[4], 1000), planned[2]);
    ck_assert_ptr_eq(arena_alloc(arena, 64), lower + 1024);
    struct arena_mark mark = arena_mark(arena);
    arena_drop(arena, pieces[0]);
    arena_drop(arena, pieces[1]);
    lower = arena_lower(arena, lower, 1000);
    ck_assert_ptr_eq(lower, pieces[0]);
    for (int i = 0; i < 1000; i++) ck_assert_uint_eq(lower[i], (unsigned char)(i * 7));
    ck_assert_ptr_eq(arena_lower(arena, lower + 1, 10), lower + 1); /* the start of nothing */
    arena_release(arena, mark);                                     /* it is as old as it was */
    ck_assert_ptr_ne(arena_alloc(arena, 1), lower);
    arena_free(arena);
    arena_free(plan);
}
END_TEST

START_TEST(memory_that_is_not_there)
{
    struct arena *arena = new_arena(4096);
    unsigned char *data = arena_alloc(arena, 100);
    data[99] = 7;
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX - 100));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX / 2));
    ck_assert_ptr_null(arena_alloc(arena, 4096 - 128 + 1));
    ck_assert_ptr_nonnull(arena_alloc(arena, 4096 - 128));
    ck_assert_uint_eq(data[99], 7);
    arena_free(arena);
    arena_free(NULL);

    struct error error = {""};
    expect_error(
        arena_create(&arena, (size_t)1 << 60, &error), STATUS_MACHINE, &error, "out of memory", NULL);
    ck_assert_ptr_null(arena);
    arena = new_plan();
    ck_assert_ptr_nonnull(arena_alloc(arena, (size_t)1 << 60));
    ck_assert_ptr_null(arena_alloc(arena, SIZE_MAX / 2));
    arena_free(arena);
}
END_TEST

/* --- Random scopes against a list of what should be alive --------------------------------- */

struct piece {
    unsigned char *data, *planned;
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

enum { MOST_PIECES = 64, MOST_SCOPES = 16, ROUNDS = 200 };

struct play {
    struct arena *arena, *plan;
    struct piece pieces[MOST_PIECES]; /* alive */
    struct arena_mark marks[MOST_SCOPES], planned_marks[MOST_SCOPES];
    int starts[MOST_SCOPES]; /* the first piece of each scope */
    int count, depth;
    uint32_t random;
};

static void allocate(struct play *play, size_t largest)
{
    struct piece *piece = &play->pieces[play->count++];
    piece->bytes = 1 + next_random(&play->random) % largest;
    piece->pattern = (unsigned char)next_random(&play->random);
    piece->planned = arena_alloc(play->plan, piece->bytes);
    if (!play->arena) return;
    piece->data = arena_alloc(play->arena, piece->bytes);
    ck_assert_ptr_nonnull(piece->data);
    ck_assert_uint_eq((uintptr_t)piece->data % 64, 0);
    stamp(piece);
}

/* Ends the innermost scope, and keeps one of its pieces where `keep` says so and there is one. */
static void end_scope(struct play *play, bool keep)
{
    int start = play->starts[--play->depth], alive = play->count - start;
    struct piece kept = {0};
    if (keep && alive > 0) kept = play->pieces[start + (int)(next_random(&play->random) % (uint32_t)alive)];
    arena_release_but(play->plan, play->planned_marks[play->depth], kept.planned);
    if (play->arena) arena_release_but(play->arena, play->marks[play->depth], kept.data);
    play->count = start;
    if (kept.bytes) play->pieces[play->count++] = kept;
}

static void drop_last(struct play *play)
{
    if (play->count == 0 || (play->depth > 0 && play->starts[play->depth - 1] == play->count)) return;
    struct piece *piece = &play->pieces[--play->count];
    arena_drop(play->plan, piece->planned);
    if (play->arena) arena_drop(play->arena, piece->data);
}

static void play_on(struct play *play)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t action = next_random(&play->random) % 9;
        if (action < 5 && play->count < MOST_PIECES) {
            allocate(play, round % 8 == 0 ? 24 * MIB : 100000);
        } else if (action < 6 && play->depth < MOST_SCOPES) {
            play->planned_marks[play->depth] = arena_mark(play->plan);
            if (play->arena) play->marks[play->depth] = arena_mark(play->arena);
            play->starts[play->depth++] = play->count;
        } else if (action < 8 && play->depth > 0) {
            end_scope(play, action == 6);
        } else {
            drop_last(play);
        }
        for (int i = 0; play->arena && i < play->count; i++) check_stamp(&play->pieces[i]);
    }
}

/* A dry game says how much the same game needs: an arena of just that size holds it, and every piece lies as
 * far from the first one as was planned. */
START_TEST(random_scopes)
{
    struct play dry = {.plan = new_plan(), .random = (uint32_t)_i + 1};
    play_on(&dry);
    size_t needed = arena_peak(dry.plan);
    arena_free(dry.plan);

    struct play real = {.arena = new_arena(needed), .plan = new_plan(), .random = (uint32_t)_i + 1};
    play_on(&real);
    ck_assert_uint_eq(arena_peak(real.arena), needed);
    for (int i = 1; i < real.count; i++)
        ck_assert_int_eq((intptr_t)real.pieces[i].data - (intptr_t)real.pieces[0].data,
            (intptr_t)real.pieces[i].planned - (intptr_t)real.pieces[0].planned);
    arena_free(real.arena);
    arena_free(real.plan);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *arena = tcase_create("arena");
    tcase_set_timeout(arena, 60);
    tcase_add_test(arena, every_size_is_aligned_and_apart);
    tcase_add_test(arena, released_memory_is_used_again);
    tcase_add_test(arena, a_scope_keeps_one);
    tcase_add_test(arena, older_memory_outlives_a_scope);
    tcase_add_test(arena, gaps_are_filled);
    tcase_add_test(arena, what_is_lowered_keeps_its_bytes);
    tcase_add_test(arena, memory_that_is_not_there);
    tcase_add_loop_test(arena, random_scopes, 0, 16);
    suite_add_tcase(suite, arena);
    return run_suite(suite);
}
