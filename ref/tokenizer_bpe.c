/*
 * A word is a linked list of pieces; the merges that are possible in it wait in a heap, smallest rank first
 * and leftmost first among equals. A merge in the heap goes stale when one of its two pieces has been joined
 * otherwise; it is then passed over. Each join adds at most two merges and removes a piece, so a word of n
 * bytes costs O(n log n), where looking for the best pair again after each join would cost O(n^2).
 */
#include "tokenizer_bpe.h"

#include <stdbool.h>
#include <stdlib.h>

#define NONE SIZE_MAX

struct piece {
    int32_t id;          /* -1: joined to the piece on its left */
    size_t before, next; /* neighbours, NONE at the ends */
};

/* A possible merge of the piece at `position` with the next one. */
struct candidate {
    const struct merge *merge;
    size_t position;
};

struct heap {
    struct candidate *items; /* items[(i - 1) / 2] comes before items[i] */
    size_t count;
};

static bool comes_before(struct candidate a, struct candidate b)
{
    if (a.merge->rank != b.merge->rank) return a.merge->rank < b.merge->rank;
    return a.position < b.position;
}

static void heap_push(struct heap *heap, struct candidate candidate)
{
    size_t i = heap->count++;
    while (i > 0 && comes_before(candidate, heap->items[(i - 1) / 2])) {
        heap->items[i] = heap->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->items[i] = candidate;
}

static struct candidate heap_pop(struct heap *heap)
{
    struct candidate top = heap->items[0], last = heap->items[--heap->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && comes_before(heap->items[child + 1], heap->items[child])) child++;
        if (!comes_before(heap->items[child], last)) break;
        heap->items[i] = heap->items[child];
        i = child;
    }
    heap->items[i] = last;
    return top;
}

/* Puts the merge of the pieces at `position` and after it, if there is one, into the heap. */
static void offer(
    const struct vocabulary *vocabulary, const struct piece *pieces, size_t position, struct heap *heap)
{
    if (position == NONE || pieces[position].next == NONE) return;
    const struct merge *merge =
        vocabulary_merge(vocabulary, pieces[position].id, pieces[pieces[position].next].id);
    if (merge) heap_push(heap, (struct candidate){merge, position});
}

static void join_pieces(const struct vocabulary *vocabulary, struct piece *pieces, struct heap *heap)
{
    while (heap->count > 0) {
        struct candidate best = heap_pop(heap);
        struct piece *left = &pieces[best.position];
        if (left->id < 0 || left->next == NONE) continue;
        struct piece *right = &pieces[left->next];
        const struct merge *merge = vocabulary_merge(vocabulary, left->id, right->id);
        /* Two pairs can make one piece; the library takes such a stale entry for a live one, and so do we. */
        if (!merge || merge->result != best.merge->result) continue;

        left->id = merge->result;
        left->next = right->next;
        right->id = -1;
        if (left->next != NONE) pieces[left->next].before = best.position;
        offer(vocabulary, pieces, left->before, heap);
        offer(vocabulary, pieces, best.position, heap);
    }
}

enum status byte_pairs_encode(const struct vocabulary *vocabulary, const char *word, size_t length,
    int32_t unknown, int32_t *ids, size_t *count, struct error *error)
{
    *count = 0;
    /* n - 1 candidates to begin with, and at most two for each of the n - 1 joins. */
    if (length > SIZE_MAX / (3 * sizeof(struct candidate)))
        return error_input(error, "a word of %zu bytes is too long", length);
    struct piece *pieces = malloc(length * sizeof *pieces);
    struct heap heap = {.items = malloc(3 * length * sizeof *heap.items)};
    enum status status = STATUS_OK;
    if (!pieces || !heap.items) {
        status = error_memory(error, length * (sizeof *pieces + 3 * sizeof *heap.items));
        goto done;
    }
    for (size_t i = 0; i < length; i++) {
        const int32_t *symbols = i + 1 == length ? vocabulary->end_symbol : vocabulary->symbol;
        int32_t id = symbols[(unsigned char)word[i]];
        pieces[i].id = id < 0 ? unknown : id;
        pieces[i].before = i == 0 ? NONE : i - 1;
        pieces[i].next = i + 1 == length ? NONE : i + 1;
    }
    for (size_t i = 0; i < length; i++) offer(vocabulary, pieces, i, &heap);
    join_pieces(vocabulary, pieces, &heap);
    for (size_t i = 0; i != NONE; i = pieces[i].next) ids[(*count)++] = pieces[i].id;
done:
    free(heap.items);
    free(pieces);
    return status;
}
