/*
 * The floor by more than one implementation. Ours is one of many that are right, each with roundings of its
 * own. As a rule they are as far from the exact answer as each other; but where a few elements of a tensor
 * hang on their inputs far more than the rest (a layer norm of numbers that are nearly equal), all of its
 * error is theirs, and ours may by chance be small there.
 *
 * So what seems no rounding is judged once more, by a floor that has some more implementations in it: ours
 * with every result of every operator, and every recorded operand, one rounding error further on, of random
 * size and sign (the CESTAC method, Vignes 1993, Math. Comput. Simul. 35, 233-261, with the same errors on
 * every run), and with norms in float32 throughout (float_norm.h).
 */
#ifndef REF_VERIFY_ROUNDINGS_H
#define REF_VERIFY_ROUNDINGS_H

#include "verify_pass.h"

/* What such implementations are away from ours, by row of the verification: squares of the root mean squares,
 * and the largest. */
struct roundings {
    uint64_t key;     /* of this implementation */
    uint64_t results; /* that it has computed */
    size_t count;     /* of implementations so far */
    double *squares, *largest;
};

/* Gives the elements of a result, float32, another rounding error in the format that they are stored in. */
void verify_round_otherwise(
    struct roundings *roundings, enum number_format format, const struct tensor *result);

/* Takes down how far one implementation's value is from ours. */
void verify_note_rounding(
    struct roundings *roundings, size_t row, const struct tensor *value, const struct tensor *ours);

/* Judges the rows that are a few floors from rounding once more; those that are rounding then get a diagnosis
 * that says so. */
enum status verify_judge_roundings(struct verify_pass *pass, struct error *error);

#endif
