/*
 * The verdict on one recorded tensor: how far it is from the exact answer, and how far a correct
 * implementation in its precision would be (the floor). README.md, "What verify goes by", has the
 * measurements behind the numbers.
 */
#ifndef REF_VERIFY_JUDGE_H
#define REF_VERIFY_JUDGE_H

#include "verify.h"

/* One recorded tensor, its exact value on the same inputs, and ours in their precision, all of one shape. */
struct verify_evidence {
    const struct tensor *theirs, *exact, *ours;
};

/* Fills error, floor, multiple and verdict. */
enum status verify_judge(struct verify_row *row, const struct verify_evidence *evidence,
    const struct verify_options *options, struct error *error);

/* The same for the bytes of a picture, exact to a tie: `image` is what they are made of, [B, 3, H, W], and
 * `image_floor` how far that is from the exact one where it is not recorded, root mean square. */
enum status verify_judge_picture(struct verify_row *row, const struct verify_evidence *evidence,
    const struct tensor *image, double image_floor, const struct verify_options *options,
    struct error *error);

/* The type whose last place counts: the coarser of what they compute in and what they recorded. */
enum dtype verify_result_type(const struct tensor *theirs, enum number_format format);

#endif
