#include "blas_core.h"

#include "kernels/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* OpenBLAS's own variable; and ours, by which the new program knows that it is one, and why. */
static const char VARIABLE[] = "OPENBLAS_CORETYPE", REASON[] = "PLUMB_BLAS_CORE_BY";
static const char BY_OPTION[] = "--blas-core", BY_DEFAULT[] = "the default";

/* The value of an environment variable; NULL where it is not set or empty. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static enum status refuse(const char *core, const char *what, struct error *error)
{
    const char *names[16];
    char all[256] = "";
    size_t count = kernels_blas_cores(names, sizeof names / sizeof *names), used = 0;
    for (size_t i = 0; i < count && used < sizeof all; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", names[i]);
    return error_input(
        error, "--blas-core: %.40s: %s; expected auto%s%s", core, what, count ? " or one of " : "", all);
}

/* Only returns where the program cannot be started anew. */
static enum status start_anew(const char *core, const char *reason, char **argv, struct error *error)
{
    if (setenv(VARIABLE, core, 1) != 0 || setenv(REASON, reason, 1) != 0)
        return error_memory(error, strlen(core));
    execv("/proc/self/exe", argv);
    return error_machine(error, "--blas-core: the program cannot be started anew with %s=%s: %s", VARIABLE,
        core, strerror(errno));
}

enum status blas_core_use(const char *core, char **argv, struct error *error)
{
    if (!kernels_blas_core_runs(core))
        return refuse(core, "OpenBLAS has no kernels of this name that this processor runs", error);
    if (strcasecmp(kernels_blas_core(), core) == 0) return STATUS_OK;
    const char *set = environment(VARIABLE), *reason = environment(REASON);
    if (set && strcasecmp(set, core) == 0 && reason && strcmp(reason, BY_OPTION) == 0) {
        char what[128];
        snprintf(what, sizeof what, "this OpenBLAS uses %.40s in its place", kernels_blas_core());
        return refuse(core, what, error);
    }
    return start_anew(core, BY_OPTION, argv, error);
}

enum status blas_core_use_common(char **argv, struct error *error)
{
    const char *core = kernels_common_blas_core();
    if (!core || environment(VARIABLE) || strcasecmp(kernels_blas_core(), core) == 0) return STATUS_OK;
    return start_anew(core, BY_DEFAULT, argv, error);
}

const char *blas_core_chosen_by(void)
{
    const char *reason = environment(REASON);
    if (!environment(VARIABLE)) return "the processor";
    return reason ? reason : VARIABLE;
}
