/* What was measured, as tables. */
#include "bench.h"
#include "table.h"

#include "kernels/cpu.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void add_headings(struct table *table, const char *const *headings, size_t count, bool scaling)
{
    for (size_t i = 0; i < count; i++) table_add(table, "%s", headings[i]);
    if (scaling) table_add(table, "speedup");
}

/* With this many decimals; "-" where nothing was measured. */
static void add_measured(struct table *table, const struct bench_report *report, int decimals, double value)
{
    if (report->meter)
        table_add(table, "%.*f", decimals, value);
    else
        table_add(table, "-");
}

static void add_speedup(struct table *table, const struct bench_report *report, double speedup)
{
    if (report->timing->scaling) add_measured(table, report, 2, speedup);
}

static enum status finish(struct table *table, FILE *out, struct error *error)
{
    enum status status = table_write(table, out, "", error);
    table_free(table);
    return status;
}

/* --- What, where and the peak ------------------------------------------------------------- */

static enum status write_machine(const struct bench_report *report, FILE *out, struct error *error)
{
    const struct bench_timing *timing = report->timing;
    const struct bench_source *source = report->source;
    char cpu[160];
    struct table table = {.alignment = "ll"};
    if (source)
        fprintf(out, "%s: latents of %" PRId64 " x %" PRId64 ", batch %" PRId64 "\n\n",
            bench_source_name(source), source->height, source->width, source->batch);
    table_add(&table, "CPU");
    table_add(&table, "%s", kernels_cpu_name(cpu, sizeof cpu));
    table_add(&table, "kernels");
    table_add(&table, "%s; products: %s", kernels_set_name(kernels_in_use()),
        kernels_gemm_name(kernels_gemm_in_use()));
    table_add(&table, "BLAS");
    table_add(&table, "%s; core %s", kernels_blas_description(), kernels_blas_core());
    if (!report->meter) return finish(&table, out, error);
    table_add(&table, "measured");
    table_add(&table, "medians of %d, %s time, threads: %d%s", timing->repeats,
        timing->clock == BENCH_CPU ? "the process's CPU" : "wall", timing->threads,
        timing->scaling ? "; speedup over 1 thread" : "");
    const int threads[] = {timing->threads, 1};
    for (int i = 0; i < (timing->threads > 1 ? 2 : 1); i++) {
        struct bench_peak peak = bench_meter_median(report->meter, threads[i]);
        if (peak.flops <= 0) continue;
        table_add(&table, "peak, threads: %d", threads[i]);
        table_add(&table,
            "SGEMM %.1f GFLOP/s (%" PRId64
            " square), copying %.1f GB/s (read and written), ridge at %.1f FLOP a byte",
            1e-9 * peak.flops, bench_meter_gemm_size(report->meter), 1e-9 * peak.bytes,
            peak.flops / peak.bytes);
    }
    return finish(&table, out, error);
}

/* --- Operators: the roofline -------------------------------------------------------------- */

static double pass_seconds(const struct bench_operators *operators, const char *part)
{
    double seconds = 0;
    for (size_t i = 0; i < operators->count; i++) {
        const struct bench_operator *op = &operators->items[i];
        if (strcmp(op->part, part) == 0 && op->measured) seconds += (double)op->count * op->result.seconds;
    }
    return seconds;
}

static void add_operator(struct table *table, const struct bench_report *report,
    const struct bench_operator *op, double pass, struct bench_peak peak)
{
    char shape[200];
    double seconds = op->result.seconds;
    bool by_compute;
    struct bench_task task = {NULL, NULL, op->flops, op->bytes};
    double roof = bench_roof(&task, peak, &by_compute);
    bench_show_shape(op, shape, sizeof shape);
    table_add(table, "%s", op->call.kernel);
    table_add(table, "%s", shape);
    table_add(table, "%zu", op->count);
    if (op->flops > 0)
        table_add(table, "%.3f", 1e-9 * op->flops);
    else
        table_add(table, "-");
    if (!op->measured) {
        for (int i = 0; i < 8; i++) table_add(table, "-");
        if (report->timing->scaling) table_add(table, "-");
        return;
    }
    table_add(table, "%.3f", 1e3 * seconds);
    table_add(table, "%.1f", 100 * (double)op->count * seconds / pass);
    if (op->flops > 0) {
        table_add(table, "%.1f", op->flops / op->bytes);
        table_add(table, "%s", by_compute ? "compute" : "memory");
        table_add(table, "%.1f GFLOP/s", 1e-9 * op->flops / roof);
        table_add(table, "%.1f GFLOP/s", 1e-9 * op->flops / seconds);
    } else {
        table_add(table, "-");
        table_add(table, "memory");
        table_add(table, "%.1f GB/s", 1e-9 * op->bytes / roof);
        table_add(table, "%.1f GB/s", 1e-9 * op->bytes / seconds);
    }
    table_add(table, "%.2f", op->result.share_of_roof);
    if (op->flops > 0)
        table_add(table, "%.2f", op->result.share_of_gemm);
    else
        table_add(table, "-");
    add_speedup(table, report, op->result.speedup);
}

