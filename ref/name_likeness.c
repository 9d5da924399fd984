#include "name_likeness.h"

#include <stdlib.h>
#include <string.h>

#define PLAIN_SIZE 160  /* of a name without what does not count; longer ones are none of ours */
#define PAIR_WORDS 4    /* 256 bits for the pairs of letters of a name */
#define CANDIDATES 12   /* that are compared letter by letter */
#define LEAST_ALIKE 0.3 /* below, two names share a syllable by chance */

struct signature {
    uint64_t words; /* a bit for each word, by its hash */
    uint64_t pairs[PAIR_WORDS];
};

struct plain_name {
    char *text;
    size_t known; /* which one it is */
};

struct name_finder {
    const struct known_tensors *known;
    struct plain_name *plain; /* by text; a module has several (add_forms()) */
    size_t plain_count;
    struct signature *signatures; /* one a known name */
};

/* --- Names without what does not count ---------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_separator(char c)
{
    return c != '\0' && strchr("./_-: ", c) != NULL;
}

/* Small letters, one '.' between words, numbers without leading zeros. False where it is too long. */
static bool make_plain(const char *name, char plain[PLAIN_SIZE])
{
    size_t used = 0;
    bool after_separator = true; /* so that leading ones go */
    for (const char *at = name; *at; at++) {
        const char c = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
        if (used + 2 >= PLAIN_SIZE) return false;
        if (is_separator(c)) {
            if (!after_separator) plain[used++] = '.';
            after_separator = true;
            continue;
        }
        bool leading_zero = c == '0' && is_digit(at[1]) && (used == 0 || !is_digit(plain[used - 1]));
        if (!leading_zero) plain[used++] = c;
        after_separator = false;
    }
    if (used > 0 && plain[used - 1] == '.') used--;
    plain[used] = '\0';
    return true;
}

static int compare_plain(const void *a, const void *b)
{
    return strcmp(((const struct plain_name *)a)->text, ((const struct plain_name *)b)->text);
}

static int compare_text(const void *text, const void *item)
{
    return strcmp(text, ((const struct plain_name *)item)->text);
}

const struct known_tensor *name_finder_recognise(const struct name_finder *finder, const char *name)
{
    char plain[PLAIN_SIZE];
    if (!make_plain(name, plain) || finder->plain_count == 0) return NULL;
    const struct plain_name *first = finder->plain, *end = first + finder->plain_count;
    const struct plain_name *found = bsearch(plain, first, finder->plain_count, sizeof *first, compare_text);
    if (!found) return NULL;
    if (found > first && compare_plain(found - 1, found) == 0) return NULL;
    if (found + 1 < end && compare_plain(found, found + 1) == 0) return NULL;
    return &finder->known->items[found->known];
}

/* --- Likeness ----------------------------------------------------------------------------- */

/* FNV-1a, with its high bits folded in: where a word's bit is. */
static unsigned hash(const char *text, size_t length)
{
    uint32_t value = 2166136261U;
    for (size_t i = 0; i < length; i++) value = (value ^ (unsigned char)text[i]) * 16777619U;
    return value ^ value >> 15;
}

static struct signature sign(const char *plain)
{
    struct signature signature = {0};
    for (const char *word = plain; *word;) { /* a number is a word of its own, also in "it11" */
        size_t length = is_digit(*word) ? strspn(word, "0123456789") : strcspn(word, ".0123456789");
        if (length > 0) signature.words |= UINT64_C(1) << hash(word, length) % 64;
        word += length + (word[length] == '.');
    }
    for (const char *at = plain; at[0] && at[1]; at++) {
        unsigned bit = hash(at, 2) % (64 * PAIR_WORDS);
        signature.pairs[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    return signature;
}

/* Twice what two sets have in common over what they have together (Dice 1945). */
static double share(int common, int a, int b)
{
    return a + b ? 2.0 * common / (a + b) : 0.0;
}

static double words_alike(const struct signature *a, const struct signature *b)
{
    return share(__builtin_popcountll(a->words & b->words), __builtin_popcountll(a->words),
        __builtin_popcountll(b->words));
}

static double pairs_alike(const struct signature *a, const struct signature *b)
{
    int common = 0, in_a = 0, in_b = 0;
    for (int i = 0; i < PAIR_WORDS; i++) {
        common += __builtin_popcountll(a->pairs[i] & b->pairs[i]);
        in_a += __builtin_popcountll(a->pairs[i]);
        in_b += __builtin_popcountll(b->pairs[i]);
    }
    return share(common, in_a, in_b);
}

/* 1 less Levenshtein's distance as a part of the longer one's length. */
static double letters_alike(const char *a, const char *b)
{
    size_t row[PLAIN_SIZE], length_a = strlen(a), length_b = strlen(b);
    size_t longer = length_a > length_b ? length_a : length_b;
    if (longer == 0) return 1.0;
    for (size_t j = 0; j <= length_b; j++) row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t before = row[0]; /* of the row above, one to the left */
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t change = before + (a[i - 1] != b[j - 1]);
            size_t gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            before = row[j];
            row[j] = change < gap ? change : gap;
        }
    }
    return 1.0 - (double)row[length_b] / (double)longer;
}

