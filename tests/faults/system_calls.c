/*
 * System calls that fail: a seccomp filter has the kernel send SIGSYS in place of each call that may be made
 * to fail, whoever makes it, and the handler either makes the call or gives it the result of the plan. A call
 * that the handler makes carries a mark in the sixth argument, which none of these calls has, and passes.
 */
#include "injection.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static const uint32_t MARK = 0x706c756d;

/* --- The processor's part ----------------------------------------------------------------- */

struct call {
    long number, arguments[5];
};

#if defined(__x86_64__)

static const uint32_t architecture = AUDIT_ARCH_X86_64;

static struct call call_of(const ucontext_t *context)
{
    const greg_t *r = context->uc_mcontext.gregs;
    return (struct call){r[REG_RAX], {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8]}};
}

static void give(ucontext_t *context, long result)
{
    context->uc_mcontext.gregs[REG_RAX] = result;
}

#elif defined(__aarch64__)

static const uint32_t architecture = AUDIT_ARCH_AARCH64;

static struct call call_of(const ucontext_t *context)
{
    const unsigned long long *r = context->uc_mcontext.regs;
    return (struct call){(long)r[8], {(long)r[0], (long)r[1], (long)r[2], (long)r[3], (long)r[4]}};
}

static void give(ucontext_t *context, long result)
{
    context->uc_mcontext.regs[0] = (unsigned long long)result;
}

#else

static const uint32_t architecture = 0; /* calls are not caught */

static struct call call_of(const ucontext_t *context)
{
    (void)context;
    return (struct call){0};
}

static void give(ucontext_t *context, long result)
{
    (void)context, (void)result;
}

#endif

/* --- Which calls -------------------------------------------------------------------------- */

enum kind { MOVES_IN, MOVES_OUT, OPENS, CLOSES, SYNCS, ASKS, CHANGES };

/* The older numbers are x86-64's only. */
static const struct caught {
    int number;
    enum kind kind;
} caught[] = {
    {SYS_read, MOVES_IN},
    {SYS_pread64, MOVES_IN},
    {SYS_write, MOVES_OUT},
    {SYS_pwrite64, MOVES_OUT},
    {SYS_openat, OPENS},
    {SYS_close, CLOSES},
    {SYS_fsync, SYNCS},
    {SYS_fdatasync, SYNCS},
    {SYS_ftruncate, CHANGES},
    {SYS_mkdirat, CHANGES},
    {SYS_renameat, CHANGES},
    {SYS_renameat2, CHANGES},
    {SYS_fstat, ASKS},
    {SYS_newfstatat, ASKS},
    {SYS_statx, ASKS},
    {SYS_faccessat, ASKS},
    {SYS_readlinkat, ASKS},
    {SYS_getdents64, ASKS},
#if defined(__x86_64__)
    {SYS_mkdir, CHANGES},
    {SYS_rename, CHANGES},
    {SYS_stat, ASKS},
    {SYS_lstat, ASKS},
    {SYS_access, ASKS},
    {SYS_readlink, ASKS},
#endif
};
enum { CAUGHT = sizeof caught / sizeof *caught };

static enum kind kind_of(long number)
{
    size_t i = 0;
    while (i + 1 < CAUGHT && caught[i].number != number) i++;
    return caught[i].kind;
}

static long make(const struct call *call)
{
    const long *a = call->arguments;
    long result = syscall(call->number, a[0], a[1], a[2], a[3], a[4], (long)MARK);
    return result == -1 ? -errno : result;
}

static bool is_for_writing(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* Whether a plan of this kind can touch the call at all. */
static bool concerns(const struct fault_plan *plan, const struct call *call, enum kind kind)
{
    bool writes = kind == MOVES_OUT || kind == SYNCS || kind == CHANGES;
    if (kind == OPENS) writes = (call->arguments[2] & O_ACCMODE) != O_RDONLY;
    if (kind == CLOSES && !is_for_writing((int)call->arguments[0])) return false;
    if (kind == CLOSES) writes = true;
    if (writes != (plan->point == POINT_WRITE)) return false;
    bool moves = kind == MOVES_IN || kind == MOVES_OUT;
    if (moves && call->arguments[0] == STDERR_FILENO) return false;
    if (plan->error == PART_OF_IT) return moves && call->arguments[2] > 1;
    if (plan->error == EINTR) return moves || kind == OPENS;
    return true;
}

static long answer(struct call *call)
{
    const struct fault_plan *plan = injection_plan();
    enum kind kind = kind_of(call->number);
    if (!plan || !concerns(plan, call, kind) || !injection_fails(plan->point)) return make(call);
    injection_note_callers();
    atomic_store(&injection_report()->call, (int)call->number);
    atomic_store(&injection_report()->descriptor, (int)call->arguments[0]);
    if (plan->error == PART_OF_IT) {
        call->arguments[2] /= 2;
        return make(call);
    }
    if (kind == CLOSES) (void)make(call); /* as Linux does, whatever it then says */
    return -plan->error;
}

static void on_call(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    int before = errno;
    struct call call = call_of(context);
    give(context, answer(&call));
    errno = before;
}

/* --- The filter --------------------------------------------------------------------------- */

static struct sock_filter load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter jump_if(uint32_t value, size_t then, size_t otherwise)
{
    return (struct sock_filter)BPF_JUMP(
        BPF_JMP | BPF_JEQ | BPF_K, value, (unsigned char)then, (unsigned char)otherwise);
}

static struct sock_filter end_with(uint32_t action)
{
    return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

bool injection_catch_calls(void)
{
    if (architecture == 0) return false;
    struct sock_filter code[CAUGHT + 8];
    size_t n = 0;
    code[n++] = load(offsetof(struct seccomp_data, arch));
    code[n++] = jump_if(architecture, 0, CAUGHT + 3);
    code[n++] = load(offsetof(struct seccomp_data, args[5]));
    code[n++] = jump_if(MARK, CAUGHT + 1, 0);
    code[n++] = load(offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < CAUGHT; i++) code[n++] = jump_if((uint32_t)caught[i].number, CAUGHT - i, 0);
    code[n++] = end_with(SECCOMP_RET_ALLOW);
    code[n++] = end_with(SECCOMP_RET_TRAP);
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool injection_catches_calls(void)
{
    pid_t child = fork();
    if (child == 0) _exit(injection_catch_calls() && access("/", F_OK) == 0 ? 0 : 1);
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
