/*
 * Distances are taken in double, in which every element but a large 64-bit integer is exact.
 *
 * The elements are taken in blocks, converted first. A block whose elements are all finite and whose squares
 * neither overflow nor vanish, which is nearly every block, is summed in double; of any other block each pair
 * is looked at by itself, and the squares are summed in long double.
 */
#include "compare.h"

#include "ulp.h"

#include <math.h>
#include <string.h>

/* --- One pair of elements ----------------------------------------------------------------- */

struct pair {
    double a, b;
    bool equal;      /* in value; NaN equals NaN */
    double distance; /* |a - b|, 0 where equal, infinite where not both are finite */
};

/* Above 2^53 integers run together as doubles: their difference where they do. Both wrap alike (tensor.h). */
static double hidden_distance(const struct tensor *a, const struct tensor *b, size_t i)
{
    if (dtype_is_float(a->dtype) || dtype_is_float(b->dtype)) return 0.0;
    uint64_t x = (uint64_t)tensor_get_int(a, i), y = (uint64_t)tensor_get_int(b, i);
    return (double)(x - y < y - x ? x - y : y - x);
}

static struct pair pair_at(const struct tensor *a, const struct tensor *b, size_t i)
{
    struct pair pair = {.a = tensor_get_double(a, i), .b = tensor_get_double(b, i)};
    if (pair.a == pair.b)
        pair.distance = hidden_distance(a, b, i);
    else if (isnan(pair.a) && isnan(pair.b))
        pair.distance = 0.0;
    else if (!isfinite(pair.a) || !isfinite(pair.b))
        pair.distance = INFINITY;
    else
        pair.distance = fabs(pair.a - pair.b);
    pair.equal = pair.distance == 0.0;
    return pair;
}

static double pair_ulp(const struct pair *pair, enum dtype type)
{
    if (pair->equal) return 0.0;
    return isinf(pair->distance) ? INFINITY : ulp_distance(pair->a, pair->b, type);
}

/* --- Blocks of elements ------------------------------------------------------------------- */

#define BLOCK 512 /* four arrays of doubles that a first-level cache holds */

struct block {
    size_t first, count;
    double a[BLOCK], b[BLOCK];
    double ulps[BLOCK];
    bool plain; /* all finite, and no distance is hidden */
};

/* What becomes rms and cosine: sums over the elements that are finite on both sides. long double has the room
 * for squares of large doubles, and 11 bits more for long sums. */
struct sums {
    long double squares, aa, bb, ab;
    size_t finite;
    double furthest; /* the largest distance so far; -1 before the first */
};

static void load_floats(const unsigned char *bytes, size_t count, double *out)
{
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, bytes + i * sizeof value, sizeof value);
        out[i] = (double)value;
    }
}

static void load(const struct tensor *tensor, size_t first, size_t count, double *out)
{
    const unsigned char *bytes = (const unsigned char *)tensor->data + first * dtype_size(tensor->dtype);
    if (tensor->dtype == DTYPE_F32)
        load_floats(bytes, count, out);
    else if (tensor->dtype == DTYPE_F64)
        memcpy(out, bytes, count * sizeof *out);
    else
        for (size_t i = 0; i < count; i++) out[i] = tensor_get_double(tensor, first + i);
}

static bool all_finite(const double *values, size_t count)
{
    const uint64_t exponent = UINT64_C(0x7ff) << 52;
    uint64_t bits;
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        memcpy(&bits, &values[i], sizeof bits);
        finite &= (bits & exponent) != exponent;
    }
    return finite;
}

/* The next pair into what is largest. The product spares a division; it is let through by a few last bits
 * and then judged by the quotient. */
static inline void meet(
    struct difference *d, struct sums *sums, double a, double b, double distance, size_t i)
{
    double magnitude = fabs(b);
    d->unequal += distance != 0.0;
    if (distance > sums->furthest) {
        sums->furthest = distance;
        d->worst = i, d->worst_a = a, d->worst_b = b;
    }
    if (magnitude > d->peak && isfinite(magnitude)) d->peak = magnitude;
    if (distance > d->max_rel * magnitude * (1 - 0x1p-50) && magnitude > 0.0)
        d->max_rel = fmax(d->max_rel, distance / magnitude);
}

