/*
 * The text encoders against every recorded trace, in both precisions; the two pooling rules and the causal
 * mask from what they mean; configs, weights and ids that are wrong.
 */
#include "kernels/cpu.h"
#include "run_text_encoder.h"
#include "support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The gate of the float build, of the tensor's peak: PyTorch's own float32 comes within 1e-6 of the truth
 * (facts/model_numerics.md), so this catches any wrong operation and no honest rounding. */
#define FLOAT_GATE 1e-5
/* How much farther than PyTorch's float32 the float build may be from the float64 truth. */
#define FLOAT_FACTOR 2.0
/* The double build against PyTorch's float64. Both round at 2^-53 where the float32 runs round at 2^-24, and
 * those come within 7e-7 of the peak of the truth: 7e-7 * 2^-29 is 1.3e-15. Ten times that leaves room for
 * another order of summation, and none for a constant or an operation that is only right to float32. */
#define DOUBLE_GATE 1.3e-14

static const char *const TRACES[] = {"sd-ddim5", "sd-ddim5-torchgen", "sd-pndm6", "sd21v-ddim10-zsnr-rescale",
    "sd21v-ddim6-leading", "sdxl-ays10-sde", "sdxl-ays10-sde-torchgen", "sdxl-batch2-nonsquare",
    "sdxl-dpm5-leading", "sdxl-dpm5-trailing", "sdxl-euler-sigmas", "sdxl-euler4-fp16weights",
    "sdxl-noguidance3", "sdxl-sde-karras10", "shapes-ays10-sde", "shapes-dpm5-leading",
    "shapes-dpm5-trailing", "shapes-euler-sigmas", "shapes-sde-karras20"};
#define TRACE_COUNT (sizeof TRACES / sizeof *TRACES)
static const char *const COMPONENTS[] = {"text_encoder", "text_encoder_2"};

/* --- One recorded trace ------------------------------------------------------------------- */

/* A trace with the model that made it. */
struct recorded {
    const char *name;
    struct tensor_set *tensors;
    cJSON *errors; /* PyTorch's own errors; NULL where they are not recorded */
    struct checkpoint checkpoint;
    char variant[16]; /* "" for none */
    bool is_xl;
    int clip_skip;
    size_t compared; /* tensors */
};

static void open_recorded(const char *name, struct recorded *recorded)
{
    *recorded =
        (struct recorded){.name = name, .tensors = golden_tensors("models/traces/%s.safetensors", name)};
    struct error error = {""};
    cJSON *info = NULL;
    const char *text = tensor_set_metadata(recorded->tensors, "info");
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(json_parse(text, strlen(text), "info", &info, &error), STATUS_OK);
    const char *model = cJSON_GetObjectItem(info, "model")->valuestring;
    const cJSON *variant = cJSON_GetObjectItem(cJSON_GetObjectItem(info, "load"), "variant");
    const cJSON *clip_skip = cJSON_GetObjectItem(cJSON_GetObjectItem(info, "call"), "clip_skip");
    if (variant) snprintf(recorded->variant, sizeof recorded->variant, "%s", variant->valuestring);
    if (clip_skip) recorded->clip_skip = (int)clip_skip->valuedouble;
    recorded->is_xl = strncmp(name, "sd-", 3) != 0 && strncmp(name, "sd21v-", 6) != 0;
    const char *folder = golden_path("models/%s%s%s", model, variant ? "-" : "", recorded->variant);
    ck_assert_msg(checkpoint_open(folder, &recorded->checkpoint, &error) == STATUS_OK, "%s", error.message);
    const char *path = golden_path("models/traces/%s.f64_errors.json", name);
    if (access(path, F_OK) == 0) ck_assert_int_eq(json_read_file(path, &recorded->errors, &error), STATUS_OK);
    cJSON_Delete(info);
}

static void close_recorded(struct recorded *recorded)
{
    checkpoint_close(&recorded->checkpoint);
    cJSON_Delete(recorded->errors);
    tensor_set_free(recorded->tensors);
}

