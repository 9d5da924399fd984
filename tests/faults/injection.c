#include "injection.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

static const struct fault_plan *the_plan; /* NULL: nothing is counted */
static struct fault_report *the_report;
static size_t open_before;

const struct fault_plan *injection_plan(void)
{
    return the_plan;
}

struct fault_report *injection_report(void)
{
    return the_report;
}

static _Unwind_Reason_Code add_call(struct _Unwind_Context *context, void *data)
{
    uint64_t *path = data;
    *path = (*path ^ (uint64_t)_Unwind_GetIP(context)) * UINT64_C(0x100000001B3);
    return _URC_NO_REASON;
}

/* Not a part of injection_fails(), which is called while AddressSanitizer starts and can have nothing on the
 * stack. */
__attribute__((noinline)) static uint64_t call_path(void)
{
    uint64_t path = UINT64_C(0xCBF29CE484222325);
    _Unwind_Backtrace(add_call, &path);
    return path;
}

bool injection_fails(enum fault_point point)
{
    if (!the_plan || the_plan->point != point) return false;
    size_t n = 1 + atomic_fetch_add(&the_report->points, 1), at = the_plan->at;
    if (the_plan->paths && n <= the_plan->paths_room) the_plan->paths[n - 1] = call_path();
    bool fails = at != 0 && (the_plan->lasting ? n >= at : n == at);
    if (fails) atomic_fetch_add(&the_report->failed, 1);
    return fails;
}

static size_t count_descriptors(void)
{
    const int most = 256;
    size_t count = 0;
    for (int descriptor = 0; descriptor < most; descriptor++) count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

void injection_find_place(uintptr_t address, uintptr_t *place, char module[64])
{
    Dl_info info;
    *place = address;
    module[0] = '\0';
    if (dladdr((void *)address, &info) == 0) return; // NOLINT(performance-no-int-to-ptr)
    *place = address - (uintptr_t)info.dli_fbase;
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(module, 64, "%s", slash ? slash + 1 : info.dli_fname);
}

static _Unwind_Reason_Code note_caller(struct _Unwind_Context *context, void *data)
{
    struct fault_report *report = data;
    const int room = sizeof report->place / sizeof *report->place;
    uintptr_t place, own;
    char module[64], own_module[64];
    injection_find_place((uintptr_t)note_caller, &own, own_module);
    injection_find_place((uintptr_t)_Unwind_GetIP(context), &place, module);
    int count = atomic_load(&report->places);
    if (count == room) return _URC_END_OF_STACK;
    if (strcmp(module, own_module) == 0) {
        report->place[count] = place;
        atomic_store(&report->places, count + 1);
    }
    return _URC_NO_REASON;
}

void injection_note_callers(void)
{
    atomic_store(&the_report->places, 0);
    _Unwind_Backtrace(note_caller, the_report);
}

bool injection_begin(const struct fault_plan *plan, struct fault_report *report)
{
    if (plan->point != POINT_ALLOCATION && !injection_catch_calls()) return false;
    open_before = count_descriptors();
    the_report = report;
    the_plan = plan;
    return true;
}

void injection_end(void)
{
    struct fault_report *report = the_report;
    const bool calls_are_caught = the_plan->point != POINT_ALLOCATION;
    the_plan = NULL;
    size_t open_after = count_descriptors();
    report->leaked_descriptors = open_after > open_before ? open_after - open_before : 0;
    injection_count_leaks(report, calls_are_caught);
}
