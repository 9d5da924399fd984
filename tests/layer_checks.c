#include "kernels/real.h"

#include "kernels/half.h"
#include "layer_checks.h"
#include "layer_numbers.h"

#include "ref/layers.h"
#include "ref/trace.h"
#include "support.h"

#include <math.h>
#include <string.h>

#define LAYER_CHECKS KERNEL_NAME(LAYER_CHECKS)

/* --- Memory and errors -------------------------------------------------------------------- */

static void scopes(void)
{
    struct forward f = begin();
    struct tensor before = numbers(&f, 1, (int64_t[]){10}, 1);
    struct arena_mark scope = scope_begin(&f);
    struct tensor dropped = numbers(&f, 1, (int64_t[]){1000}, 2);
    struct tensor kept = numbers(&f, 2, (int64_t[]){20, 50}, 3);
    void *place = dropped.data;
    kept = scope_return(&f, scope, kept);
    ck_assert_ptr_eq(forward_tensor(&f, 1, (int64_t[]){1000}).data, place);
    check_shape(kept, 2, (int64_t[]){20, 50});
    for (size_t i = 0; i < 1000; i++) ck_assert(at(kept, i) == number(i, 3));
    for (size_t i = 0; i < 10; i++) ck_assert(at(before, i) == number(i, 1));
    end(&f);
}

/* After the first error nothing runs, and the first message stays. */
static void errors(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 2, (int64_t[]){2, 3}, 1);
    struct linear narrow = {.weight = numbers(&f, 2, (int64_t[]){4, 5}, 2)};
    struct tensor y = linear(&f, x, &narrow);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(layer_error.message, "linear: does not fit an input of shape [2, 3]"));
    struct error first = layer_error;
    y = add(&f, silu(&f, y), x);
    y = to_tokens(&f, y);
    y = attention(&f, y, y, y, 3, 1, false);
    y = scope_return(&f, scope_begin(&f), concat_channels(&f, y, x));
    multiply(&f, upsample_nearest(&f, from_tokens(&f, y, 2, 2), 4, 4), 2);
    struct tensor none = forward_tensor(&f, 1, (int64_t[]){3});
    ck_assert_ptr_null(none.data);
    ck_assert_str_eq(layer_error.message, first.message);

    f.status = STATUS_OK;
    forward_tensor(&f, 3, (int64_t[]){INT64_MAX, 2, 2});
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    f.status = STATUS_OK;
    forward_tensor(&f, 2, (int64_t[]){(int64_t)1 << 30, (int64_t)1 << 28});
    ck_assert_int_eq(f.status, STATUS_MACHINE); /* 2^58 elements fit in a size, and not in this machine */
    arena_free(f.arena);
}

static void modules(void)
{
    struct forward f = begin();
    struct trace *trace = NULL;
    ck_assert_int_eq(trace_create(&trace, &layer_error), STATUS_OK);
    struct tensor x = numbers(&f, 2, (int64_t[]){2, 3}, 1);
    forward_output(&f, "unet.nothing", x); /* nobody records */
    f.modules = trace;
    struct tensor same = forward_output(&f, "unet.mid_block.resnets.0", x);
    ck_assert_ptr_eq(same.data, x.data);
    ck_assert_uint_eq(tensor_set_count(trace_tensors(trace)), 1);
    const struct tensor *recorded = need_tensor(trace_tensors(trace), "act.unet.mid_block.resnets.0");
    ck_assert(tensor_same_shape(recorded, &x));
    ck_assert_int_eq(memcmp(recorded->data, x.data, tensor_bytes(&x)), 0);
    trace_free(trace);
    end(&f);
}

/* --- Layers with weights ------------------------------------------------------------------ */

static void check_linear(
    struct tensor x, const struct linear *layer, struct tensor weight, struct tensor bias)
{
    struct forward f = begin();
    struct tensor y = linear(&f, x, layer);
    check_shape(y, 3, (int64_t[]){2, 3, 4});
    for (size_t row = 0; row < 6; row++)
        for (size_t out = 0; out < 4; out++) {
            double sum = layer->bias.data ? at(bias, out) : 0;
            for (size_t in = 0; in < 5; in++) sum += at(x, row * 5 + in) * at(weight, out * 5 + in);
            ck_assert(at(y, row * 4 + out) == sum);
        }
    end(&f);
}

