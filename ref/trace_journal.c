/*
 * The format has its header first, with the place of every tensor, so a file that only grows would be wrong
 * between two writes, and one that is written anew after every step would take time and disk as the square of
 * the steps. The journal does neither:
 *
 *     8 bytes       the header's length
 *     the header    {"__metadata__": ..., tensors that are there,
 *                   a slot of 1024 bytes for each step to come, ,"unfinished.07":{... its room ...} and
 *                   spaces, and }
 *     the data      of those tensors, then the rooms
 *
 * All of it has its final size from the beginning, so a full disk is known before the work and not after it.
 * A step is written into its room, which is still one tensor of bytes; then its slot, which lies within one
 * page of the file, is overwritten in one write by the step's own tensors. A process that is killed has done
 * that write or has not: the kernel looks for a signal that kills only between pages. Every byte is written
 * once.
 *
 * Against a power cut, data are on the disk before the slot that names them, unless steps take less than a
 * second: then both go there once a second, and the checksum of each step tells which are whole.
 *
 * What does not fit (the first step, by whose size the rooms are measured, and the first one after --resume)
 * is written with all before it as a new file, beside the old one, which it then replaces.
 */
#include "trace_journal.h"

#include "checksum.h"
#include "cli.h"
#include "clock.h"
#include "output_file.h"
#include "paths.h"
#include "tensor_files.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOT = 1024, MOST_ROOMS = 4096, SUM_BYTES = 8 };

struct trace_journal {
    char *path;
    int file;              /* open and locked; -1: there is none yet */
    size_t steps, tensors; /* that it holds: of the trace's, in their order, so many */
    size_t rooms;          /* of the steps after `rooms_from` */
    size_t rooms_from;
    uint64_t slots_at; /* of the first room, in the file */
    uint64_t data_at;  /* what offsets of data count from, in the file */
    uint64_t rooms_at; /* the first room, from there */
    uint64_t room;     /* bytes of each */
    double synced;     /* when, by clock_seconds() */
};

char *trace_journal_path(const char *trace_path)
{
    size_t length = strlen(trace_path);
    while (length > 1 && trace_path[length - 1] == '/') length--;
    char *path = NULL;
    return asprintf(&path, "%.*s" JOURNAL_ENDING, (int)length, trace_path) < 0 ? NULL : path;
}

bool trace_journal_owns(const char *name)
{
    static const char *const own[] = {"unfinished.", "unused.", "sum."};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strncmp(name, own[i], strlen(own[i])) == 0) return true;
    return false;
}

/* --- Opening ------------------------------------------------------------------------------ */

/* Opens what is at the path and keeps others from writing it. */
static enum status claim(struct trace_journal *journal, struct error *error)
{
    journal->file = open(journal->path, O_RDWR | O_CLOEXEC);
    if (journal->file < 0) return error_file(error, journal->path, "cannot be written", errno);
    if (flock(journal->file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return STATUS_OK;
    return error_input(error, "%s: another run is writing it", journal->path);
}

enum status trace_journal_open(
    const char *path, bool goes_on, struct trace_journal **out, struct error *error)
{
    *out = NULL;
    struct trace_journal *journal = calloc(1, sizeof *journal);
    if (!journal) return error_memory(error, sizeof *journal);
    journal->file = -1;
    journal->path = strdup(path);
    enum status status = journal->path ? STATUS_OK : error_memory(error, strlen(path) + 1);
    bool is_there = false;
    if (status == STATUS_OK) status = path_look(path, &is_there, error);
    if (status == STATUS_OK && (goes_on || is_there)) status = claim(journal, error);
    if (status == STATUS_OK && is_there && !goes_on)
        status = error_input(error,
            "%s: holds the steps of a run that was interrupted: plumb run --resume \"%.*s\" goes on with it; "
            "remove "
            "it to begin anew",
            path, (int)(strlen(path) - strlen(JOURNAL_ENDING)), path);
    if (status == STATUS_OK)
        *out = journal;
    else
        trace_journal_free(journal);
    return status;
}

bool trace_journal_is_in_use(const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return false;
    bool in_use = flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(file);
    return in_use;
}

void trace_journal_free(struct trace_journal *journal)
{
    if (!journal) return;
    if (journal->file >= 0) close(journal->file);
    free(journal->path);
    free(journal);
}

void trace_journal_remove(struct trace_journal *journal)
{
    if (journal->file >= 0) unlink(journal->path);
}

/* --- The header's text -------------------------------------------------------------------- */

static void write_entry(FILE *out, const char *name, const struct tensor *tensor, uint64_t begin)
{
    fputc(',', out);
    cli_write_json_string(out, name);
    fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++) fprintf(out, "%s%" PRId64, i ? "," : "", tensor->shape[i]);
    fprintf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, begin + tensor_bytes(tensor));
}

