#include "recorded_model.h"

#include "support.h"

#include <math.h>
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

void recorded_open(const char *name, struct recorded *recorded)
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
    recorded->variant = variant ? "fp16" : NULL;
    const char *model = cJSON_GetStringValue(member(info, "model"));
    const char *folder = golden_path("models/%s%s", model, variant ? "-fp16" : "");
    ck_assert_msg(checkpoint_open(folder, &recorded->checkpoint, &error) == STATUS_OK, "%s", error.message);
    cJSON_Delete(info);
}

void recorded_close(struct recorded *recorded)
{
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

double pytorch_error(const cJSON *errors, const char *name)
{
    const cJSON *value = member(member(errors, name), "max_rel_to_peak");
    ck_assert_msg(cJSON_IsNumber(value), "no recorded error of %s", name);
    return value->valuedouble;
}

double error_ratio(const struct tensor_set *f32, const struct tensor_set *f64, const cJSON *errors,
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
