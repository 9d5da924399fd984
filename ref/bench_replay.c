/*
 * One operator alone: the layer that the models call (layers.h), on tensors of the recorded shapes. So what
 * is measured is what a forward pass runs, but for caches: here weights may still be in them from the last
 * run.
 */
#include "bench.h"
#include "synth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    const struct bench_operator *op;
    struct forward f;
    struct tensor x, w, extra, vector; /* `extra`: a second tensor like x or w; vector: a bias or weight */
    void *memory[4];
    struct linear linear;
    struct conv2d conv2d;
    struct norm norm;
    bool known; /* the layers have this operator */
};

static enum status make_tensor(
    struct replay *r, int i, struct tensor shape, struct tensor *tensor, struct error *error)
{
    size_t count = tensor_count(&shape);
    size_t bytes = (tensor_bytes(&shape) + 63) / 64 * 64;
    r->memory[i] = aligned_alloc(64, bytes); /* as the arena has it */
    if (!r->memory[i]) return error_memory(error, bytes);
    struct synth_values values = {.key = (uint64_t)i, .scale = BENCH_UNIT_SCALE};
    /* A product of `inner` numbers of deviation one would have deviation sqrt(inner). */
    if (tensor == &r->w && shape.rank >= 2 && r->op->call.heads == 0) {
        double inner = (double)count / (double)shape.shape[0];
        values.scale = (float)((double)BENCH_UNIT_SCALE / sqrt(inner));
    }
    synth_values_fill(&values, 0, count, shape.dtype, r->memory[i]);
    *tensor = shape;
    tensor->data = r->memory[i];
    return STATUS_OK;
}

/* As many groups as published models have, where the channels allow it. */
static int groups_of(int64_t channels)
{
    int groups = 32;
    while (channels % groups != 0) groups /= 2;
    return groups;
}

static bool is(const struct replay *r, const char *kernel)
{
    return strcmp(r->op->call.kernel, kernel) == 0;
}

/* Layers with weights; of a name that is none here, the input. */
static struct tensor call_weighted(struct forward *f, struct replay *r)
{
    if (is(r, "linear")) return linear(f, r->x, &r->linear);
    if (is(r, "linear_gelu")) return linear_gelu(f, r->x, &r->linear);
    if (is(r, "linear_quick_gelu")) return linear_quick_gelu(f, r->x, &r->linear);
    if (is(r, "linear_geglu")) return linear_geglu(f, r->x, &r->linear);
    if (is(r, "linear_onto")) return linear_onto(f, r->x, &r->linear, r->extra);
    if (is(r, "conv2d")) return conv2d(f, r->x, &r->conv2d);
    if (is(r, "conv2d_shifted")) return conv2d_shifted(f, r->x, &r->conv2d, r->extra);
    if (is(r, "conv2d_added")) return conv2d_added(f, r->x, &r->conv2d, r->extra);
    if (is(r, "upsample_conv2d")) return conv2d_of_doubled(f, r->x, &r->conv2d);
    if (is(r, "group_norm")) return group_norm(f, r->x, &r->norm, false);
    if (is(r, "group_norm_silu")) return group_norm(f, r->x, &r->norm, true);
    if (is(r, "layer_norm")) return layer_norm(f, r->x, &r->norm);
    return r->x;
}

/* The layer's result; of a name that is no layer here, the input. */
static struct tensor call_layer(struct forward *f, struct replay *r)
{
    const struct kernel_call *call = &r->op->call;
    const int64_t *y = call->y.shape;
    if (is(r, "attention")) {
        double scale = 1 / sqrt((double)(r->x.shape[2] / call->heads));
        return attention(f, r->x, r->w, r->extra, call->heads, scale, call->causal);
    }
    if (is(r, "silu")) return silu(f, r->x);
    if (is(r, "gelu")) return gelu(f, r->x);
    if (is(r, "quick_gelu")) return quick_gelu(f, r->x);
    if (is(r, "geglu")) return geglu(f, r->x);
    if (is(r, "multiply")) return multiply(f, r->x, 0.125);
    if (is(r, "add")) return add(f, r->x, r->extra);
    if (is(r, "add_channels")) return add_channels(f, r->x, r->extra);
    if (is(r, "concat_channels")) return concat_channels(f, r->x, r->extra);
    if (is(r, "to_tokens")) return to_tokens(f, r->x);
    if (is(r, "from_tokens")) return from_tokens(f, r->x, y[2], y[3]);
    if (is(r, "upsample_nearest")) return upsample_nearest(f, r->x, y[2], y[3]);
    return call_weighted(f, r);
}