/* Squares of numbers between these neither overflow nor vanish beside each other, thousands of them. */
static bool is_moderate(double largest)
{
    return largest == 0.0 || (largest > 0x1p-400 && largest < 0x1p500);
}

/* False, with nothing added, where the squares need more room than doubles have. Four sums side by side do
 * not wait for each other. */
static bool add_squares(struct sums *sums, const struct block *block)
{
    double squares[4] = {0}, aa[4] = {0}, bb[4] = {0}, ab[4] = {0};
    double largest_a = 0, largest_b = 0, largest = 0;
    for (size_t i = 0; i < block->count; i++) {
        double a = block->a[i], b = block->b[i], distance = fabs(a - b);
        squares[i % 4] += distance * distance;
        aa[i % 4] += a * a;
        bb[i % 4] += b * b;
        ab[i % 4] += a * b;
        largest_a = fabs(a) > largest_a ? fabs(a) : largest_a;
        largest_b = fabs(b) > largest_b ? fabs(b) : largest_b;
        largest = distance > largest ? distance : largest;
    }
    if (!is_moderate(largest_a) || !is_moderate(largest_b) || !is_moderate(largest)) return false;
    sums->squares += (squares[0] + squares[1]) + (squares[2] + squares[3]);
    sums->aa += (aa[0] + aa[1]) + (aa[2] + aa[3]);
    sums->bb += (bb[0] + bb[1]) + (bb[2] + bb[3]);
    sums->ab += (ab[0] + ab[1]) + (ab[2] + ab[3]);
    sums->finite += block->count;
    return true;
}

static void add_block(struct difference *d, struct sums *sums, const struct block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        double a = block->a[i], b = block->b[i];
        meet(d, sums, a, b, fabs(a - b), block->first + i);
    }
}

/* Each pair by itself: non-finite elements, very large and very small doubles, 64-bit integers. */
static void add_pairs(struct difference *d, struct sums *sums, const struct block *block,
    const struct tensor *a, const struct tensor *b)
{
    for (size_t i = 0; i < block->count; i++) {
        struct pair pair = pair_at(a, b, block->first + i);
        bool finite_a = isfinite(pair.a), finite_b = isfinite(pair.b);
        d->nonfinite_a += !finite_a;
        d->nonfinite_b += !finite_b;
        if (isinf(pair.distance)) d->max_rel = INFINITY;
        meet(d, sums, pair.a, pair.b, pair.distance, block->first + i);
        if (!finite_a || !finite_b) continue;
        sums->finite++;
        sums->squares += (long double)pair.distance * pair.distance;
        sums->aa += (long double)pair.a * pair.a;
        sums->bb += (long double)pair.b * pair.b;
        sums->ab += (long double)pair.a * pair.b;
    }
}

static bool hides_distances(const struct tensor *a, const struct tensor *b)
{
    return !dtype_is_float(a->dtype) && !dtype_is_float(b->dtype) &&
           (dtype_size(a->dtype) == 8 || dtype_size(b->dtype) == 8);
}

/* Loads the next block; false where there is none. */
static bool next_block(struct block *block, const struct tensor *a, const struct tensor *b, size_t count)
{
    block->first += block->count;
    block->count = count - block->first < BLOCK ? count - block->first : BLOCK;
    load(a, block->first, block->count, block->a);
    load(b, block->first, block->count, block->b);
    block->plain =
        !hides_distances(a, b) && all_finite(block->a, block->count) && all_finite(block->b, block->count);
    return block->count > 0;
}

static void find_ulps(
    struct block *block, const struct tensor *a, const struct tensor *b, enum dtype ulp_type)
{
    if (block->plain) {
        ulp_distances(block->a, block->b, block->count, ulp_type, block->ulps);
        return;
    }
    for (size_t i = 0; i < block->count; i++) {
        struct pair pair = pair_at(a, b, block->first + i);
        block->ulps[i] = pair_ulp(&pair, ulp_type);
    }
}

