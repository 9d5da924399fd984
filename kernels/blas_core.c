/*
 * OpenBLAS has kernels for many processors and chooses among them when it is loaded; the bits of a product
 * depend on the choice. Here is what it calls them, and which of them this processor can run: OpenBLAS itself
 * takes OPENBLAS_CORETYPE at its word.
 */
#include "cpu.h"

#include <strings.h>

struct core {
    const char *name;
    bool runs_here;
};

/* The processors' families of which a core's kernels use more than the one before it. */
#if defined(__x86_64__)
enum { CORES = 9 };
static void list_cores(struct core cores[CORES])
{
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
    bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
    const struct core list[CORES] = {
        {"Prescott", __builtin_cpu_supports("sse3")},
        {"Core2", __builtin_cpu_supports("ssse3")},
        {"Nehalem", __builtin_cpu_supports("sse4.2")},
        {"Sandybridge", __builtin_cpu_supports("avx")},
        {"Haswell", avx2},
        {"Zen", avx2},
        {"SkylakeX", avx512},
        {"Cooperlake", bf16},
        {"SapphireRapids", bf16},
    };
    for (int i = 0; i < CORES; i++) cores[i] = list[i];
}
static const char common[] = "Haswell"; /* every x86-64 processor with AVX2 can run these */
#elif defined(__aarch64__)
enum { CORES = 1 };
static void list_cores(struct core cores[CORES])
{
    cores[0] = (struct core){"armv8", true};
}
static const char common[] = "";
#else
enum { CORES = 1 };
static void list_cores(struct core cores[CORES])
{
    cores[0] = (struct core){"", false};
}
static const char common[] = "";
#endif

bool kernels_blas_core_runs(const char *name)
{
    struct core cores[CORES];
    list_cores(cores);
    for (int i = 0; i < CORES; i++)
        if (strcasecmp(cores[i].name, name) == 0) return cores[i].runs_here;
    return false;
}

size_t kernels_blas_cores(const char **names, size_t most)
{
    struct core cores[CORES];
    size_t count = 0;
    list_cores(cores);
    for (size_t i = 0; i < CORES && count < most; i++)
        if (cores[i].runs_here) names[count++] = cores[i].name;
    return count;
}

const char *kernels_common_blas_core(void)
{
    return kernels_blas_core_runs(common) ? common : NULL;
}