static void write_spaces(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

/* The same for bytes of the journal's own. */
static void write_bytes_entry(FILE *out, const char *kind, uint64_t number, uint64_t begin, uint64_t bytes)
{
    char name[48];
    snprintf(name, sizeof name, "%s.%02" PRIu64, kind, number);
    write_entry(out, name, &(struct tensor){DTYPE_U8, 1, {(int64_t)bytes}, NULL}, begin);
}

/* How many bytes stand before a tensor for its elements to be aligned. */
static uint64_t gap_before(enum dtype dtype, uint64_t offset)
{
    uint64_t size = dtype_size(dtype);
    return (size - offset % size) % size;
}

/* A group: the trace's tensors `from` to `to`, and their checksum, when so many steps are finished. */
struct group {
    const struct tensor_set *set;
    size_t from, to, steps;
};

/* Writes the entries of a group whose data begin at `offset`; returns where they end. `out` may be NULL. */
static uint64_t list_group(FILE *out, const struct group *group, uint64_t offset)
{
    char name[32];
    snprintf(name, sizeof name, "sum.%02zu", group->steps);
    const struct tensor sum = {DTYPE_U64, 1, {1}, NULL};
    for (size_t i = group->from; i <= group->to; i++) {
        const struct tensor *tensor = i < group->to ? tensor_set_at(group->set, i) : &sum;
        uint64_t gap = gap_before(tensor->dtype, offset);
        if (gap > 0 && out) write_bytes_entry(out, "unused", offset, offset, gap);
        offset += gap;
        if (out) write_entry(out, i < group->to ? tensor_set_name(group->set, i) : name, tensor, offset);
        offset += tensor_bytes(tensor);
    }
    return offset;
}

/* --- The data ----------------------------------------------------------------------------- */

/* Where bytes go: a stream, which keeps its errors, or a place in a file. */
struct sink {
    FILE *stream;
    int file;
    uint64_t at;
    int system_error; /* of the first write to `file` that failed */
};

static void sink_write(struct sink *sink, const void *bytes, size_t size)
{
    if (sink->stream) {
        fwrite(bytes, 1, size, sink->stream);
        return;
    }
    const char *from = bytes;
    while (size > 0 && sink->system_error == 0) {
        ssize_t written = pwrite(sink->file, from, size, (off_t)sink->at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            sink->system_error = written < 0 ? errno : EIO;
            return;
        }
        from += written;
        size -= (size_t)written;
        sink->at += (uint64_t)written;
    }
}

/* The bytes that list_group() gives places to. */
static void write_group(struct sink *sink, const struct group *group, uint64_t offset)
{
    static const char zeros[8];
    struct checksum checksum;
    checksum_begin(&checksum);
    for (size_t i = group->from; i < group->to; i++) {
        const struct tensor *tensor = tensor_set_at(group->set, i);
        uint64_t gap = gap_before(tensor->dtype, offset);
        sink_write(sink, zeros, (size_t)gap);
        sink_write(sink, tensor->data, tensor_bytes(tensor));
        checksum_add(&checksum, tensor->data, tensor_bytes(tensor));
        offset += gap + tensor_bytes(tensor);
    }
    uint64_t sum = checksum_end(&checksum);
    sink_write(sink, zeros, (size_t)gap_before(DTYPE_U64, offset));
    sink_write(sink, &sum, sizeof sum);
}

/* --- A new file --------------------------------------------------------------------------- */

/* The room that a step like the last one takes, with noise even where that had none. */
static uint64_t room_of_a_step(const struct tensor_set *set, size_t step)
{
    char begin[32];
    int length = snprintf(begin, sizeof begin, "step.%02zu.", step);
    uint64_t bytes = SUM_BYTES, latents = 0;
    bool has_noise = false;
    for (size_t i = 0; i < tensor_set_count(set); i++) {
        const char *name = tensor_set_name(set, i);
        if (strncmp(name, begin, (size_t)length) != 0) continue;
        bytes += tensor_bytes(tensor_set_at(set, i)) + SUM_BYTES; /* that much for a gap */
        has_noise = has_noise || strcmp(name + length, "noise") == 0;
        if (strcmp(name + length, "latents") == 0) latents = tensor_bytes(tensor_set_at(set, i));
    }
    if (!has_noise) bytes += latents + SUM_BYTES;
    return (bytes + 7) / 8 * 8;
}

/* {"__metadata__":{...}; false where memory is out. */
static bool write_metadata(FILE *out, const struct tensor_set *set, const char *resume)
{
    cJSON *object = cJSON_CreateObject();
    bool made = object != NULL;
    for (size_t i = 0; made && i < set->metadata_count; i++)
        made = cJSON_AddStringToObject(object, set->metadata[i].key, set->metadata[i].value);
    char *text =
        made && cJSON_AddStringToObject(object, "resume", resume) ? cJSON_PrintUnformatted(object) : NULL;
    if (text) fprintf(out, "{\"__metadata__\":%s", text);
    cJSON_free(text);
    cJSON_Delete(object);
    return text != NULL;
}

/* The whole header, and in `journal` where everything is. The text is allocated; NULL where memory is out. */
static char *make_header(
    struct trace_journal *journal, const struct group *group, const char *resume, size_t *length)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, length);
    if (!out) return NULL;
    bool made = write_metadata(out, group->set, resume);
    uint64_t offset = list_group(out, group, 0);
    const long used = ftell(out) + 8;
    const size_t slots_at = ((size_t)used + SLOT - 1) / SLOT * SLOT;
    write_spaces(out, slots_at - (size_t)used);
    journal->slots_at = slots_at;
    journal->rooms_at = offset;
    for (size_t i = 0; i < journal->rooms; i++) {
        const long before = ftell(out);
        write_bytes_entry(out, "unfinished", group->steps + i, offset, journal->room);
        write_spaces(out, SLOT - (size_t)(ftell(out) - before));
        offset += journal->room;
    }
    fputs("}       ", out); /* to a multiple of 8 */
    journal->data_at = (uint64_t)ftell(out) + 8;
    made = fclose(out) == 0 && made;
    if (made) return text;
    free(text);
    return NULL;
}

