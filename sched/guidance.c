/*
 * Classifier-free guidance: the prediction moved away from the unconditional one, and brought back to the
 * conditional one's spread where asked, since a large scale alone overexposes.
 *
 * The order of operations is that of StableDiffusionPipeline and its rescale_noise_cfg, each of them rounded
 * to `real`; Python's numbers are rounded to `real` where they meet a tensor.
 */
#include "real.h"

#include "guidance.h"

#include <math.h>

void guidance_combine_stored(
    const real *uncond, const real *text, size_t n, double scale, store *keep, real *out)
{
    const real factor = (real)scale;
    for (size_t i = 0; i < n; i++) {
        real difference = real_stored(keep, text[i] - uncond[i]);
        out[i] = real_stored(keep, uncond[i] + real_stored(keep, factor * difference));
    }
}

void guidance_combine(const real *uncond, const real *text, size_t n, double scale, real *out)
{
    guidance_combine_stored(uncond, text, n, scale, NULL, out);
}

/* The unbiased standard deviation of x: [n], summed in double as torch.std does for float32, rounded once. */
static real standard_deviation(const real *x, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double deviation = (double)x[i] - mean;
        squares += deviation * deviation;
    }
    return (real)sqrt(squares / ((double)n - 1));
}

void guidance_rescale_stored(
    real *guided, const real *text, size_t batch, size_t size, double rescale, store *keep)
{
    const real keep_rescaled = (real)rescale, keep_guided = (real)(1 - rescale);
    for (size_t b = 0; b < batch; b++) {
        real *picture = guided + b * size;
        const real of_text = real_stored(keep, standard_deviation(text + b * size, size));
        const real of_picture = real_stored(keep, standard_deviation(picture, size));
        const real ratio = real_stored(keep, of_text / of_picture);
        for (size_t i = 0; i < size; i++) {
            real rescaled = real_stored(keep, picture[i] * ratio);
            picture[i] = real_stored(keep,
                real_stored(keep, keep_rescaled * rescaled) + real_stored(keep, keep_guided * picture[i]));
        }
    }
}

void guidance_rescale(real *guided, const real *text, size_t batch, size_t size, double rescale)
{
    guidance_rescale_stored(guided, text, batch, size, rescale, NULL);
}
