/* What was measured, as one JSON document: everything in the tables, and each operator's shapes. */
#include "bench.h"
#include "version.h"

#include "kernels/cpu.h"

/* Each adds to `object` and says whether there was memory for it. */
static bool add_number(cJSON *object, const char *key, double number)
{
    return cJSON_AddNumberToObject(object, key, number) != NULL;
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool add_shape(cJSON *object, const char *key, const struct tensor *tensor)
{
    cJSON *list = cJSON_AddArrayToObject(object, key);
    for (int i = 0; list && i < tensor->rank; i++)
        if (!cJSON_AddItemToArray(list, cJSON_CreateNumber((double)tensor->shape[i]))) return false;
    return list != NULL;
}

static bool add_result(cJSON *object, const struct bench_report *report, const struct bench_result *result)
{
    return add_number(object, "seconds", result->seconds) &&
           add_number(object, "share_of_sgemm", result->share_of_gemm) &&
           add_number(object, "share_of_roof", result->share_of_roof) &&
           (!report->timing->scaling || add_number(object, "speedup", result->speedup));
}

static bool add_peak(cJSON *json, const struct bench_report *report, const char *key, int threads)
{
    struct bench_peak peak = bench_meter_median(report->meter, threads);
    cJSON *object = cJSON_AddObjectToObject(json, key);
    return object && add_number(object, "threads", threads) &&
           add_number(object, "sgemm_flops_per_second", peak.flops) &&
           add_number(object, "sgemm_size", (double)bench_meter_gemm_size(report->meter)) &&
           add_number(object, "copy_bytes_per_second", peak.bytes);
}

static bool add_machine(cJSON *json, const struct bench_report *report)
{
    const struct bench_timing *timing = report->timing;
    const struct bench_source *source = report->source;
    char cpu[160];
    bool made =
        add_text(json, "plumb", PLUMB_VERSION) && add_text(json, "cpu", kernels_cpu_name(cpu, sizeof cpu)) &&
        add_text(json, "kernels", kernels_set_name(kernels_in_use())) &&
        add_text(json, "gemm", kernels_gemm_name(kernels_gemm_in_use())) &&
        add_text(json, "blas", kernels_blas_description()) &&
        add_text(json, "blas_core", kernels_blas_core()) && add_number(json, "threads", timing->threads);
    if (made && report->meter)
        made = add_number(json, "repeats", timing->repeats) &&
               add_text(json, "clock", timing->clock == BENCH_CPU ? "cpu" : "wall") &&
               add_peak(json, report, "peak", timing->threads);
    if (made && report->meter && timing->scaling) made = add_peak(json, report, "peak_one_thread", 1);
    if (!made || !source) return made;
    return add_text(json, "model", bench_source_name(source)) &&
           add_number(json, "batch", (double)source->batch) &&
           add_number(json, "latent_height", (double)source->height) &&
           add_number(json, "latent_width", (double)source->width);
}

static bool add_padding(cJSON *object, const struct conv2d *conv2d)
{
    const int padding[] = {conv2d->pad_top, conv2d->pad_bottom, conv2d->pad_left, conv2d->pad_right};
    cJSON *list = cJSON_CreateIntArray(padding, 4);
    if (cJSON_AddItemToObject(object, "padding", list)) return add_number(object, "stride", conv2d->stride);
    cJSON_Delete(list);
    return false;
}

static bool add_operator(cJSON *list, const struct bench_report *report, const struct bench_operator *op)
{
    const struct kernel_call *call = &op->call;
    cJSON *object = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    bool made = add_text(object, "part", op->part) && add_text(object, "operator", call->kernel) &&
                add_number(object, "calls", (double)op->count) && add_shape(object, "x", &call->x) &&
                add_shape(object, "y", &call->y) && add_number(object, "flops", op->flops) &&
                add_number(object, "bytes", op->bytes);
    if (made && call->w.rank > 0) made = add_shape(object, "w", &call->w);
    if (made && op->conv2d.stride > 0) made = add_padding(object, &op->conv2d);
    if (made && call->heads > 0)
        made = add_number(object, "heads", (double)call->heads) &&
               cJSON_AddBoolToObject(object, "causal", call->causal);
    if (made && op->measured) made = add_result(object, report, &op->result);
    return made;
}

static bool add_stage(cJSON *list, const struct bench_report *report, const struct bench_stage *stage)
{
    cJSON *object = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    return add_text(object, "stage", stage->name) && add_text(object, "input", stage->input) &&
           add_number(object, "batch", (double)stage->batch) &&
           add_number(object, "flops", stage->task.flops) && add_number(object, "bytes", stage->task.bytes) &&
           add_number(object, "weight_bytes", (double)stage->weight_bytes) &&
           add_number(object, "activation_bytes", (double)stage->activation_bytes) &&
           (!report->meter || add_result(object, report, &stage->result));
}

static bool add_scheduler(cJSON *list, const struct bench_scheduler *scheduler)
{
    cJSON *object = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    if (!add_text(object, "scheduler", scheduler->class_name)) return false;
    if (scheduler->error.message[0]) return add_text(object, "error", scheduler->error.message);
    return add_number(object, "schedule_seconds", scheduler->create_seconds) &&
           add_number(object, "step_seconds", scheduler->step.seconds) &&
           add_number(object, "step_bytes", scheduler->bytes) &&
           add_number(object, "share_of_copy", scheduler->step.share_of_roof);
}

static bool fill(cJSON *json, const struct bench_report *report)
{
    bool made = add_machine(json, report);
    cJSON *operators = cJSON_AddArrayToObject(json, "operators");
    cJSON *stages = cJSON_AddArrayToObject(json, "stages");
    cJSON *schedulers = cJSON_AddArrayToObject(json, "schedulers");
    made = made && operators && stages && schedulers;
    for (size_t i = 0; made && i < report->operators->count; i++)
        made = add_operator(operators, report, &report->operators->items[i]);
    for (size_t i = 0; made && i < report->stage_count; i++)
        made = add_stage(stages, report, &report->stages[i]);
    for (size_t i = 0; made && i < report->scheduler_count; i++)
        made = add_scheduler(schedulers, &report->schedulers[i]);
    return made;
}

enum status bench_write_json(const struct bench_report *report, FILE *out, struct error *error)
{
    cJSON *json = cJSON_CreateObject();
    char *text = json && fill(json, report) ? cJSON_Print(json) : NULL;
    if (text) fprintf(out, "%s\n", text);
    cJSON_Delete(json);
    cJSON_free(text);
    return text ? STATUS_OK : error_machine(error, "out of memory");
}
