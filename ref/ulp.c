#include "ulp.h"

#include "kernels/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Distances ---------------------------------------------------------------------------- */

/* precision: bits of the significand with the hidden one; min_exponent: of the smallest normal number. */
struct float_scale {
    int precision, min_exponent;
};

static struct float_scale scale_of(enum dtype type)
{
    switch (type) {
    case DTYPE_F16: return (struct float_scale){11, -14};
    case DTYPE_BF16: return (struct float_scale){8, -126};
    default: return (struct float_scale){24, -126};
    }
}

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The ordinal of a finite |x| of a type narrower than double. Each binade 2^e..2^(e+1) above the subnormal
 * numbers, which are one more, holds 2^(p-1) steps of 2^(e-p+1), so it is 2^(p-1) (|x| / 2^e + binade). All
 * is taken twofold because 2^-1023 is no normal number. */
static inline double magnitude_ordinal(double x, struct float_scale scale)
{
    double magnitude = fabs(x);
    int exponent = (int)(bits_of(magnitude) >> 52) - 1023; /* -1023 of zero and of subnormal doubles */
    if (exponent < scale.min_exponent) exponent = scale.min_exponent;
    double in_binade = magnitude * from_bits((uint64_t)(1024 - exponent) << 52);
    double half_of_steps = from_bits((uint64_t)(1023 + scale.precision - 2) << 52);
    return (in_binade + 2 * (exponent - scale.min_exponent)) * half_of_steps;
}

/* Ordinals of doubles do not fit in a double; their bits, without the sign, are ordinals. */
static double double_steps(double a, double b)
{
    uint64_t x = bits_of(fabs(a)), y = bits_of(fabs(b));
    if ((a < 0.0) != (b < 0.0)) return (double)x + (double)y;
    return x > y ? (double)(x - y) : (double)(y - x);
}

static inline double narrow_steps(double a, double b, struct float_scale scale)
{
    return fabs(copysign(magnitude_ordinal(a, scale), a) - copysign(magnitude_ordinal(b, scale), b));
}

double ulp_distance(double a, double b, enum dtype type)
{
    return type == DTYPE_F64 ? double_steps(a, b) : narrow_steps(a, b, scale_of(type));
}

void ulp_distances(const double *a, const double *b, size_t count, enum dtype type, double *out)
{
    struct float_scale scale = scale_of(type);
    if (type == DTYPE_F64)
        for (size_t i = 0; i < count; i++) out[i] = double_steps(a[i], b[i]);
    else
        for (size_t i = 0; i < count; i++) out[i] = narrow_steps(a[i], b[i], scale);
}

/* --- Quantiles ---------------------------------------------------------------------------- */

#define UPPER_BINS 0x8000 /* by the bits of a float above the lower 16; the sign is never set */
#define LOWER_BINS 0x10000

/* The distances whose upper bits are the bin's place. */
struct bin {
    uint64_t count;
    uint16_t lower; /* of the first of them */
    bool mixed;     /* others have other lower bits */
};

struct ulp_quantiles {
    double parts[ULP_QUANTILES];
    double values[ULP_QUANTILES];
    uint64_t ranks[ULP_QUANTILES]; /* counted from 1: in all, then within the bin */
    uint32_t upper[ULP_QUANTILES]; /* the bin that holds the rank */
    uint64_t total;
    uint64_t *lower; /* [ULP_QUANTILES, LOWER_BINS] in the second pass; NULL in the first */
    struct bin bins[UPPER_BINS];
};

enum status ulp_quantiles_create(
    const double parts[ULP_QUANTILES], struct ulp_quantiles **out, struct error *error)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return error_memory(error, sizeof **out);
    memcpy((*out)->parts, parts, sizeof(*out)->parts);
    return STATUS_OK;
}

void ulp_quantiles_free(struct ulp_quantiles *quantiles)
{
    if (!quantiles) return;
    free(quantiles->lower);
    free(quantiles);
}

static void count_upper(struct ulp_quantiles *quantiles, const double *distances, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t key = f32_as_bits((float)distances[i]);
        struct bin *bin = &quantiles->bins[key >> 16];
        uint16_t lower = (uint16_t)key;
        if (bin->count++ == 0)
            bin->lower = lower;
        else if (bin->lower != lower)
            bin->mixed = true;
    }
    quantiles->total += count;
}

static void count_lower(struct ulp_quantiles *quantiles, const double *distances, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t key = f32_as_bits((float)distances[i]);
        for (size_t q = 0; q < ULP_QUANTILES; q++)
            if (key >> 16 == quantiles->upper[q]) quantiles->lower[q * LOWER_BINS + (key & 0xffff)]++;
    }
}

void ulp_quantiles_count(struct ulp_quantiles *quantiles, const double *distances, size_t count)
{
    if (quantiles->lower)
        count_lower(quantiles, distances, count);
    else
        count_upper(quantiles, distances, count);
}

/* Nearest rank; the part is taken as the decimal fraction that it stands for, so 0.99 of 100 is the 99th. */
static uint64_t rank_of(double part, uint64_t total)
{
    double rank = ceil(part * (double)total * (1 - 0x1p-50));
    return rank < 1 ? 1 : rank > (double)total ? total : (uint64_t)rank;
}

/* The bin that holds a rank; the rank becomes that within the bin. */
static uint32_t find_bin(const struct bin *bins, uint64_t *rank)
{
    uint32_t place = 0;
    while (bins[place].count < *rank) *rank -= bins[place++].count;
    return place;
}

static uint32_t find_lower(const uint64_t *counts, uint64_t rank)
{
    uint32_t place = 0;
    while (counts[place] < rank) rank -= counts[place++];
    return place;
}

enum status ulp_quantiles_again(struct ulp_quantiles *quantiles, bool *again, struct error *error)
{
    *again = false;
    if (quantiles->total == 0) return STATUS_OK;
    for (size_t q = 0; q < ULP_QUANTILES; q++) {
        uint32_t lower;
        if (quantiles->lower) {
            lower = find_lower(quantiles->lower + q * LOWER_BINS, quantiles->ranks[q]);
        } else {
            quantiles->ranks[q] = rank_of(quantiles->parts[q], quantiles->total);
            quantiles->upper[q] = find_bin(quantiles->bins, &quantiles->ranks[q]);
            lower = quantiles->bins[quantiles->upper[q]].lower;
            *again |= quantiles->bins[quantiles->upper[q]].mixed;
        }
        quantiles->values[q] = (double)f32_from_bits(quantiles->upper[q] << 16 | lower);
    }
    if (!*again) return STATUS_OK;
    quantiles->lower = calloc((size_t)ULP_QUANTILES * LOWER_BINS, sizeof *quantiles->lower);
    return quantiles->lower ? STATUS_OK
                            : error_memory(error, ULP_QUANTILES * LOWER_BINS * sizeof *quantiles->lower);
}

double ulp_quantiles_get(const struct ulp_quantiles *quantiles, size_t i)
{
    return quantiles->values[i];
}
