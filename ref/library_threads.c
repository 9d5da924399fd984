#include "library_threads.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

void library_threads_settle(char **argv)
{
    static const char BLAS_THREADS[] = "OPENBLAS_NUM_THREADS";
    static const char SPINS[] = "GOMP_SPINCOUNT",
                      SPINS_OF_50_US[] = "2000"; /* of 25 ns: a pause since Skylake */
    bool anew = false;
    if (!is_set(BLAS_THREADS) || strcmp(getenv(BLAS_THREADS), "1") != 0)
        anew |= setenv(BLAS_THREADS, "1", 1) == 0;
    if (!is_set(SPINS) && !is_set("OMP_WAIT_POLICY")) anew |= setenv(SPINS, SPINS_OF_50_US, 1) == 0;
    if (anew) execv("/proc/self/exe", argv);
}