typedef enum status run_function(const struct checkpoint *, const char *, const char *, const struct tensor *,
    struct trace *, struct error *);

static struct trace *run(
    run_function *function, const struct recorded *recorded, const char *component, const struct tensor *ids)
{
    struct trace *trace = NULL;
    struct error error = {""};
    ck_assert_int_eq(trace_create(&trace, &error), STATUS_OK);
    const char *variant = *recorded->variant ? recorded->variant : NULL;
    ck_assert_msg(function(&recorded->checkpoint, component, variant, ids, trace, &error) == STATUS_OK,
        "%s: %s", recorded->name, error.message);
    return trace;
}

static struct difference differ(
    const struct tensor *ours, const struct tensor *expected, const char *trace, const char *name)
{
    char a[80], b[80];
    ck_assert_msg(tensor_count(ours) == tensor_count(expected), "%s: %s: expected the shape %s, got %s",
        trace, name, tensor_show_shape(expected, b, sizeof b), tensor_show_shape(ours, a, sizeof a));
    struct difference difference = tensor_difference(ours, expected);
    ck_assert_msg(difference.nonfinite_a == 0 && difference.nonfinite_b == 0, "%s: %s", trace, name);
    ck_assert_msg(difference.peak > 0, "%s: %s is all zero", trace, name);
    return difference;
}

/* The float build against PyTorch's float32. */
static void check_float(
    struct recorded *recorded, const struct tensor *ours, const struct tensor *expected, const char *name)
{
    struct difference difference = differ(ours, expected, recorded->name, name);
    ck_assert_msg(difference.max_rel_peak <= FLOAT_GATE, "%s: %s: %.2e of the peak apart at %zu (%.9g, %.9g)",
        recorded->name, name, difference.max_rel_peak, difference.worst, difference.worst_a,
        difference.worst_b);
    recorded->compared++;
}

/* Both builds against PyTorch's float64; `error_name` is what f64_errors.json calls the tensor. */
static void check_truth(struct recorded *recorded, const struct tensor *ours, const struct tensor *oracle,
    const struct tensor *truth, const char *error_name)
{
    struct difference single = differ(ours, truth, recorded->name, error_name);
    struct difference twice = differ(oracle, truth, recorded->name, error_name);
    const cJSON *torch = cJSON_GetObjectItem(recorded->errors, error_name);
    ck_assert_msg(torch != NULL, "%s: no recorded error of %s", recorded->name, error_name);
    double torch_error = cJSON_GetObjectItem(torch, "max_abs")->valuedouble;
    printf("%-26s %-50s float %.2e  PyTorch %.2e  ratio %.2f   double %.1e of the peak\n", recorded->name,
        error_name, single.max_abs, torch_error, single.max_abs / torch_error, twice.max_rel_peak);
    /* OpenBLAS's rounding is that of the processor's kernels: held to the gate of check_float(). */
    ck_assert_msg(kernels_gemm_in_use() == GEMM_OPENBLAS || single.max_abs <= FLOAT_FACTOR * torch_error,
        "%s: %s: %.2e from the truth, where PyTorch's float32 is %.2e", recorded->name, error_name,
        single.max_abs, torch_error);
    ck_assert_msg(twice.max_rel_peak <= DOUBLE_GATE, "%s: %s: the double build is %.2e of the peak away",
        recorded->name, error_name, twice.max_rel_peak);
    recorded->compared++;
}

/* Columns of a [rows, L, width] tensor as one of their own, F64 (exact for F32 too); the caller frees
 * data. */
static struct tensor columns(const struct tensor *tensor, int64_t row, int64_t first, int64_t count)
{
    int64_t length = tensor->rank == 3 ? tensor->shape[1] : 1;
    int64_t width = tensor->shape[tensor->rank - 1];
    double *data = malloc((size_t)(length * count) * sizeof *data);
    for (int64_t i = 0; i < length; i++)
        for (int64_t j = 0; j < count; j++)
            data[i * count + j] = tensor_get_double(tensor, (size_t)((row * length + i) * width + first + j));
    return (struct tensor){DTYPE_F64, 3, {1, length, count}, data};
}

