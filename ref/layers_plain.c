/*
 * The layers without weights: attention, activations, sums, layouts.
 */
#include "kernels/real.h"

#include "kernels/kernels.h"
#include "kernels/rounded.h"
#include "layers.h"
#include "layers_rounded.h"
#include "layers_shapes.h"

#include <string.h>

struct tensor attention(struct forward *f, struct tensor q, struct tensor k, struct tensor v, int64_t heads,
    double scale, bool causal)
{
    bool fits = q.rank == 3 && k.rank == 3 && tensor_same_shape(&k, &v) && q.shape[0] == k.shape[0] &&
                q.shape[2] == k.shape[2] && heads > 0 && q.shape[2] % heads == 0;
    if (!may_run(f, fits, "attention", &q)) return q;
    struct attention_shape shape = {
        .batch = (size_t)q.shape[0],
        .heads = (size_t)heads,
        .q_len = (size_t)q.shape[1],
        .kv_len = (size_t)k.shape[1],
        .dim = (size_t)(q.shape[2] / heads),
        .causal = causal,
        .scale = scale,
    };
    if (!forward_fuses(f)) return rounded_attention(f, &shape, q, k, v);
    struct tensor y = like(f, q);
    struct arena_mark scores = scope_begin(f);
    real *room = forward_scratch(f, kernel_attention_scratch(&shape));
    if (forward_runs(f, &(struct kernel_call){.kernel = "attention",
                            .x = q,
                            .w = k,
                            .y = y,
                            .and = v,
                            .heads = heads,
                            .scale = scale,
                            .causal = causal}))
        kernel_attention(&shape, q.data, k.data, v.data, y.data, room);
    arena_release(f->arena, scores);
    return y;
}

static struct tensor elementwise(
    struct forward *f, struct tensor x, const char *name, void (*kernel)(const real *, size_t, real *))
{
    if (!may_run(f, true, name, &x)) return x;
    struct tensor y = like(f, x);
    if (forward_runs(f, &(struct kernel_call){.kernel = name, .x = x, .y = y}))
        kernel(x.data, tensor_count(&x), y.data);
    return forward_result(f, y);
}

struct tensor silu(struct forward *f, struct tensor x)
{
    return elementwise(f, x, "silu", kernel_silu);
}

struct tensor silu_over(struct forward *f, struct tensor x)
{
    if (may_run(f, true, "silu", &x) &&
        forward_runs(f, &(struct kernel_call){.kernel = "silu", .x = x, .y = x}))
        kernel_silu(x.data, tensor_count(&x), x.data);
    return forward_result(f, x);
}

struct tensor gelu(struct forward *f, struct tensor x)
{
    return elementwise(f, x, "gelu", kernel_gelu);
}

struct tensor quick_gelu(struct forward *f, struct tensor x)
{
    return elementwise(f, x, "quick_gelu", kernel_quick_gelu);
}

struct tensor geglu(struct forward *f, struct tensor x)
{
    if (!may_run(f, last_side(&x) > 0 && last_side(&x) % 2 == 0, "geglu", &x)) return x;
    struct tensor y = like_with_last(f, x, last_side(&x) / 2);
    size_t rows = sides(&x, 0, x.rank - 1), inner = (size_t)last_side(&y);
    enum number_format format = forward_result_format(f);
    if (forward_runs(f, &(struct kernel_call){.kernel = "geglu", .x = x, .y = y})) {
        if (format == FORMAT_F32)
            kernel_geglu(x.data, rows, inner, y.data);
        else
            kernel_geglu_rounded(format, x.data, rows, inner, y.data);
    }
    return forward_result(f, y);
}

struct tensor add(struct forward *f, struct tensor a, struct tensor b)
{
    if (!may_run(f, tensor_same_shape(&a, &b), "add", &a)) return a;
    struct tensor y = like(f, a);
    if (forward_runs(f, &(struct kernel_call){.kernel = "add", .x = a, .y = y, .and = b}))
        kernel_add(a.data, b.data, tensor_count(&a), y.data);
    return forward_result(f, y);
}

struct tensor add_onto(struct forward *f, struct tensor x, struct tensor y)
{
    if (may_run(f, tensor_same_shape(&x, &y), "add", &x) &&
        forward_runs(f, &(struct kernel_call){.kernel = "add", .x = x, .y = x, .and = y}))
        kernel_add(x.data, y.data, tensor_count(&x), x.data);
    return forward_result(f, x);
}

