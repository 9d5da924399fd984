#include "no_checkpoint.h"

#include "paths.h"

#include "sched/json.h"
#include "sched/nearest.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CONVERT "which diffusers makes of it with from_single_file(...).save_pretrained(...)"

/* --- Nothing there ------------------------------------------------------------------------ */

/* "stabilityai/sdxl-turbo": one '/', and no such folder in front of it. */
static bool is_hub_name(const char *path)
{
    const char *slash = strchr(path, '/');
    if (!slash || slash == path || strchr(slash + 1, '/') || !slash[1] || *path == '.' || *path == '~')
        return false;
    char owner[256];
    struct stat info;
    snprintf(owner, sizeof owner, "%.*s", (int)(slash - path), path);
    return stat(owner, &info) != 0;
}

enum status refuse_absent(const char *path, int system_error, struct error *error)
{
    if (system_error == ENOENT && strstr(path, "://"))
        return error_input(error,
            "%s: Plumb downloads nothing: expected a path; huggingface-cli download NAME --local-dir DIR "
            "makes one",
            path);
    if (system_error == ENOENT && is_hub_name(path))
        return error_input(error,
            "%s: there is no such path; if this is a model of the hub, huggingface-cli download %s "
            "--local-dir DIR "
            "fetches it, and DIR is what Plumb reads",
            path, path);
    return error_file(error, path, "cannot be read", system_error);
}

/* --- A file ------------------------------------------------------------------------------- */

static bool is_weights_file(const char *name)
{
    static const char *const endings[] = {".safetensors", ".ckpt", ".gguf", ".bin", ".pt", ".pth", ".onnx"};
    for (size_t i = 0; i < COUNT(endings); i++)
        if (path_ends_with(name, endings[i])) return true;
    return false;
}

/* Adapters and other things that go on top of a checkpoint, by the names that their files are published
 * under. */
static const struct {
    const char *file, *what;
} adapters[] = {
    {"pytorch_lora_weights.", "LoRA weights, which Plumb does not read; diffusers' fuse_lora() and "
                              "save_pretrained() make a checkpoint of them"},
    {"adapter_model.",
        "LoRA weights, which Plumb does not read; diffusers' fuse_lora() and save_pretrained() make "
        "a checkpoint of them"},
    {"learned_embeds.", "an embedding by textual inversion, which Plumb does not read"},
    {"ip-adapter", "an IP-Adapter, which Plumb does not read"},
};

static const char *adapter_of_file(const char *name)
{
    for (size_t i = 0; i < COUNT(adapters); i++)
        if (strncmp(name, adapters[i].file, strlen(adapters[i].file)) == 0) return adapters[i].what;
    return NULL;
}

/* A component's weights in Diffusers' form are a part of a checkpoint, not one in a single file. */
static bool is_component_weights(const char *name)
{
    return strncmp(name, "diffusion_pytorch_model.", strlen("diffusion_pytorch_model.")) == 0 ||
           strncmp(name, "diffusion_pytorch_model-", strlen("diffusion_pytorch_model-")) == 0 ||
           strncmp(name, "model.", strlen("model.")) == 0;
}

enum status refuse_file(const char *path, struct error *error)
{
    const char *name = path_base_name(path), *adapter = adapter_of_file(name);
    if (adapter) return error_input(error, "%s: %s", path, adapter);
    if (is_weights_file(name) && is_component_weights(name))
        return error_input(error, "%s: the weights of one component; expected the checkpoint's folder", path);
    if (is_weights_file(name))
        return error_input(error,
            "%s: a single-file checkpoint; expected a Diffusers folder (model_index.json, unet/, vae/, "
            "...), " CONVERT,
            path);
    if (strcmp(name, "model_index.json") == 0)
        return error_input(error, "%s: expected the checkpoint's folder, got a file in it", path);
    return error_input(error, "%s: expected a checkpoint's folder, got a file", path);
}

/* --- A folder ----------------------------------------------------------------------------- */

static bool holds(const char *folder, const char *below, const char *file)
{
    char path[PATH_MAX];
    struct stat info;
    int length = snprintf(path, sizeof path, "%s%s%s/%s", folder, *below ? "/" : "", below, file);
    return length > 0 && length < (int)sizeof path && stat(path, &info) == 0;
}

/* Copies the first name (in order) in `folder`/`below` that `is_meant` finds good; empty where there is
 * none. */
static bool find_entry(const char *folder, const char *below,
    bool (*is_meant)(const char *path, const char *name), char name[NAME_MAX + 1])
{
    char path[PATH_MAX];
    *name = '\0';
    int length = snprintf(path, sizeof path, "%s%s%s", folder, *below ? "/" : "", below);
    DIR *directory = length > 0 && length < (int)sizeof path ? opendir(path) : NULL;
    if (!directory) return false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && (!*name || strcmp(entry->d_name, name) < 0) &&
            is_meant(path, entry->d_name))
            snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
    closedir(directory);
    return *name != '\0';
}

static bool is_checkpoint(const char *folder, const char *name)
{
    return holds(folder, name, "model_index.json");
}

static bool is_snapshot(const char *folder, const char *name)
{
    return holds(folder, name, ".");
}

