/*
 * A port in C++ that dumps through its own tensors: where the calls go in a sampling loop. What stands for
 * the port here, `Tensor` and the functions that return counted-up elements, is yours in your program.
 *
 *     c++ -std=c++17 dump_from_cpp.cpp -o port && mkdir dump && ./port dump
 *     plumb verify CHECKPOINT dump --recipe run.json
 */
#include "dump_tensors.h"

#include <cstdio>
#include <string>
#include <vector>

/* --- The port ----------------------------------------------------------------------------- */

struct Tensor {
    std::vector<int64_t> shape; /* [batch, channels, height, width] */
    std::vector<float> data;
};

static Tensor compute(std::vector<int64_t> shape, float first)
{
    size_t count = 1;
    for (int64_t side : shape) count *= static_cast<size_t>(side);
    Tensor tensor{shape, std::vector<float>(count)};
    for (size_t i = 0; i < count; i++) tensor.data[i] = first + static_cast<float>(i);
    return tensor;
}

/* --- Its dump ----------------------------------------------------------------------------- */

static std::string folder; /* empty: nothing is dumped, and the calls may stay where they are */

static void put(const std::string &name, const Tensor &tensor)
{
    if (folder.empty()) return;
    if (dump_tensor(folder.c_str(), name.c_str(), "f32", tensor.data.data(),
            static_cast<int>(tensor.shape.size()), tensor.shape.data()) != 0)
        std::fprintf(stderr, "%s/%s: cannot be written\n", folder.c_str(), name.c_str());
}

/* "step.03." */
static std::string at_step(int step)
{
    char text[16];
    std::snprintf(text, sizeof text, "step.%02d.", step);
    return text;
}

/* --- The sampling loop -------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    if (argc > 1) folder = argv[1];
    const int steps = 2;
    Tensor prompt_embeds = compute({1, 77, 40}, 0), negative_prompt_embeds = compute({1, 77, 40}, 1);
    put("prompt_embeds", prompt_embeds);
    put("negative_prompt_embeds", negative_prompt_embeds);
    Tensor latents = compute({1, 4, 8, 8}, 2);
    put("latents.init", latents); /* times init_noise_sigma */

    for (int step = 0; step < steps; step++) {
        Tensor model_input = compute({1, 4, 8, 8}, static_cast<float>(step)); /* after scale_model_input */
        put(at_step(step) + "model_input", model_input);
        if (step == 0) { /* inside of the UNet: as many layers as you like, under Diffusers' module names */
            put("act.unet.conv_in", compute({2, 16, 8, 8}, 3));
            put("act.unet.mid_block.resnets.0", compute({2, 24, 2, 2}, 4));
        }
        put(at_step(step) + "noise_pred_both",
            compute({2, 4, 8, 8}, 5));                               /* the UNet's output, uncond first */
        put(at_step(step) + "noise_pred", compute({1, 4, 8, 8}, 6)); /* after guidance */
        put(at_step(step) + "noise", compute({1, 4, 8, 8}, 7));      /* what the sampler drew, if it did */
        latents = compute({1, 4, 8, 8}, 8);
        put(at_step(step) + "latents", latents); /* after the sampler's step */
    }
    put("latents.final", latents);
    put("vae_input", compute({1, 4, 8, 8}, 9)); /* divided by the scaling factor */
    put("image", compute({1, 3, 32, 32}, 10));  /* the decoder's output, before it is clamped */
    return 0;
}