struct tensor multiply(struct forward *f, struct tensor x, double factor)
{
    if (!may_run(f, true, "multiply", &x)) return x;
    struct tensor y = like(f, x);
    const bool runs = forward_runs(f, &(struct kernel_call){.kernel = "multiply", .x = x, .y = y});
    const real *in = x.data;
    real *out = y.data;
    for (size_t i = 0, n = tensor_count(&x); runs && i < n; i++) out[i] = in[i] * (real)factor;
    return forward_result(f, y);
}

struct tensor add_channels(struct forward *f, struct tensor x, struct tensor v)
{
    bool fits = x.rank >= 2 && v.rank == 2 && v.shape[0] == x.shape[0] && v.shape[1] == x.shape[1];
    if (may_run(f, fits, "add_channels", &x) &&
        forward_runs(f, &(struct kernel_call){.kernel = "add_channels", .x = x, .y = x}))
        kernel_add_channels(x.data, v.data, (size_t)x.shape[0], (size_t)x.shape[1], sides(&x, 2, x.rank));
    return forward_result(f, x);
}

/* --- Layouts ------------------------------------------------------------------------------ */

struct tensor concat_channels(struct forward *f, struct tensor a, struct tensor b)
{
    struct tensor like_a = b; /* b with a's channels */
    if (b.rank >= 2) like_a.shape[1] = a.shape[1];
    if (!may_run(f, a.rank >= 2 && tensor_same_shape(&a, &like_a), "concat_channels", &a)) return a;
    struct tensor y = a;
    y.shape[1] += b.shape[1];
    y = like(f, y);
    if (!forward_runs(f, &(struct kernel_call){.kernel = "concat_channels", .x = a, .y = y, .and = b}))
        return y;
    size_t batch = (size_t)a.shape[0];
    size_t a_bytes = tensor_bytes(&a) / batch, b_bytes = tensor_bytes(&b) / batch; /* one picture's */
    unsigned char *to = y.data;
    for (size_t i = 0; i < batch; i++) {
        memcpy(to, (const unsigned char *)a.data + i * a_bytes, a_bytes);
        memcpy(to + a_bytes, (const unsigned char *)b.data + i * b_bytes, b_bytes);
        to += a_bytes + b_bytes;
    }
    return y;
}

struct tensor to_tokens(struct forward *f, struct tensor x)
{
    if (!may_run(f, x.rank == 4, "to_tokens", &x)) return x;
    struct tensor y = forward_tensor(f, 3, (int64_t[]){x.shape[0], x.shape[2] * x.shape[3], x.shape[1]});
    if (forward_runs(f, &(struct kernel_call){.kernel = "to_tokens", .x = x, .y = y}))
        kernel_transpose(x.data, (size_t)x.shape[0], (size_t)x.shape[1], sides(&x, 2, 4), y.data);
    return y;
}

struct tensor from_tokens(struct forward *f, struct tensor x, int64_t height, int64_t width)
{
    if (!may_run(f, x.rank == 3 && x.shape[1] == height * width, "from_tokens", &x)) return x;
    struct tensor y = forward_tensor(f, 4, (int64_t[]){x.shape[0], x.shape[2], height, width});
    if (forward_runs(f, &(struct kernel_call){.kernel = "from_tokens", .x = x, .y = y}))
        kernel_transpose(x.data, (size_t)x.shape[0], (size_t)x.shape[1], (size_t)x.shape[2], y.data);
    return y;
}

struct tensor upsample_nearest(struct forward *f, struct tensor x, int64_t height, int64_t width)
{
    if (!may_run(f, x.rank == 4, "upsample_nearest", &x)) return x;
    struct tensor y = forward_tensor(f, 4, (int64_t[]){x.shape[0], x.shape[1], height, width});
    if (forward_runs(f, &(struct kernel_call){.kernel = "upsample_nearest", .x = x, .y = y}))
        kernel_upsample_nearest(x.data, sides(&x, 0, 2), (size_t)x.shape[2], (size_t)x.shape[3],
            (size_t)height, (size_t)width, y.data);
    return y;
}
