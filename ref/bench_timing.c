/*
 * A measurement: medians of repeats, each between two readings of what the machine can do. Machines slow down
 * and speed up under the feet of a benchmark; a share of the peak of the same second stays.
 */
#include "bench.h"
#include "clock.h"

#include "kernels/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#define MOST_REPEATS 1000
/* Long enough for the clock and for the threads to start; a reading of a peak takes as long, or more beside a
 * long task. */
static const double SHORTEST = 0.05, LONGEST_READING = 0.3;

double bench_now(enum bench_clock clock)
{
    if (clock == BENCH_WALL) return clock_seconds();
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_numbers(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_numbers);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double bench_roof(const struct bench_task *task, struct bench_peak peak, bool *by_compute)
{
    double compute = task->flops / peak.flops, memory = task->bytes / peak.bytes;
    if (by_compute) *by_compute = compute > memory;
    return fmax(compute, memory);
}

static double time_of(const struct bench_task *task, enum bench_clock clock, int runs)
{
    double start = bench_now(clock);
    for (int i = 0; i < runs; i++) task->run(task->context);
    return (bench_now(clock) - start) / runs;
}

/* With the threads that are set. */
static struct bench_result measure(
    struct bench_meter *meter, const struct bench_timing *timing, const struct bench_task *task)
{
    double seconds[MOST_REPEATS] = {0}, gemm[MOST_REPEATS] = {0}, roof[MOST_REPEATS] = {0};
    int repeats = timing->repeats < MOST_REPEATS ? timing->repeats : MOST_REPEATS;
    double first = time_of(task, timing->clock, 1); /* memory is touched, weights are packed */
    first = fmin(first, time_of(task, timing->clock, first < 1 ? 1 : 0 /* long ones once */));
    int runs = first < SHORTEST ? (int)ceil(SHORTEST / fmax(first, 1e-7)) : 1;
    double reading = fmin(fmax(first / 8, SHORTEST), LONGEST_READING);

    struct bench_peak before = bench_meter_read(meter, reading);
    for (int i = 0; i < repeats; i++) {
        if (runs > 1) task->run(task->context); /* the reading took the caches */
        seconds[i] = time_of(task, timing->clock, runs);
        struct bench_peak after = bench_meter_read(meter, reading);
        struct bench_peak peak = {(before.flops + after.flops) / 2, (before.bytes + after.bytes) / 2};
        gemm[i] = task->flops / seconds[i] / peak.flops;
        roof[i] = bench_roof(task, peak, NULL) / seconds[i];
        before = after;
    }
    return (struct bench_result){
        bench_median(seconds, repeats), bench_median(gemm, repeats), bench_median(roof, repeats), 0};
}

struct bench_result bench_measure(
    struct bench_meter *meter, const struct bench_timing *timing, const struct bench_task *task)
{
    if (!meter) {
        task->run(task->context);
        return (struct bench_result){0};
    }
    struct bench_result result = measure(meter, timing, task);
    if (timing->scaling) {
        kernels_set_threads(1);
        result.speedup = measure(meter, timing, task).seconds / result.seconds;
        kernels_set_threads(timing->threads);
    }
    return result;
}