/* The operators [first, end) of one part: their sum in a line, and the table. */
static enum status write_part(
    const struct bench_report *report, size_t first, size_t end, FILE *out, struct error *error)
{
    static const char *const headings[] = {"operator", "shape", "calls", "GFLOP", "ms", "% of pass",
        "FLOP/byte", "bound", "attainable", "achieved", "of that", "of SGEMM"};
    const struct bench_operator *items = report->operators->items;
    struct bench_peak peak = bench_meter_median(report->meter, report->timing->threads);
    struct table table = {.alignment = report->timing->scaling ? "llr...rlrr..." : "llr...rlrr.."};
    double flops = 0, pass = pass_seconds(report->operators, items[first].part);
    size_t calls = 0;
    add_headings(&table, headings, sizeof headings / sizeof *headings, report->timing->scaling);
    for (size_t i = first; i < end; i++) {
        add_operator(&table, report, &items[i], pass, peak);
        flops += (double)items[i].count * items[i].flops;
        calls += items[i].count;
    }
    fprintf(out, "\n%s: %zu calls of %zu shapes, %.3f GFLOP", items[first].part, calls, end - first,
        1e-9 * flops);
    if (report->meter)
        fprintf(out, "; the sum of their times is %.1f ms, %.1f GFLOP/s, %.2f of SGEMM", 1e3 * pass,
            1e-9 * flops / pass, flops / pass / peak.flops);
    fputs("\n\n", out);
    return finish(&table, out, error);
}

static enum status write_operators(const struct bench_report *report, FILE *out, struct error *error)
{
    const struct bench_operators *operators = report->operators;
    enum status status = STATUS_OK;
    fprintf(out,
        "\nOperators of one pass, each alone on tensors of its own; bytes are each input once and the "
        "result\n"
        "once. Attainable is the roofline: the lesser of SGEMM's rate and FLOP/byte times that of copying.\n"
        "An operator whose tensors fit in a cache can exceed it.\n");
    for (size_t first = 0, end; first < operators->count && status == STATUS_OK; first = end) {
        for (end = first; end < operators->count; end++)
            if (strcmp(operators->items[end].part, operators->items[first].part) != 0) break;
        status = write_part(report, first, end, out, error);
    }
    return status;
}

/* --- Stages and schedulers ---------------------------------------------------------------- */

static enum status write_stages(const struct bench_report *report, FILE *out, struct error *error)
{
    static const char *const headings[] = {
        "stage", "input", "GFLOP", "s", "GFLOP/s", "of SGEMM", "weights, MB", "activations, MB"};
    struct table table = {.alignment = report->timing->scaling ? "ll......." : "ll......"};
    add_headings(&table, headings, sizeof headings / sizeof *headings, report->timing->scaling);
    for (size_t i = 0; i < report->stage_count; i++) {
        const struct bench_stage *stage = &report->stages[i];
        double seconds = stage->result.seconds;
        table_add(&table, "%s", stage->name);
        table_add(&table, "%s", stage->input);
        table_add(&table, "%.3f", 1e-9 * stage->task.flops);
        add_measured(&table, report, 4, seconds);
        add_measured(&table, report, 1, 1e-9 * stage->task.flops / seconds);
        add_measured(&table, report, 3, stage->result.share_of_gemm);
        if (stage->weight_bytes)
            table_add(&table, "%.1f", 1e-6 * (double)stage->weight_bytes);
        else
            table_add(&table, "mapped");
        table_add(&table, "%.1f", 1e-6 * (double)stage->activation_bytes);
        add_speedup(&table, report, stage->result.speedup);
    }
    fprintf(out,
        "\nForward passes; a step is the UNet for prompt and empty prompt, guidance and the scheduler. The\n"
        "operations are those of the plain algorithm: one that needs fewer may exceed 1.\n\n");
    return finish(&table, out, error);
}

static enum status write_schedulers(const struct bench_report *report, FILE *out, struct error *error)
{
    static const char *const headings[] = {
        "scheduler", "1000 steps, ms", "a step, us", "GB/s", "of copying", ""};
    struct table table = {.alignment = "l....l"};
    add_headings(&table, headings, sizeof headings / sizeof *headings, false);
    for (size_t i = 0; i < report->scheduler_count; i++) {
        const struct bench_scheduler *s = &report->schedulers[i];
        table_add(&table, "%s", s->class_name);
        if (s->error.message[0]) {
            for (int k = 0; k < 4; k++) table_add(&table, "-");
            table_add(&table, "%.80s", s->error.message);
            continue;
        }
        table_add(&table, "%.3f", 1e3 * s->create_seconds);
        table_add(&table, "%.1f", 1e6 * s->step.seconds);
        table_add(&table, "%.1f", 1e-9 * s->bytes / s->step.seconds);
        table_add(&table, "%.2f", s->step.share_of_roof);
        table_add(&table, "%s", "");
    }
    fprintf(out,
        "\nSchedulers with their defaults and 1000 training steps: a schedule of 1000 steps, and one step on "
        "latents\n"
        "of 4 x 128 x 128 on one thread (sample and model output in, sample out, what is kept in or out; all "
        "in a "
        "cache).\n\n");
    return finish(&table, out, error);
}

enum status bench_write_table(const struct bench_report *report, FILE *out, struct error *error)
{
    enum status status = write_machine(report, out, error);
    if (status == STATUS_OK && report->operators->count > 0) status = write_operators(report, out, error);
    if (status == STATUS_OK && report->stage_count > 0) status = write_stages(report, out, error);
    if (status == STATUS_OK && report->scheduler_count > 0) status = write_schedulers(report, out, error);
    return status;
}
