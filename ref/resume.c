#include "resume.h"

#include "checkpoint_fingerprint.h"
#include "tensor_files.h"
#include "trace_journal.h"
#include "version.h"

#include "kernels/cpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What a journal says of its run ------------------------------------------------------- */

static const char *const trace_kind_names[] = {NULL, "file", "folder"};

/* A path that is no UTF-8 cannot stand in a header: whoever goes on has to give it. */
static bool add_path(cJSON *object, const char *key, const char *value)
{
    return !value || !text_is_utf8(value, strlen(value)) || cJSON_AddStringToObject(object, key, value);
}

/* A copy of the one that is known, or the checkpoint's. */
static enum status find_fingerprint(const struct checkpoint *checkpoint, const char *variant,
    const cJSON *known, cJSON **out, struct error *error)
{
    if (!known) return checkpoint_fingerprint(checkpoint, variant, out, error);
    *out = cJSON_Duplicate(known, true);
    return *out ? STATUS_OK : error_memory(error, sizeof(cJSON));
}

enum status resume_describe(const struct resume_request *request, char **text, struct error *error)
{
    const struct checkpoint *checkpoint = &request->pipeline->checkpoint;
    cJSON *fingerprint = NULL, *object = cJSON_CreateObject();
    char *folder = realpath(checkpoint->folder, NULL);
    *text = NULL;
    enum status status =
        find_fingerprint(checkpoint, request->recipe->variant, request->fingerprint, &fingerprint, error);
    bool made = object && add_path(object, "checkpoint", folder ? folder : checkpoint->folder) &&
                add_path(object, "out", request->out) &&
                add_path(object, "trace", trace_kind_names[request->trace]) &&
                add_path(object, "noise_log", request->noise_log) &&
                cJSON_AddBoolToObject(object, "trace_modules", request->trace_modules) &&
                cJSON_AddNumberToObject(object, "steps", (double)request->total);
    if (status == STATUS_OK && made && cJSON_AddItemToObject(object, "fingerprint", fingerprint)) {
        fingerprint = NULL;
        *text = cJSON_PrintUnformatted(object);
    }
    if (status == STATUS_OK && !*text) status = error_memory(error, 0);
    cJSON_Delete(fingerprint);
    cJSON_Delete(object);
    free(folder);
    return status;
}

/* A metadata key as JSON. */
static enum status read_metadata(
    const struct tensor_set *set, const char *key, cJSON **out, struct error *error)
{
    const char *text = tensor_set_metadata(set, key);
    if (!text) return error_input(error, "__metadata__: %s: missing: no trace of an interrupted run", key);
    enum status status = json_parse(text, strlen(text), key, out, error);
    return error_prefix(error, status, "__metadata__: ");
}

static enum status read_name(const char *key, const char *name, const char *const *names, size_t count,
    int *value, struct error *error)
{
    for (size_t i = 0; name && i < count; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *value = (int)i;
        return STATUS_OK;
    }
    return error_input(
        error, "__metadata__: %s: expected a name that Plumb has, got \"%.40s\"", key, name ? name : "");
}

static enum status read_trace_kind(struct resume *resume, struct error *error)
{
    const char *kind = NULL;
    enum status status = json_get_string(resume->asked, "trace", &kind, NULL, error);
    for (int i = TRACE_FILE; i <= TRACE_FOLDER; i++)
        if (kind && strcmp(kind, trace_kind_names[i]) == 0) resume->trace_kind = (enum trace_kind)i;
    return status;
}

/* By the metadata, how the run was asked for. */
static enum status read_request(struct resume *resume, struct error *error)
{
    cJSON *machine = NULL;
    const char *gemm = NULL;
    int64_t total = 0;
    int precision = 0, kind = 0;
    enum status s = read_metadata(resume->set, "recipe", &resume->recipe, error);
    if (s == STATUS_OK) s = read_metadata(resume->set, "resume", &resume->asked, error);
    if (s == STATUS_OK) s = read_metadata(resume->set, "machine", &machine, error);
    if (s == STATUS_OK) s = json_get_string(resume->asked, "checkpoint", &resume->checkpoint, NULL, error);
    if (s == STATUS_OK) s = json_get_string(resume->asked, "out", &resume->out, NULL, error);
    if (s == STATUS_OK) s = read_trace_kind(resume, error);
    if (s == STATUS_OK) s = json_get_string(resume->asked, "noise_log", &resume->noise_log, NULL, error);
    if (s == STATUS_OK)
        s = json_get_bool(resume->asked, "trace_modules", &resume->trace_modules, NULL, error);
    if (s == STATUS_OK) s = json_get_int(resume->asked, "steps", 1, INT32_MAX, &total, NULL, error);
    if (s == STATUS_OK) s = json_get_string(machine, "gemm", &gemm, NULL, error);
    if (s == STATUS_OK)
        s = read_name("precision", tensor_set_metadata(resume->set, "precision"), precision_names,
            PRECISION_TF32 + 1, &precision, error);
    if (s == STATUS_OK) s = read_name("machine: gemm", gemm, kernels_gemm_names(), GEMM_KINDS, &kind, error);
    resume->total = (size_t)total;
    resume->precision = (enum precision)precision;
    resume->gemm = (enum gemm_kind)kind;
    const bool has_blas = resume->precision == PRECISION_F64 || resume->gemm == GEMM_OPENBLAS;
    const char *core = NULL;
    if (s == STATUS_OK && has_blas) s = json_get_string(machine, "blas_core", &core, NULL, error);
    if (s == STATUS_OK && core && !(resume->blas_core = strdup(core))) s = error_memory(error, strlen(core));
    cJSON_Delete(machine);
    return s;
}

