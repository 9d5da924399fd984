#include "fault_run.h"

#include "plumb_main.h"
#include "ref/paths.h"
#include "ref/trace_journal.h"
#include "tests/file_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 64, SECONDS = 120 };

/* --- The folder --------------------------------------------------------------------------- */

static uint64_t mix(uint64_t digest, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) digest = (digest ^ at[i]) * UINT64_C(0x100000001B3);
    return digest;
}

static bool is_status_file(const char *path)
{
    return strncmp(path_base_name(path), "status", strlen("status")) == 0;
}

/* Of a file's bytes, but of a status file, which has times in it; of a folder the sum over its entries, with
 * their names. */
static uint64_t digest_of(const char *path)
{
    struct stat info;
    uint64_t digest = UINT64_C(0xCBF29CE484222325);
    if (is_status_file(path)) return digest;
    ck_assert_int_eq(lstat(path, &info), 0);
    if (!S_ISDIR(info.st_mode)) {
        size_t size;
        unsigned char *bytes = read_bytes(path, &size);
        digest = mix(digest, bytes, size);
        free(bytes);
        return digest;
    }
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char inside[4096];
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        uint64_t own = digest_of(inside);
        digest += mix(mix(0, entry->d_name, strlen(entry->d_name)), &own, sizeof own);
    }
    closedir(folder);
    return digest;
}

/* `below` is "", or a folder in the test's folder with a slash. */
static void add_entries(struct folder_state *state, const char *below, bool deep)
{
    const size_t most = sizeof state->entries / sizeof *state->entries;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", test_folder, below);
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        struct folder_entry one;
        ck_assert_uint_lt(state->count, most);
        ck_assert_int_lt(snprintf(one.name, sizeof one.name, "%s%s", below, entry->d_name), 250);
        if (deep && entry->d_type == DT_DIR) {
            char inside[sizeof one.name + 1];
            snprintf(inside, sizeof inside, "%s/", one.name);
            add_entries(state, inside, deep);
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", test_folder, one.name);
        one.digest = digest_of(path);
        state->entries[state->count++] = one;
    }
    closedir(folder);
}

static void read_state(const struct fault_command *command, struct folder_state *state)
{
    state->count = 0;
    add_entries(state, "", command->goes_on);
}

static const struct folder_entry *find_entry(const struct folder_state *state, const char *name)
{
    for (size_t i = 0; i < state->count; i++)
        if (strcmp(state->entries[i].name, name) == 0) return &state->entries[i];
    return NULL;
}

static bool holds(const struct folder_state *state, const struct folder_entry *entry)
{
    const struct folder_entry *found = find_entry(state, entry->name);
    return found && found->digest == entry->digest;
}

static bool are_same(const struct folder_state *a, const struct folder_state *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!holds(b, &a->entries[i])) return false;
    return a->count == b->count;
}

static void remove_entry(const char *path)
{
    struct stat info;
    if (unlink(path) == 0 || lstat(path, &info) != 0) return;
    DIR *folder = opendir(path);
    ck_assert_ptr_nonnull(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char inside[4096];
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        remove_entry(inside);
    }
    closedir(folder);
    ck_assert_int_eq(rmdir(path), 0);
}

/* --- The command -------------------------------------------------------------------------- */

/* Takes `text` apart in place, with the test's folder in front of the names in it. */
static int split(char *text, char *argv[MOST_ARGUMENTS])
{
    static char paths[MOST_ARGUMENTS][512];
    int count = 0;
    argv[count++] = (char *)(uintptr_t) "plumb";
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        ck_assert_int_lt(count, MOST_ARGUMENTS - 1);
        bool is_place = strchr("@+", *word) || (*word == '-' && word[1] != '-');
        if (is_place) {
            snprintf(paths[count], sizeof paths[count], "%s/%s", test_folder, word + 1);
            word = paths[count];
        }
        argv[count++] = word;
    }
    argv[count] = NULL;
    return count;
}

static void copy_entries(const char *from, const char *to)
{
    char command[2048];
    snprintf(command, sizeof command, "cp -a '%s/.' '%s'", from, to);
    ck_assert_int_eq(system(command), 0);
}

/* For each output of the command what was there before: nothing, or a file; and copies of what lies in the
 * folder `saved`, if it is not NULL. */
