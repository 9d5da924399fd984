/*
 * The operators of a forward pass, listed by the pass itself: a dry pass (forward.h) reports every call of a
 * kernel, and calls of one shape are one entry with a count.
 */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- Costs -------------------------------------------------------------------------------- */

static double elements(const struct tensor *tensor)
{
    return tensor->rank > 0 ? (double)tensor_count(tensor) : 0;
}

static bool is(const struct kernel_call *call, const char *kernel)
{
    return strcmp(call->kernel, kernel) == 0;
}

bool bench_call_is_linear(const struct kernel_call *call)
{
    return strncmp(call->kernel, "linear", strlen("linear")) == 0;
}

bool bench_call_is_conv2d(const struct kernel_call *call)
{
    return strncmp(call->kernel, "conv2d", strlen("conv2d")) == 0 || is(call, "upsample_conv2d");
}

double bench_call_flops(const struct kernel_call *call)
{
    const int64_t *w = call->w.shape;
    if (bench_call_is_linear(call)) return 2 * elements(&call->x) * (double)w[0];
    if (bench_call_is_conv2d(call)) return 2 * elements(&call->y) * (double)(w[1] * w[2] * w[3]);
    /* q k^T and the product with v: for each element of the result 2 S operations of the one and, over all
     * elements, as many of the other. A causal mask spares none of them in the plain algorithm. */
    if (is(call, "attention")) return 4 * elements(&call->y) * (double)w[1];
    return 0;
}

double bench_call_bytes(const struct kernel_call *call)
{
    double bytes = (double)tensor_bytes(&call->y);
    if (is(call, "concat_channels")) return 2 * bytes; /* all that is written was read */
    if (is(call, "linear_onto") || is(call, "conv2d_added") || is(call, "add")) bytes *= 2; /* and read */
    bytes += (double)tensor_bytes(&call->x);
    if (call->w.rank > 0) bytes += (double)tensor_bytes(&call->w);
    if (is(call, "attention")) bytes += (double)tensor_bytes(&call->w); /* the values, too */
    return bytes;
}

/* --- The list ----------------------------------------------------------------------------- */

static bool same_tensor(const struct tensor *a, const struct tensor *b)
{
    return a->dtype == b->dtype && tensor_same_shape(a, b);
}

static bool same_call(const struct bench_operator *a, const struct bench_operator *b)
{
    return strcmp(a->part, b->part) == 0 && strcmp(a->call.kernel, b->call.kernel) == 0 &&
           same_tensor(&a->call.x, &b->call.x) && same_tensor(&a->call.w, &b->call.w) &&
           same_tensor(&a->call.y, &b->call.y) && a->call.heads == b->call.heads &&
           a->call.causal == b->call.causal && a->conv2d.stride == b->conv2d.stride &&
           a->conv2d.pad_top == b->conv2d.pad_top && a->conv2d.pad_bottom == b->conv2d.pad_bottom &&
           a->conv2d.pad_left == b->conv2d.pad_left && a->conv2d.pad_right == b->conv2d.pad_right;
}

struct recorder {
    const char *part;
    struct bench_operators *operators;
    bool out_of_memory;
};

static void record(void *context, const struct kernel_call *call)
{
    struct recorder *recorder = context;
    struct bench_operators *list = recorder->operators;
    struct bench_operator op = {.part = recorder->part, .call = *call, .count = 1};
    if (call->conv2d) op.conv2d = *call->conv2d;
    op.call.conv2d = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (same_call(&list->items[i], &op)) {
            list->items[i].count++;
            return;
        }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct bench_operator *items = realloc(list->items, capacity * sizeof *items);
        if (!items) {
            recorder->out_of_memory = true;
            return;
        }
        list->items = items;
        list->capacity = capacity;
    }
    op.flops = bench_call_flops(call);
    op.bytes = bench_call_bytes(call);
    list->items[list->count++] = op;
}

/* The most operations in all first, then the most bytes; what is equal in both, in the order of the pass. */
static int compare_work(const void *a, const void *b)
{
    const struct bench_operator *x = a, *y = b;
    double n = (double)x->count, m = (double)y->count;
    if (x->flops * n != y->flops * m) return x->flops * n > y->flops * m ? -1 : 1;
    if (x->bytes * n != y->bytes * m) return x->bytes * n > y->bytes * m ? -1 : 1;
    return x < y ? -1 : 1;
}

enum status bench_operators_list(
    const struct bench_model *model, struct bench_operators *operators, struct error *error)
{
    size_t first = operators->count;
    struct recorder recorder = {.part = model->part, .operators = operators};
    struct forward dry = {.error = error, .record = record, .record_context = &recorder};
    dry.status = arena_create_plan(&dry.arena, error);
    (void)bench_model_forward(&dry, model);
    arena_free(dry.arena);
    if (dry.status == STATUS_OK && recorder.out_of_memory)
        return error_memory(error, 2 * operators->capacity * sizeof *operators->items);
    if (operators->count > first)
        qsort(operators->items + first, operators->count - first, sizeof *operators->items, compare_work);
    return dry.status;
}

void bench_operators_free(struct bench_operators *operators)
{
    free(operators->items);
    *operators = (struct bench_operators){0};
}

/* --- Showing ------------------------------------------------------------------------------ */

void bench_show_shape(const struct bench_operator *op, char *text, size_t size)
{
    const struct kernel_call *call = &op->call;
    const int64_t *x = call->x.shape, *w = call->w.shape;
    char shape[120];
    tensor_show_shape(&call->x, shape, sizeof shape);
    if (bench_call_is_linear(call))
        snprintf(text, size, "%s to %" PRId64, shape, w[0]);
    else if (bench_call_is_conv2d(call))
        snprintf(text, size, "%s to %" PRId64 ", %" PRId64 "x%" PRId64 "%s", shape, w[0], w[2], w[3],
            op->conv2d.stride == 2 ? ", stride 2" : "");
    else if (is(call, "attention"))
        snprintf(text, size, "%s, %" PRId64 " heads of %" PRId64 ", to %" PRId64 " keys%s", shape,
            call->heads, x[2] / call->heads, w[1], call->causal ? ", causal" : "");
    else
        snprintf(text, size, "%s", shape);
}
