/*
 * A run that goes on from its journal leaves the bytes of one that was never interrupted, picture and trace:
 * for every scheduler class, after each step, for every generator, for batches, sizes, given noise, every
 * precision, and with another number of threads. A journal that is damaged goes on from its last whole step,
 * or is refused, and a run that is not the journal's is refused by what differs.
 *
 * The machine "fails" here in the middle of a step: an observer of the run says so. Signals are in
 * test_interruption.c.
 */
#include "interrupting.h"

#include "kernels/cpu.h"
#include "ref/run_job.h"
#include "ref/trace_journal.h"
#include "sched/scheduler.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TINY "golden/models/tiny-sd"

/* --- A run, and its end in the middle ----------------------------------------------------- */

struct call {
    const char *model, *recipe; /* a folder of golden/models; JSON */
    enum precision precision;
    bool modules;
    size_t every; /* it is interrupted after every so many steps; 0 is 1 */
};

struct setting {
    const struct call *call;
    struct pipeline pipeline;
    struct recipe recipe;
    struct invocation invocation;
};

static void open_setting(const struct call *call, struct setting *setting)
{
    struct error error = {""};
    cJSON *json = NULL;
    *setting = (struct setting){.call = call};
    setting->invocation.messages = fopen("/dev/null", "w");
    ck_assert_ptr_nonnull(setting->invocation.messages);
    ck_assert_int_eq(json_parse(call->recipe, strlen(call->recipe), "recipe", &json, &error), STATUS_OK);
    ck_assert_msg(recipe_read(json, &setting->recipe, &error) == STATUS_OK, "%s", error.message);
    cJSON_Delete(json);
    ck_assert_msg(pipeline_open(golden_path("models/%s", call->model), setting->recipe.variant,
                      &setting->pipeline, &error) == STATUS_OK,
        "%s", error.message);
}

static void close_setting(struct setting *setting)
{
    recipe_free(&setting->recipe);
    pipeline_close(&setting->pipeline);
    warnings_free(&setting->invocation.warnings);
    fclose(setting->invocation.messages);
}

/* The machine fails when this tensor is there. */
struct failure {
    char at[48];
};

static enum status fail_at(void *context, const char *name, const struct tensor *value, struct error *error)
{
    (void)value;
    const struct failure *failure = context;
    return strcmp(name, failure->at) == 0 ? error_machine(error, "it is dark") : STATUS_OK;
}

/* Runs it into NAME.safetensors and NAME.png of the test's folder, from its journal where `resume` is not
 * NULL. */
static enum status run(struct setting *setting, const char *name, const struct observer *observer,
    struct resume *resume, struct error *error)
{
    struct run_job job = {
        .pipeline = &setting->pipeline,
        .recipe = &setting->recipe,
        .precision = setting->call->precision,
        .trace_modules = setting->call->modules,
        .out = path_in(test_folder, "%s.png", name),
        .trace = path_in(test_folder, "%s.safetensors", name),
        .noise_log = path_in(test_folder, "%s.json", name),
        .journal = path_in(test_folder, "%s.safetensors.partial", name),
        .going_on = "nothing",
        .resume = resume,
        .observer = observer,
        .words = "",
    };
    return run_job(&setting->invocation, &job, error);
}

/* Ends the run when `steps` of `total` are finished: in the next step, or in the decoder. */
static void interrupt(struct setting *setting, size_t steps, size_t total)
{
    struct error error = {""};
    struct failure failure = {"vae_input"};
    const struct observer observer = {.context = &failure, .see = fail_at};
    if (steps < total) snprintf(failure.at, sizeof failure.at, "step.%02zu.model_input", steps);
    enum status status = run(setting, "part", &observer, NULL, &error);
    expect_error(status, STATUS_MACHINE, &error, "it is dark", NULL);
    ck_assert(is_in_folder("part.safetensors.partial"));
    ck_assert(!is_in_folder("part.safetensors") && !is_in_folder("part.png") && !is_in_folder("part-0.png"));
}

