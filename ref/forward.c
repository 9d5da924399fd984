#include "kernels/real.h"

#include "arena.h"
#include "forward.h"
#include "layers.h"
#include "observer.h"
#include "trace.h"

#include "kernels/rounded.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct tensor forward_tensor(struct forward *f, int rank, const int64_t *shape)
{
    struct tensor tensor = {.dtype = DTYPE_REAL, .rank = rank};
    if (f->status != STATUS_OK) return tensor;
    memcpy(tensor.shape, shape, (size_t)rank * sizeof *shape);
    size_t count;
    if (!tensor_shape_count(shape, rank, DTYPE_REAL, &count)) {
        char shown[160];
        f->status = error_input(f->error, "an activation of shape %s does not fit in memory",
            tensor_show_shape(&tensor, shown, sizeof shown));
        return tensor;
    }
    tensor.data = arena_alloc(f->arena, count * sizeof(real));
    if (!tensor.data) f->status = error_memory(f->error, count * sizeof(real));
    return tensor;
}

real *forward_scratch(struct forward *f, size_t count)
{
    if (count == 0) return NULL;
    if (count * sizeof(real) > f->scratch) f->scratch = count * sizeof(real);
    return forward_tensor(f, 1, (int64_t[]){(int64_t)count}).data;
}

bool forward_needs(const struct forward *f, const char *model)
{
    return !f->observer || !f->observer->needs || f->observer->needs(f->observer->context, model);
}

struct tensor forward_unknown(struct forward *f, int rank, const int64_t *shape)
{
    struct tensor unknown = forward_tensor(f, rank, shape);
    for (size_t i = 0, n = tensor_count(&unknown); i < n && forward_computes(f); i++)
        ((real *)unknown.data)[i] = (real)NAN;
    return unknown;
}

bool forward_computes(const struct forward *f)
{
    return f->status == STATUS_OK && arena_holds_memory(f->arena);
}

bool forward_runs(struct forward *f, const struct kernel_call *call)
{
    const struct kernel_replacement *other = f->replacement;
    if (f->status == STATUS_OK && f->record) f->record(f->record_context, call);
    f->kernel = call->kernel;
    f->weight = call->norm ? call->norm->weight.data : call->linear || call->conv2d ? call->w.data : NULL;
    if (f->status == STATUS_OK && other && KERNEL_NAME(other->replace)(other->context, f, call)) return false;
    return forward_computes(f);
}

bool forward_rounds(const struct forward *f)
{
    return DTYPE_REAL == DTYPE_F32 && f->format != FORMAT_F32 && !f->upcast;
}

static bool results_are_watched(const struct forward *f)
{
    return f->observer && f->observer->result;
}

bool forward_fuses(const struct forward *f)
{
    return !forward_rounds(f) && !results_are_watched(f);
}

enum number_format forward_result_format(const struct forward *f)
{
    return forward_rounds(f) && f->format != FORMAT_TF32 ? f->format : FORMAT_F32;
}

struct tensor forward_round(struct forward *f, struct tensor x)
{
    enum number_format format = forward_result_format(f);
    if (format != FORMAT_F32 && forward_computes(f)) kernel_round(format, x.data, tensor_count(&x), x.data);
    return x;
}

struct tensor forward_result(struct forward *f, struct tensor x)
{
    forward_round(f, x);
    if (results_are_watched(f) && forward_computes(f))
        f->status = f->observer->result(f->observer->context, f->kernel, f->weight, &x, f->error);
    return x;
}

struct tensor forward_rounded_copy(struct forward *f, struct tensor x)
{
    enum number_format format = forward_result_format(f);
    if (format == FORMAT_F32) return x;
    struct tensor y = forward_tensor(f, x.rank, x.shape);
    if (forward_computes(f)) kernel_round(format, x.data, tensor_count(&x), y.data);
    return y;
}

struct tensor forward_output(struct forward *f, const char *name, struct tensor output)
{
    char full[192];
    if (!f->modules && !f->observer) return output;
    if (f->status != STATUS_OK) return output;
    snprintf(full, sizeof full, "%sact.%s", f->whose, name);
    if (!forward_computes(f)) {
        if (f->modules) f->traced += tensor_bytes(&output);
        if (f->observer && f->observer->foresee)
            f->status = f->observer->foresee(f->observer->context, full, &output, f->error);
        return output;
    }
    if (f->modules) f->status = trace_add(f->modules, &output, f->error, "act.%s", name);
    if (f->observer && f->status == STATUS_OK)
        f->status = f->observer->see(f->observer->context, full, &output, f->error);
    return f->observer ? forward_round(f, output) : output; /* the observer's numbers may be any */
}
