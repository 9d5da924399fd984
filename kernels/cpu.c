/*
 * The choice of the kernel set and of the number of threads, and what the machine says about itself.
 */
#include "cpu.h"

#include "gemm.h"
#include "micro_kernel.h"
#include "vector.h"

#include <cblas.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>

/* The tables of one kernel set; NULL where the processor lacks it. */
struct tables {
    const struct vector_set *vector;
    const struct micro_kernel *micro;
};

/* What this program was built with, and what that needs of the processor: the one place that asks for the
 * architecture. */
#if defined(__x86_64__)
#include <cpuid.h>

/* AVX2 and FMA, or AVX-512, with the system saving their registers, and the half-precision conversions. */
static struct tables find_set(enum kernel_set set)
{
    unsigned eax, ebx, ecx, edx;
    if (set == KERNELS_SCALAR) return (struct tables){vector_scalar(), micro_kernel_scalar()};
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
    if (set == KERNELS_AVX2 && avx2) return (struct tables){vector_avx2(), micro_kernel_avx2()};
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (set == KERNELS_AVX512 && avx512) return (struct tables){vector_avx512(), micro_kernel_avx512()};
    return (struct tables){NULL, NULL};
}
#elif defined(__aarch64__)
/* NEON is part of AArch64. */
static struct tables find_set(enum kernel_set set)
{
    if (set == KERNELS_SCALAR) return (struct tables){vector_scalar(), micro_kernel_scalar()};
    if (set == KERNELS_NEON) return (struct tables){vector_neon(), micro_kernel_neon()};
    return (struct tables){NULL, NULL};
}
#else
static struct tables find_set(enum kernel_set set)
{
    if (set == KERNELS_SCALAR) return (struct tables){vector_scalar(), micro_kernel_scalar()};
    return (struct tables){NULL, NULL};
}
#endif

static once_flag set_once = ONCE_FLAG_INIT, threads_once = ONCE_FLAG_INIT, blas_once = ONCE_FLAG_INIT;
static atomic_int set_in_use;
static enum kernel_set best_set;
static struct tables sets[KERNEL_SETS];
static atomic_int thread_count;
static atomic_int gemm_in_use = GEMM_PORTABLE;

static void find_sets(void)
{
    enum kernel_set best = KERNELS_SCALAR;
    for (enum kernel_set set = KERNELS_SCALAR; set < KERNEL_SETS; set++) {
        sets[set] = find_set(set);
        if (sets[set].vector != NULL) best = set;
    }
    atomic_store(&set_in_use, (int)best);
    best_set = best;
}

bool kernels_available(enum kernel_set set)
{
    call_once(&set_once, find_sets);
    return set < KERNEL_SETS && sets[set].vector != NULL;
}

enum kernel_set kernels_best(void)
{
    call_once(&set_once, find_sets);
    return best_set;
}

enum kernel_set kernels_in_use(void)
{
    call_once(&set_once, find_sets);
    return (enum kernel_set)atomic_load(&set_in_use);
}

bool kernels_use(enum kernel_set set)
{
    if (!kernels_available(set)) return false;
    atomic_store(&set_in_use, (int)set);
    return true;
}

const struct vector_set *vector_kernels(void)
{
    return sets[kernels_in_use()].vector;
}

const struct micro_kernel *micro_kernel_in_use(void)
{
    return sets[kernels_in_use()].micro;
}

const char *const *kernels_set_names(void)
{
    static const char *const names[KERNEL_SETS + 1] = {"scalar", "avx2", "avx512", "neon", NULL};
    return names;
}

const char *kernels_set_name(enum kernel_set set)
{
    return set < KERNEL_SETS ? kernels_set_names()[set] : "unknown";
}

void kernels_use_gemm(enum gemm_kind kind)
{
    atomic_store(&gemm_in_use, (int)kind);
}

enum gemm_kind kernels_gemm_in_use(void)
{
    return (enum gemm_kind)atomic_load(&gemm_in_use);
}

const char *const *kernels_gemm_names(void)
{
    static const char *const names[GEMM_KINDS + 1] = {"openblas", "portable", NULL};
    return names;
}

const char *kernels_gemm_name(enum gemm_kind kind)
{
    return kind < GEMM_KINDS ? kernels_gemm_names()[kind] : "unknown";
}

static void choose_threads(void)
{
    atomic_store(&thread_count, omp_get_max_threads());
}

static void limit_blas(void)
{
    openblas_set_num_threads(1);
}

void kernels_prepare_blas(void)
{
    call_once(&blas_once, limit_blas);
}

void kernels_set_threads(int threads)
{
    kernels_prepare_blas();
    call_once(&threads_once, choose_threads);
    atomic_store(&thread_count, threads < 1 ? 1 : threads);
}

int kernels_threads(void)
{
    call_once(&threads_once, choose_threads);
    return atomic_load(&thread_count);
}

/* The value of the first line "key : value" of /proc/cpuinfo, into the buffer; false where there is none. */
static bool read_cpuinfo(const char *key, char *buffer, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) return false;
    char line[256];
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0) continue;
        char *value = colon + 1 + strspn(colon + 1, " \t");
        value[strcspn(value, "\n")] = '\0';
        found = value[0] != '\0';
        if (found) snprintf(buffer, size, "%s", value);
    }
    fclose(file);
    return found;
}

const char *kernels_cpu_name(char *buffer, size_t size)
{
    char part[64];
    if (read_cpuinfo("model name", buffer, size)) return buffer;
    if (read_cpuinfo("CPU part", part, sizeof part)) { /* how Linux names an Arm core */
        snprintf(buffer, size, "Arm part %s", part);
    } else {
        snprintf(buffer, size, "unknown");
    }
    return buffer;
}

const char *kernels_blas_description(void)
{
    return openblas_get_config();
}

const char *kernels_blas_core(void)
{
    return openblas_get_corename();
}
