#include "their_tensors.h"

#include "tensor_files.h"
#include "their_layout.h"
#include "trace_journal.h"

#include <stdlib.h>
#include <string.h>

const char their_tensors_help[] =
    "THEIRS is what a port dumped: a safetensors file, a .npy file, an .npz archive (stored or deflated), or "
    "a\n"
    "folder of .npy and raw files. Raw files hold elements and nothing else, little-endian, row by row, and\n"
    "are named by their type (NAME.f32, .f16, .bf16, .f64, .i64 ...); beside each stands NAME.json with\n"
    "{\"dtype\": \"F32\", \"shape\": [1, 4, 64, 64]}. Every float and integer type is taken as it is.\n\n"
    "Names are those of golden/README.md: step.03.noise_pred_text, act.unet.down_blocks.0.resnets.1. What\n"
    "cannot be mistaken is let pass: step/3/latents, unet.conv_in, a missing batch of one, neighbouring "
    "sides\n"
    "multiplied. step.NN.noise_pred_both is both halves of guidance in one batch. Others need a map, a JSON\n"
    "object from patterns of their names to ours:\n\n"
    "  {\"out/it_*\":  [\"step.*.noise_pred_uncond\", \"step.*.noise_pred_text\"],\n"
    "   \"latents_*\": \"step.{1-1:02d}.latents\",\n"
    "   \"mid.*\":     {\"to\": \"act.unet.mid_block.*\", \"layout\": \"nhwc\"},\n"
    "   \"uncond.*\":  {\"to\": \"act.unet.*\", \"half\": \"uncond\"},\n"
    "   \"text.*\":    {\"to\": \"act.unet.*\", \"half\": \"text\"},\n"
    "   \"debug.*\":   null}\n\n"
    "A '*' is any run of characters and is put where the '*' of the same number stands, or {1}, {2}; {1-1}\n"
    "counts from 0 what they count from 1. A list cuts the first side into equal parts (null: not wanted);\n"
    "\"half\" puts together what we have in one batch. \"reshape\", \"transpose\" and \"layout\" say how "
    "theirs\n"
    "lies. Channels last is never guessed: say --channels-last, or \"layout\" in the map.\n";

/* Of this many unknown names the nearest are looked for; who has more has other names throughout. */
#define MOST_LOOKED_FOR 100

/* --- Whose tensor is which of ours -------------------------------------------------------- */

/* One of theirs, or a part of it, for one of ours. */
struct claim {
    const struct known_tensor *known;
    size_t theirs; /* which one in their file */
    const struct names_entry *entry;
    int part;
    bool recognised; /* neither the map nor its own name says so */
};

/* What their_tensors_open() works with. */
struct work {
    const char *path;
    const struct their_options *options;
    const struct known_tensors *known;
    struct name_finder *finder;
    struct names_map map;
    bool *used; /* one an entry of the map */
    struct claim *claims;
    size_t claim_count, claim_capacity;
    size_t unknown_capacity, twice_capacity;
    struct their_tensors *out;
    struct warnings *warnings;
    struct error *error;
};

/* Room for one more item of `size` bytes. */
static enum status reserve(void **items, size_t count, size_t *capacity, size_t size, struct error *error)
{
    if (count < *capacity) return STATUS_OK;
    size_t larger = *capacity ? 2 * *capacity : 64;
    void *moved = realloc(*items, larger * size);
    if (!moved) return error_memory(error, larger * size);
    *items = moved;
    *capacity = larger;
    return STATUS_OK;
}

static enum status add_claim(struct work *work, struct claim claim)
{
    void *items = work->claims;
    enum status status = reserve(&items, work->claim_count, &work->claim_capacity, sizeof claim, work->error);
    work->claims = items;
    if (status == STATUS_OK) work->claims[work->claim_count++] = claim;
    return status;
}

static enum status add_unknown(struct work *work, const char *their_name, const char *mapped)
{
    struct their_tensors *out = work->out;
    struct unknown_name unknown = {.their_name = their_name};
    void *items = out->unknown;
    enum status status =
        reserve(&items, out->unknown_count, &work->unknown_capacity, sizeof unknown, work->error);
    out->unknown = items;
    if (status != STATUS_OK) return status;
    if (mapped) {
        unknown.mapped = strdup(mapped);
        if (!unknown.mapped) return error_memory(work->error, strlen(mapped) + 1);
    }
    if (out->unknown_count < MOST_LOOKED_FOR)
        name_finder_nearest(work->finder, mapped ? mapped : their_name, unknown.nearest);
    out->unknown[out->unknown_count++] = unknown;
    return STATUS_OK;
}

