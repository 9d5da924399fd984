/*
 * The last stage: from the decoder's numbers to bytes.
 */
#ifndef REF_PICTURES_H
#define REF_PICTURES_H

#include "kernels/number_format.h"
#include "kernels/real.h"
#include "tensor.h"

struct pictures {
    size_t count, height, width;
    uint8_t *pixels; /* [count, height, width, 3]; free() it */
};

/* image: [B, 3, H, W] of real, about -1..1 -> bytes: x/2 + 1/2, clamped to 0..1, times 255, rounded half to
 * even. A NaN becomes 0. */
#define pictures_from_image(...) KERNEL_NAME(pictures_from_image)(__VA_ARGS__)
enum status pictures_from_image(const struct tensor *image, struct pictures *pictures, struct error *error);
/* The same from an image of a narrower type, in which x/2 and the sum are rounded; the rest is float32. */
#define pictures_from_rounded_image(...) KERNEL_NAME(pictures_from_rounded_image)(__VA_ARGS__)
enum status pictures_from_rounded_image(
    const struct tensor *image, enum number_format format, struct pictures *pictures, struct error *error);

#endif
