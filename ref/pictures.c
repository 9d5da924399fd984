#include "kernels/real.h"

#include "pictures.h"

#include "kernels/rounded.h"

#include <math.h>
#include <stdlib.h>

enum status pictures_from_rounded_image(
    const struct tensor *image, enum number_format format, struct pictures *pictures, struct error *error)
{
    size_t batch = (size_t)image->shape[0], channels = (size_t)image->shape[1];
    size_t height = (size_t)image->shape[2], width = (size_t)image->shape[3], plane = height * width;
    *pictures = (struct pictures){0};
    if (channels != 3) return error_input(error, "a picture has 3 channels, this one has %zu", channels);
    uint8_t *pixels = malloc(batch * plane * channels);
    if (!pixels) return error_memory(error, batch * plane * channels);

    const real *x = image->data;
    for (size_t b = 0; b < batch; b++)
        for (size_t c = 0; c < channels; c++)
            for (size_t i = 0; i < plane; i++) {
                real value = round_real(format, x[(b * channels + c) * plane + i] * (real)0.5);
                value = round_real(format, value + (real)0.5);
                value = value > 0 ? value < 1 ? value : 1 : 0;
                pixels[(b * plane + i) * channels + c] = (uint8_t)nearbyint((double)(value * 255));
            }
    *pictures = (struct pictures){batch, height, width, pixels};
    return STATUS_OK;
}

enum status pictures_from_image(const struct tensor *image, struct pictures *pictures, struct error *error)
{
    return pictures_from_rounded_image(image, FORMAT_F32, pictures, error);
}