/* By an entry of a map: one claim for each part. */
static enum status claim_mapped(struct work *work, size_t theirs, const struct names_entry *entry,
    char targets[NAMES_MAP_PARTS][NAME_SIZE])
{
    const char *their_name = tensor_set_name(work->out->file, theirs);
    enum status status = STATUS_OK;
    bool wanted = false;
    for (int part = 0; part < entry->parts && status == STATUS_OK; part++) {
        if (!entry->targets[part]) continue;
        wanted = true;
        const struct known_tensor *known = known_tensors_find(work->known, targets[part]);
        if (!known) known = name_finder_recognise(work->finder, targets[part]);
        status = known ? add_claim(work, (struct claim){known, theirs, entry, part, false})
                       : add_unknown(work, their_name, targets[part]);
    }
    if (!wanted) work->out->ignored++;
    return status;
}

/* Both halves of guidance in one tensor, by a name of our own. */
static const struct names_entry both_halves = {
    .pattern = (char *)(uintptr_t) "step.*.noise_pred_both",
    .targets = {(char *)(uintptr_t) "step.*.noise_pred_uncond", (char *)(uintptr_t) "step.*.noise_pred_text"},
    .parts = 2,
    .reshape_rank = -1,
    .transpose_rank = -1,
};

static enum status claim_one(struct work *work, size_t theirs)
{
    static const struct names_map own = {
        .entries = (struct names_entry *)(uintptr_t)&both_halves, .count = 1};
    char targets[NAMES_MAP_PARTS][NAME_SIZE];
    const char *name = tensor_set_name(work->out->file, theirs);
    const struct names_entry *entry = names_map_find(&work->map, name, targets);
    if (entry) {
        work->used[entry - work->map.entries] = true;
        return claim_mapped(work, theirs, entry, targets);
    }
    const struct known_tensor *known = known_tensors_find(work->known, name);
    if (known) return add_claim(work, (struct claim){known, theirs, NULL, 0, false});
    /* The exact values that a golden trace has beside its own, and what keeps an unfinished trace in
     * order. */
    const bool is_journal = tensor_set_metadata(work->out->file, "resume") != NULL;
    if (strncmp(name, "f64.", 4) == 0 || (is_journal && trace_journal_owns(name))) {
        work->out->ignored++;
        return STATUS_OK;
    }
    entry = names_map_find(&own, name, targets);
    if (entry) return claim_mapped(work, theirs, entry, targets);
    known = name_finder_recognise(work->finder, name);
    if (known) return add_claim(work, (struct claim){known, theirs, NULL, 0, true});
    return add_unknown(work, name, NULL);
}

/* By ours, and for each of ours in the order in which they are preferred. */
static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    if (x->known != y->known) return x->known < y->known ? -1 : 1;
    if (x->recognised != y->recognised) return x->recognised ? 1 : -1;
    if (x->theirs != y->theirs) return x->theirs < y->theirs ? -1 : 1;
    return x->part - y->part;
}

static enum status make_claims(struct work *work)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < tensor_set_count(work->out->file) && status == STATUS_OK; i++)
        status = claim_one(work, i);
    if (status == STATUS_OK && work->claim_count > 0)
        qsort(work->claims, work->claim_count, sizeof *work->claims, compare_claims);
    for (size_t i = 0; i < work->map.count && status == STATUS_OK; i++)
        if (!work->used[i])
            warnings_add(work->warnings, "%s: \"%.200s\": no tensor of %s came to it", work->map.path,
                work->map.entries[i].pattern, work->path);
    return status;
}

/* --- Tensors of ours ---------------------------------------------------------------------- */

static const char *their_name(const struct work *work, const struct claim *claim)
{
    return tensor_set_name(work->out->file, claim->theirs);
}

static enum guidance_half half_of(const struct claim *claim)
{
    return claim->entry ? claim->entry->half : HALF_NONE;
}

