/*
 * The one number of a run that hangs on how it is computed more than on all rounding after it: the sinusoid
 * of the timestep. Its angles are products t f_i, of which a float keeps no more than t f_i 2^-24 and the
 * last place of f_i = exp(-i ln(10000) / h) makes several times that: 3e-5 at t = 999. PyTorch's bits are
 * what verify goes by, and another backend's float32 is as right.
 *
 * So where the models' predictions at a step seem wrong and no sinusoid is recorded, they are judged once
 * more, with a floor that has the sinusoid of exact angles.
 */
#ifndef REF_VERIFY_SINUSOID_H
#define REF_VERIFY_SINUSOID_H

#include "verify_pass.h"

/* Writes over the module's output, "unet.time_proj" [R, dim] or "unet.add_time_proj" [R*6, dim], the sinusoid
 * of exact angles; `t` are the timestep or the time ids, which repeat. Leaves it alone where that is not
 * nearly the same, and any other module's. */
void verify_put_exact_sinusoid(
    const struct unet *unet, const char *module, const struct tensor *value, const double *t, size_t count);

/* Judges the steps' wrong rows once more; those that are rounding then get a diagnosis that says so. */
enum status verify_judge_sinusoids(struct verify_pass *pass, struct error *error);

#endif
