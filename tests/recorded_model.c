#include "recorded_model.h"

#include "kernels/cpu.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const RECORDED[] = {"sd-pndm6", "sd-ddim5", "sd-ddim5-torchgen", "sd21v-ddim10-zsnr-rescale",
    "sd21v-ddim6-leading", "sdxl-ays10-sde", "sdxl-ays10-sde-torchgen", "sdxl-batch2-nonsquare",
    "sdxl-dpm5-leading", "sdxl-dpm5-trailing", "sdxl-euler-sigmas", "sdxl-euler4-fp16weights",
    "sdxl-noguidance3", "sdxl-sde-karras10", "shapes-ays10-sde", "shapes-dpm5-leading",
    "shapes-dpm5-trailing", "shapes-euler-sigmas", "shapes-sde-karras20"};
const int RECORDED_COUNT = sizeof RECORDED / sizeof *RECORDED;

const char *const RECORDED_IN_FULL[] = {"sd-pndm6", "sd21v-ddim10-zsnr-rescale", "sdxl-ays10-sde"};
const int RECORDED_IN_FULL_COUNT = sizeof RECORDED_IN_FULL / sizeof *RECORDED_IN_FULL;

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

struct unet *open_unet(const struct checkpoint *checkpoint, const char *variant)
{
    struct unet *unet = NULL;
    struct error error = {""};
    ck_assert_msg(unet_open(checkpoint, variant, &unet, &error) == STATUS_OK, "%s", error.message);
    return unet;
}

void recorded_open(const char *name, enum recorded_model model, struct recorded *recorded)
{
    struct error error = {""};
    cJSON *info = NULL;
    *recorded = (struct recorded){.tensors = golden_tensors("models/traces/%s.safetensors", name)};
    const char *text = tensor_set_metadata(recorded->tensors, "info");
    ck_assert_ptr_nonnull(text);
    ck_assert_msg(json_parse(text, strlen(text), name, &info, &error) == STATUS_OK, "%s", error.message);

    recorded->calls = (int)member(info, "unet_calls")->valuedouble;
    ck_assert_int_gt(recorded->calls, 0);
    const char *variant = cJSON_GetStringValue(member(member(info, "load"), "variant"));
    ck_assert(!variant || strcmp(variant, "fp16") == 0);
    const char *made_by = cJSON_GetStringValue(member(info, "model"));
    const char *folder = golden_path("models/%s%s", made_by, variant ? "-fp16" : "");
    ck_assert_msg(checkpoint_open(folder, &recorded->checkpoint, &error) == STATUS_OK, "%s", error.message);
    if (model == RECORDED_UNET) {
        recorded->unet = open_unet(&recorded->checkpoint, variant);
    } else {
        enum status status = vae_open(&recorded->checkpoint, variant, &recorded->vae, &error);
        ck_assert_msg(status == STATUS_OK, "%s", error.message);
    }
    cJSON_Delete(info);
}

void recorded_close(struct recorded *recorded)
{
    unet_free(recorded->unet);
    vae_free(recorded->vae);
    checkpoint_close(&recorded->checkpoint);
    tensor_set_free(recorded->tensors);
}

struct trace *new_trace(void)
{
    struct trace *trace = NULL;
    struct error error = {""};
    ck_assert_msg(trace_create(&trace, &error) == STATUS_OK, "%s", error.message);
    return trace;
}

struct passes unet_passes(const struct unet *unet, const struct tensor_set *recorded, int call, bool modules)
{
    struct passes passes = {new_trace(), new_trace()};
    recorded_unet_call_f32(unet, recorded, call, modules, FORMAT_F32, passes.f32);
    recorded_unet_call_f64(unet, recorded, call, modules, FORMAT_F32, passes.f64);
    return passes;
}

struct passes recorded_passes(const struct recorded *recorded, int call, bool modules)
{
    if (recorded->unet != NULL) return unet_passes(recorded->unet, recorded->tensors, call, modules);
    struct passes passes = {new_trace(), new_trace()};
    recorded_decode_f32(recorded->vae, recorded->tensors, modules, FORMAT_F32, passes.f32);
    recorded_decode_f64(recorded->vae, recorded->tensors, modules, FORMAT_F32, passes.f64);
    return passes;
}

void passes_free(struct passes *passes)
{
    trace_free(passes->f32);
    trace_free(passes->f64);
}

struct difference distance(const struct tensor_set *set, const char *ours, const struct tensor *truth)
{
    const struct tensor *tensor = need_tensor(set, "%s", ours);
    ck_assert_msg(tensor_same_shape(tensor, truth), "%s: the shape differs", ours);
    return tensor_difference(tensor, truth);
}

double check_close(const struct tensor_set *ours, const struct tensor_set *recorded, const char *name,
    double tolerance, const char *where)
{
    struct difference d = distance(ours, name, need_tensor(recorded, "%s", name));
    ck_assert_msg(d.nonfinite_a == 0 && d.nonfinite_b == 0, "%s: %s: not finite", where, name);
    ck_assert_msg(d.max_rel_peak <= tolerance,
        "%s: %s: off by %.3g of the peak %.3g, at element %zu: expected %.9g, got %.9g", where, name,
        d.max_rel_peak, d.peak, d.worst, d.worst_b, d.worst_a);
    return d.max_rel_peak;
}