/* Takes the disk's room for the whole file, or at least gives it its size. Returns the system's error. */
static int extend(const struct output_file *file, uint64_t size)
{
    if (fflush(file->stream) != 0) return errno;
    while (fallocate(file->descriptor, 0, 0, (off_t)size) != 0) {
        if (errno == EINTR) continue;
        if (errno != EOPNOTSUPP && errno != ENOSYS) return errno;
        return ftruncate(file->descriptor, (off_t)size) == 0 ? 0 : errno;
    }
    return 0;
}

static enum status write_anew(struct trace_journal *journal, const struct group *group, const char *resume,
    size_t total, struct error *error)
{
    struct trace_journal next = *journal;
    struct output_file file = {0};
    size_t length = 0, rooms = total - group->steps;
    next.file = -1;
    next.rooms_from = group->steps;
    next.rooms = rooms < MOST_ROOMS ? rooms : MOST_ROOMS;
    next.room = group->steps > 0 ? room_of_a_step(group->set, group->steps - 1) : 0;
    char *header = make_header(&next, group, resume, &length);
    if (!header) return error_memory(error, length);
    enum status status = output_file_open(&file, journal->path, error);
    if (status == STATUS_OK) {
        unsigned char size[8];
        for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)length >> 8 * i);
        fwrite(size, 1, sizeof size, file.stream);
        fwrite(header, 1, length, file.stream);
        write_group(&(struct sink){.stream = file.stream}, group, 0);
        int failed =
            ferror(file.stream) ? 0 : extend(&file, next.data_at + next.rooms_at + next.rooms * next.room);
        status = failed ? error_file(error, journal->path, "cannot be written", failed)
                        : output_file_commit(&file, error);
    }
    output_file_abandon(&file);
    free(header);
    if (status == STATUS_OK) status = claim(&next, error);
    if (status != STATUS_OK) return status;
    if (journal->file >= 0) close(journal->file);
    next.steps = group->steps;
    next.tensors = group->to;
    next.synced = clock_seconds();
    *journal = next;
    return STATUS_OK;
}