/* Weights of every stored type, aligned and not: the numbers are exact in all of them. */
static void linear_layers(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 3, (int64_t[]){2, 3, 5}, 1);
    struct tensor weight = numbers(&f, 2, (int64_t[]){4, 5}, 2), bias = numbers(&f, 1, (int64_t[]){4}, 3);
    struct linear layer = {.weight = weight, .bias = bias};
    check_linear(x, &layer, weight, bias);
    layer.bias.data = NULL;
    check_linear(x, &layer, weight, bias);

    _Alignas(8) unsigned char f32[8 + 20 * 4], f16[8 + 20 * 2], bf16[8 + 20 * 2];
    for (size_t offset = 0; offset < 2; offset++) {
        for (size_t i = 0; i < 20; i++) {
            float value = (float)at(weight, i);
            uint32_t bits;
            memcpy(&bits, &value, 4);
            uint16_t upper = (uint16_t)(bits >> 16), half = 0;
            while (f16_to_f32(half) != value) half++;
            memcpy(f32 + offset + 4 * i, &value, 4);
            memcpy(bf16 + offset + 2 * i, &upper, 2);
            memcpy(f16 + offset + 2 * i, &half, 2);
        }
        const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
        unsigned char *const stored[] = {f32, f16, bf16};
        for (int i = 0; i < 3; i++) {
            layer.weight = (struct tensor){types[i], 2, {4, 5}, stored[i] + offset};
            check_linear(x, &layer, weight, bias);
        }
    }
    end(&f);
}

/* y[b, o, i, j] = bias[o] + the sum over c, k, l of w[o, c, k, l] x[b, c, i stride + k - pad, j stride + l -
 * pad]. */
static void check_conv2d(int kernel, int stride, int pad_before, int pad_after)
{
    struct forward f = begin();
    enum { B = 2, C = 3, H = 5, W = 6, O = 4 };
    struct tensor x = numbers(&f, 4, (int64_t[]){B, C, H, W}, 1);
    struct conv2d layer = {.weight = numbers(&f, 4, (int64_t[]){O, C, kernel, kernel}, 2),
        .bias = numbers(&f, 1, (int64_t[]){O}, 3),
        .stride = stride,
        .pad_top = pad_before,
        .pad_left = pad_before,
        .pad_bottom = pad_after,
        .pad_right = pad_after};
    struct tensor y = conv2d(&f, x, &layer);
    int height = (H + pad_before + pad_after - kernel) / stride + 1;
    int width = (W + pad_before + pad_after - kernel) / stride + 1;
    check_shape(y, 4, (int64_t[]){B, O, height, width});
    size_t n = 0;
    for (int b = 0; b < B; b++)
        for (int o = 0; o < O; o++)
            for (int i = 0; i < height; i++)
                for (int j = 0; j < width; j++, n++) {
                    double sum = at(layer.bias, (size_t)o);
                    for (int c = 0; c < C; c++)
                        for (int k = 0; k < kernel; k++)
                            for (int l = 0; l < kernel; l++) {
                                int row = i * stride + k - pad_before, column = j * stride + l - pad_before;
                                if (row < 0 || row >= H || column < 0 || column >= W) continue;
                                const int from = ((b * C + c) * H + row) * W + column;
                                const int by = ((o * C + c) * kernel + k) * kernel + l;
                                sum += at(x, (size_t)from) * at(layer.weight, (size_t)by);
                            }
                    ck_assert(at(y, n) == sum);
                }
    end(&f);
}

static void convolutions(void)
{
    check_conv2d(3, 1, 1, 1);
    check_conv2d(1, 1, 0, 0);
    check_conv2d(3, 2, 1, 1);
    check_conv2d(3, 2, 0, 1);
    check_conv2d(5, 1, 2, 2);
}

