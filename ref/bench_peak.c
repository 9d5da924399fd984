/*
 * What the machine can do: OpenBLAS's SGEMM of square matrices, one product on each thread at once, of a
 * size at which it is fastest here; and memcpy() between buffers that no cache holds.
 */
#include "bench.h"
#include "synth.h"

#include "kernels/cpu.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int SIZES[] = {512, 768, 1024, 1536};
enum { SIZE_COUNT = sizeof SIZES / sizeof *SIZES, LARGEST = 1536, MOST_READINGS = 4096 };
/* What is copied: of one thread at most, and of all together but for a great many threads. */
static const size_t MOST_COPIED = (size_t)64 << 20, ALL_COPIED = (size_t)256 << 20, LEAST_COPIED = 8 << 20;

struct readings {
    int threads, count;
    double flops[MOST_READINGS], bytes[MOST_READINGS];
};

struct bench_meter {
    enum bench_clock clock;
    int threads;                 /* the most that there is room for */
    int size;                    /* of SGEMM */
    float *matrices;             /* three of LARGEST a thread */
    size_t copied;               /* bytes of one thread */
    unsigned char *buffers;      /* two of them a thread */
    struct readings readings[2]; /* with all threads; with one, where that is another number */
};

static void run_gemm(struct bench_meter *meter)
{
    int n = meter->size;
#pragma omp parallel for schedule(static, 1) num_threads(kernels_threads())
    for (int t = 0; t < kernels_threads(); t++) {
        const size_t area = (size_t)LARGEST * LARGEST;
        float *a = meter->matrices + 3 * area * (size_t)t, *b = a + area, *c = b + area;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
    }
}

static void run_copy(struct bench_meter *meter)
{
#pragma omp parallel for schedule(static, 1) num_threads(kernels_threads())
    for (int t = 0; t < kernels_threads(); t++) {
        unsigned char *from = meter->buffers + 2 * meter->copied * (size_t)t;
        memcpy(from + meter->copied, from, meter->copied);
    }
}

/* How often `work` runs in a second, if it runs for as long as this. */
static double rate(struct bench_meter *meter, void (*work)(struct bench_meter *meter), double seconds)
{
    double start = bench_now(meter->clock), now;
    int runs = 0;
    do {
        work(meter);
        runs++;
        now = bench_now(meter->clock);
    } while (now - start < seconds);
    return runs / (now - start);
}

static double gemm_flops(const struct bench_meter *meter)
{
    return 2.0 * meter->size * meter->size * meter->size * kernels_threads();
}

/* The smallest size that is nearly as fast as the fastest: readings are then short. */
static void choose_size(struct bench_meter *meter)
{
    const double nearly = 0.97;
    double flops[SIZE_COUNT], most = 0;
    for (int i = 0; i < SIZE_COUNT; i++) {
        meter->size = SIZES[i];
        (void)rate(meter, run_gemm, 0); /* touches the memory */
        flops[i] = rate(meter, run_gemm, 0.1) * gemm_flops(meter);
        most = fmax(most, flops[i]);
    }
    int i = 0;
    while (flops[i] < nearly * most) i++;
    meter->size = SIZES[i];
}

enum status bench_meter_create(
    const struct bench_timing *timing, struct bench_meter **out, struct error *error)
{
    *out = NULL;
    const size_t matrices = 3 * (size_t)LARGEST * LARGEST, threads = (size_t)timing->threads;
    size_t copied = ALL_COPIED / threads;
    copied = copied > MOST_COPIED ? MOST_COPIED : copied < LEAST_COPIED ? LEAST_COPIED : copied;
    size_t bytes = threads * (matrices * sizeof(float) + 2 * copied);
    struct bench_meter *meter = calloc(1, sizeof *meter);
    if (!meter) return error_memory(error, sizeof *meter);
    meter->clock = timing->clock;
    meter->threads = timing->threads;
    meter->copied = copied;
    meter->matrices = malloc(threads * matrices * sizeof(float));
    meter->buffers = malloc(threads * 2 * copied);
    if (!meter->matrices || !meter->buffers) {
        bench_meter_free(meter);
        return error_memory(error, bytes);
    }
    struct synth_values values = {.key = 1, .scale = 0x1p-23f};
    synth_values_fill(&values, 0, threads * matrices, DTYPE_F32, meter->matrices);
    memset(meter->buffers, 1, threads * 2 * copied);
    kernels_set_threads(timing->threads);
    choose_size(meter);
    (void)rate(meter, run_copy, 0);
    *out = meter;
    return STATUS_OK;
}

void bench_meter_free(struct bench_meter *meter)
{
    if (!meter) return;
    free(meter->matrices);
    free(meter->buffers);
    free(meter);
}

struct bench_peak bench_meter_read(struct bench_meter *meter, double seconds)
{
    double each = seconds / 2;
    struct bench_peak peak = {
        .flops = rate(meter, run_gemm, each) * gemm_flops(meter),
        .bytes = rate(meter, run_copy, each) * 2 * (double)meter->copied * kernels_threads(),
    };
    struct readings *readings = &meter->readings[kernels_threads() == meter->threads ? 0 : 1];
    readings->threads = kernels_threads();
    if (readings->count < MOST_READINGS) {
        readings->flops[readings->count] = peak.flops;
        readings->bytes[readings->count] = peak.bytes;
        readings->count++;
    }
    return peak;
}

struct bench_peak bench_meter_median(const struct bench_meter *meter, int threads)
{
    struct bench_peak peak = {0};
    for (int i = 0; meter && i < 2; i++) {
        struct readings readings = meter->readings[i];
        if (readings.count == 0 || readings.threads != threads) continue;
        peak.flops = bench_median(readings.flops, readings.count);
        peak.bytes = bench_median(readings.bytes, readings.count);
    }
    return peak;
}

int64_t bench_meter_gemm_size(const struct bench_meter *meter)
{
    return meter->size;
}