/* What the pipeline makes of an encoder's states: its columns of [sign]prompt_embeds, repeated for each
 * image. */
static void check_prompt_embeds(
    struct recorded *recorded, const struct trace *ours, const char *sign, int64_t first_column)
{
    char name[64];
    snprintf(name, sizeof name, "%sprompt_embeds", sign);
    const struct tensor *embeds = need_tensor(recorded->tensors, "%s", name);
    const struct tensor_set *set = trace_tensors(ours);
    int64_t layers = 0;
    while (tensor_set_find(set, (snprintf(name, sizeof name, "hidden_states.%" PRId64, layers + 1), name)))
        layers++;
    int skip = *sign ? 0 : recorded->clip_skip; /* of the positive prompt alone */
    const struct tensor *state = recorded->is_xl
                                     ? need_tensor(set, "hidden_states.%" PRId64, layers - 1 - skip)
                                     : need_tensor(set, "final_norm.%" PRId64, layers - skip);
    snprintf(name, sizeof name, "%sprompt_embeds[%" PRId64 "..]", sign, first_column);
    for (int64_t row = 0; row < embeds->shape[0]; row++) {
        struct tensor expected = columns(embeds, row, first_column, state->shape[2]);
        check_float(recorded, state, &expected, name);
        free(expected.data);
    }
}

static void check_pooled(struct recorded *recorded, const struct trace *ours, const char *sign)
{
    const struct tensor *text_embeds = tensor_set_find(trace_tensors(ours), "text_embeds");
    char name[64];
    snprintf(name, sizeof name, "%spooled_prompt_embeds", sign);
    const struct tensor *pooled = tensor_set_find(recorded->tensors, name);
    if (!text_embeds || !pooled) return;
    for (int64_t row = 0; row < pooled->shape[0]; row++) {
        struct tensor expected = columns(pooled, row, 0, pooled->shape[1]);
        check_float(recorded, text_embeds, &expected, name);
        free(expected.data);
    }
}

/* Whatever of the encoder is recorded under its own name, float32. */
static void check_outputs(
    struct recorded *recorded, const struct trace *ours, const char *component, const char *sign)
{
    static const char *const outputs[] = {"last_hidden_state", "text_embeds"};
    char name[128], prefix[64];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s.%s", sign, outputs[i], component);
        const struct tensor *expected = tensor_set_find(recorded->tensors, name);
        if (expected)
            check_float(recorded, need_tensor(trace_tensors(ours), "%s", outputs[i]), expected, name);
    }
    snprintf(prefix, sizeof prefix, "act.%s.", component);
    for (size_t i = 0; !*sign && i < tensor_set_count(recorded->tensors); i++) {
        const char *module = tensor_set_name(recorded->tensors, i);
        if (strncmp(module, prefix, strlen(prefix)) == 0)
            check_float(recorded, need_tensor(trace_tensors(ours), "%s", module),
                tensor_set_at(recorded->tensors, i), module);
    }
}