double check_all_close(const struct tensor_set *ours, const struct tensor_set *recorded, const char *prefix,
    double tolerance, const char *where)
{
    double worst = 0;
    size_t length = strlen(prefix), found = 0, made = 0;
    for (size_t i = 0; i < tensor_set_count(recorded); i++) {
        const char *name = tensor_set_name(recorded, i);
        if (strncmp(name, prefix, length) != 0) continue;
        worst = fmax(worst, check_close(ours, recorded, name, tolerance, where));
        found++;
    }
    for (size_t i = 0; i < tensor_set_count(ours); i++)
        made += strncmp(tensor_set_name(ours, i), prefix, length) == 0;
    ck_assert_msg(found > 0, "%s: nothing recorded under %s", where, prefix);
    ck_assert_msg(made == found, "%s: %zu tensors under %s, recorded are %zu", where, made, prefix, found);
    return worst;
}

void check_passes_close(const struct passes *ours, const struct tensor_set *recorded, const char *prefix,
    const char *where, struct worst *worst)
{
    double f32 = check_all_close(trace_tensors(ours->f32), recorded, prefix, FLOAT_TOLERANCE, where);
    double f64 = check_all_close(trace_tensors(ours->f64), recorded, prefix, FLOAT_TOLERANCE, where);
    worst->f32 = fmax(worst->f32, f32);
    worst->f64 = fmax(worst->f64, f64);
}

double pytorch_error(const cJSON *errors, const char *name)
{
    const cJSON *value = member(member(errors, name), "max_rel_to_peak");
    ck_assert_msg(cJSON_IsNumber(value), "no recorded error of %s", name);
    return value->valuedouble;
}

/* Our float32 error over PyTorch's, each the root mean square of the distance from its own double run: the
 * geometric mean over the tensors whose names begin with `prefix` and where PyTorch's is not zero. The
 * largest goes to `*worst`, its name to `*worst_name`. */
static double error_ratio(const struct tensor_set *f32, const struct tensor_set *f64, const cJSON *errors,
    const char *prefix, double *worst, const char **worst_name)
{
    double sum_log = 0;
    int count = 0;
    *worst = 0;
    *worst_name = "";
    for (size_t i = 0; i < tensor_set_count(f32); i++) {
        const char *name = tensor_set_name(f32, i);
        if (strncmp(name, prefix, strlen(prefix)) != 0) continue;
        const cJSON *pytorch = member(member(errors, name), "rms_abs");
        ck_assert_msg(cJSON_IsNumber(pytorch), "no recorded error of %s", name);
        if (pytorch->valuedouble == 0) continue;
        double ratio = distance(f32, name, need_tensor(f64, "%s", name)).rms / pytorch->valuedouble;
        if (ratio > *worst) *worst = ratio, *worst_name = name;
        sum_log += log(ratio);
        count++;
    }
    ck_assert_int_gt(count, 0);
    return exp(sum_log / count);
}

double truth_tolerance(double pytorch)
{
    return kernels_gemm_in_use() == GEMM_PORTABLE ? 2 * pytorch : FLOAT_TOLERANCE;
}

void check_truth(const struct passes *ours, const char *output, const struct tensor *truth, double pytorch,
    double float_tolerance, const char *where)
{
    double of_double = distance(trace_tensors(ours->f64), output, truth).max_rel_peak;
    double of_float = distance(trace_tensors(ours->f32), output, truth).max_rel_peak;
    printf("%-28s %s: off the truth by %.2g (float; PyTorch %.2g), %.2g (double) of the peak\n", where,
        output, of_float, pytorch, of_double);
    ck_assert_double_le(of_double, DOUBLE_TOLERANCE);
    ck_assert_double_le(of_float, float_tolerance);
}

void check_module_errors(
    const struct passes *ours, const cJSON *errors, const char *prefix, const char *where)
{
    double worst;
    const char *worst_name;
    double ratio =
        error_ratio(trace_tensors(ours->f32), trace_tensors(ours->f64), errors, prefix, &worst, &worst_name);
    printf("%-28s modules' errors are %.2f of PyTorch's on average, at most %.2f (%s)\n", where, ratio, worst,
        worst_name);
    ck_assert_double_le(ratio, 2);
}

void check_same_bytes(const struct tensor_set *a, const struct tensor_set *b, const char *where)
{
    ck_assert_uint_eq(tensor_set_count(a), tensor_set_count(b));
    for (size_t i = 0; i < tensor_set_count(a); i++) {
        const char *name = tensor_set_name(a, i);
        const struct tensor *x = tensor_set_at(a, i), *y = need_tensor(b, "%s", name);
        ck_assert_msg(
            x->dtype == y->dtype && tensor_same_shape(x, y) && memcmp(x->data, y->data, tensor_bytes(x)) == 0,
            "%s: %s differs", where, name);
    }
}

void check_same_bytes_for_threads(const char *name, enum recorded_model model)
{
    static const int threads[] = {1, 2, 3, 8};
    struct recorded recorded;
    recorded_open(name, model, &recorded);
    struct passes first = {NULL, NULL};
    int before = kernels_threads();
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        kernels_set_threads(threads[i]);
        struct passes now = recorded_passes(&recorded, 0, true);
        if (i == 0) {
            first = now;
            continue;
        }
        check_same_bytes(trace_tensors(first.f32), trace_tensors(now.f32), name);
        check_same_bytes(trace_tensors(first.f64), trace_tensors(now.f64), name);
        passes_free(&now);
    }
    kernels_set_threads(before);
    passes_free(&first);
    recorded_close(&recorded);
}
