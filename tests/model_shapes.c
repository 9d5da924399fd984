#include "tests/model_shapes.h"

#include "ref/bench.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct model_shape *items;
    size_t count, capacity;
    enum check_effort effort;
} list;

static size_t part(size_t whole, size_t most)
{
    return list.effort == EFFORT_FULL || whole < most ? whole : most;
}

static bool starts(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static struct linear_shape linear_of(const struct kernel_call *call)
{
    size_t in = (size_t)call->w.shape[1];
    return (struct linear_shape){
        part(tensor_count(&call->x) / in, 17), in, part((size_t)call->w.shape[0], 33), LINEAR_PLAIN};
}

static struct conv2d_shape conv2d_of(const struct bench_operator *op)
{
    const int64_t *x = op->call.x.shape, *w = op->call.w.shape;
    return (struct conv2d_shape){.batch = (size_t)x[0],
        .in_channels = (size_t)x[1],
        .in_height = part((size_t)x[2], 7),
        .in_width = part((size_t)x[3], 5),
        .out_channels = part((size_t)w[0], 9),
        .kernel_height = (size_t)w[2],
        .kernel_width = (size_t)w[3],
        .stride = (size_t)op->conv2d.stride,
        .pad_top = (size_t)op->conv2d.pad_top,
        .pad_bottom = (size_t)op->conv2d.pad_bottom,
        .pad_left = (size_t)op->conv2d.pad_left,
        .pad_right = (size_t)op->conv2d.pad_right};
}

/* Two heads at most; a causal one keeps its 77 tokens. */
static struct attention_shape attention_of(const struct kernel_call *call)
{
    size_t heads = (size_t)call->heads, dim = (size_t)call->x.shape[2] / heads;
    size_t keys = part((size_t)call->w.shape[1], 133);
    return (struct attention_shape){.batch = (size_t)call->x.shape[0],
        .heads = part(heads, 2),
        .q_len = call->causal ? keys : part((size_t)call->x.shape[1], 17),
        .kv_len = keys,
        .dim = dim,
        .causal = call->causal,
        .scale = 0.125};
}

/* False where it is an operator that no sum makes depend on the shape. */
static bool shape_of(const struct bench_operator *op, struct model_shape *shape)
{
    const struct kernel_call *call = &op->call;
    memset(shape, 0, sizeof *shape);
    if (bench_call_is_linear(call)) {
        shape->kind = MODEL_LINEAR;
        shape->linear = linear_of(call);
    } else if (bench_call_is_conv2d(call)) {
        shape->kind = starts(call->kernel, "upsample") ? MODEL_UPSAMPLE_CONV2D : MODEL_CONV2D;
        shape->conv2d = conv2d_of(op);
    } else if (starts(call->kernel, "attention")) {
        shape->kind = MODEL_ATTENTION;
        shape->attention = attention_of(call);
    } else if (starts(call->kernel, "group_norm")) {
        shape->kind = MODEL_GROUP_NORM;
        shape->batch = (size_t)call->x.shape[0];
        shape->channels = (size_t)call->x.shape[1];
        shape->size = part(tensor_count(&call->x) / shape->batch / shape->channels, 33);
    } else if (starts(call->kernel, "layer_norm")) {
        shape->kind = MODEL_LAYER_NORM;
        shape->channels = (size_t)call->x.shape[call->x.rank - 1];
        shape->size = part(tensor_count(&call->x) / shape->channels, 7);
    } else {
        return false;
    }
    return true;
}

static void add_shapes(const struct bench_operators *operators)
{
    for (size_t i = 0; i < operators->count; i++) {
        struct model_shape shape;
        size_t same = 0;
        if (!shape_of(&operators->items[i], &shape)) continue;
        while (same < list.count && memcmp(&list.items[same], &shape, sizeof shape) != 0) same++;
        if (same < list.count) continue;
        if (list.count == list.capacity) {
            list.capacity = 2 * list.capacity + 64;
            struct model_shape *items = checker_memory(list.capacity * sizeof *items);
            if (list.count > 0) memcpy(items, list.items, list.count * sizeof *items);
            free(list.items);
            list.items = items;
        }
        list.items[list.count++] = shape;
    }
}

static enum status add_architecture(const char *name, struct error *error)
{
    /* Latents of 64 x 64, cut by part(); or whole ones of 16 x 16. */
    int64_t side = list.effort == EFFORT_FULL ? 16 : 64;
    struct bench_source source = {.dtype = DTYPE_F32, .batch = 1, .height = side, .width = side};
    enum status status = architecture_open(name, &source.architecture, error);
    if (status == STATUS_OK) status = bench_source_size(&source, error);
    for (size_t m = 0; status == STATUS_OK && m < ARCHITECTURE_MODELS; m++) {
        struct bench_model model;
        struct bench_operators operators = {0};
        if (!bench_source_has(&source, architecture_models[m])) continue;
        status = bench_model_open(&source, architecture_models[m], 1, false, &model, error);
        if (status == STATUS_OK) status = bench_operators_list(&model, &operators, error);
        if (status == STATUS_OK) add_shapes(&operators);
        bench_operators_free(&operators);
        bench_model_close(&model);
    }
    architecture_close(&source.architecture);
    return status;
}

const struct model_shape *model_shape(enum check_effort effort, enum model_operator kind, size_t index)
{
    static const char *const names[] = {"sd15", "sd21", "sdxl"};
    if (list.count == 0 || list.effort != effort) {
        list.count = 0;
        list.effort = effort;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            struct error error = {""};
            if (add_architecture(names[i], &error) == STATUS_OK) continue;
            fprintf(stderr, "checkkernels: %s: %s\n", names[i], error.message);
            exit(2);
        }
    }
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].kind == kind && index-- == 0) return &list.items[i];
    return NULL;
}
