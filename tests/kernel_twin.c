/*
 * Naive loops on purpose: one accumulator, the order of the definition, no tiles, nothing shared with
 * kernels/.
 */
#include "kernels/real.h"

#include "tests/kernel_twin.h"

#include "kernels/kernels.h"

#include <tgmath.h>

void twin_linear(const exact *x, const exact *w, const exact *bias, size_t rows, size_t in, size_t out,
    exact *y, exact *size)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t o = 0; o < out; o++) {
            exact sum = bias != NULL ? bias[o] : 0, magnitude = fabs(sum);
            for (size_t k = 0; k < in; k++) {
                exact term = x[i * in + k] * w[o * in + k];
                sum += term;
                magnitude += fabs(term);
            }
            y[i * out + o] = sum;
            size[i * out + o] = magnitude;
        }
    }
}

/* The input under one element of the kernel, zero in the padding. */
static exact padded(const struct conv2d_shape *s, const exact *plane, size_t i, size_t j)
{
    if (i < s->pad_top || i - s->pad_top >= s->in_height) return 0;
    if (j < s->pad_left || j - s->pad_left >= s->in_width) return 0;
    return plane[(i - s->pad_top) * s->in_width + (j - s->pad_left)];
}

/* One output element: `x` one picture, `w` one output channel's kernel. */
static void twin_position(
    const struct conv2d_shape *s, const exact *x, const exact *w, size_t i, size_t j, exact *y, exact *size)
{
    for (size_t c = 0; c < s->in_channels; c++) {
        const exact *plane = x + c * s->in_height * s->in_width;
        for (size_t ky = 0; ky < s->kernel_height; ky++) {
            for (size_t kx = 0; kx < s->kernel_width; kx++) {
                exact term = padded(s, plane, i * s->stride + ky, j * s->stride + kx) *
                             w[(c * s->kernel_height + ky) * s->kernel_width + kx];
                *y += term;
                *size += fabs(term);
            }
        }
    }
}

void twin_conv2d(
    const struct conv2d_shape *s, const exact *x, const exact *w, const exact *bias, exact *y, exact *size)
{
    size_t height = (s->in_height + s->pad_top + s->pad_bottom - s->kernel_height) / s->stride + 1;
    size_t width = (s->in_width + s->pad_left + s->pad_right - s->kernel_width) / s->stride + 1;
    size_t picture = s->in_channels * s->in_height * s->in_width;
    size_t kernel = s->in_channels * s->kernel_height * s->kernel_width;
    size_t at = 0;
    for (size_t b = 0; b < s->batch; b++) {
        for (size_t o = 0; o < s->out_channels; o++) {
            for (size_t i = 0; i < height; i++) {
                for (size_t j = 0; j < width; j++, at++) {
                    y[at] = bias != NULL ? bias[o] : 0;
                    size[at] = fabs(y[at]);
                    twin_position(s, x + b * picture, w + o * kernel, i, j, y + at, size + at);
                }
            }
        }
    }
}

/* The scale times the product of two vectors; *size becomes the larger of itself and the same of
 * magnitudes. */
static exact twin_score(const exact *q, const exact *k, size_t dim, exact scale, exact *size)
{
    exact score = 0, magnitude = 0;
    for (size_t d = 0; d < dim; d++) {
        score += q[d] * k[d];
        magnitude += fabs(q[d] * k[d]);
    }
    if (!(fabs(scale) * magnitude <= *size)) *size = fabs(scale) * magnitude;
    return scale * score;
}

/* One query of one head: two passes over the keys, the first for the largest score. */
static void twin_query(const struct attention_shape *s, const exact *q, const exact *k, const exact *v,
    size_t keys, exact *y, exact *size, exact *score_size)
{
    size_t stride = s->heads * s->dim;
    exact largest = -INFINITY, sum = 0, worst = 0;
    for (size_t j = 0; j < keys; j++) {
        exact score = twin_score(q, k + j * stride, s->dim, (exact)s->scale, &worst);
        if (!(score <= largest)) largest = score;
    }
    for (size_t d = 0; d < s->dim; d++) y[d] = size[d] = 0;
    for (size_t j = 0; j < keys; j++) {
        exact weight = exp(twin_score(q, k + j * stride, s->dim, (exact)s->scale, &worst) - largest);
        sum += weight;
        for (size_t d = 0; d < s->dim; d++) {
            y[d] += weight * v[j * stride + d];
            size[d] += weight * fabs(v[j * stride + d]);
        }
    }
    for (size_t d = 0; d < s->dim; d++) {
        y[d] /= sum;
        size[d] /= sum;
        score_size[d] = worst;
    }
}

void twin_attention(const struct attention_shape *s, const exact *q, const exact *k, const exact *v, exact *y,
    exact *size, exact *score_size)
{
    size_t stride = s->heads * s->dim;
    for (size_t b = 0; b < s->batch; b++) {
        for (size_t h = 0; h < s->heads; h++) {
            for (size_t i = 0; i < s->q_len; i++) {
                size_t at = (b * s->q_len + i) * stride + h * s->dim;
                size_t of = b * s->kv_len * stride + h * s->dim;
                size_t keys = s->causal && i + 1 < s->kv_len ? i + 1 : s->kv_len;
                twin_query(s, q + at, k + of, v + of, keys, y + at, size + at, score_size + at);
            }
        }
    }
}

void twin_statistics(const exact *x, size_t n, exact eps, exact *mean, exact *inverse_deviation)
{
    long double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (long double)x[i];
    *mean = (exact)(sum / (long double)n);
    for (size_t i = 0; i < n; i++) {
        long double difference = (long double)x[i] - sum / (long double)n;
        squares += difference * difference;
    }
    *inverse_deviation = (exact)(1 / sqrt(squares / (long double)n + (long double)eps));
}

/* x sigmoid(z) */
static exact times_sigmoid(exact x, exact z)
{
    return z < 0 ? x * exp(z) / (1 + exp(z)) : x / (1 + exp(-z));
}

exact twin_silu(exact x)
{
    return times_sigmoid(x, x);
}

exact twin_gelu(exact x)
{
    return x * erfc(-x * sqrt((exact)0.5L)) / 2;
}

exact twin_gelu_tanh(exact x)
{
    const exact pi = (exact)3.14159265358979323846264338327950288L;
    return times_sigmoid(x, 2 * sqrt(2 / pi) * (x + (exact)0.044715L * x * x * x));
}

exact twin_quick_gelu(exact x)
{
    return times_sigmoid(x, (exact)1.702L * x);
}