static bool is_weights(const char *folder, const char *name)
{
    (void)folder;
    return is_weights_file(name);
}

/* A folder with config.json is one model; its class says which. */
static enum status refuse_component(const char *folder, struct error *error)
{
    char path[PATH_MAX];
    const char *class_name = NULL;
    cJSON *config = NULL;
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (json_read_file(path, &config, NULL) == STATUS_OK)
        json_get_string(config, "_class_name", &class_name, NULL, NULL);
    enum status status;
    if (class_name && strncmp(class_name, "ControlNet", strlen("ControlNet")) == 0)
        status = error_input(error, "%s: a %.80s, which Plumb does not implement", folder, class_name);
    else
        status = error_input(error,
            "%s: there is no model_index.json, but a config.json: this is one component of a "
            "checkpoint%s%.80s%s; "
            "expected the folder above it",
            folder, class_name ? " (" : "", class_name ? class_name : "", class_name ? ")" : "");
    cJSON_Delete(config);
    return status;
}

enum status refuse_folder(const char *folder, struct error *error)
{
    char name[NAME_MAX + 1];
    if (holds(folder, "", "config.json")) return refuse_component(folder, error);
    if (holds(folder, "", "unet") || holds(folder, "", "vae") || holds(folder, "", "transformer"))
        return error_input(error,
            "%s: there is no model_index.json beside the components' folders (an incomplete download?)",
            folder);
    if (find_entry(folder, "", is_checkpoint, name))
        return error_input(error,
            "%s: there is no model_index.json, but one in a folder below: expected %s/%s", folder, folder,
            name);
    if (holds(folder, "", "snapshots") && find_entry(folder, "snapshots", is_snapshot, name))
        return error_input(
            error, "%s: a folder of the hub's cache: expected %s/snapshots/%s", folder, folder, name);
    bool has_weights = find_entry(folder, "", is_weights, name);
    if (!has_weights && (holds(folder, "", "tokenizer_config.json") || holds(folder, "", "vocab.json") ||
                            holds(folder, "", "scheduler_config.json")))
        return error_input(error, "%s: one component of a checkpoint; expected the folder above it", folder);
    if (!has_weights)
        return error_input(error, "%s: there is no model_index.json: this is no Diffusers folder", folder);
    const char *adapter = adapter_of_file(name);
    if (adapter)
        return error_input(error, "%s: there is no model_index.json, but %s: %s", folder, name, adapter);
    return error_input(error,
        "%s: there is no model_index.json, but %s: a checkpoint in the original format; expected a Diffusers "
        "folder, " CONVERT,
        folder, name);
}

/* --- Another pipeline --------------------------------------------------------------------- */

/* By a part of the class's name; the first that is found. */
static const struct {
    const char *part, *what;
} pipelines[] = {
    {"ControlNet", "ControlNet"},
    {"Inpaint", "inpainting"},
    {"XLImg2Img", "the SDXL refiner or another image-to-image checkpoint"},
    {"Img2Img", "image to image"},
    {"Pix2Pix", "InstructPix2Pix"},
    {"Upscale", "upscaling"},
    {"Adapter", "adapters"},
    {"Video", "video"},
    {"Onnx", "ONNX files"},
    {"Flax", "Flax files"},
    {"StableDiffusion3", "Stable Diffusion 3"},
    {"StableUnCLIP", "unCLIP"},
    {"StableCascade", "Stable Cascade"},
    {"Wuerstchen", "Wuerstchen"},
    {"LatentConsistencyModel", "latent consistency models"},
    {"AnimateDiff", "video"},
    {"AuraFlow", "AuraFlow"},
    {"Chroma", "Chroma"},
    {"CogVideo", "video"},
    {"CogView", "CogView"},
    {"DiT", "DiT"},
    {"Flux", "Flux"},
    {"HiDream", "HiDream"},
    {"IF", "DeepFloyd IF"},
    {"Kandinsky", "Kandinsky"},
    {"Kolors", "Kolors"},
    {"LTX", "video"},
    {"Lumina", "Lumina"},
    {"PixArt", "PixArt"},
    {"QwenImage", "Qwen-Image"},
    {"Sana", "Sana"},
    {"Wan", "video"},
};

enum status refuse_pipeline(const char *class_name, struct error *error)
{
    static const char *const ours[] = {"StableDiffusionPipeline", "StableDiffusionXLPipeline"};
    const char *what = NULL;
    char why[128] = "";
    for (size_t i = 0; i < COUNT(pipelines) && !what; i++)
        if (strstr(class_name, pipelines[i].part)) what = pipelines[i].what;
    if (what)
        snprintf(why, sizeof why, " (%s, which Plumb does not implement)", what);
    else if (strncmp(class_name, "StableDiffusion", strlen("StableDiffusion")) == 0)
        did_you_mean(nearest_name(class_name, ours, COUNT(ours)), "", why, sizeof why);
    else if (path_ends_with(class_name, "Pipeline"))
        snprintf(why, sizeof why, ", which Plumb does not implement");
    return error_input(error,
        "_class_name: expected \"StableDiffusionPipeline\" or \"StableDiffusionXLPipeline\", got "
        "\"%.100s\"%s",
        class_name, why);
}