/* A layer and what follows it in one: the bits of the two operators one after the other. */
static void check_same(struct tensor a, struct tensor b)
{
    ck_assert(tensor_same_shape(&a, &b));
    ck_assert_int_eq(memcmp(a.data, b.data, tensor_bytes(&a)), 0);
}

static void layers_and_what_follows(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 3, (int64_t[]){2, 3, 5}, 1), onto = numbers(&f, 3, (int64_t[]){2, 3, 4}, 2);
    struct linear layer = {
        .weight = numbers(&f, 2, (int64_t[]){4, 5}, 3), .bias = numbers(&f, 1, (int64_t[]){4}, 4)};
    struct tensor y = linear(&f, x, &layer);
    check_same(linear_gelu(&f, x, &layer), gelu(&f, y));
    check_same(linear_quick_gelu(&f, x, &layer), quick_gelu(&f, y));
    check_same(linear_geglu(&f, x, &layer), geglu(&f, y));
    struct tensor sum = add(&f, onto, y), same = linear_onto(&f, x, &layer, onto);
    ck_assert_ptr_eq(same.data, onto.data);
    check_same(same, sum);

    struct tensor picture = numbers(&f, 4, (int64_t[]){2, 3, 5, 4}, 5),
                  shift = numbers(&f, 2, (int64_t[]){2, 2}, 6);
    struct tensor residual = numbers(&f, 4, (int64_t[]){2, 2, 5, 4}, 7);
    struct conv2d conv = {
        numbers(&f, 4, (int64_t[]){2, 3, 3, 3}, 8), numbers(&f, 1, (int64_t[]){2}, 9), 1, 1, 1, 1, 1};
    y = conv2d(&f, picture, &conv);
    sum = add(&f, residual, y);
    check_same(conv2d_added(&f, picture, &conv, residual), sum);
    same = conv2d_onto(&f, picture, &conv, residual);
    ck_assert_ptr_eq(same.data, residual.data);
    check_same(same, sum);
    check_same(conv2d_shifted(&f, picture, &conv, shift), add_channels(&f, y, shift));
    /* Quarters: no sum rounds, in whatever order it is taken. */
    check_same(
        conv2d_of_doubled(&f, picture, &conv), conv2d(&f, upsample_nearest(&f, picture, 10, 8), &conv));

    struct tensor narrow = numbers(&f, 3, (int64_t[]){2, 3, 3}, 10);
    linear_onto(&f, x, &layer, narrow);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    f.status = STATUS_OK;
    conv2d_onto(&f, picture, &conv, picture);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    f.status = STATUS_OK;
    conv.stride = 2;
    conv2d_of_doubled(&f, picture, &conv);
    ck_assert_int_eq(f.status, STATUS_BAD_INPUT);
    f.status = STATUS_OK;
    end(&f);
}

/* One group's mean is 0 and its variance 1 but for eps; then weight and bias of each channel; then SiLU. */
static void norms(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 4, (int64_t[]){2, 4, 3, 3}, 1);
    struct norm layer = {.weight = numbers(&f, 1, (int64_t[]){4}, 2),
        .bias = numbers(&f, 1, (int64_t[]){4}, 3),
        .groups = 2,
        .eps = 1e-3};
    struct tensor y = group_norm(&f, x, &layer, false), z = group_norm(&f, x, &layer, true);
    for (size_t group = 0; group < 4; group++) { /* 18 elements each, two channels of a picture */
        double mean = 0, variance = 0;
        for (size_t i = 0; i < 18; i++) mean += at(x, group * 18 + i) / 18;
        for (size_t i = 0; i < 18; i++) variance += pow(at(x, group * 18 + i) - mean, 2) / 18;
        for (size_t i = 0; i < 18; i++) {
            size_t channel = (group * 18 + i) / 9 % 4;
            double normed = (at(x, group * 18 + i) - mean) / sqrt(variance + layer.eps);
            double expected = normed * at(layer.weight, channel) + at(layer.bias, channel);
            ck_assert_double_eq_tol(at(y, group * 18 + i), expected, 32 * EPSILON);
            ck_assert_double_eq_tol(at(z, group * 18 + i), expected / (1 + exp(-expected)), 64 * EPSILON);
        }
    }

    struct tensor tokens = numbers(&f, 3, (int64_t[]){2, 3, 4}, 4);
    y = layer_norm(&f, tokens, &layer);
    for (size_t row = 0; row < 6; row++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < 4; i++) mean += at(tokens, row * 4 + i) / 4;
        for (size_t i = 0; i < 4; i++) variance += pow(at(tokens, row * 4 + i) - mean, 2) / 4;
        for (size_t i = 0; i < 4; i++) {
            double normed = (at(tokens, row * 4 + i) - mean) / sqrt(variance + layer.eps);
            ck_assert_double_eq_tol(
                at(y, row * 4 + i), normed * at(layer.weight, i) + at(layer.bias, i), 32 * EPSILON);
        }
    }
    end(&f);
}

