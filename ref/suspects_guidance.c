/*
 * What may go wrong between the two halves of the UNet's prediction and the one that the sampler takes:
 * guidance, its scale, guidance_rescale.
 */
#include "suspects_stages.h"

#include <math.h>

static double spread(const double *x, size_t n, double freedom)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return sqrt(squares / ((double)n - freedom));
}

/* Where the standard deviations of guidance_rescale come from. */
enum rescale_fault {
    RESCALE_BIASED,
    RESCALE_CHANNEL,
    RESCALE_BATCH,
    RESCALE_UNCOND,
    RESCALE_MEAN_KEPT,
    RESCALE_FAULTS
};

/* guided: [parts, size], each part brought to the text's deviation in it; in place */
static void rescale_parts(double *guided, const double *text, size_t parts, size_t size, double share)
{
    for (size_t p = 0; p < parts; p++, guided += size, text += size) {
        double ratio = spread(text, size, 1) / spread(guided, size, 1);
        for (size_t i = 0; i < size; i++) guided[i] *= share * ratio + 1 - share;
    }
}

/* guided: [batch, size], in place */
static void rescale_wrongly(double *guided, const double *uncond, const double *text, size_t batch,
    size_t size, double share, enum rescale_fault fault)
{
    size_t all = batch * size;
    double whole = spread(text, all, 1) / spread(guided, all, 1);
    for (size_t b = 0; b < batch; b++) {
        double *picture = guided + b * size;
        double of_text = spread(text + b * size, size, 1), of_guided = spread(picture, size, 1);
        double ratio = of_text / of_guided;
        /* The biased deviations' ratio would be the same; a port mixes the two. */
        if (fault == RESCALE_BIASED) ratio = spread(text + b * size, size, 0) / of_guided;
        if (fault == RESCALE_BATCH) ratio = whole;
        if (fault == RESCALE_UNCOND) ratio = spread(uncond + b * size, size, 1) / of_guided;
        if (fault == RESCALE_MEAN_KEPT) ratio = values_rms(text + b * size, size) / values_rms(picture, size);
        for (size_t i = 0; i < size; i++) picture[i] *= share * ratio + 1 - share;
    }
}

static double guidance_of(const struct diagnosis *d)
{
    return d->recipe->has_guidance_scale ? d->recipe->guidance_scale : d->pipeline->is_xl ? 5.0 : 7.5;
}

static void combine(const double *uncond, const double *text, size_t n, double scale, double *out)
{
    for (size_t i = 0; i < n; i++) out[i] = uncond[i] + scale * (text[i] - uncond[i]);
}

/* Of the guidance scales, the one that is nearest to theirs; NAN where the halves are alike. */
static double fit_scale(const struct diagnosis *d, const double *uncond, const double *text)
{
    double products = 0, squares = 0;
    for (size_t i = 0; i < d->wrong.count; i++) {
        double difference = text[i] - uncond[i];
        products += difference * (d->wrong.items[i] - uncond[i]);
        squares += difference * difference;
    }
    return squares > 0 ? products / squares : NAN;
}

static void try_scales(struct diagnosis *d, const double *uncond, const double *text, double *room)
{
    size_t n = d->wrong.count;
    double asked = guidance_of(d), scale = fit_scale(d, uncond, text);
    const struct {
        double scale;
        const char *text;
    } known[] = {
        {1 - asked, "is guided from the text towards the unconditional prediction: the halves are exchanged"},
        {1, "is the prediction for the text alone, without guidance"},
        {0, "is the unconditional prediction alone"},
        {asked + 1, "is text + guidance_scale * (text - uncond), where uncond + ... is asked for"},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        combine(uncond, text, n, known[k].scale, room);
        if (suspect_values(d, room, n, "%s%s", known[k].text,
                d->recipe->guidance_rescale > 0 ? ", and guidance_rescale is left out" : ""))
            return;
    }
    if (isnan(scale)) return;
    combine(uncond, text, n, scale, room);
    bool rescaled = d->recipe->guidance_rescale > 0 && fabs(scale / asked - 1) < 1e-6;
    if (rescaled)
        suspect_values(
            d, room, n, "is guided without guidance_rescale, which is %g", d->recipe->guidance_rescale);
    else
        suspect_values(d, room, n, "is guided with the scale %.7g, not %g", scale, asked);
}