/* --- Opening ------------------------------------------------------------------------------ */

/* The recorded tensor of that name, NULL where there is none or its step is not whole. */
static const struct tensor *recorded(const struct resume *resume, const char *name)
{
    size_t step;
    if (sscanf(name, "step.%zu.", &step) == 1 && step >= resume->steps) return NULL;
    return tensor_set_find(resume->set, name);
}

/* The steps that the file names, whole or not. */
static size_t named_steps(const struct tensor_set *set)
{
    char name[48];
    size_t steps = 0;
    do snprintf(name, sizeof name, "step.%02zu.latents", steps++);
    while (tensor_set_find(set, name));
    return steps - 1;
}

enum status resume_open(
    const char *path, struct resume *resume, struct warnings *warnings, struct error *error)
{
    *resume = (struct resume){.path = strdup(path)};
    enum status status = resume->path ? tensor_set_open(path, &resume->set, error) : error_memory(error, 0);
    if (status == STATUS_OK)
        status = trace_journal_read(resume->set, &resume->tensors, &resume->count, &resume->steps, error);
    if (status == STATUS_OK) {
        status = read_request(resume, error);
        if (status == STATUS_OK && resume->steps == 0)
            status = error_input(error, "no step of it is whole: begin anew");
        if (status == STATUS_OK && resume->steps > resume->total)
            status = error_input(error, "holds %zu steps of %zu", resume->steps, resume->total);
        error_prefix(error, status, "%s: ", path);
    }
    if (status == STATUS_OK && named_steps(resume->set) > resume->steps)
        warnings_add(
            warnings, "%s: step %zu is damaged, and left out with what follows it", path, resume->steps);
    if (status != STATUS_OK) resume_close(resume);
    return status;
}

void resume_close(struct resume *resume)
{
    tensor_set_free(resume->set);
    cJSON_Delete(resume->recipe);
    cJSON_Delete(resume->asked);
    free(resume->tensors);
    free(resume->path);
    free(resume->blas_core);
    *resume = (struct resume){0};
}

/* --- Is it the same run? ------------------------------------------------------------------ */

static enum status check_fingerprint(const struct resume *resume, const struct pipeline *pipeline,
    const char *variant, const cJSON *known, struct error *error)
{
    cJSON *fingerprint = NULL;
    enum status status = find_fingerprint(&pipeline->checkpoint, variant, known, &fingerprint, error);
    if (status != STATUS_OK) return status;
    const cJSON *theirs = cJSON_GetObjectItemCaseSensitive(resume->asked, "fingerprint"), *item;
    cJSON_ArrayForEach(item, fingerprint)
    {
        const cJSON *their = cJSON_GetObjectItemCaseSensitive(theirs, item->string);
        if (status != STATUS_OK || cJSON_Compare(their, item, true)) continue;
        status = error_input(error, "%s: checkpoint: the %s of %s is not the one that the run began with",
            resume->path, item->string, pipeline->checkpoint.folder);
    }
    cJSON_Delete(fingerprint);
    return status;
}

static enum status refuse(
    const struct resume *resume, const char *what, const char *now, const char *then, struct error *error)
{
    return error_input(
        error, "%s: %s: expected %.120s, as the run began with, got %.120s", resume->path, what, then, now);
}

static enum status check_recipe(const struct resume *resume, const struct recipe *recipe, struct error *error)
{
    char ours[160], theirs[160];
    const cJSON *objects[] = {resume->recipe, recipe->source}, *item;
    for (int i = 0; i < 2; i++) cJSON_ArrayForEach(item, objects[i])
        {
            const cJSON *then = cJSON_GetObjectItemCaseSensitive(resume->recipe, item->string);
            const cJSON *now = cJSON_GetObjectItemCaseSensitive(recipe->source, item->string);
            if (cJSON_Compare(then, now, true)) continue;
            return refuse(resume, item->string, now ? json_show(now, ours, sizeof ours) : "nothing",
                then ? json_show(then, theirs, sizeof theirs) : "nothing", error);
        }
    return STATUS_OK;
}