/* The float64 truth: each hidden state under the name of the module that gives it, and the outputs. */
static void check_truths(struct recorded *recorded, const struct trace *ours, const struct trace *oracle,
    const char *component, const char *sign)
{
    static const char *const outputs[] = {"last_hidden_state", "text_embeds"};
    const struct tensor_set *single = trace_tensors(ours), *twice = trace_tensors(oracle);
    char name[128];
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "f64.%s%s.%s", sign, outputs[i], component);
        const struct tensor *truth = tensor_set_find(recorded->tensors, name);
        if (truth)
            check_truth(recorded, need_tensor(single, "%s", outputs[i]), need_tensor(twice, "%s", outputs[i]),
                truth, name + strlen("f64."));
    }
    if (*sign) return;
    const struct tensor *states = need_tensor(recorded->tensors, "f64.hidden_states.%s", component);
    for (int64_t n = 0; n < states->shape[0]; n++) {
        struct tensor state = {DTYPE_F64, 3, {states->shape[1], states->shape[2], states->shape[3]},
            (double *)states->data + n * states->shape[1] * states->shape[2] * states->shape[3]};
        if (n == 0)
            snprintf(name, sizeof name, "act.%s.text_model.embeddings", component);
        else
            snprintf(name, sizeof name, "act.%s.text_model.encoder.layers.%" PRId64, component, n - 1);
        check_truth(recorded, need_tensor(single, "hidden_states.%" PRId64, n),
            need_tensor(twice, "hidden_states.%" PRId64, n), &state, name);
        /* The module's own output is that state. */
        struct difference module = tensor_difference(
            need_tensor(single, "%s", name), need_tensor(single, "hidden_states.%" PRId64, n));
        ck_assert_msg(module.unequal == 0, "%s", name);
    }
}

/* With either kind of matrix products. */
START_TEST(recorded_traces)
{
    struct recorded recorded;
    kernels_use_gemm((enum gemm_kind)(_i % GEMM_KINDS));
    open_recorded(TRACES[_i / GEMM_KINDS], &recorded);
    for (int negative = 0; negative < 2; negative++) {
        const char *sign = negative ? "negative_" : "";
        int64_t first_column = 0;
        for (size_t e = 0; e < (recorded.is_xl ? 2 : 1); e++) {
            char name[64];
            snprintf(name, sizeof name, "%sinput_ids.%s", sign, COMPONENTS[e]);
            const struct tensor *ids = tensor_set_find(recorded.tensors, name);
            if (!ids && negative) continue; /* no guidance, or a negative prompt that is zeros */
            ck_assert_msg(ids != NULL, "%s: no %s", recorded.name, name);
            struct trace *ours = run(run_text_encoder_f32, &recorded, COMPONENTS[e], ids);
            struct trace *oracle = run(run_text_encoder_f64, &recorded, COMPONENTS[e], ids);
            check_outputs(&recorded, ours, COMPONENTS[e], sign);
            check_prompt_embeds(&recorded, ours, sign, first_column);
            check_pooled(&recorded, ours, sign);
            if (recorded.errors) check_truths(&recorded, ours, oracle, COMPONENTS[e], sign);
            /* Where no truth is recorded the double build stands for it: the float one is within its gate. */
            check_float(&recorded, need_tensor(trace_tensors(ours), "last_hidden_state"),
                need_tensor(trace_tensors(oracle), "last_hidden_state"), "last_hidden_state (double)");
            first_column += need_tensor(trace_tensors(ours), "hidden_states.0")->shape[2];
            trace_free(ours);
            trace_free(oracle);
        }
    }
    ck_assert_uint_ge(recorded.compared, recorded.errors ? 14 : 2);
    close_recorded(&recorded);
}
END_TEST

/* --- What the definitions promise --------------------------------------------------------- */

/* The pooled vector and the last states for ids of 16 places, from an encoder with a projection. */
static struct trace *run_ids(const char *model, const int64_t ids[16])
{
    struct recorded recorded = {.name = model};
    struct error error = {""};
    int64_t copy[16];
    memcpy(copy, ids, sizeof copy);
    struct tensor tensor = {DTYPE_I64, 2, {1, 16}, copy};
    ck_assert_msg(checkpoint_open(golden_path("models/%s", model), &recorded.checkpoint, &error) == STATUS_OK,
        "%s", error.message);
    struct trace *trace = run(run_text_encoder_f32, &recorded, "text_encoder_2", &tensor);
    checkpoint_close(&recorded.checkpoint);
    return trace;
}