/* The second tensor of an operator that has two: of rank 0 where it has one. */
static struct tensor second_shape(const struct replay *r)
{
    const struct kernel_call *call = &r->op->call;
    struct tensor shape = {0};
    if (is(r, "add")) return call->x;
    if (is(r, "attention")) return call->w;
    if (is(r, "linear_onto") || is(r, "conv2d_added")) return call->y;
    if (is(r, "add_channels") || is(r, "conv2d_shifted"))
        return (struct tensor){call->y.dtype, 2, {call->y.shape[0], call->y.shape[1]}, NULL};
    if (is(r, "concat_channels")) {
        shape = call->y;
        shape.shape[1] -= call->x.shape[1];
    }
    return shape;
}

/* Length of a bias, or of a norm's weights. */
static int64_t vector_length(const struct kernel_call *call)
{
    if (strcmp(call->kernel, "layer_norm") == 0) return call->x.shape[call->x.rank - 1];
    if (strncmp(call->kernel, "group_norm", strlen("group_norm")) == 0) return call->x.shape[1];
    return call->w.rank > 0 ? call->w.shape[0] : 1;
}

static enum status make_tensors(struct replay *r, struct error *error)
{
    const struct kernel_call *call = &r->op->call;
    struct tensor vector = {call->x.dtype, 1, {vector_length(call)}, NULL}, second = second_shape(r);
    enum status status = make_tensor(r, 0, call->x, &r->x, error);
    if (status == STATUS_OK && call->w.rank > 0) status = make_tensor(r, 1, call->w, &r->w, error);
    if (status == STATUS_OK && second.rank > 0) status = make_tensor(r, 2, second, &r->extra, error);
    if (status == STATUS_OK) status = make_tensor(r, 3, vector, &r->vector, error);
    r->linear = (struct linear){.weight = r->w, .bias = r->vector};
    r->conv2d = r->op->conv2d;
    r->conv2d.weight = r->w;
    r->conv2d.bias = r->vector;
    r->norm = (struct norm){r->vector, r->vector, groups_of(vector_length(call)), 1e-5};
    return status;
}

/* What a dry call reports is what the layers run: an operator that they do not have is none of it. */
static void note_name(void *context, const struct kernel_call *call)
{
    struct replay *r = context;
    if (strcmp(call->kernel, r->op->call.kernel) == 0) r->known = true;
}

static enum status plan(struct replay *r, size_t *bytes, struct error *error)
{
    struct forward dry = {.error = error, .record = note_name, .record_context = r};
    dry.status = arena_create_plan(&dry.arena, error);
    (void)call_layer(&dry, r);
    *bytes = dry.status == STATUS_OK ? arena_peak(dry.arena) : 0;
    arena_free(dry.arena);
    return dry.status;
}

static void run(void *context)
{
    struct replay *r = context;
    struct arena_mark mark = scope_begin(&r->f);
    (void)call_layer(&r->f, r);
    arena_release(r->f.arena, mark);
}

enum status bench_replay(struct bench_meter *meter, const struct bench_timing *timing,
    struct bench_operator *op, struct error *error)
{
    struct replay r = {.op = op, .f = {.error = error}};
    size_t bytes = 0;
    enum status status = make_tensors(&r, error);
    if (status == STATUS_OK) status = plan(&r, &bytes, error);
    if (status == STATUS_OK && r.known) {
        status = arena_create(&r.f.arena, bytes, error);
        struct bench_task task = {run, &r, op->flops, op->bytes};
        if (status == STATUS_OK) op->result = bench_measure(meter, timing, &task);
        op->measured = status == STATUS_OK && r.f.status == STATUS_OK;
        if (status == STATUS_OK) status = r.f.status;
    }
    arena_free(r.f.arena);
    for (size_t i = 0; i < sizeof r.memory / sizeof *r.memory; i++) free(r.memory[i]);
    return status;
}
