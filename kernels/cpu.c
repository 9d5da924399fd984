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

/* The processor's own text. /proc/cpuinfo has the same, but a file can fail, and a trace would name another
 * machine. */
static bool find_name(char *buffer, size_t size)
{
    unsigned words[3][4];
    char text[sizeof words + 1];
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002 + i, &words[i][0], &words[i][1], &words[i][2], &words[i][3]))
            return false;
    memcpy(text, words, sizeof words);
    text[sizeof words] = '\0';
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ') text[--length] = '\0';
    snprintf(buffer, size, "%s", text + strspn(text, " "));
    return length > 0;
}
#elif defined(__aarch64__)
/* NEON is part of AArch64. */
static struct tables find_set(enum kernel_set set)
{
    if (set == KERNELS_SCALAR) return (struct tables){vector_scalar(), micro_kernel_scalar()};
    if (set == KERNELS_NEON) return (struct tables){vector_neon(), micro_kernel_neon()};
    return (struct tables){NULL, NULL};
}

/* How Linux names an Arm core: the first line "CPU part : 0xd0c" of /proc/cpuinfo. */
static bool find_name(char *buffer, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) return false;
    char line[256];
    bool found = false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, "CPU part", strlen("CPU part")) != 0) continue;
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(buffer, size, "Arm part %s", colon + 1 + strspn(colon + 1, " \t"));
        found = true;
    }
    fclose(file);
    return found;
}
#else
static struct tables find_set(enum kernel_set set)
{
    if (set == KERNELS_SCALAR) return (struct tables){vector_scalar(), micro_kernel_scalar()};
    return (struct tables){NULL, NULL};
}

static bool find_name(char *buffer, size_t size)
{
    (void)buffer, (void)size;
    return false;
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

const char *kernels_cpu_name(char *buffer, size_t size)
{
    if (!find_name(buffer, size)) snprintf(buffer, size, "unknown");
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