struct candidate {
    size_t known;
    double alike;
};

/* Into a list of the best, best first; of those that are as good, the earlier stays in front. */
static void insert(struct candidate *best, size_t *count, size_t most, struct candidate candidate)
{
    size_t at = *count;
    while (at > 0 && best[at - 1].alike < candidate.alike) at--;
    if (at == most) return;
    if (*count < most) (*count)++;
    memmove(best + at + 1, best + at, (*count - 1 - at) * sizeof *best);
    best[at] = candidate;
}

void name_finder_nearest(
    const struct name_finder *finder, const char *name, const char *nearest[NEAREST_NAMES])
{
    char plain[PLAIN_SIZE], other[PLAIN_SIZE];
    struct candidate candidates[CANDIDATES], best[NEAREST_NAMES];
    size_t count = 0, best_count = 0;
    for (size_t i = 0; i < NEAREST_NAMES; i++) nearest[i] = NULL;
    if (!make_plain(name, plain)) return;
    struct signature signature = sign(plain);
    for (size_t i = 0; i < finder->known->count; i++) {
        double alike =
            words_alike(&signature, &finder->signatures[i]) + pairs_alike(&signature, &finder->signatures[i]);
        insert(candidates, &count, CANDIDATES, (struct candidate){i, alike});
    }
    for (size_t i = 0; i < count; i++) {
        if (!make_plain(finder->known->items[candidates[i].known].name, other)) continue;
        candidates[i].alike = (candidates[i].alike + letters_alike(plain, other)) / 3;
        if (candidates[i].alike >= LEAST_ALIKE) insert(best, &best_count, NEAREST_NAMES, candidates[i]);
    }
    for (size_t i = 0; i < best_count; i++) nearest[i] = finder->known->items[best[i].known].name;
}

/* --- The finder --------------------------------------------------------------------------- */

static enum status add_form(
    struct name_finder *finder, size_t known, const char *before, const char *after, struct error *error)
{
    size_t length = strlen(before);
    char *text = malloc(length + strlen(after) + 1);
    if (!text) return error_memory(error, length + strlen(after) + 1);
    memcpy(text, before, length);
    memcpy(text + length, after, strlen(after) + 1);
    struct plain_name *form = &finder->plain[finder->plain_count++];
    form->text = text;
    form->known = known;
    return STATUS_OK;
}

/* What a known name may be written as: a module also without `act.`, and one of the first step, whose name
 * has no step, with it. */
#define MOST_FORMS 4
static enum status add_forms(struct name_finder *finder, size_t known, const char *plain, struct error *error)
{
    enum status status = add_form(finder, known, "", plain, error);
    const char *word = strncmp(plain, "act.", 4) == 0 ? plain : strstr(plain, ".act.");
    if (status != STATUS_OK || !word) return status;
    char before[PLAIN_SIZE] = "";
    if (word != plain) word++;
    memcpy(before, plain, (size_t)(word - plain));
    const char *module = word + strlen("act.");
    status = add_form(finder, known, before, module, error);
    if (word != plain || strncmp(module, "unet.", 5) != 0) return status;
    if (status == STATUS_OK) status = add_form(finder, known, "step.0.", plain, error);
    if (status == STATUS_OK) status = add_form(finder, known, "step.0.", module, error);
    return status;
}

enum status name_finder_create(
    const struct known_tensors *known, struct name_finder **out, struct error *error)
{
    *out = NULL;
    struct name_finder *finder = calloc(1, sizeof *finder);
    if (!finder) return error_memory(error, sizeof *finder);
    finder->known = known;
    size_t room = known->count + 1;
    finder->plain = calloc(MOST_FORMS * room, sizeof *finder->plain);
    finder->signatures = calloc(room, sizeof *finder->signatures);
    enum status status = STATUS_OK;
    if (!finder->plain || !finder->signatures)
        status =
            error_memory(error, room * (MOST_FORMS * sizeof *finder->plain + sizeof *finder->signatures));
    for (size_t i = 0; i < known->count && status == STATUS_OK; i++) {
        char plain[PLAIN_SIZE];
        if (!make_plain(known->items[i].name, plain)) continue;
        finder->signatures[i] = sign(plain);
        status = add_forms(finder, i, plain, error);
    }
    if (finder->plain_count > 0)
        qsort(finder->plain, finder->plain_count, sizeof *finder->plain, compare_plain);
    if (status == STATUS_OK)
        *out = finder;
    else
        name_finder_free(finder);
    return status;
}

void name_finder_free(struct name_finder *finder)
{
    if (!finder) return;
    for (size_t i = 0; i < finder->plain_count; i++) free(finder->plain[i].text);
    free(finder->plain);
    free(finder->signatures);
    free(finder);
}