/* What the products' bits hang on. Those of our own are the same on every machine. */
static enum status check_products(const struct resume *resume, bool f64, struct error *error)
{
    cJSON *machine = NULL;
    const char *gemm = "", *blas = "", *core = "";
    enum status status = read_metadata(resume->set, "machine", &machine, error);
    if (status == STATUS_OK) status = json_get_string(machine, "gemm", &gemm, NULL, error);
    if (status == STATUS_OK) status = json_get_string(machine, "blas", &blas, NULL, error);
    if (status == STATUS_OK) status = json_get_string(machine, "blas_core", &core, NULL, error);
    const char *our_gemm = kernels_gemm_name(kernels_gemm_in_use());
    if (status == STATUS_OK && !f64 && strcmp(gemm, our_gemm) != 0)
        status = refuse(resume, "--gemm", our_gemm, gemm, error);
    if (status == STATUS_OK && kernels_need_blas(f64)) {
        if (strcmp(blas, kernels_blas_description()) != 0)
            status = refuse(resume, "machine: blas", kernels_blas_description(), blas, error);
        else if (strcmp(core, kernels_blas_core()) != 0)
            status = refuse(resume, "--blas-core", kernels_blas_core(), core, error);
    }
    cJSON_Delete(machine);
    return status;
}

/* --- Going through it again --------------------------------------------------------------- */

/* A UNet whose predictions are recorded is not run. */
static bool needs(void *context, const char *model)
{
    const struct resume *resume = context;
    size_t step;
    int length = 0;
    if (sscanf(model, "step.%zu.unet%n", &step, &length) != 1 || length == 0) return true;
    return step >= resume->steps;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && strcmp(name + length - tail, ending) == 0;
}

/* Predictions stand for the pass that was not made; the run's trace has its NaNs by now. */
static void recall(
    const struct resume *resume, const struct tensor *then, const struct tensor *now, const char *name)
{
    const struct tensor *traced = tensor_set_find(trace_tensors(resume->trace), name);
    memcpy(now->data, then->data, tensor_bytes(then));
    if (traced) memcpy(traced->data, then->data, tensor_bytes(then));
}

/* What the UNet's modules gave in the first step, where the trace would have them. */
static enum status recall_modules(const struct resume *resume, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < resume->count && status == STATUS_OK; i++)
        if (strncmp(resume->tensors[i].name, "act.unet.", strlen("act.unet.")) == 0)
            status =
                trace_add(resume->trace, resume->tensors[i].tensor, error, "%s", resume->tensors[i].name);
    return status;
}

static enum status refuse_tensor(const struct resume *resume, const char *name, const struct tensor *then,
    const struct tensor *now, struct error *error)
{
    size_t i = 0, count = tensor_count(now), size = dtype_size(now->dtype);
    if (then->dtype != now->dtype || !tensor_same_shape(then, now)) {
        char ours[96], theirs[96];
        return error_input(error, "%s: %s: expected %s %s, which this run has, got %s %s", resume->path, name,
            dtype_name(now->dtype), tensor_show_shape(now, ours, sizeof ours), dtype_name(then->dtype),
            tensor_show_shape(then, theirs, sizeof theirs));
    }
    while (i < count &&
           memcmp((const char *)then->data + i * size, (const char *)now->data + i * size, size) == 0)
        i++;
    return error_input(error,
        "%s: %s: element %zu: expected %.9g, which this run has, got %.9g: another program or machine made "
        "it, or it "
        "was changed",
        resume->path, name, i, tensor_get_double(now, i), tensor_get_double(then, i));
}

static enum status see(void *context, const char *name, const struct tensor *value, struct error *error)
{
    const struct resume *resume = context;
    const struct tensor *then = recorded(resume, name);
    if (!then) return STATUS_OK;
    if (then->dtype != value->dtype || !tensor_same_shape(then, value))
        return refuse_tensor(resume, name, then, value, error);
    if (ends_with(name, ".noise_pred_text") || ends_with(name, ".noise_pred_uncond"))
        recall(resume, then, value, name);
    else if (memcmp(then->data, value->data, tensor_bytes(value)) != 0)
        return refuse_tensor(resume, name, then, value, error);
    return strcmp(name, "step.00.model_input") == 0 ? recall_modules(resume, error) : STATUS_OK;
}

enum status resume_check(struct resume *resume, const struct pipeline *pipeline, const cJSON *fingerprint,
    const struct recipe *recipe, enum precision precision, struct error *error)
{
    resume->observer = (struct observer){.context = resume, .see = see, .needs = needs};
    const char *versions = tensor_set_metadata(resume->set, "versions");
    static const char ours[] = "{\"plumb\":\"" PLUMB_VERSION "\"}";
    if (!versions || strcmp(versions, ours) != 0)
        return refuse(resume, "versions", ours, versions ? versions : "nothing", error);
    if (precision != resume->precision)
        return refuse(
            resume, "--precision", precision_names[precision], precision_names[resume->precision], error);
    enum status status = check_products(resume, precision == PRECISION_F64, error);
    if (status == STATUS_OK) status = check_recipe(resume, recipe, error);
    if (status == STATUS_OK)
        status = check_fingerprint(resume, pipeline, recipe->variant, fingerprint, error);
    return status;
}
