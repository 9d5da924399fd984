#include "usual_names.h"

#include "sched/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Theirs without capitals, '-' and '_'. Ours is taken where it is among the candidates; several of one name
 * are for several lists of candidates. */
static const struct {
    const char *theirs, *ours;
} usual_names[] = {
    /* Options, and keys of recipes; WebUI, ComfyUI, the original scripts, diffusers' own examples. */
    {"cfg", "guidance_scale"},
    {"cfgscale", "guidance_scale"},
    {"scale", "guidance_scale"},
    {"guidance", "guidance_scale"},
    {"cfgrescale", "guidance_rescale"},
    {"sampler", "scheduler"},
    {"samplername", "scheduler"},
    {"samplingmethod", "scheduler"},
    {"output", "out"},
    {"outdir", "out"},
    {"outpath", "out"},
    {"niter", "num_images_per_prompt"},
    {"nsamples", "num_images_per_prompt"},
    {"batchsize", "num_images_per_prompt"},
    {"batchcount", "num_images_per_prompt"},
    {"numimages", "num_images_per_prompt"},
    {"ddimsteps", "num_inference_steps"},
    {"numsteps", "num_inference_steps"},
    {"samplingsteps", "num_inference_steps"},
    {"inferencesteps", "num_inference_steps"},
    {"ddimeta", "eta"},
    {"negative", "negative_prompt"},
    {"uncond", "negative_prompt"},
    {"rng", "generator"},
    {"manualseed", "seed"},
    {"dtype", "precision"},
    {"torchdtype", "precision"},
    {"tolerance", "rtol"},
    {"classname", "_class_name"},
    {"continue", "resume"},
    {"restart", "resume"},
    /* Commands. */
    {"generate", "run"},
    {"txt2img", "run"},
    {"text2img", "run"},
    {"text2image", "run"},
    {"draw", "run"},
    {"diff", "compare"},
    {"cmp", "compare"},
    {"validate", "verify"},
    {"check", "verify"},
    {"show", "inspect"},
    {"ls", "inspect"},
    {"list", "inspect"},
    {"benchmark", "bench"},
    {"grid", "sheet"},
    {"sha256", "hash"},
    {"version", "info"},
    {"timesteps", "schedule"},
    {"sigmas", "schedule"},
    /* Number formats. */
    {"fp16", "f16"},
    {"float16", "f16"},
    {"half", "f16"},
    {"bfloat16", "bf16"},
    {"fp32", "f32"},
    {"float32", "f32"},
    {"float", "f32"},
    {"single", "f32"},
    {"fp64", "f64"},
    {"float64", "f64"},
    {"double", "f64"},
    {"f16", "fp16"},
    /* Generators. */
    {"torch", "torch-cpu"},
    {"cpu", "torch-cpu"},
    {"numpy", "numpy-pcg64"},
    {"np", "numpy-pcg64"},
    {"pcg64", "numpy-pcg64"},
    {"mt19937", "numpy-mt19937"},
    {"cuda", "torch-cuda"},
    {"gpu", "torch-cuda"},
    {"philox", "torch-cuda"},
};

static const struct {
    const char *name, *reason;
} absent[] = {
    {"strength", "Plumb makes no picture out of a picture"},
    {"image", "Plumb makes no picture out of a picture"},
    {"initimage", "Plumb makes no picture out of a picture"},
    {"initimg", "Plumb makes no picture out of a picture"},
    {"maskimage", "Plumb does no inpainting"},
    {"mask", "Plumb does no inpainting"},
    {"device", "Plumb computes on the processor; --threads and --cpu say how"},
    {"cuda", "Plumb computes on the processor; --threads and --cpu say how"},
    {"gpu", "Plumb computes on the processor; --threads and --cpu say how"},
    {"lora", "Plumb has no LoRA; diffusers' fuse_lora() and save_pretrained() make a checkpoint of one"},
    {"loraweights",
        "Plumb has no LoRA; diffusers' fuse_lora() and save_pretrained() make a checkpoint of one"},
    {"controlnet", "Plumb has no ControlNet"},
    {"model", "the checkpoint's folder stands alone"},
    {"modelid", "the checkpoint's folder stands alone"},
    {"ckpt", "the checkpoint's folder stands alone"},
    {"checkpoint", "the checkpoint's folder stands alone"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Whether the two are the same but for capitals, '-' and '_'. */
static bool is_same(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, "-_");
        b += strspn(b, "-_");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) return false;
        if (!*a) return true;
    }
}

const char *likely_name(const char *name, const char *const *candidates, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(name, candidates[i])) return candidates[i];
    for (size_t usual = 0; usual < COUNT(usual_names); usual++)
        for (size_t i = 0; is_same(name, usual_names[usual].theirs) && i < count; i++)
            if (is_same(usual_names[usual].ours, candidates[i])) return candidates[i];
    return nearest_name(name, candidates, count);
}

const char *why_there_is_none(const char *name)
{
    for (size_t i = 0; i < COUNT(absent); i++)
        if (is_same(name, absent[i].name)) return absent[i].reason;
    return NULL;
}