/* Where a message about a claim comes from. */
static enum status name_claim(const struct work *work, const struct claim *claim, enum status status)
{
    error_prefix(work->error, status, "%s: tensor %.200s: ", work->path, their_name(work, claim));
    if (claim->entry && claim->entry != &both_halves)
        error_prefix(work->error, status, "%s: \"%.200s\": ", work->map.path, claim->entry->pattern);
    return status;
}

static enum status lay_out_claim(const struct work *work, const struct claim *claim, struct laid_out *out)
{
    enum status status = lay_out(tensor_set_at(work->out->file, claim->theirs), claim->entry, claim->part,
        work->options->channels_last, claim->known, out, work->error);
    return name_claim(work, claim, status);
}

/* The tensor of one claim, or of two halves. */
static enum status lay_out_claims(
    const struct work *work, const struct claim *first, const struct claim *second, struct laid_out *out)
{
    *out = (struct laid_out){.owned = NULL};
    enum status status = lay_out_claim(work, first, out);
    if (status == STATUS_OK && second) {
        struct laid_out one = *out, other;
        bool text_first = half_of(first) == HALF_TEXT;
        *out = (struct laid_out){.owned = NULL};
        status = lay_out_claim(work, second, &other);
        if (status == STATUS_OK) {
            status =
                lay_out_together(text_first ? &other : &one, text_first ? &one : &other, out, work->error);
            name_claim(work, first, status);
        }
        free(one.owned);
    }
    if (status == STATUS_OK) lay_out_fit(out, first->known);
    return status;
}

static enum status add_tensor(struct work *work, const struct claim *first, struct laid_out *tensor)
{
    struct their_tensors *out = work->out;
    char *change = tensor->change[0] ? strdup(tensor->change) : NULL;
    if (tensor->change[0] && !change) {
        free(tensor->owned);
        return error_memory(work->error, sizeof tensor->change);
    }
    out->records[out->count++] = (struct their_record){first->known->name, their_name(work, first), change};
    const char *name = first->known->name;
    return tensor_set_append(out->tensors, name, strlen(name), &tensor->tensor, tensor->owned, work->error);
}

/* Notes that `left_out` is for one of ours that has its tensor, `taken`, already. */
static enum status add_twice(struct work *work, const struct claim *taken, const struct claim *left_out)
{
    struct their_tensors *out = work->out;
    const struct tensor *first = tensor_set_at(out->tensors, tensor_set_count(out->tensors) - 1);
    struct laid_out other = {.owned = NULL};
    bool same = false;
    void *items = out->twice;
    enum status status =
        reserve(&items, out->twice_count, &work->twice_capacity, sizeof *out->twice, work->error);
    out->twice = items;
    if (status == STATUS_OK && half_of(left_out) == HALF_NONE) {
        status = lay_out_claims(work, left_out, NULL, &other);
        same = status == STATUS_OK && first->dtype == other.tensor.dtype &&
               tensor_same_shape(first, &other.tensor) &&
               memcmp(first->data, other.tensor.data, tensor_bytes(first)) == 0;
        free(other.owned);
    }
    if (status == STATUS_OK)
        out->twice[out->twice_count++] = (struct name_twice){
            taken->known->name, their_name(work, taken), their_name(work, left_out), same};
    return status;
}

/* All that is claimed for one of ours: `count` claims, best first. */
static enum status take(struct work *work, const struct claim *claims, size_t count)
{
    const struct claim *first = &claims[0], *second = NULL;
    struct laid_out tensor;
    const enum guidance_half half = half_of(first);
    for (size_t i = 1; i < count && half != HALF_NONE && !second; i++)
        if (half_of(&claims[i]) != HALF_NONE && half_of(&claims[i]) != half) second = &claims[i];
    if (half != HALF_NONE && !second) {
        warnings_add(work->warnings, "%s: only the half \"%s\" of %s is there (%.200s): it is left out",
            work->path, half == HALF_TEXT ? "text" : "uncond", first->known->name, their_name(work, first));
        return STATUS_OK;
    }
    enum status status = lay_out_claims(work, first, second, &tensor);
    if (status == STATUS_OK) status = add_tensor(work, first, &tensor);
    for (size_t i = 1; i < count && status == STATUS_OK; i++)
        if (&claims[i] != second) status = add_twice(work, first, &claims[i]);
    return status;
}

