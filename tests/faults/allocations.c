/*
 * malloc() and its relatives, in front of those of the C library, or of AddressSanitizer where that is
 * linked. Defined in the program itself they are found first, by libraries and by the C library's own
 * strdup(), fopen() and so on. Beside failing they keep a ledger of what is allocated, for leaks; under
 * AddressSanitizer LeakSanitizer does that.
 */
#include "injection.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- What lies behind --------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)

#include <sanitizer/lsan_interface.h>

void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t count, size_t size);
void *__interceptor_realloc(void *memory, size_t size);
void *__interceptor_memalign(size_t alignment, size_t size);

static void *system_malloc(size_t size)
{
    return __interceptor_malloc(size);
}

static void *system_calloc(size_t count, size_t size)
{
    return __interceptor_calloc(count, size);
}

static void *system_realloc(void *memory, size_t size)
{
    return __interceptor_realloc(memory, size);
}

static void *system_memalign(size_t alignment, size_t size)
{
    return __interceptor_memalign(alignment, size);
}

static void enter(void *memory, size_t size, uintptr_t caller)
{
    (void)memory, (void)size, (void)caller;
}

static void leave(void *memory)
{
    (void)memory;
}

/* LeakSanitizer stops the process by a thread with all signals blocked, which the filter's signal would
 * kill. */
void injection_count_leaks(struct fault_report *report, bool calls_are_caught)
{
    if (calls_are_caught) return;
    report->leaks = __lsan_do_recoverable_leak_check() != 0;
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

static void *system_malloc(size_t size)
{
    return __libc_malloc(size);
}

static void *system_calloc(size_t count, size_t size)
{
    return __libc_calloc(count, size);
}

static void *system_realloc(void *memory, size_t size)
{
    return __libc_realloc(memory, size);
}

static void *system_memalign(size_t alignment, size_t size)
{
    return __libc_memalign(alignment, size);
}

/* --- The ledger --------------------------------------------------------------------------- */

/* Open addressing; an entry that is taken out stays as a gap that can be filled. Threads take turns. */
enum { PLACES = 1 << 16, GAP = 1 };
static struct ledger_entry {
    uintptr_t memory; /* 0: never used */
    size_t size;
    uintptr_t caller;
} ledger[PLACES];
static atomic_flag ledger_in_use = ATOMIC_FLAG_INIT;
static size_t outstanding;
static bool ledger_is_full;

static void lock_ledger(void)
{
    while (atomic_flag_test_and_set(&ledger_in_use))
        ;
}

static struct ledger_entry *first_place(uintptr_t memory)
{
    return &ledger[memory * UINT64_C(0x9E3779B97F4A7C15) >> 48];
}

static struct ledger_entry *next_place(struct ledger_entry *entry)
{
    return entry + 1 == ledger + PLACES ? ledger : entry + 1;
}

static void enter(void *memory, size_t size, uintptr_t caller)
{
    if (!memory || !injection_plan()) return;
    lock_ledger();
    struct ledger_entry *entry = first_place((uintptr_t)memory);
    int passed = 0;
    while (entry->memory > GAP && ++passed < PLACES) entry = next_place(entry);
    if (entry->memory > GAP)
        ledger_is_full = true;
    else
        *entry = (struct ledger_entry){(uintptr_t)memory, size, caller}, outstanding++;
    atomic_flag_clear(&ledger_in_use);
}

static void leave(void *memory)
{
    if (!memory || !injection_plan()) return;
    lock_ledger();
    struct ledger_entry *entry = first_place((uintptr_t)memory);
    int passed = 0;
    while (entry->memory && entry->memory != (uintptr_t)memory && ++passed < PLACES)
        entry = next_place(entry);
    if (entry->memory == (uintptr_t)memory) entry->memory = GAP, outstanding--;
    atomic_flag_clear(&ledger_in_use);
}

/* OpenBLAS, the OpenMP runtime and the loader (for thread-local variables) keep theirs until the process
 * ends, and so does stdout its buffer. */
static bool is_kept(const struct ledger_entry *entry, const char *module)
{
    static const char *const keepers[] = {"libopenblas", "libgomp", "libomp", "libgfortran", "ld-linux"};
    for (size_t i = 0; i < sizeof keepers / sizeof *keepers; i++)
        if (strncmp(module, keepers[i], strlen(keepers[i])) == 0) return true;
    return entry->memory == (uintptr_t)stdout->_IO_buf_base;
}

void injection_count_leaks(struct fault_report *report, bool calls_are_caught)
{
    (void)calls_are_caught;
    report->leaks = ledger_is_full;
    if (outstanding == 0) return;
    for (const struct ledger_entry *entry = ledger; entry < ledger + PLACES; entry++) {
        uintptr_t place;
        char module[64];
        if (entry->memory <= GAP) continue;
        injection_find_place(entry->caller, &place, module);
        if (is_kept(entry, module)) continue;
        report->leaks++;
        report->leaked_bytes += entry->size;
        report->leak_place = place;
        memcpy(report->leak_module, module, sizeof module);
    }
}

void free(void *memory)
{
    leave(memory);
    __libc_free(memory);
}

#endif

/* --- In front of it ----------------------------------------------------------------------- */

static bool fails(void)
{
    if (!injection_fails(POINT_ALLOCATION)) return false;
    injection_note_callers();
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (fails()) return NULL;
    void *memory = system_malloc(size);
    enter(memory, size, caller);
    return memory;
}

void *calloc(size_t count, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (fails()) return NULL;
    void *memory = system_calloc(count, size);
    enter(memory, count * size, caller);
    return memory;
}

void *realloc(void *old, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (fails()) return NULL;
    leave(old);
    void *memory = system_realloc(old, size);
    enter(memory, size, caller);
    return memory;
}

void *memalign(size_t alignment, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (fails()) return NULL;
    void *memory = system_memalign(alignment, size);
    enter(memory, size, caller);
    return memory;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (fails()) return NULL;
    void *memory = system_memalign(alignment, size);
    enter(memory, size, caller);
    return memory;
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (fails()) return ENOMEM;
    *out = system_memalign(alignment, size);
    enter(*out, size, caller);
    return *out ? 0 : ENOMEM;
}

/* OpenBLAS asks again for ever where it gets no memory for its buffers, so it is not made to fail here:
 * kernels_start() has asked for as much before it, and that call fails. */
static bool is_openblas(uintptr_t caller)
{
    uintptr_t place;
    char module[64];
    injection_find_place(caller, &place, module);
    return strncmp(module, "libopenblas", strlen("libopenblas")) == 0;
}

void *mmap(void *address, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    if (injection_plan() && !is_openblas(caller) && fails()) return MAP_FAILED;
    long result = syscall(SYS_mmap, address, size, protection, flags, descriptor, offset);
    return (void *)result; // NOLINT(performance-no-int-to-ptr)
}