static void put_back(const struct fault_command *command, bool old_outputs, const char *saved)
{
    char text[2048];
    snprintf(text, sizeof text, "%s", command->arguments);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        if (!strchr("@+", *word)) continue;
        const char *path = path_in(test_folder, "%s", word + 1);
        remove_entry(path);
        remove_entry(path_in(test_folder, "%s" JOURNAL_ENDING, word + 1));
        if (*word == '@' && old_outputs) write_bytes(path, "old\n", 4);
    }
    if (saved) copy_entries(saved, test_folder);
}

static char *take_text(int file, size_t *size)
{
    off_t end = lseek(file, 0, SEEK_END);
    ck_assert(end >= 0);
    *size = (size_t)end;
    char *text = calloc(*size + 1, 1);
    ck_assert_ptr_nonnull(text);
    ck_assert(pread(file, text, *size, 0) == (ssize_t)*size);
    close(file);
    return text;
}

static int new_memory_file(void)
{
    int file = (int)syscall(SYS_memfd_create, "output", 0);
    ck_assert_int_ge(file, 0);
    return file;
}

static void run(const char *arguments, const struct fault_plan *plan, struct fault_run *run)
{
    char text[2048], *argv[MOST_ARGUMENTS];
    snprintf(text, sizeof text, "%s", arguments);
    int argc = split(text, argv), out_file = new_memory_file(), err_file = new_memory_file();
    memset((void *)run->report, 0, sizeof *run->report);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(out_file, STDOUT_FILENO);
        dup2(err_file, STDERR_FILENO);
        close(out_file);
        close(err_file);
        alarm(SECONDS);
        if (!injection_begin(plan, run->report)) _exit(126);
        int status = plumb_main(argc, argv);
        run->report->returned = true;
        injection_end();
        _exit(status);
    }
    ck_assert_int_eq(waitpid(child, &run->status, 0), child);
    free(run->out);
    free(run->err);
    size_t size;
    run->out = take_text(out_file, &run->out_size);
    run->err = take_text(err_file, &size);
}

/* --- What is right ------------------------------------------------------------------------ */

static void complain(struct sweep *sweep, const struct fault_plan *plan, const char *what, const char *detail)
{
    static const char *const points[] = {"allocation", "write", "read"};
    const struct fault_report *report = sweep->run.report;
    const size_t most = 12; /* of one command, in full */
    if (sweep->wrong++ >= most) return;
    printf("plumb %s\n  %s %zu%s", sweep->command->arguments, points[plan->point], plan->at,
        plan->lasting ? " and all after it" : "");
    if (plan->point != POINT_ALLOCATION)
        printf(", error %d in call %d of descriptor %d", plan->error, atomic_load(&report->call),
            atomic_load(&report->descriptor));
    printf(", from");
    for (int i = 0; i < atomic_load(&report->places); i++) printf(" %#zx", (size_t)report->place[i]);
    printf(": %s%s\n", what, detail);
    if (*sweep->run.err) printf("  it said: %s", sweep->run.err);
    fflush(stdout); /* a test that fails ends without it */
}

static void judge_leaks(struct sweep *sweep, const struct fault_plan *plan)
{
    const struct fault_report *report = sweep->run.report;
    char text[160];
    snprintf(text, sizeof text, "%zu, %zu bytes, one asked for at %s %#zx", report->leaks,
        report->leaked_bytes, report->leak_module, (size_t)report->leak_place);
    if (report->leaks) complain(sweep, plan, "leaks: ", text);
    if (report->leaked_descriptors) complain(sweep, plan, "a file was left open", "");
}

/* One line "error: ..."; before it only warnings, and after it at most what was kept of a run. */
static bool is_one_error(const char *text)
{
    static const char kept[] = "interrupted: ";
    const char *said = strstr(text, "error: "), *end = said ? strchr(said, '\n') : NULL;
    if (!end || (said > text && said[-1] != '\n')) return false;
    return end[1] == '\0' || strncmp(end + 1, kept, strlen(kept)) == 0;
}