static void expect_resumed(struct setting *setting, size_t steps)
{
    struct error error = {""};
    struct resume resume = {0};
    enum status status = resume_open(
        path_in(test_folder, "part.safetensors.partial"), &resume, &setting->invocation.warnings, &error);
    ck_assert_msg(
        status == STATUS_OK, "%s: after %zu steps: %s", setting->call->recipe, steps, error.message);
    ck_assert_uint_eq(resume.steps, steps);
    status = run(setting, "part", NULL, &resume, &error);
    ck_assert_msg(
        status == STATUS_OK, "%s: after %zu steps: %s", setting->call->recipe, steps, error.message);
    resume_close(&resume);
    ck_assert(!is_in_folder("part.safetensors.partial"));
    expect_same_bytes("whole.safetensors", "part.safetensors", setting->call->recipe);
    expect_same_bytes("whole.json", "part.json", setting->call->recipe);
    const size_t pictures = run_files_pictures(&setting->recipe);
    for (size_t i = 0; i < pictures; i++) {
        char *whole = run_files_picture("whole.png", i, pictures),
             *part = run_files_picture("part.png", i, pictures);
        expect_same_bytes(whole, part, setting->call->recipe);
        unlink(path_in(test_folder, "%s", part));
        free(whole);
        free(part);
    }
    unlink(path_in(test_folder, "part.safetensors"));
    unlink(path_in(test_folder, "part.json"));
}

static size_t steps_of_whole(void)
{
    struct tensor_set *set = open_set(path_in(test_folder, "whole.safetensors"));
    char latents[48];
    size_t steps = 0;
    do snprintf(latents, sizeof latents, "step.%02zu.latents", steps++);
    while (tensor_set_find(set, latents));
    tensor_set_free(set);
    return steps - 1;
}

