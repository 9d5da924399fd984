#include "verify_judge.h"

#include <math.h>
#include <string.h>

enum dtype verify_result_type(const struct tensor *theirs, enum number_format format)
{
    if (format == FORMAT_BF16 || theirs->dtype == DTYPE_BF16) return DTYPE_BF16;
    if (format == FORMAT_F16 || theirs->dtype == DTYPE_F16) return DTYPE_F16;
    return DTYPE_F32;
}

/* Bits of the significand with the hidden one, and the exponent of the smallest normal number. */
static void describe_type(enum dtype type, int *precision, int *min_exponent)
{
    *precision = type == DTYPE_BF16 ? 8 : type == DTYPE_F16 ? 11 : 24;
    *min_exponent = type == DTYPE_F16 ? -14 : -126;
}

/* A unit of the last place of `value` in a type of that precision: 2^(e + 1 - precision) for 2^e <= |value| <
 * 2^(e + 1), e no less than the type's least. Written with a double's bits, as it is asked of every element;
 * the powers are far inside of a double's range. */
static double last_place(double value, int precision, int min_exponent)
{
    enum { FRACTION = 52, BIAS = 1023 };
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> FRACTION & 0x7ff) - BIAS;
    if (exponent < min_exponent) exponent = min_exponent;
    bits = (uint64_t)(exponent + 1 - precision + BIAS) << FRACTION;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* No correct implementation can be asked for less than a unit of the last place, though ours may be exact (a
 * copy) or nearly (a norm, whose arithmetic is double here and rounded once, where another's has a rounding
 * for each of its operations). Uniform up to a unit, its root mean square is that over sqrt(3). */
static void raise_to_last_place(struct difference *floor, const struct tensor *exact, enum dtype type)
{
    int precision, min_exponent;
    describe_type(type, &precision, &min_exponent);
    double squares = 0, largest = 0;
    size_t count = tensor_count(exact);
    for (size_t i = 0; i < count; i++) {
        double value = tensor_get_double(exact, i);
        if (!isfinite(value)) continue;
        double unit = last_place(value, precision, min_exponent);
        squares += unit * unit / 3;
        if (unit > largest) largest = unit;
    }
    floor->rms = fmax(floor->rms, count ? sqrt(squares / (double)count) : 0);
    floor->max_abs = fmax(floor->max_abs, largest);
    if (floor->peak > 0) floor->max_rel_peak = floor->max_abs / floor->peak;
}

static double ratio(double error, double floor)
{
    return error == 0 ? 0 : error / floor;
}

static void decide(struct verify_row *row, const struct verify_options *options)
{
    row->verdict = row->multiple <= options->rounding ? VERIFY_ROUNDING
                   : row->multiple <= options->wrong  ? VERIFY_SUSPECT
                                                      : VERIFY_WRONG;
}

enum status verify_judge(struct verify_row *row, const struct verify_evidence *evidence,
    const struct verify_options *options, struct error *error)
{
    const enum dtype type = verify_result_type(evidence->theirs, options->their_format);
    enum status status =
        tensor_difference_quantiles(evidence->theirs, evidence->exact, type, &row->error, error);
    if (status == STATUS_OK)
        status = tensor_difference_quantiles(evidence->ours, evidence->exact, type, &row->floor, error);
    if (status != STATUS_OK) return status;
    if (!dtype_is_float(evidence->exact->dtype)) {
        row->multiple = row->error.unequal ? (double)INFINITY : 0;
        decide(row, options);
        return STATUS_OK;
    }
    raise_to_last_place(&row->floor, evidence->exact, type);
    row->multiple =
        fmax(ratio(row->error.rms, row->floor.rms), ratio(row->error.max_abs, row->floor.max_abs));
    decide(row, options);
    if (isinf(row->error.max_abs)) row->verdict = VERIFY_NONFINITE;
    return STATUS_OK;
}

enum status verify_judge_picture(struct verify_row *row, const struct verify_evidence *evidence,
    const struct tensor *image, double image_floor, const struct verify_options *options, struct error *error)
{
    enum status status =
        tensor_difference_quantiles(evidence->theirs, evidence->exact, DTYPE_F32, &row->error, error);
    if (status == STATUS_OK)
        status = tensor_difference_quantiles(evidence->ours, evidence->exact, DTYPE_F32, &row->floor, error);
    if (status != STATUS_OK) return status;
    /* x/2 + 1/2 times 255: two roundings of numbers up to 1, and what the image itself may be off by. */
    int precision, min_exponent;
    describe_type(verify_result_type(evidence->theirs, options->their_format), &precision, &min_exponent);
    const double unit = 255 * (ldexp(1, -precision) + image_floor);
    const size_t batch = (size_t)image->shape[0], plane = (size_t)(image->shape[2] * image->shape[3]);
    double furthest = 0;
    for (size_t b = 0; b < batch; b++)
        for (size_t c = 0; c < 3; c++)
            for (size_t i = 0; i < plane; i++) {
                double value = tensor_get_double(image, (b * 3 + c) * plane + i) / 2 + 0.5;
                value = value > 0 ? value < 1 ? value : 1 : 0; /* not a number is black */
                double byte = tensor_get_double(evidence->theirs, (b * plane + i) * 3 + c);
                furthest = fmax(furthest, fabs(byte - 255 * value) - 0.5); /* beyond the nearest byte */
            }
    row->multiple = furthest / unit;
    row->floor.rms = fmax(row->floor.rms, unit);
    row->floor.max_abs = fmax(row->floor.max_abs, unit);
    decide(row, options);
    return STATUS_OK;
}