/* A run that is interrupted keeps its finished steps, in a file that can be read. */
static bool is_sound_journal(const char *name)
{
    struct tensor_set *set = NULL;
    bool sound = path_ends_with(name, JOURNAL_ENDING) &&
                 tensor_set_open(path_in(test_folder, "%s", name), &set, NULL) == STATUS_OK;
    tensor_set_free(set);
    return sound;
}

/* Lines that are JSON, to the last one's end. */
static bool is_sound_status(const char *name)
{
    char *text = read_whole_text(path_in(test_folder, "%s", name)), *line = text;
    bool sound = is_status_file(name);
    while (sound && *line) {
        cJSON *json = NULL;
        const size_t length = strcspn(line, "\n");
        sound = line[length] == '\n' && json_parse(line, length, name, &json, NULL) == STATUS_OK;
        cJSON_Delete(json);
        line += length + 1;
    }
    free(text);
    return sound;
}

/* Whether the entry, a journal, is gone because what it was to become is there. */
static bool has_become_whole(const struct sweep *sweep, const struct folder_state *after, const char *name)
{
    char trace[256];
    snprintf(trace, sizeof trace, "%s", name);
    if (!path_ends_with(name, JOURNAL_ENDING)) return false;
    trace[strlen(name) - strlen(JOURNAL_ENDING)] = '\0';
    const struct folder_entry *entry = find_entry(after, trace);
    return entry && holds(&sweep->whole, entry);
}

/* Each entry as it was, or as it is to be; and none is gone. */
static void judge_folder(
    struct sweep *sweep, const struct fault_plan *plan, const struct folder_state *before)
{
    struct folder_state after;
    read_state(sweep->command, &after);
    for (size_t i = 0; i < after.count; i++) {
        const struct folder_entry *entry = &after.entries[i];
        const char *name = entry->name;
        const bool is_whole = is_status_file(name) ? is_sound_status(name) : holds(&sweep->whole, entry);
        if (!is_whole && !holds(before, entry) && !is_sound_journal(name))
            complain(sweep, plan, "left behind or not whole: ", name);
    }
    for (size_t i = 0; i < before->count; i++)
        if (!find_entry(&after, before->entries[i].name) &&
            !has_become_whole(sweep, &after, before->entries[i].name))
            complain(sweep, plan, "is gone: ", before->entries[i].name);
}

/* Without the fault the command goes on with what is left, to the outcome. */
static void judge_going_on(struct sweep *sweep, const struct fault_plan *plan)
{
    struct fault_plan sound = *plan;
    struct folder_state after;
    sound.at = 0;
    run(sweep->command->arguments, &sound, &sweep->run);
    const int status = sweep->run.status;
    read_state(sweep->command, &after);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != sweep->status)
        complain(sweep, plan, "does not go on", "");
    else if (!are_same(&after, &sweep->whole))
        complain(sweep, plan, "goes on to other files", "");
}

static void judge(struct sweep *sweep, const struct fault_plan *plan, const struct folder_state *before)
{
    const struct fault_run *run = &sweep->run;
    char text[32];
    snprintf(text, sizeof text, "%d", WIFSIGNALED(run->status) ? WTERMSIG(run->status) : run->status >> 8);
    if (!WIFEXITED(run->status)) {
        complain(sweep, plan, "ended by signal ", text);
        return;
    }
    int status = WEXITSTATUS(run->status);
    if (run->report->returned) judge_leaks(sweep, plan);
    if (status == STATUS_MACHINE) {
        sweep->failed++;
        const char *reason = plan->point == POINT_ALLOCATION ? "memory" : strerror(plan->error);
        if (!is_one_error(run->err)) complain(sweep, plan, "no line that says what failed", "");
        /* A list of runs says on standard output what became of each. */
        if (!strstr(run->err, reason) && !(sweep->command->goes_on && strstr(run->out, reason)))
            complain(sweep, plan, "the message does not say why", "");
        if (plan->point != POINT_ALLOCATION && !strstr(run->err, "/") &&
            !strstr(run->err, "standard output: "))
            complain(sweep, plan, "the message names no file", "");
        judge_folder(sweep, plan, before);
        if (sweep->command->goes_on) judge_going_on(sweep, plan);
        return;
    }
    sweep->went_on++;
    if (status != sweep->status) {
        complain(sweep, plan, "status ", text);
        return;
    }
    struct folder_state after;
    read_state(sweep->command, &after);
    const bool makes_files = sweep->status != STATUS_BAD_INPUT;
    if (!are_same(&after, makes_files ? &sweep->whole : before))
        complain(sweep, plan, "went on, but the files are others", "");
    bool same = run->out_size == sweep->out_size && memcmp(run->out, sweep->out, run->out_size) == 0;
    if (!same && !sweep->command->varies) complain(sweep, plan, "went on, but printed something else", "");
}