/* --- Layers without weights --------------------------------------------------------------- */

static void check_attention(int64_t q_len, int64_t kv_len, double scale, bool causal)
{
    struct forward f = begin();
    enum { B = 2, HEADS = 3, DIM = 4, ALL = HEADS * DIM };
    struct tensor q = numbers(&f, 3, (int64_t[]){B, q_len, ALL}, 1);
    struct tensor k = numbers(&f, 3, (int64_t[]){B, kv_len, ALL}, 2);
    struct tensor v = numbers(&f, 3, (int64_t[]){B, kv_len, ALL}, 3);
    struct tensor y = attention(&f, q, k, v, HEADS, scale, causal);
    check_shape(y, 3, (int64_t[]){B, q_len, ALL});
    for (int64_t b = 0; b < B; b++)
        for (int64_t head = 0; head < HEADS; head++)
            for (int64_t i = 0; i < q_len; i++) {
                double sum = 0, mixed[DIM] = {0};
                int64_t seen = causal ? i + 1 : kv_len;
                for (int64_t j = 0; j < seen; j++) {
                    double score = 0;
                    for (int64_t d = 0; d < DIM; d++)
                        score += at(q, (size_t)((b * q_len + i) * ALL + head * DIM + d)) *
                                 at(k, (size_t)((b * kv_len + j) * ALL + head * DIM + d));
                    double weight = exp(score * scale);
                    sum += weight;
                    for (int64_t d = 0; d < DIM; d++)
                        mixed[d] += weight * at(v, (size_t)((b * kv_len + j) * ALL + head * DIM + d));
                }
                for (int64_t d = 0; d < DIM; d++)
                    ck_assert_double_eq_tol(at(y, (size_t)((b * q_len + i) * ALL + head * DIM + d)),
                        mixed[d] / sum, 100 * EPSILON);
            }
    end(&f);
}

static void attentions(void)
{
    check_attention(5, 7, 0.5, false);
    check_attention(6, 6, 0.25, true);
    check_attention(1, 1, 1, false);
}

static void activations(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 2, (int64_t[]){4, 10}, 1);
    struct tensor of_silu = silu(&f, x), of_gelu = gelu(&f, x), of_quick = quick_gelu(&f, x),
                  gated = geglu(&f, x);
    check_shape(gated, 2, (int64_t[]){4, 5});
    for (size_t i = 0; i < 40; i++) {
        double v = at(x, i);
        ck_assert_double_eq_tol(at(of_silu, i), v / (1 + exp(-v)), 16 * EPSILON);
        ck_assert_double_eq_tol(at(of_gelu, i), v * 0.5 * (1 + erf(v * sqrt(0.5))), 16 * EPSILON);
        ck_assert_double_eq_tol(at(of_quick, i), v / (1 + exp(-1.702 * v)), 16 * EPSILON);
    }
    for (size_t row = 0; row < 4; row++) /* the second half is the gate */
        for (size_t i = 0; i < 5; i++)
            ck_assert_double_eq_tol(
                at(gated, row * 5 + i), at(x, row * 10 + i) * at(of_gelu, row * 10 + 5 + i), 16 * EPSILON);
    end(&f);
}