static void finish(struct difference *d, const struct sums *sums)
{
    d->max_abs = fmax(sums->furthest, 0.0);
    d->max_rel_peak = d->max_abs == 0.0 ? 0.0 : d->max_abs / d->peak;
    d->rms = sums->finite ? (double)sqrtl(sums->squares / (long double)sums->finite) : 0.0;
    if (sums->aa == 0 && sums->bb == 0)
        d->cosine = 1.0;
    else if (sums->aa == 0 || sums->bb == 0)
        d->cosine = 0.0;
    else
        d->cosine = fmin(1.0, fmax(-1.0, (double)(sums->ab / (sqrtl(sums->aa) * sqrtl(sums->bb)))));
}

/* One pass over the elements; their distances in units of the last place are counted where `quantiles` is not
 * NULL. */
static struct difference go_through(
    const struct tensor *a, const struct tensor *b, enum dtype ulp_type, struct ulp_quantiles *quantiles)
{
    struct difference d = {.count = tensor_count(b), .median_ulp = NAN, .p99_ulp = NAN};
    struct sums sums = {.furthest = -1.0};
    struct block block = {.first = 0};
    while (next_block(&block, a, b, d.count)) {
        if (block.plain && add_squares(&sums, &block))
            add_block(&d, &sums, &block);
        else
            add_pairs(&d, &sums, &block, a, b);
        find_ulps(&block, a, b, ulp_type);
        for (size_t i = 0; i < block.count; i++)
            d.max_ulp = block.ulps[i] > d.max_ulp ? block.ulps[i] : d.max_ulp;
        if (quantiles) ulp_quantiles_count(quantiles, block.ulps, block.count);
    }
    finish(&d, &sums);
    return d;
}

struct difference tensor_difference(const struct tensor *a, const struct tensor *b)
{
    return go_through(a, b, b->dtype, NULL);
}

enum status tensor_difference_quantiles(const struct tensor *a, const struct tensor *b, enum dtype ulp_type,
    struct difference *difference, struct error *error)
{
    static const double parts[ULP_QUANTILES] = {0.5, 0.99};
    struct ulp_quantiles *quantiles;
    bool again;
    enum status status = ulp_quantiles_create(parts, &quantiles, error);
    if (status != STATUS_OK) return status;
    *difference = go_through(a, b, ulp_type, quantiles);
    status = ulp_quantiles_again(quantiles, &again, error);
    if (status == STATUS_OK && again) {
        struct block block = {.first = 0};
        while (next_block(&block, a, b, difference->count)) {
            find_ulps(&block, a, b, ulp_type);
            ulp_quantiles_count(quantiles, block.ulps, block.count);
        }
        status = ulp_quantiles_again(quantiles, &again, error);
    }
    difference->median_ulp = ulp_quantiles_get(quantiles, 0);
    difference->p99_ulp = ulp_quantiles_get(quantiles, 1);
    ulp_quantiles_free(quantiles);
    return status;
}

/* --- Pictures ----------------------------------------------------------------------------- */

double difference_psnr(const struct difference *difference, double range)
{
    if (isinf(difference->max_abs)) return -INFINITY;
    return difference->rms == 0.0 ? (double)INFINITY : 20.0 * log10(range / difference->rms);
}

double picture_range(const char *name)
{
    if (strcmp(name, "image_u8") == 0) return 255.0;
    return strcmp(name, "image") == 0 ? 2.0 : 0.0;
}

/* --- Tolerances --------------------------------------------------------------------------- */

static bool pair_agrees(const struct pair *pair, const struct tolerance *tolerance, enum dtype type)
{
    if (pair->distance <= tolerance->atol + tolerance->rtol * fabs(pair->b)) return isfinite(pair->distance);
    return pair->equal || pair_ulp(pair, type) <= tolerance->ulp;
}

size_t tensor_disagreements(const struct tensor *a, const struct tensor *b, const struct tolerance *tolerance)
{
    size_t outside = 0, count = tensor_count(b);
    struct block block = {.first = 0};
    while (next_block(&block, a, b, count))
        for (size_t i = 0; i < block.count; i++) {
            struct pair pair = {.a = block.a[i], .b = block.b[i], .distance = fabs(block.a[i] - block.b[i])};
            pair.equal = pair.distance == 0.0;
            if (!block.plain) pair = pair_at(a, b, block.first + i);
            outside += !pair_agrees(&pair, tolerance, b->dtype);
        }
    return outside;
}