static void *new_shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory != MAP_FAILED);
    return memory;
}

/* Whether the inputs have come to a journal when no allocation from one on finds memory. */
static bool leave_journal(struct sweep *sweep, size_t at)
{
    const char *inputs = sweep->command->inputs;
    const struct fault_plan plan = {.point = POINT_ALLOCATION, .at = at, .lasting = true};
    struct folder_state state;
    put_back(&(struct fault_command){.arguments = inputs}, false, NULL);
    run(inputs, &plan, &sweep->run);
    read_state(sweep->command, &state);
    bool has_begun = false;
    for (size_t i = 0; i < state.count; i++) has_begun = has_begun || !is_status_file(state.entries[i].name);
    return has_begun;
}

/* Runs the command's inputs up to their first journal, and keeps that. */
static void interrupt(struct sweep *sweep)
{
    const struct fault_plan sound = {.point = POINT_ALLOCATION};
    run(sweep->command->inputs, &sound, &sweep->run);
    size_t without = 0, with = atomic_load(&sweep->run.report->points);
    while (with - without > 1) {
        const size_t middle = without + (with - without) / 2;
        *(leave_journal(sweep, middle) ? &with : &without) = middle;
    }
    ck_assert_msg(leave_journal(sweep, with), "plumb %s: has no journal", sweep->command->inputs);
    sweep->saved = temporary_folder();
    copy_entries(test_folder, sweep->saved);
}

void sweep_begin(
    struct sweep *sweep, const struct fault_command *command, const struct fault_plan *plan, bool with_paths)
{
    *sweep = (struct sweep){.command = command};
    sweep->run.report = new_shared_memory(sizeof *sweep->run.report);
    if (with_paths) sweep->paths = new_shared_memory(SWEEP_PATHS * sizeof *sweep->paths);
    struct fault_plan sound = *plan;
    sound.at = 0;
    if (command->inputs && command->goes_on)
        interrupt(sweep);
    else if (command->inputs)
        run(command->inputs, &sound, &sweep->run);
    for (int old = 0; old < 2; old++) {
        put_back(command, old, sweep->saved);
        read_state(command, &sweep->before[old]);
    }
    sound.paths = sweep->paths;
    sound.paths_room = SWEEP_PATHS;
    run(command->arguments, &sound, &sweep->run);
    ck_assert_msg(WIFEXITED(sweep->run.status) && WEXITSTATUS(sweep->run.status) < STATUS_MACHINE,
        "plumb %s: wait status %#x: %s", command->arguments, (unsigned)sweep->run.status, sweep->run.err);
    sweep->status = WEXITSTATUS(sweep->run.status);
    sweep->points = atomic_load(&sweep->run.report->points);
    judge_leaks(sweep, &sound);
    read_state(command, &sweep->whole);
    sweep->out = sweep->run.out;
    sweep->out_size = sweep->run.out_size;
    sweep->run.out = NULL;
}

void sweep_run(struct sweep *sweep, const struct fault_plan *plan, bool old_outputs)
{
    put_back(sweep->command, old_outputs, sweep->saved);
    run(sweep->command->arguments, plan, &sweep->run);
    /* The points were counted with old outputs. */
    if (atomic_load(&sweep->run.report->failed) == 0 && old_outputs && !sweep->command->is_long)
        complain(sweep, plan, "the fault was not reached", "");
    sweep->made++;
    judge(sweep, plan, &sweep->before[old_outputs]);
}

void sweep_end(struct sweep *sweep)
{
    remove_folder(sweep->saved);
    free(sweep->run.out);
    free(sweep->run.err);
    free(sweep->out);
    munmap(sweep->run.report, sizeof *sweep->run.report);
    if (sweep->paths) munmap(sweep->paths, SWEEP_PATHS * sizeof *sweep->paths);
}
