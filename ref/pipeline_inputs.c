/*
 * What a pipeline call asks for, checked before anything is computed, as Diffusers' check_inputs() does: the
 * prompts and how many there are of each, the size of the picture, one seed or one a picture. What the call
 * says and the pipeline does not use is a warning.
 */
#include "kernels/real.h"

#include "run.h"

#include <limits.h>

static enum status check_prompts(const struct run *run, struct error *error)
{
    const struct recipe *r = run->recipe;
    if (!r->prompt.given) return error_input(error, "prompt: nothing to draw; give a prompt");
    if (!run->pipeline->is_xl) {
        if (r->prompt_2.given || r->negative_prompt_2.given)
            return error_input(
                error, "prompt_2, negative_prompt_2: a StableDiffusionPipeline has one text encoder");
        if (r->negative_prompt.given && r->negative_prompt.is_list != r->prompt.is_list && run->guided)
            return error_input(error, "negative_prompt: expected %s, as prompt is",
                r->prompt.is_list ? "a list of strings" : "one string");
    }
    const struct prompts *others[] = {&r->prompt_2, &r->negative_prompt, &r->negative_prompt_2};
    const char *const names[] = {"prompt_2", "negative_prompt", "negative_prompt_2"};
    for (int i = 0; i < 3; i++) {
        bool broadcast = i > 0 && !others[i]->is_list; /* one negative string serves every prompt */
        if (others[i]->given && others[i]->count != r->prompt.count && !broadcast)
            return error_input(error, "%s: expected %zu, one for each prompt, got %zu", names[i],
                r->prompt.count, others[i]->count);
    }
    return STATUS_OK;
}

static enum status check_sizes(struct run *run, struct error *error)
{
    const struct recipe *r = run->recipe;
    int64_t own = run->pipeline->sample_size * vae_scale_factor(run->pipeline->vae);
    run->height = r->height ? r->height : own;
    run->width = r->width ? r->width : own;
    /* StableDiffusionPipeline takes both from the model unless both are given. */
    if (!run->pipeline->is_xl && (!r->height != !r->width)) {
        warnings_add(run->warnings,
            "%s: ignored without %s: StableDiffusionPipeline then takes both from the model (%lld)",
            r->height ? "height" : "width", r->height ? "width" : "height", (long long)own);
        run->height = run->width = own;
    }
    if (!run->height || !run->width)
        return error_input(
            error, "height, width: give both: unet/config.json has no sample_size to take them from");
    if (run->height * run->width > INT_MAX) /* OpenBLAS counts in int */
        return error_input(error, "height, width: expected at most %d pixels, got %lld x %lld", INT_MAX,
            (long long)run->height, (long long)run->width);
    if (run->height % 8 || run->width % 8)
        return error_input(error, "height, width: expected multiples of 8, got %lld and %lld",
            (long long)run->height, (long long)run->width);
    if (run->height < vae_scale_factor(run->pipeline->vae) ||
        run->width < vae_scale_factor(run->pipeline->vae))
        return error_input(error, "height, width: expected at least %lld, one latent, got %lld and %lld",
            (long long)vae_scale_factor(run->pipeline->vae), (long long)run->height, (long long)run->width);
    return STATUS_OK;
}

static void warn_of_ignored(const struct run *run)
{
    const struct recipe *r = run->recipe;
    if (!run->guided && r->negative_prompt.given)
        warnings_add(
            run->warnings, "negative_prompt: ignored without guidance (guidance_scale at or below 1)");
    if (!run->guided && r->guidance_rescale > 0)
        warnings_add(
            run->warnings, "guidance_rescale: ignored without guidance (guidance_scale at or below 1)");
    bool negative_sizes = r->negative_original_size.given || r->negative_crops_coords_top_left.given ||
                          r->negative_target_size.given;
    const struct {
        const char *name;
        bool given;
    } of_sdxl[] = {
        {"original_size", r->original_size.given},
        {"crops_coords_top_left", r->crops_coords_top_left.given},
        {"target_size", r->target_size.given},
        {"negative_original_size", r->negative_original_size.given},
        {"negative_crops_coords_top_left", r->negative_crops_coords_top_left.given},
        {"negative_target_size", r->negative_target_size.given},
        {"denoising_end", r->denoising_end > 0},
    };
    for (size_t i = 0; !run->pipeline->is_xl && i < sizeof of_sdxl / sizeof *of_sdxl; i++)
        if (of_sdxl[i].given)
            warnings_add(run->warnings, "%s: ignored, it is an argument of SDXL", of_sdxl[i].name);
    if (run->pipeline->is_xl && negative_sizes &&
        !(r->negative_original_size.given && r->negative_target_size.given))
        warnings_add(run->warnings, "negative sizes: ignored unless both negative_original_size and "
                                    "negative_target_size are given");
    if (run->pipeline->is_xl && run->guided && !r->negative_prompt.given && r->negative_prompt_2.given &&
        run->pipeline->checkpoint.force_zeros_for_empty_prompt)
        warnings_add(run->warnings,
            "negative_prompt_2: ignored without negative_prompt: this checkpoint stands zeros "
            "for a negative prompt that is not given");
}

void check_inputs(struct run *run)
{
    const struct recipe *r = run->recipe;
    run->guidance_scale = r->has_guidance_scale ? r->guidance_scale : run->pipeline->is_xl ? 5.0 : 7.5;
    run->guided = run->guidance_scale > 1;
    run->batch = (int64_t)r->prompt.count * r->num_images_per_prompt;
    run->f.status = check_prompts(run, run->f.error);
    if (run->f.status == STATUS_OK) run->f.status = check_sizes(run, run->f.error);
    if (run->f.status == STATUS_OK && r->num_seeds != 1 && (int64_t)r->num_seeds != run->batch)
        run->f.status = error_input(run->f.error,
            "seed: %zu seeds for %lld picture%s; expected one for all, or one a picture", r->num_seeds,
            (long long)run->batch, run->batch == 1 ? "" : "s");
    if (run->f.status == STATUS_OK) warn_of_ignored(run);
}
