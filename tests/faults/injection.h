/*
 * Faults on demand in a process that runs the program's main(): the n-th allocation finds no memory, the n-th
 * write finds the disk full, the n-th read comes back short. One plan at a time, meant for a forked process.
 *
 * Allocations are those of the whole process, libraries included: allocations.c defines malloc() and its
 * relatives in the program itself, in front of the C library's or AddressSanitizer's. System calls are caught
 * where the kernel gets them, by a seccomp filter that hands them to a handler in this process
 * (system_calls.c), so that those which the C library makes for itself are caught, too.
 */
#ifndef TESTS_FAULTS_INJECTION_H
#define TESTS_FAULTS_INJECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_point {
    POINT_ALLOCATION, /* malloc, calloc, realloc, aligned_alloc, posix_memalign, mmap by its name */
    POINT_WRITE,      /* write, ftruncate, fsync, rename, mkdir, close, and open for writing; not on stderr */
    POINT_READ,       /* read, stat, access, readdir, and open for reading */
};

enum { PART_OF_IT = 0 }; /* for `error`: the call moves half of what it was asked for, and succeeds */

struct fault_plan {
    enum fault_point point;
    size_t at;    /* the first that fails, counted from 1; 0: none does */
    bool lasting; /* and all after it */
    int error;    /* of system calls: an errno, or PART_OF_IT */
    /* Shared memory for a number for each of the first `paths_room` points: who called whom down to it. Equal
     * numbers are equal calls. NULL: not asked for. */
    uint64_t *paths;
    size_t paths_room;
};

/* In memory that the process shares with the one that judges it. */
struct fault_report {
    atomic_size_t points, failed;
    atomic_int places; /* who asked for what failed last: the calls in this program, from within outwards */
    uintptr_t place[6];
    atomic_int call, descriptor; /* the system call that failed last, and its first argument */
    bool returned;               /* main() did */
    size_t leaks, leaked_bytes, leaked_descriptors;
    uintptr_t leak_place; /* of one of them: who asked for it, an address in the file `leak_module` */
    char leak_module[64];
};

/* Whether this system lets calls be caught. */
bool injection_catches_calls(void);
/* From now on; the plan and the report stay the caller's. Returns false where calls cannot be caught. */
bool injection_begin(const struct fault_plan *plan, struct fault_report *report);
/* No more faults; what is still allocated since the beginning, by any but OpenBLAS and the OpenMP runtime,
 * and still open, goes into the report. Under AddressSanitizer leaks are counted by LeakSanitizer, as one,
 * and not where system calls are caught. */
void injection_end(void);

/* Between the files of this folder. Counts a point; whether it is to fail. */
bool injection_fails(enum fault_point point);
const struct fault_plan *injection_plan(void);
struct fault_report *injection_report(void);
bool injection_catch_calls(void);
void injection_count_leaks(struct fault_report *report, bool calls_are_caught);
/* The file that holds the address, and where in it. */
void injection_find_place(uintptr_t address, uintptr_t *place, char module[64]);
/* Notes in the report who has called, as far as that is this program. */
void injection_note_callers(void);

#endif
