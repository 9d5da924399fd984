#include "verify_sinusoid.h"

#include "unet_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Two float32 sinusoids of the same timestep are nearer than this, those of two timesteps are not. */
#define SAME_SINUSOID 1e-3

/* One row [dim]. */
static void exact_row(const struct unet_config *config, double t, int64_t dim, double *row)
{
    const int64_t half = dim / 2;
    const int64_t sin_at = config->flip_sin_to_cos ? half : 0, cos_at = half - sin_at;
    for (int64_t i = 0; i < half; i++) {
        double angle = t * exp(-log(10000.0) * (double)i / ((double)half - config->freq_shift));
        row[sin_at + i] = sin(angle);
        row[cos_at + i] = cos(angle);
    }
    if (dim % 2) row[dim - 1] = 0;
}

void verify_put_exact_sinusoid(
    const struct unet *unet, const char *module, const struct tensor *value, const double *t, size_t count)
{
    if (strcmp(module, "unet.time_proj") != 0 && strcmp(module, "unet.add_time_proj") != 0) return;
    const int64_t rows = value->shape[0], dim = value->shape[1];
    double *exact = count ? malloc((size_t)dim * sizeof *exact + 1) : NULL;
    for (int64_t n = 0; exact && n < rows; n++) {
        exact_row(&unet->config, t[(size_t)n % count], dim, exact);
        float *row = (float *)value->data + n * dim;
        bool same = true;
        for (int64_t i = 0; i < dim; i++) same = same && fabs((double)row[i] - exact[i]) < SAME_SINUSOID;
        for (int64_t i = 0; i < dim && same; i++) row[i] = (float)exact[i];
    }
    free(exact);
}

/* --- Judging once more -------------------------------------------------------------------- */

static const char explanation[] = "within rounding of the timestep's sinusoid, whose float32 angles depend "
                                  "on how exp() and the product are "
                                  "rounded: dump act.unet.time_proj for a closer look";

/* Whether a row is worth it: wrong, in the loop, and a sinusoid itself or of a step whose sinusoid is not
 * recorded. */
static bool may_hang_on_it(const struct verify_pass *pass, const struct verify_value *value)
{
    static const char ending[] = "time_proj";
    const struct verify_row *row = &pass->verification->rows[value->row];
    const size_t length = strlen(value->name);
    if (row->step < 0 || (row->verdict != VERIFY_SUSPECT && row->verdict != VERIFY_WRONG)) return false;
    if (length > strlen(ending) && strcmp(value->name + length - strlen(ending), ending) == 0) return true;
    const struct verify_value *sinusoid =
        row->step == 0 ? verify_value_find(pass->values, "act.unet.time_proj")
                       : verify_value_at(pass->values, (size_t)row->step, "act.unet.time_proj");
    return sinusoid && !sinusoid->theirs;
}

/* Leaves the targets that are judged again; returns how many. */
static size_t choose_targets(struct verify_pass *pass)
{
    size_t count = 0;
    for (size_t i = 0; i < pass->values->count; i++) {
        struct verify_value *value = &pass->values->items[i];
        value->is_target = value->is_target && may_hang_on_it(pass, value);
        count += value->is_target;
    }
    return count;
}

/* Keeps the second verdict where it is rounding. */
static enum status choose_verdicts(
    struct verify_pass *pass, const struct verify_row *before, struct error *error)
{
    for (size_t i = 0; i < pass->values->count; i++) {
        const struct verify_value *value = &pass->values->items[i];
        struct verify_row *row = &pass->verification->rows[value->row];
        if (!value->is_target) continue;
        if (row->verdict != VERIFY_ROUNDING) {
            free(row->reason);
            *row = before[value->row];
            continue;
        }
        row->diagnosis = strdup(explanation);
        if (!row->diagnosis) return error_memory(error, sizeof explanation);
    }
    return STATUS_OK;
}

static enum status judge_again(struct verify_pass *pass, struct error *error)
{
    const size_t bytes = pass->verification->count * sizeof *pass->verification->rows;
    struct verify_needs needs = {0}, *needs_before = pass->needs;
    struct verify_row *before = malloc(bytes);
    enum status status = before ? verify_needs_find(pass->values, &needs, error) : error_memory(error, bytes);
    if (status == STATUS_OK) {
        memcpy(before, pass->verification->rows, bytes);
        pass->needs = &needs;
        pass->with_exact_sinusoid = true;
        status = verify_pass_run(pass, VERIFY_PASS_OURS, false, NULL, error);
        pass->with_exact_sinusoid = false;
    }
    if (status == STATUS_OK) status = verify_pass_run(pass, VERIFY_PASS_EXACT, true, NULL, error);
    if (status == STATUS_OK) status = choose_verdicts(pass, before, error);
    pass->needs = needs_before;
    verify_needs_free(&needs);
    free(before);
    return status;
}

enum status verify_judge_sinusoids(struct verify_pass *pass, struct error *error)
{
    const bool is_single =
        pass->options->their_format == FORMAT_F32 || pass->options->their_format == FORMAT_TF32;
    if (!is_single) return STATUS_OK;
    enum status status = choose_targets(pass) > 0 ? judge_again(pass, error) : STATUS_OK;
    for (size_t i = 0; i < pass->values->count; i++) /* as they were */
        pass->values->items[i].is_target = pass->values->items[i].theirs != NULL;
    return status;
}
