/*
 * A file of --noise: raw elements with the side file that says what they are, or any other set of tensors.
 * The input is the side file's JSON, a zero byte and the elements; or else a file of another format. Refused,
 * or draws of a run are taken from it, all of them finite.
 */
#include "fuzz.h"

#include "ref/noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The latents of two runs that corpus files have: four channels, and one. */
static const struct tensor shapes[] = {
    {.rank = 4, .shape = {1, 4, 2, 3}}, {.rank = 4, .shape = {2, 1, 1, 2}}, {.rank = 1, .shape = {6}}};
enum { SHAPES = sizeof shapes / sizeof *shapes, MOST_ELEMENTS = 24 };

static void draw_all(const char *path, const struct tensor *shape)
{
    char *const seeds[] = {"7"};
    struct noise *noise = NULL;
    struct error error = {""};
    enum status status = noise_open(GENERATOR_NUMPY_PCG64, seeds, 1, path, &noise, &error);
    if (!fuzz_accepted(status, &error)) return;
    for (int draw = 0; draw < 3 && status == STATUS_OK; draw++) {
        char who[32] = "init_noise";
        double numbers[MOST_ELEMENTS];
        if (draw > 0) snprintf(who, sizeof who, "step.%02d.noise", draw - 1);
        const struct noise_draw asked = {who, draw > 0, 999, shape};
        (void)noise_is_given(noise, &asked);
        status = noise_next(noise, &asked, numbers, &error);
        if (!fuzz_accepted(status, &error)) continue;
        for (size_t i = 0; i < tensor_count(shape); i++)
            fuzz_require(isfinite(numbers[i]), "%s: %g is not finite", who, numbers[i]);
    }
    cJSON_Delete(noise_log(noise));
    noise_free(noise);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[640];
    const bool raw = size > 0 && *data == '{';
    if (raw) {
        char *side = fuzz_piece(&data, &size);
        fuzz_file("init_noise.json", side, strlen(side));
        free(side);
        snprintf(path, sizeof path, "%s", fuzz_file("init_noise.f32", data, size));
        for (int i = 0; i < SHAPES; i++) draw_all(path, &shapes[i]);
        snprintf(path, sizeof path, "%s", fuzz_file("init_noise.bin", data, size));
    } else {
        snprintf(path, sizeof path, "%s", fuzz_file("noise", data, size));
    }
    for (int i = 0; i < SHAPES; i++) draw_all(path, &shapes[i]);
    return 0;
}
