/*
 * A recipe: refused, or what the pipeline takes for granted of one that was read; and its seeds as they are
 * given to the generators.
 */
#include "fuzz.h"

#include "ref/noise.h"
#include "ref/recipe.h"

static void check_prompts(const struct prompts *prompts, const char *name)
{
    fuzz_require(!prompts->given || prompts->count >= 1, "%s: given, but none there", name);
    for (size_t i = 0; i < prompts->count; i++) fuzz_require(prompts->items[i], "%s[%zu]", name, i);
}

static void check(const struct recipe *r)
{
    check_prompts(&r->prompt, "prompt");
    check_prompts(&r->prompt_2, "prompt_2");
    check_prompts(&r->negative_prompt, "negative_prompt");
    check_prompts(&r->negative_prompt_2, "negative_prompt_2");
    fuzz_require(r->num_images_per_prompt >= 1 && r->num_inference_steps >= 1 && r->num_seeds >= 1, "counts");
    fuzz_require(r->height >= 0 && r->width >= 0 && r->clip_skip >= 0, "sizes");
    fuzz_require(r->eta >= 0 && r->eta <= 1 && r->denoising_end >= 0 && r->denoising_end <= 1, "shares");
    fuzz_require(!r->timesteps || !r->sigmas, "timesteps and sigmas");
    fuzz_require(r->generator < GENERATOR_KINDS && r->source, "generator and source");
    for (size_t i = 0; i < r->num_seeds; i++) fuzz_require(r->seeds[i], "seed %zu", i);
}

static void draw(const struct recipe *recipe)
{
    struct noise *noise;
    struct error error = {""};
    enum status status =
        noise_open(recipe->generator, recipe->seeds, recipe->num_seeds, NULL, &noise, &error);
    if (!fuzz_accepted(status, &error)) return;
    double numbers[4];
    const struct tensor shape = {
        .rank = 1, .shape = {recipe->num_seeds <= 4 ? (int64_t)recipe->num_seeds : 0}};
    const struct noise_draw asked = {.who = "init_noise", .tensor = &shape};
    status = noise_next(noise, &asked, numbers, &error);
    fuzz_require(status == STATUS_OK, "%s", error.message);
    noise_free(noise);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json = fuzz_json(data, size);
    struct recipe recipe;
    struct error error = {""};
    if (json && fuzz_accepted(recipe_read(json, &recipe, &error), &error)) {
        check(&recipe);
        draw(&recipe);
        recipe_free(&recipe);
    }
    cJSON_Delete(json);
    return 0;
}