/* --- A step into its room ----------------------------------------------------------------- */

/* What the slot is to hold, SLOT bytes; false where step or text does not fit, or memory is out. */
static bool make_slot(
    const struct trace_journal *journal, const struct group *group, uint64_t begin, char *slot)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out) return false;
    uint64_t end = list_group(out, group, begin);
    uint64_t left = begin + journal->room - end;
    bool fits = end <= begin + journal->room;
    if (fits && left > 0) write_bytes_entry(out, "unused", end, end, left);
    fits = fclose(out) == 0 && text && fits && length <= SLOT;
    if (fits) {
        memset(slot, ' ', SLOT);
        memcpy(slot, text, length);
    }
    free(text);
    return fits;
}

static enum status write_step(
    struct trace_journal *journal, const struct group *group, const char *slot, struct error *error)
{
    const uint64_t i = group->steps - 1 - journal->rooms_from, begin = journal->rooms_at + i * journal->room;
    const bool syncs = clock_seconds() - journal->synced >= 1;
    struct sink data = {.file = journal->file, .at = journal->data_at + begin};
    struct sink entries = {.file = journal->file, .at = journal->slots_at + i * SLOT};
    write_group(&data, group, begin);
    int failed = data.system_error;
    if (!failed && syncs && fdatasync(journal->file) != 0) failed = errno;
    if (!failed) {
        sink_write(&entries, slot, SLOT);
        failed = entries.system_error;
    }
    if (!failed && syncs && fdatasync(journal->file) != 0) failed = errno;
    if (failed) return error_file(error, journal->path, "cannot be written", failed);
    if (syncs) journal->synced = clock_seconds();
    journal->steps = group->steps;
    journal->tensors = group->to;
    return STATUS_OK;
}

enum status trace_journal_save(struct trace_journal *journal, const struct trace *trace, const char *resume,
    size_t steps, size_t total, struct error *error)
{
    const struct tensor_set *set = trace_tensors(trace);
    const struct group all = {set, 0, tensor_set_count(set), steps};
    const struct group step = {set, journal->tensors, tensor_set_count(set), steps};
    const size_t i = steps - 1 - journal->rooms_from; /* used only where it has a room */
    char slot[SLOT];
    if (journal->rooms > 0 && steps == journal->steps + 1 && i < journal->rooms &&
        make_slot(journal, &step, journal->rooms_at + i * journal->room, slot))
        return write_step(journal, &step, slot, error);
    return write_anew(journal, &all, resume, total, error);
}

/* --- Reading ------------------------------------------------------------------------------ */

static int compare_places(const void *a, const void *b)
{
    const struct journal_tensor *x = a, *y = b;
    const char *p = x->tensor->data, *q = y->tensor->data;
    return p != q ? (p < q ? -1 : 1) : strcmp(x->name, y->name);
}

enum status trace_journal_read(const struct tensor_set *set, struct journal_tensor **tensors, size_t *count,
    size_t *steps, struct error *error)
{
    const size_t all = tensor_set_count(set);
    struct journal_tensor *items = malloc((all ? all : 1) * sizeof *items);
    if (!items) return error_memory(error, all * sizeof *items);
    for (size_t i = 0; i < all; i++)
        items[i] = (struct journal_tensor){tensor_set_name(set, i), tensor_set_at(set, i)};
    qsort(items, all, sizeof *items, compare_places);
    size_t read = 0; /* of the trace's, moved to the front */
    struct checksum checksum;
    checksum_begin(&checksum);
    *count = *steps = 0;
    for (size_t i = 0; i < all; i++) {
        const struct journal_tensor item = items[i];
        size_t after;
        if (sscanf(item.name, "sum.%zu", &after) == 1) {
            uint64_t sum = 0;
            if (item.tensor->dtype != DTYPE_U64 || tensor_count(item.tensor) != 1) break;
            memcpy(&sum, item.tensor->data, sizeof sum);
            if (sum != checksum_end(&checksum)) break;
            *count = read;
            *steps = after;
            checksum_begin(&checksum);
        } else if (!trace_journal_owns(item.name)) {
            checksum_add(&checksum, item.tensor->data, tensor_bytes(item.tensor));
            items[read++] = item;
        }
    }
    *tensors = items;
    return STATUS_OK;
}