static void pooled_at(const char *model, const int64_t ids[16], int64_t position)
{
    /* With `position` known, ids after it cannot matter (the mask), and an id before it must. */
    struct trace *trace = run_ids(model, ids);
    const int64_t changes[] = {0, position - 1, position + 1, position + 2, 15};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        int64_t changed = changes[i], other[16];
        memcpy(other, ids, sizeof other);
        if (changed == position || changed < 0) continue;
        other[changed] = 40 + changed; /* small ids, no special tokens */
        struct trace *second = run_ids(model, other);
        struct difference pooled = tensor_difference(need_tensor(trace_tensors(second), "text_embeds"),
            need_tensor(trace_tensors(trace), "text_embeds"));
        const struct tensor *a = need_tensor(trace_tensors(trace), "last_hidden_state");
        const struct tensor *b = need_tensor(trace_tensors(second), "last_hidden_state");
        ck_assert_msg((pooled.unequal == 0) == (changed > position),
            "%s: expected position %" PRId64 " to be pooled; changing %" PRId64 " changed %zu values", model,
            position, changed, pooled.unequal);
        /* The mask: the states before the change are the same bits. */
        size_t before = (size_t)(changed * a->shape[2]) * sizeof(float);
        ck_assert_msg(memcmp(a->data, b->data, before) == 0, "%s: position %" PRId64 " is seen before it",
            model, changed);
        trace_free(second);
    }
    trace_free(trace);
}

START_TEST(pooling_rules)
{
    /* eos_token_id 2: the first of the largest ids (1213 is the end token), also where padding is the
     * same. */
    pooled_at("tiny-sdxl", (int64_t[16]){1212, 70, 71, 72, 73, 1213, 1213, 1213, 0, 0, 0, 0, 0, 0, 0, 0}, 5);
    pooled_at("tiny-sdxl", (int64_t[16]){1, 70, 900, 72, 73, 900, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0}, 2);
    /* eos_token_id 582: the first of these, though a larger id were to follow; the first token where none
     * is. */
    pooled_at("shapes-xl", (int64_t[16]){581, 70, 71, 72, 582, 582, 582, 582, 0, 0, 0, 0, 0, 0, 0, 0}, 4);
    pooled_at("shapes-xl", (int64_t[16]){100, 70, 571, 72, 73, 74, 75, 76, 0, 0, 0, 0, 0, 0, 0, 0}, 0);
}
END_TEST

/* A batch is its prompts one by one. */
START_TEST(batches)
{
    int64_t ids[2][16] = {{1212, 70, 71, 1213}, {1212, 99, 98, 97, 96, 1213}};
    struct checkpoint checkpoint;
    struct error error = {""};
    ck_assert_int_eq(checkpoint_open(golden_path("models/tiny-sdxl"), &checkpoint, &error), STATUS_OK);
    struct trace *both = NULL;
    ck_assert_int_eq(trace_create(&both, &error), STATUS_OK);
    struct tensor tensor = {DTYPE_I64, 2, {2, 16}, ids};
    ck_assert_int_eq(
        run_text_encoder_f32(&checkpoint, "text_encoder_2", NULL, &tensor, both, &error), STATUS_OK);
    static const char *const outputs[] = {"last_hidden_state", "text_embeds"};
    for (size_t b = 0; b < 2; b++) {
        struct trace *one = run_ids("tiny-sdxl", ids[b]);
        for (size_t i = 0; i < 2; i++) {
            const struct tensor *single = need_tensor(trace_tensors(one), "%s", outputs[i]);
            struct tensor part = *single;
            part.data =
                (char *)need_tensor(trace_tensors(both), "%s", outputs[i])->data + b * tensor_bytes(single);
            ck_assert_double_le(tensor_difference(&part, single).max_rel_peak, 1e-6); /* a few roundings */
        }
        trace_free(one);
    }
    trace_free(both);
    checkpoint_close(&checkpoint);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text encoder");
    TCase *cases = tcase_create("text encoder");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, recorded_traces, 0, GEMM_KINDS * TRACE_COUNT);
    tcase_add_test(cases, pooling_rules);
    tcase_add_test(cases, batches);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