static void sums_and_layouts(void)
{
    struct forward f = begin();
    struct tensor a = numbers(&f, 4, (int64_t[]){2, 3, 2, 2}, 1),
                  b = numbers(&f, 4, (int64_t[]){2, 3, 2, 2}, 2);
    struct tensor sum = add(&f, a, b), tripled = multiply(&f, a, 3);
    for (size_t i = 0; i < 24; i++) {
        ck_assert(at(sum, i) == at(a, i) + at(b, i));
        ck_assert(at(tripled, i) == 3 * at(a, i));
    }

    struct tensor shifts = numbers(&f, 2, (int64_t[]){2, 3}, 3);
    struct tensor shifted = add_channels(&f, sum, shifts);
    ck_assert_ptr_eq(shifted.data, sum.data);
    for (size_t i = 0; i < 24; i++) ck_assert(at(shifted, i) == at(a, i) + at(b, i) + at(shifts, i / 4));

    struct tensor c = numbers(&f, 4, (int64_t[]){2, 5, 2, 2}, 4), both = concat_channels(&f, a, c);
    check_shape(both, 4, (int64_t[]){2, 8, 2, 2});
    for (size_t i = 0; i < 64; i++) {
        size_t picture = i / 32, channel = i % 32 / 4, place = i % 4;
        double expected = channel < 3 ? at(a, (picture * 3 + channel) * 4 + place)
                                      : at(c, (picture * 5 + channel - 3) * 4 + place);
        ck_assert(at(both, i) == expected);
    }
    struct tensor wide = concat_channels(&f, shifts, numbers(&f, 2, (int64_t[]){2, 1}, 5));
    check_shape(wide, 2, (int64_t[]){2, 4});
    ck_assert(at(wide, 3) == number(0, 5) && at(wide, 4) == at(shifts, 3));

    struct tensor picture = numbers(&f, 4, (int64_t[]){2, 3, 2, 5}, 6), tokens = to_tokens(&f, picture);
    check_shape(tokens, 3, (int64_t[]){2, 10, 3});
    ck_assert(at(tokens, 1 * 30 + 7 * 3 + 2) == at(picture, 1 * 30 + 2 * 10 + 7));
    struct tensor back = from_tokens(&f, tokens, 2, 5);
    check_shape(back, 4, (int64_t[]){2, 3, 2, 5});
    ck_assert_int_eq(memcmp(back.data, picture.data, tensor_bytes(&picture)), 0);

    struct tensor larger = upsample_nearest(&f, picture, 3, 10); /* rows 0 0 1: floor(i 2 / 3) */
    check_shape(larger, 4, (int64_t[]){2, 3, 3, 10});
    const size_t rows[] = {0, 0, 1};
    for (size_t i = 0; i < tensor_count(&larger); i++)
        ck_assert(at(larger, i) == at(picture, i / 30 * 10 + rows[i / 10 % 3] * 5 + i % 10 / 2));
    end(&f);
}

static void real_tensors(void)
{
    struct forward f = begin();
    struct tensor x = numbers(&f, 1, (int64_t[]){6}, 1);
    ck_assert_ptr_eq(as_real(&f, x).data, x.data);
    float floats[] = {0.1f, -2, 3e30f};
    double doubles[] = {0.5, -2, 3e30};
    struct tensor from_float = as_real(&f, (struct tensor){DTYPE_F32, 1, {3}, floats});
    struct tensor from_double = as_real(&f, (struct tensor){DTYPE_F64, 1, {3}, doubles});
    check_shape(from_float, 1, (int64_t[]){3});
    check_shape(from_double, 1, (int64_t[]){3});
    for (size_t i = 0; i < 3; i++) {
        ck_assert(at(from_float, i) == (double)floats[i]);
        ck_assert(at(from_double, i) == (double)(real)doubles[i]);
    }
    end(&f);
}
const struct layer_check LAYER_CHECKS[] = {
    {"scopes", scopes},
    {"errors", errors},
    {"modules", modules},
    {"linear", linear_layers},
    {"conv2d", convolutions},
    {"layers and what follows", layers_and_what_follows},
    {"norms", norms},
    {"attention", attentions},
    {"activations", activations},
    {"sums and layouts", sums_and_layouts},
    {"as_real", real_tensors},
    {NULL, NULL},
};