/* Rescaling takes each picture times a number of its own: theirs = a uncond + b text in the first picture is
 * guidance by b / (a + b). */
static double fit_rescaled_scale(const struct diagnosis *d, const double *uncond, const double *text)
{
    size_t size = d->wrong.count / (size_t)d->exact.shape[0];
    double uu = 0, ut = 0, tt = 0, uw = 0, tw = 0;
    for (size_t i = 0; i < size; i++) {
        double u = uncond[i], t = text[i], w = d->wrong.items[i];
        uu += u * u, ut += u * t, tt += t * t, uw += u * w, tw += t * w;
    }
    double a = tt * uw - ut * tw, b = uu * tw - ut * uw; /* both times the determinant */
    return b / (a + b);
}

static void try_rescales(struct diagnosis *d, const double *uncond, const double *text, double *room)
{
    static const char *const texts[RESCALE_FAULTS] = {
        "is rescaled with the biased deviation (n, not n - 1) of the text's prediction",
        "is rescaled with the deviations of each channel, not of the whole picture",
        "is rescaled with deviations over the whole batch, not of each picture",
        "is rescaled to the unconditional prediction's deviation, not the text's",
        "is rescaled by root mean squares, without taking off the mean",
    };
    size_t n = d->wrong.count, batch = (size_t)d->exact.shape[0], size = n / batch;
    double share = d->recipe->guidance_rescale, asked = guidance_of(d);
    for (int fault = 0; share > 0 && fault < RESCALE_FAULTS; fault++) {
        combine(uncond, text, n, asked, room);
        size_t channels = batch * (size_t)d->exact.shape[1];
        if (fault == RESCALE_CHANNEL)
            rescale_parts(room, text, channels, n / channels, share);
        else
            rescale_wrongly(room, uncond, text, batch, size, share, (enum rescale_fault)fault);
        suspect_values(d, room, n, "%s", texts[fault]);
    }
    double scale = share > 0 ? fit_rescaled_scale(d, uncond, text) : (double)NAN;
    if (isfinite(scale)) {
        combine(uncond, text, n, scale, room);
        rescale_parts(room, text, batch, size, share);
        suspect_values(d, room, n, "is guided with the scale %.7g, not %g, and rescaled", scale, asked);
    }
    /* theirs = guided * (share * ratio + 1 - share) in the first picture gives the share. */
    combine(uncond, text, n, asked, room);
    double ratio = spread(text, size, 1) / spread(room, size, 1);
    double products = 0, squares = 0;
    for (size_t i = 0; i < size; i++) products += room[i] * d->wrong.items[i], squares += room[i] * room[i];
    double found = (products / squares - 1) / (ratio - 1);
    if (!(found >= 0 && found <= 1)) return;
    rescale_parts(room, text, batch, size, found);
    suspect_values(d, room, n, "is guided with guidance_rescale %.6g, not %g", found, share);
}

void stage_guidance(struct diagnosis *d, double *room)
{
    struct values uncond = {0}, text = {0};
    char name[64];
    bool there = diagnosis_input(d, step_name(name, d->row->step, "noise_pred_uncond"), &uncond) &&
                 diagnosis_input(d, step_name(name, d->row->step, "noise_pred_text"), &text);
    if (there && uncond.count == d->wrong.count && text.count == d->wrong.count) {
        try_scales(d, uncond.items, text.items, room);
        if (d->fit_count == 0) try_rescales(d, uncond.items, text.items, room);
    }
    values_free(&uncond);
    values_free(&text);
}