static enum status take_claims(struct work *work)
{
    struct their_tensors *out = work->out;
    size_t bytes = (work->claim_count + 1) * sizeof *out->records;
    out->records = calloc(1, bytes);
    if (!out->records) return error_memory(work->error, bytes);
    enum status status = STATUS_OK;
    for (size_t i = 0, next; i < work->claim_count && status == STATUS_OK; i = next) {
        for (next = i + 1; next < work->claim_count; next++)
            if (work->claims[next].known != work->claims[i].known) break;
        status = take(work, work->claims + i, next - i);
    }
    for (size_t i = 0; i < out->file->metadata_count && status == STATUS_OK; i++)
        status = tensor_set_append_metadata(
            out->tensors, out->file->metadata[i].key, out->file->metadata[i].value, work->error);
    /* Appended in the order of our names, so that this leaves the records beside their tensors. */
    if (status == STATUS_OK) status = tensor_set_order(out->tensors, work->error);
    return status;
}

/* --- The whole ---------------------------------------------------------------------------- */

enum status their_tensors_open(const char *path, const struct their_options *options,
    const struct known_tensors *known, struct their_tensors *out, struct warnings *warnings,
    struct error *error)
{
    struct work work = {
        .path = path, .options = options, .known = known, .out = out, .warnings = warnings, .error = error};
    *out = (struct their_tensors){0};
    enum status status = STATUS_OK;
    if (options->map) status = names_map_read(options->map, &work.map, error);
    if (status == STATUS_OK) {
        work.used = calloc(work.map.count + 1, sizeof *work.used);
        if (!work.used) status = error_memory(error, work.map.count + 1);
    }
    if (status == STATUS_OK) status = name_finder_create(known, &work.finder, error);
    if (status == STATUS_OK) status = tensor_set_open(path, &out->file, error);
    if (status == STATUS_OK) status = tensor_set_create(&out->tensors, error);
    if (status == STATUS_OK) status = make_claims(&work);
    if (status == STATUS_OK) status = take_claims(&work);
    free(work.claims);
    free(work.used);
    name_finder_free(work.finder);
    names_map_free(&work.map);
    if (status != STATUS_OK) their_tensors_free(out);
    return status;
}

void their_tensors_free(struct their_tensors *theirs)
{
    for (size_t i = 0; i < theirs->count; i++) free(theirs->records[i].change);
    for (size_t i = 0; i < theirs->unknown_count; i++) free(theirs->unknown[i].mapped);
    free(theirs->records);
    free(theirs->unknown);
    free(theirs->twice);
    tensor_set_free(theirs->tensors);
    tensor_set_free(theirs->file);
    *theirs = (struct their_tensors){0};
}

static int compare_record(const void *name, const void *record)
{
    return strcmp(name, ((const struct their_record *)record)->name);
}

const struct their_record *their_tensors_record(const struct their_tensors *theirs, const char *name)
{
    if (theirs->count == 0) return NULL;
    return bsearch(name, theirs->records, theirs->count, sizeof *theirs->records, compare_record);
}

static void warn_unknown(const struct unknown_name *unknown, struct warnings *warnings)
{
    char mapped[240] = "";
    const char *const *nearest = unknown->nearest;
    if (unknown->mapped) snprintf(mapped, sizeof mapped, ", mapped to %.200s,", unknown->mapped);
    if (!nearest[0])
        warnings_add(warnings, "%.200s%s is no tensor of a run", unknown->their_name, mapped);
    else
        warnings_add(warnings, "%.200s%s is no tensor of a run (did you mean %s%s%s%s%s?)",
            unknown->their_name, mapped, nearest[0], nearest[1] ? nearest[2] ? ", " : " or " : "",
            nearest[1] ? nearest[1] : "", nearest[2] ? " or " : "", nearest[2] ? nearest[2] : "");
}

void their_tensors_warn(const struct their_tensors *theirs, size_t most, struct warnings *warnings)
{
    for (size_t i = 0; i < theirs->unknown_count && i < most; i++)
        warn_unknown(&theirs->unknown[i], warnings);
    if (theirs->unknown_count > most)
        warnings_add(warnings, "%zu more names are of no tensor of a run", theirs->unknown_count - most);
    for (size_t i = 0; i < theirs->twice_count; i++) {
        const struct name_twice *twice = &theirs->twice[i];
        warnings_add(warnings, "%s is there twice: %.200s is taken, %.200s is left out%s", twice->name,
            twice->their_name, twice->left_out, twice->same ? " (the two are the same)" : "");
    }
}
