#include "faults.h"

#include "sched/error.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- Registers ---------------------------------------------------------------------------- */

#define MOST_PARTIALS 64
static _Atomic(const char *) partials[MOST_PARTIALS];

static _Atomic(const char *) last_words;

#define MOST_MAPPED 256
static struct mapped {
    _Atomic(uintptr_t) begin; /* 0: free; 1, which no mapping begins at: being filled in */
    _Atomic(size_t) size;
    char path[512]; /* cut at its start where it is longer */
} all_mapped[MOST_MAPPED];

void faults_partial(const char *path)
{
    for (int i = 0; i < MOST_PARTIALS; i++) {
        const char *none = NULL;
        if (atomic_compare_exchange_strong(&partials[i], &none, path)) return;
    }
}

void faults_forget_partial(const char *path)
{
    for (int i = 0; i < MOST_PARTIALS; i++) {
        const char *registered = path;
        if (path && atomic_compare_exchange_strong(&partials[i], &registered, NULL)) return;
    }
}

void faults_say_at_end(const char *text)
{
    atomic_store(&last_words, text);
}

void faults_mapped(const void *address, size_t size, const char *path)
{
    for (int i = 0; i < MOST_MAPPED; i++) {
        struct mapped *mapped = &all_mapped[i];
        uintptr_t forgotten = 0;
        if (!atomic_compare_exchange_strong(&mapped->begin, &forgotten, 1)) continue;
        size_t length = strlen(path), room = sizeof mapped->path - 1;
        const char *end = length > room ? path + length - room : path;
        memcpy(mapped->path, end, strlen(end) + 1);
        atomic_store(&mapped->size, size);
        atomic_store(&mapped->begin, (uintptr_t)address);
        return;
    }
}

void faults_forget_mapped(const void *address)
{
    for (int i = 0; i < MOST_MAPPED; i++) {
        uintptr_t begin = (uintptr_t)address;
        if (atomic_compare_exchange_strong(&all_mapped[i].begin, &begin, 0)) return;
    }
}

/* --- In a signal: nothing but system calls ------------------------------------------------ */

/* What the kernel's getdents64 fills in (readdir may allocate, and so is not allowed here). */
struct kernel_entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static void remove_all(int parent, const char *name, int depth);

static void empty_folder(int folder, int depth)
{
    _Alignas(struct kernel_entry) char buffer[2048];
    long filled;
    while ((filled = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0)
        for (long at = 0; at < filled;) {
            const struct kernel_entry *entry = (const struct kernel_entry *)(const void *)(buffer + at);
            at += entry->length;
            if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
                remove_all(folder, entry->name, depth + 1);
        }
}

/* A file, or a folder with what is in it. */
static void remove_all(int parent, const char *name, int depth)
{
    const int deepest = 8; /* of an output: DIR/component/file */
    if (unlinkat(parent, name, 0) == 0 || depth > deepest) return;
    int folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) return;
    empty_folder(folder, depth);
    close(folder);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void faults_remove(const char *path)
{
    remove_all(AT_FDCWD, path, 0);
}

static void remove_partials(void)
{
    for (int i = 0; i < MOST_PARTIALS; i++) {
        const char *path = atomic_load(&partials[i]);
        if (path) remove_all(AT_FDCWD, path, 0);
    }
}

static void say(const char *text)
{
    size_t length = strlen(text);
    if (write(STDERR_FILENO, text, length) < 0) return; /* there is nobody left to tell */
}

static void say_last_words(void)
{
    const char *text = atomic_load(&last_words);
    if (text) say(text);
}

static const char *file_at(const void *address)
{
    uintptr_t at = (uintptr_t)address;
    for (int i = 0; i < MOST_MAPPED; i++) {
        uintptr_t begin = atomic_load(&all_mapped[i].begin);
        /* The end of the last page belongs to the mapping, too. */
        if (begin > 1 && at >= begin && at - begin <= atomic_load(&all_mapped[i].size))
            return all_mapped[i].path;
    }
    return NULL;
}

static void end_by(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
    raise(number);
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    (void)context;
    static atomic_flag first = ATOMIC_FLAG_INIT; /* several threads may read the same file */
    const char *path = file_at(info->si_addr);
    if (atomic_flag_test_and_set(&first))
        for (;;) pause();
    remove_partials();
    if (!path) {
        end_by(number); /* a fault of the program's own */
        return;
    }
    say("error: ");
    say(path);
    say(": cannot be read any more: it was changed or cut while it was in use\n");
    say_last_words();
    _exit(STATUS_MACHINE);
}

static void on_end(int number)
{
    remove_partials();
    say_last_words();
    end_by(number);
}

/* Where the system has no memory or no thread for it, the OpenMP runtime says so and calls exit(). */
static atomic_bool at_work;

static void on_exit_by_a_library(void)
{
    if (!atomic_load(&at_work)) return;
    remove_partials();
    say("error: out of memory or threads: a library has ended the program, and says why above\n");
    say_last_words();
    _exit(STATUS_MACHINE);
}

void faults_done(void)
{
    atomic_store(&at_work, false);
}

void faults_handle(void)
{
    atomic_store(&at_work, atexit(on_exit_by_a_library) == 0);
    struct sigaction bus = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &bus, NULL);
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct sigaction action = {.sa_handler = on_end}, before;
        /* What the caller has switched off (nohup) stays so. */
        if (sigaction(ends[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(ends[i], &action, NULL);
    }
}