/* One thread before the interruption, two after it. Returns how many interruptions there were. */
static size_t expect_the_same_bytes(const struct call *call)
{
    struct setting setting;
    struct error error = {""};
    open_setting(call, &setting);
    enum status status = run(&setting, "whole", NULL, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", call->recipe, error.message);
    ck_assert(!is_in_folder("whole.safetensors.partial"));
    size_t total = steps_of_whole(), count = 0;
    for (size_t steps = 1; steps <= total; steps += call->every ? call->every : 1) {
        kernels_set_threads(1);
        interrupt(&setting, steps, total);
        kernels_set_threads(2);
        expect_resumed(&setting, steps);
        count++;
    }
    close_setting(&setting);
    return count;
}

/* --- Every class -------------------------------------------------------------------------- */

/* After the first step, the third and the fifth: before a multistep solver has come to its full order, and
 * after it; between the two calls of a step of Heun's method. */
START_TEST(every_class_goes_on_to_the_same_bytes)
{
    const char *name = scheduler_class_name((size_t)_i);
    char recipe[512];
    if (strstr(name, "ScoreSde")) return; /* no step() */
    /* Where torchsde's Brownian path recurses without end at the class's own. */
    const char *options = strstr(name, "Cosine") ? ", \"sigma_min\": 0.5" : "";
    snprintf(recipe, sizeof recipe,
        "{\"prompt\": \"a cat\", \"num_inference_steps\": 5, \"height\": 16, \"width\": 16, \"seed\": 3, "
        "\"scheduler\": {\"_class_name\": \"%s\"%s}}",
        name, options);
    const struct call call = {.model = "tiny-sd", .recipe = recipe, .every = 2};
    ck_assert_uint_ge(expect_the_same_bytes(&call), 2);
}
END_TEST

/* --- Every kind of run -------------------------------------------------------------------- */

#define SMALL "\"prompt\": \"a cat\", \"height\": 16, \"width\": 24, "

static const struct call calls[] = {
    {"tiny-sd", "{" SMALL "\"num_inference_steps\": 7, \"scheduler\": {\"_class_name\": \"PNDMScheduler\"}}",
        PRECISION_F32, true, 1},
    {"tiny-sd",
        "{" SMALL
        "\"num_inference_steps\": 4, \"eta\": 0.7, \"guidance_rescale\": 0.6, \"num_images_per_prompt\": 2, "
        "\"seed\": [5, \"4294967295\"], \"generator\": \"numpy-mt19937\", \"scheduler\": "
        "{\"_class_name\": "
        "\"DDIMScheduler\"}}",
        PRECISION_F32, false, 1},
    {"tiny-sdxl",
        "{" SMALL "\"num_inference_steps\": 5, \"negative_prompt\": \"snow\", \"generator\": \"torch-cpu\", "
        "\"scheduler\": {\"_class_name\": \"DPMSolverMultistepScheduler\", \"algorithm_type\": "
        "\"sde-dpmsolver++\", "
        "\"use_karras_sigmas\": true}}",
        PRECISION_F32, true, 1},
    {"tiny-sdxl",
        "{" SMALL "\"num_inference_steps\": 6, \"denoising_end\": 0.7, \"generator\": \"torch-cpu-plain\", "
        "\"scheduler\": {\"_class_name\": \"EulerAncestralDiscreteScheduler\", \"timestep_spacing\": "
        "\"trailing\"}}",
        PRECISION_F32, false, 1},
    {"tiny-sdxl",
        "{" SMALL "\"num_inference_steps\": 4, \"guidance_scale\": 1, \"generator\": \"torch-cuda\", "
        "\"scheduler\": {\"_class_name\": \"SASolverScheduler\"}}",
        PRECISION_F64, true, 1},
    {"tiny-sd21v",
        "{" SMALL
        "\"num_inference_steps\": 4, \"guidance_rescale\": 0.7, \"num_images_per_prompt\": 2, \"seed\": [1, "
        "2], \"scheduler\": {\"_class_name\": \"DPMSolverSDEScheduler\"}}",
        PRECISION_F32, false, 1},
    {"tiny-sd21v",
        "{" SMALL
        "\"num_inference_steps\": 4, \"scheduler\": {\"_class_name\": \"UniPCMultistepScheduler\"}}",
        PRECISION_F16, true, 1},
    {"tiny-sdxl",
        "{\"prompt\": [\"a cat\", \"a dog\"], \"height\": 24, \"width\": 16, \"num_inference_steps\": 3, "
        "\"scheduler\": {\"_class_name\": \"HeunDiscreteScheduler\"}}",
        PRECISION_BF16, false, 1},
    {"tiny-sd", "{" SMALL "\"num_inference_steps\": 3, \"scheduler\": {\"_class_name\": \"LCMScheduler\"}}",
        PRECISION_TF32, false, 1},
    {"tiny-sdxl",
        "{" SMALL "\"sigmas\": [14.6, 6.3, 2.2, 0.9, 0.2, 0.0], \"scheduler\": {\"_class_name\": "
        "\"EulerDiscreteScheduler\"}}",
        PRECISION_F32, false, 2},
    {"tiny-sd", "{" SMALL "\"num_inference_steps\": 1}", PRECISION_F32, false, 1},
};

START_TEST(every_kind_of_run_goes_on_to_the_same_bytes)
{
    size_t count = expect_the_same_bytes(&calls[_i]);
    printf("%zu interruptions, each to the same bytes: %s %s %.90s...\n", count, calls[_i].model,
        precision_names[calls[_i].precision], calls[_i].recipe);
}
END_TEST

/* The latents and the noise of another run's trace. */
START_TEST(given_noise_goes_on_to_the_same_bytes)
{
    char recipe[1024];
    const char *source = golden_path("models/traces/sd-ddim5.safetensors");
    struct tensor_set *set = open_set(source);
    const struct tensor *latents = need_tensor(set, "init_noise");
    for (int with_noise = 0; with_noise < 2; with_noise++) {
        snprintf(recipe, sizeof recipe,
            "{\"prompt\": \"a cat\", \"height\": %d, \"width\": %d, \"num_inference_steps\": 3, \"%s\": "
            "\"%s\", "
            "\"scheduler\": {\"_class_name\": \"DDIMScheduler\"}}",
            (int)latents->shape[2] * 2, (int)latents->shape[3] * 2, with_noise ? "noise" : "latents", source);
        expect_the_same_bytes(&(struct call){.model = "tiny-sd", .recipe = recipe});
        unlink(path_in(test_folder, "whole.safetensors"));
    }
    tensor_set_free(set);
}
END_TEST

/* --- What a journal is -------------------------------------------------------------------- */

/* After three of seven steps it is a set of tensors like any other: those of the trace so far, bit for bit,
 * its metadata, and the journal's own. */
START_TEST(a_journal_is_the_trace_so_far)
{
    struct setting setting;
    struct error error = {""};
    open_setting(&calls[0], &setting);
    ck_assert_int_eq(run(&setting, "whole", NULL, NULL, &error), STATUS_OK);
    interrupt(&setting, 3, 8);
    struct tensor_set *whole = open_set(path_in(test_folder, "whole.safetensors"));
    struct tensor_set *part = open_set(path_in(test_folder, "part.safetensors.partial"));
    size_t shared = 0, unfinished = 0;
    for (size_t i = 0; i < tensor_set_count(part); i++) {
        const char *name = tensor_set_name(part, i);
        const struct tensor *tensor = tensor_set_at(part, i);
        unfinished += strncmp(name, "unfinished.", strlen("unfinished.")) == 0;
        if (trace_journal_owns(name)) continue;
        const struct tensor *same = need_tensor(whole, "%s", name);
        ck_assert_msg(same->dtype == tensor->dtype && tensor_same_shape(same, tensor), "%s", name);
        ck_assert_msg(memcmp(same->data, tensor->data, tensor_bytes(tensor)) == 0, "%s", name);
        ck_assert_msg((uintptr_t)tensor->data % dtype_size(tensor->dtype) == 0, "%s is not aligned", name);
        shared++;
    }
    for (size_t i = 0; i < tensor_set_count(whole); i++) {
        const char *name = tensor_set_name(whole, i);
        size_t step;
        bool is_later = (sscanf(name, "step.%zu.", &step) == 1 && step >= 3) ||
                        strncmp(name, "act.vae.", strlen("act.vae.")) == 0 ||
                        strncmp(name, "image", 5) == 0 || strcmp(name, "vae_input") == 0 ||
                        strcmp(name, "latents.final") == 0;
        ck_assert_msg(is_later == (tensor_set_find(part, name) == NULL), "%s", name);
    }
    ck_assert_uint_gt(shared, 30);
    ck_assert_uint_eq(unfinished, 5);
    static const char *const keys[] = {"recipe", "schedule", "seed", "machine", "precision"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_str_eq(tensor_set_metadata(part, keys[i]), tensor_set_metadata(whole, keys[i]));
    tensor_set_free(whole);
    tensor_set_free(part);
    close_setting(&setting);
}
END_TEST

/* A journal with three steps, and the run that was not interrupted. */
static void make_journal_of(const struct call *call, size_t total)
{
    struct setting setting;
    struct error error = {""};
    open_setting(call, &setting);
    ck_assert_int_eq(run(&setting, "whole", NULL, NULL, &error), STATUS_OK);
    interrupt(&setting, 3, total);
    close_setting(&setting);
}

static void make_journal(void)
{
    make_journal_of(&calls[0], 8);
}

/* Changes a byte of a tensor in the journal's file. */
static void change_byte(const char *name)
{
    const char *path = path_in(test_folder, "part.safetensors.partial");
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    struct tensor_set *set = open_set(path);
    const struct tensor *tensor = need_tensor(set, "%s", name);
    bool found = false;
    for (size_t at = 0; at + tensor_bytes(tensor) <= size && !found; at++) {
        found = memcmp(bytes + at, tensor->data, tensor_bytes(tensor)) == 0;
        if (found) bytes[at + tensor_bytes(tensor) / 2] ^= 0x10;
    }
    ck_assert(found);
    tensor_set_free(set);
    unlink(path); /* a mapping of it keeps its bytes */
    write_bytes(path, bytes, size);
    free(bytes);
}

#define PART "%s/part.safetensors"

START_TEST(it_goes_on_from_the_last_whole_step)
{
    make_journal();
    change_byte("step.02.latents");
    int status = plumb("run --resume " PART, test_folder);
    ck_assert_msg(status == 0, "%s", err);
    expect_in(err, "part.safetensors.partial: step 2 is damaged, and left out with what follows it\n");
    expect_in(err, "part.safetensors.partial: goes on after 2 of 8 steps\n");
    expect_same_bytes("whole.safetensors", "part.safetensors", "damaged");
    expect_same_bytes("whole.png", "part.png", "damaged");
    status = plumb("run --resume " PART, test_folder);
    ck_assert_int_eq(status, 0);
    expect_in(err, "part.safetensors: this run is finished\n");
}
END_TEST

/* --- What is refused ---------------------------------------------------------------------- */

enum { MADE = 4 }; /* files of make_journal() */

static void expect_refused(const char *options, const char *a, const char *b)
{
    int status = plumb("run --resume " PART " %s", test_folder, options);
    expect_failure(status, STATUS_BAD_INPUT, MADE, "part.safetensors.partial: ", a, b, NULL);
}

START_TEST(another_run_is_refused)
{
    make_journal();
    expect_refused("--steps 8", "num_inference_steps: expected 7, as the run began with, got 8", "");
    expect_refused(
        "--prompt 'a dog'", "prompt: expected \"a cat\", as the run began with, got \"a dog\"", "");
    expect_refused("--eta 0.5", "eta: expected nothing, as the run began with, got 0.5", "");
    expect_refused("--precision f64", "--precision: expected f32, as the run began with, got f64", "");
    expect_refused("--gemm openblas", "--gemm: expected portable, as the run began with, got openblas", "");
    expect_refused("golden/models/tiny-sdxl",
        "checkpoint: the model_index.json of golden/models/tiny-sdxl is not",
        "the one that the run began with");
    copy_folder(TINY, path_in(test_folder, "copy"));
    const char *weights = path_in(test_folder, "copy/unet/diffusion_pytorch_model.safetensors");
    size_t size;
    unsigned char *bytes = read_bytes(weights, &size);
    bytes[size - 3] ^= 1; /* a bit of one weight */
    write_bytes(weights, bytes, size);
    free(bytes);
    int status = plumb("run %s/copy --resume " PART, test_folder, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, MADE + 1, "checkpoint: the unet of ", "/copy is not", NULL);
}
END_TEST

START_TEST(modules_cannot_join_later)
{
    static const struct call plain = {.model = "tiny-sd",
        .recipe =
            "{" SMALL "\"num_inference_steps\": 4, \"scheduler\": {\"_class_name\": \"DDIMScheduler\"}}"};
    make_journal_of(&plain, 4);
    expect_refused("--trace-modules", "--trace-modules: the run began without", "");
}
END_TEST

/* What the header says is changed in place to a text of the same length. */
static void change_header(const char *from, const char *to)
{
    const char *path = path_in(test_folder, "part.safetensors.partial");
    size_t size;
    unsigned char *bytes = read_bytes(path, &size);
    char *at = memmem(bytes, size, from, strlen(from));
    ck_assert_msg(at != NULL && strlen(from) == strlen(to), "%s", from);
    memcpy(at, to, strlen(to));
    write_bytes(path, bytes, size);
    free(bytes);
}

static const struct {
    const char *from, *to, *message;
} changes[] = {
    {"{\\\"plumb\\\":\\\"", "{\\\"plomb\\\":\\\"", "versions: expected {\"plomb\""},
    {"\"precision\":\"f32\"", "\"precision\":\"f33\"",
        "__metadata__: precision: expected a name that Plumb has"},
    {"\\\"gemm\\\":\\\"portable\\\"", "\\\"gemm\\\":\\\"patented\\\"",
        "__metadata__: machine: gemm: expected a name"},
    {"\\\"steps\\\":8", "\\\"steps\\\":2", "holds 3 steps of 2"},
    {"\\\"steps\\\":8", "\\\"steps\\\":9", "a run of 9 steps; this one has 8"},
    {"\\\"steps\\\":8", "\\\"steps\\\":-", "__metadata__: resume"},
    {"\"resume\":", "\"resumm\":", "__metadata__: resume: missing"},
    {"\\\"checkpoint\\\"", "\\\"chickpoint\\\"", "says no checkpoint: give it"},
    {"\"sum.01\"", "\"som.01\"", "no step of it is whole"},
};

START_TEST(a_header_that_was_changed)
{
    make_journal();
    change_header(changes[_i].from, changes[_i].to);
    expect_refused("", changes[_i].message, "");
}
END_TEST

/* Products of OpenBLAS's have the bits of its version and kernels; those that the run began with are asked
 * for. */
START_TEST(products_of_another_blas_are_refused)
{
    kernels_use_gemm(GEMM_OPENBLAS);
    make_journal();
    char core[64], other[64];
    snprintf(core, sizeof core, "\\\"blas_core\\\":\\\"%.20s", kernels_blas_core());
    snprintf(other, sizeof other, "\\\"blas_core\\\":\\\"X%.19s", kernels_blas_core() + 1);
    change_header(core, other);
    int status = plumb("run --resume " PART, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, MADE, "--blas-core: X", NULL);
    change_header(other, core);
    change_header("\\\"blas\\\":\\\"OpenBLAS", "\\\"blas\\\":\\\"CloseBLA");
    expect_refused("", "machine: blas: expected CloseBLA", "as the run began with, got OpenBLAS");
    change_header("\\\"blas\\\":\\\"CloseBLA", "\\\"blas\\\":\\\"OpenBLAS");
    ck_assert_int_eq(plumb("run --resume " PART, test_folder), 0);
    expect_same_bytes("whole.safetensors", "part.safetensors", "with OpenBLAS's products");
}
END_TEST

START_TEST(a_file_that_was_cut)
{
    make_journal();
    const char *path = path_in(test_folder, "part.safetensors.partial");
    size_t size;
    free(read_bytes(path, &size));
    ck_assert_int_eq(truncate(path, (off_t)(size / 2)), 0);
    expect_refused("", "(a truncated file?)", "");
    ck_assert_int_eq(truncate(path, 0), 0);
    expect_refused("", "expected", "");
}
END_TEST

/* Whoever made it, made it otherwise: what is computed again is not what is recorded, though its checksum
 * holds. */
static void remake_journal(bool of_another_shape)
{
    const char *path = path_in(test_folder, "part.safetensors.partial");
    struct tensor_set *set = open_set(path);
    struct trace *trace = NULL;
    struct trace_journal *journal = NULL;
    struct journal_tensor *tensors;
    size_t count, steps;
    ck_assert_int_eq(trace_journal_read(set, &tensors, &count, &steps, NULL), STATUS_OK);
    ck_assert_int_eq(trace_create(&trace, NULL), STATUS_OK);
    static const char *const keys[] = {"recipe", "schedule", "seed", "machine", "precision", "versions"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        ck_assert_int_eq(
            trace_put_metadata(trace, keys[i], tensor_set_metadata(set, keys[i]), NULL), STATUS_OK);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(trace_add(trace, tensors[i].tensor, NULL, "%s", tensors[i].name), STATUS_OK);
        struct tensor *copy =
            (struct tensor *)(uintptr_t)tensor_set_find(trace_tensors(trace), tensors[i].name);
        if (strcmp(tensors[i].name, "step.01.latents") != 0) continue;
        ((float *)copy->data)[5] += 1e-6F;
        if (of_another_shape) copy->shape[3]--;
    }
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(trace_journal_open(path, false, &journal, NULL), STATUS_OK);
    ck_assert_int_eq(
        trace_journal_save(journal, trace, tensor_set_metadata(set, "resume"), steps, 8, NULL), STATUS_OK);
    trace_journal_free(journal);
    trace_free(trace);
    tensor_set_free(set);
    free(tensors);
}

START_TEST(numbers_of_another_program_are_refused)
{
    make_journal();
    remake_journal(false);
    expect_refused("", "step.01.latents: element 5: expected", "another program or machine made it");
    remake_journal(true);
    expect_refused(
        "", "step.01.latents: expected F32 [1, 4, 8, 12], which this run has, got F32 [1, 4, 8, 11]", "");
}
END_TEST

START_TEST(a_journal_is_not_lost_to_a_new_run)
{
    make_journal();
    int status = plumb("run " TINY " --prompt fox --steps 2 --trace " PART, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, MADE,
        "part.safetensors.partial: holds the steps of a run that was "
        "interrupted: plumb run --resume ",
        "goes on with it; remove it to begin anew", NULL);
    int file = open(path_in(test_folder, "part.safetensors.partial"), O_RDWR);
    ck_assert_int_eq(flock(file, LOCK_EX), 0);
    expect_refused("", "another run is writing it", "");
    close(file);
}
END_TEST

START_TEST(what_cannot_be_resumed)
{
    expect_failure(plumb("run --resume %s/none.safetensors", test_folder), STATUS_BAD_INPUT, 0,
        "--resume: there is neither ", "none.safetensors.partial, the steps of an interrupted run, nor ",
        NULL);
    make_journal();
    unlink(path_in(test_folder, "part.safetensors.partial"));
    struct tensor_set *set = empty_set();
    add_tensor(set, "x", &(struct tensor){DTYPE_F32, 1, {1}, (float[]){1}});
    write_set(set, path_in(test_folder, "part.safetensors"));
    tensor_set_free(set);
    int status = plumb("run --resume " PART, test_folder);
    expect_failure(status, STATUS_BAD_INPUT, MADE, "is not the trace of a finished run", NULL);
    /* A trace of another container, and the picture that the run was asked for. */
    ck_assert_int_eq(plumb("run " TINY " --prompt fox --steps 1 --trace %s/t.npz", test_folder), 0);
    ck_assert_int_eq(plumb("run --resume %s/t.npz", test_folder), 0);
    expect_in(err, "t.npz: this run is finished\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, make_test_folder, drop_program_folder);
    tcase_set_timeout(runs, 300);
    tcase_add_loop_test(runs, every_class_goes_on_to_the_same_bytes, 0, (int)scheduler_class_count());
    tcase_add_loop_test(
        runs, every_kind_of_run_goes_on_to_the_same_bytes, 0, (int)(sizeof calls / sizeof *calls));
    tcase_add_test(runs, given_noise_goes_on_to_the_same_bytes);
    suite_add_tcase(suite, runs);
    TCase *journals = tcase_create("journals");
    tcase_add_checked_fixture(journals, make_test_folder, drop_program_folder);
    tcase_set_timeout(journals, 300);
    tcase_add_test(journals, a_journal_is_the_trace_so_far);
    tcase_add_test(journals, it_goes_on_from_the_last_whole_step);
    tcase_add_test(journals, another_run_is_refused);
    tcase_add_loop_test(journals, a_header_that_was_changed, 0, (int)(sizeof changes / sizeof *changes));
    tcase_add_test(journals, modules_cannot_join_later);
    tcase_add_test(journals, products_of_another_blas_are_refused);
    tcase_add_test(journals, a_file_that_was_cut);
    tcase_add_test(journals, numbers_of_another_program_are_refused);
    tcase_add_test(journals, a_journal_is_not_lost_to_a_new_run);
    tcase_add_test(journals, what_cannot_be_resumed);
    suite_add_tcase(suite, journals);
    return run_suite(suite);
}
