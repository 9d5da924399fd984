/*
 * What diffusers does with bad and with surprising scheduler calls (golden/sched_errors.json, every entry of
 * which was executed): what it refuses is refused here, by the same call and for the same reason; what it
 * accepts is accepted, with the same timesteps and sigmas.
 */
#include "sched/generator.h"
#include "sched/call_arguments.h"
#include "sched/scheduler.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The recorded loops run on ones(1, 3, 2, 2). */
#define PICTURE 12

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool is_known_class(const char *class_name)
{
    for (size_t i = 0; i < scheduler_class_count(); i++)
        if (strcmp(scheduler_class_name(i), class_name) == 0) return true;
    return false;
}

static enum status create(const char *class_name, const cJSON *options, struct scheduler **scheduler,
    struct warnings *warnings, struct error *error)
{
    cJSON *config = cJSON_Duplicate(options, true);
    ck_assert(config != NULL);
    ck_assert(cJSON_AddStringToObject(config, "_class_name", class_name) != NULL);
    enum status status = scheduler_create(config, scheduler, warnings, error);
    cJSON_Delete(config);
    return status;
}

/* --- The recorded calls ------------------------------------------------------------------- */

static enum status set_timesteps(struct scheduler *scheduler, const cJSON *arguments, struct error *error)
{
    struct owned_request owned;
    enum status status = schedule_request_read(arguments, &owned, error);
    if (status == STATUS_OK) status = scheduler_set_timesteps(scheduler, &owned.request, NULL, error);
    schedule_request_free(&owned);
    return status;
}

/* One step of the recorded loop: the model gives a tenth of its input. `sample` becomes the previous sample;
 * `generator` (NULL: zeros) is where the noise comes from. */
static enum status step_at(struct scheduler *scheduler, double timestep, struct step_options options,
    struct generator *generator, real *sample, struct error *error)
{
    real model_output[PICTURE], prev_sample[PICTURE], noise[PICTURE] = {0};
    enum status status =
        scheduler_scale_model_input(scheduler, timestep, sample, PICTURE, model_output, error);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < PICTURE; i++) model_output[i] *= (real)0.1;
    const bool own_noise = scheduler_makes_noise(scheduler);
    const uint64_t seed = 0;
    if (own_noise) status = scheduler_seed_noise(scheduler, &seed, 1, error);
    if (status != STATUS_OK) return status;
    if (generator && !own_noise && scheduler_needs_noise(scheduler, timestep, &options))
        generator_normal_f32(generator, noise, PICTURE);
    const struct step_input input = {
        .timestep = timestep,
        .model_output = model_output,
        .model_output_size = PICTURE,
        .sample = sample,
        .batch = 1,
        .sample_size = PICTURE,
        .noise = own_noise ? NULL : noise,
        .options = options,
    };
    status = scheduler_step(scheduler, &input, prev_sample, NULL, error);
    if (status == STATUS_OK) memcpy(sample, prev_sample, sizeof prev_sample);
    return status;
}

/* The whole loop; the sum of the last sample is compared with the recorded one. */
static enum status loop(
    struct scheduler *scheduler, const cJSON *arguments, const cJSON *result, struct error *error)
{
    struct step_options options;
    ck_assert_int_eq(step_options_read(arguments, &options, NULL), STATUS_OK);
    real sample[PICTURE];
    for (size_t i = 0; i < PICTURE; i++) sample[i] = (real)scheduler->init_noise_sigma;
    /* Before set_timesteps PNDM has no timesteps, and the loop would not begin. */
    size_t steps = scheduler->num_timesteps ? scheduler->num_timesteps : 1;
    struct generator *generator = NULL;
    enum status status = generator_create(GENERATOR_TORCH_CPU, "0", &generator, error);
    for (size_t i = 0; status == STATUS_OK && i < steps; i++) {
        double timestep = scheduler->num_timesteps ? scheduler->timesteps[i] : 0;
        status = step_at(scheduler, timestep, options, generator, sample, error);
    }
    generator_free(generator);
    if (status != STATUS_OK) return status;
    double sum = 0;
    for (size_t i = 0; i < PICTURE; i++) sum += (double)sample[i];
    ck_assert_int_eq(isfinite(sum), cJSON_IsTrue(member(result, "finite")));
    if (!isfinite(sum)) return STATUS_OK;
    double expected = cJSON_GetNumberValue(member(result, "sum"));
    ck_assert_msg(fabs(sum - expected) <= 1e-5 * fabs(expected), "the loop's sum: expected %.9g, got %.9g",
        expected, sum);
    return STATUS_OK;
}

/* A timestep off the schedule, written as "123.456 (not on the schedule)". */
static enum status step_off_schedule(
    struct scheduler *scheduler, const cJSON *arguments, const cJSON *result, struct error *error)
{
    real sample[PICTURE] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    double timestep = strtod(cJSON_GetStringValue(member(arguments, "timestep")), NULL);
    ck_assert(timestep > 0);
    enum status status = step_at(scheduler, timestep, STEP_OPTIONS_DEFAULT, NULL, sample, error);
    if (status == STATUS_OK)
        ck_assert_int_eq(scheduler->step_index, member(result, "step_index_after")->valueint);
    return status;
}

/* Makes one recorded call after __init__. */
static enum status call(
    struct scheduler *scheduler, const cJSON *recorded, const cJSON *result, struct error *error)
{
    if (cJSON_IsString(recorded)) {
        ck_assert_str_eq(recorded->valuestring, "step(timesteps[0])");
        real sample[PICTURE] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        enum status status =
            step_at(scheduler, scheduler->timesteps[0], STEP_OPTIONS_DEFAULT, NULL, sample, error);
        ck_assert_int_eq(scheduler->step_index, member(result, "step_index_after_first_step")->valueint);
        return status;
    }
    const char *method = recorded->child->string;
    if (strcmp(method, "set_timesteps") == 0) return set_timesteps(scheduler, recorded->child, error);
    if (strcmp(method, "loop") == 0) return loop(scheduler, recorded->child, result, error);
    if (strcmp(method, "step") == 0) return step_off_schedule(scheduler, recorded->child, result, error);
    ck_abort_msg("unknown call %s", method);
    return STATUS_BAD_INPUT;
}

/* --- What came of them -------------------------------------------------------------------- */

/* Our message names the option or argument that diffusers' message is about. */
static void check_message(size_t entry, const char *theirs, const char *ours)
{
    static const struct {
        const char *theirs, *ours;
    } meanings[] = {
        {"Only one of `timesteps` or `sigmas`", "timesteps, sigmas"},
        {"Can only pass one of `num_inference_steps`", "num_inference_steps, timesteps"},
        {"Must pass exactly one", "num_inference_steps, timesteps"},
        {"use_karras_sigmas = True", "use_karras_sigmas"},
        {"use_karras_sigmas=True", "use_karras_sigmas"},
        {"use_exponential_sigmas = True", "use_exponential_sigmas"},
        {"use_exponential_sigmas=True", "use_exponential_sigmas"},
        {"use_beta_sigmas = True", "use_beta_sigmas"},
        {"use_beta_sigmas=True", "use_beta_sigmas"},
        {"use_lu_lambdas = True", "use_lu_lambdas"},
        {"timestep_type = 'continuous'", "timestep_type \"continuous\""},
        {"integer division or modulo by zero", "num_inference_steps"},
        {"division by zero", "num_inference_steps"},
        {"uniform is not supported", "timestep_spacing: expected"},
        {"linear is not supported", "timestep_spacing: expected"},
        {"linspace is not supported", "timestep_spacing: expected"},
        {"cubic is not implemented", "interpolation_type: expected"},
        {"`final_sigmas_type` must be one of", "final_sigmas_type: expected"},
        {"is not supported for `algorithm_type`", "final_sigmas_type: algorithm_type"},
        {"prediction_type given as", "prediction_type: expected"},
        {"object of type 'NoneType' has no len()", "num_inference_steps, timesteps, sigmas: expected"},
        {"`sigmas` and `timesteps` should have the same length as", "num_inference_steps"},
        {"`sigmas` and `timesteps` should have the same length", "sigmas, timesteps: expected as many"},
        {"`mu` must be passed", "mu: missing"},
        {"`time_shift_type` must either be", "time_shift_type: expected"},
        {"prediction_type not implemented yet: sample", "prediction_type: expected"},
        {"unexpected keyword argument 'sigmas'", "sigmas"},
        {"unexpected keyword argument 'timesteps'", "timesteps"},
        {"'>' not supported between instances of 'NoneType' and 'int'", "num_inference_steps"},
        {"must be in descending order", "timesteps["},
        {"`timesteps` must start before", "timesteps[0]"},
        {"list index out of range", "timesteps: "},
        {"Exactly one of `num_inference_steps`", "num_inference_steps, timesteps"},
        {"The combination of `original_steps x strength`", "original_inference_steps"},
        {"`original_steps`: 2000 cannot be larger", "original_inference_steps: "},
        {"gamma must be less than", "eta: "},
        {"unsupported operand type(s) for +: 'NoneType' and 'int'", "use_flow_sigmas"},
        {"unipc is not implemented", "algorithm_type: expected"},
        {"euler is not implemented", "solver_type: expected"},
        {"cosine is not implemented", "beta_schedule: expected"},
        {"sigmoid is not implemented", "beta_schedule: expected"},
        {"Only one of `config.use_beta_sigmas`", "use_beta_sigmas"},
        {"cannot access local variable 'x_t'", "no update of order 3"},
        {"maximum recursion depth exceeded", "recurses without end"},
        {"cannot access local variable 'prev_sample'", "solver_order"},
        {"`sigma_schedule=", "sigma_schedule: expected"},
        {"cannot access local variable 'sigmas'", "sigma_schedule: expected"},
        {"dpmsolver is not implemented", "algorithm_type: expected"},
        {"dpmsolver++ is not implemented", "algorithm_type: expected"},
        {"ode is not implemented", "algorithm_type: expected"},
        {"bh3 is not implemented", "solver_type: expected"},
        {"rhoab is not implemented", "solver_type: expected"},
        {"Order > 3 is not supported", "solver_order: expected"},
        {"The size of tensor a (1000) must match", "thresholding: expected"},
        {"Number of inference steps is 'None'", "num_inference_steps: not set"},
        {"cannot be larger than `self.config.train_timesteps`", "num_train_timesteps"},
        {"operands could not be broadcast together", "num_inference_steps"},
        {"out of bounds for dimension 0 with size 0", "not on the schedule"},
        {"is out of bounds for dimension 0", "step"},
    };
    if (theirs[0] == '\0') theirs = "(an assertion)";
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (!strstr(theirs, meanings[i].theirs)) continue;
        ck_assert_msg(strstr(ours, meanings[i].ours) != NULL,
            "entry %zu: diffusers says \"%s\", we say \"%s\"", entry, theirs, ours);
        return;
    }
    ck_assert_msg(strcmp(theirs, "(an assertion)") == 0 && strstr(ours, "mu: ") == ours,
        "entry %zu: diffusers says \"%s\", which this test does not know; we say \"%s\"", entry, theirs,
        ours);
}

/* A recorded list: whole, or its first and last four entries around "..."; null is a number that is not
 * finite. Recorded values are rounded to 6 decimals. */
static void check_list(
    size_t entry, const char *name, const cJSON *expected, const double *actual, size_t count)
{
    if (!expected) return;
    size_t items = (size_t)cJSON_GetArraySize(expected), i = 0;
    bool cut = false;
    const cJSON *item;
    cJSON_ArrayForEach(item, expected) cut |= cJSON_IsString(item);
    if (cut) ck_assert_msg(count > items, "entry %zu: %s: got only %zu", entry, name, count);
    if (!cut)
        ck_assert_msg(count == items, "entry %zu: %s: expected %zu, got %zu", entry, name, items, count);
    cJSON_ArrayForEach(item, expected)
    {
        size_t index = cut && i > items / 2 ? count - items + i : i;
        if (cJSON_IsNull(item)) ck_assert_msg(!isfinite(actual[index]), "entry %zu: %s", entry, name);
        if (cJSON_IsNumber(item))
            ck_assert_msg(fabs(actual[index] - item->valuedouble) <= 6e-7 + 2e-7 * fabs(item->valuedouble),
                "entry %zu: %s[%zu]: expected %.9g, got %.9g", entry, name, index, item->valuedouble,
                actual[index]);
        i++;
    }
}

static void check_accepted(size_t entry, const struct scheduler *scheduler, const cJSON *result)
{
    check_list(
        entry, "timesteps", member(result, "timesteps"), scheduler->timesteps, scheduler->num_timesteps);
    double *sigmas = malloc((scheduler->num_sigmas + 1) * sizeof *sigmas);
    ck_assert(sigmas != NULL);
    for (size_t i = 0; i < scheduler->num_sigmas; i++) sigmas[i] = (double)scheduler->sigmas[i];
    check_list(entry, "sigmas", member(result, "sigmas"), sigmas, scheduler->num_sigmas);
    free(sigmas);
}

static void check_entry(size_t entry, const cJSON *recorded)
{
    const cJSON *calls = member(recorded, "call"), *raises = member(recorded, "raises");
    const cJSON *result = member(recorded, "result");
    const char *class_name = cJSON_GetStringValue(member(recorded, "class"));
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    enum status status = create(class_name, member(recorded, "config"), &scheduler, NULL, &error);
    int made = 1, count = cJSON_GetArraySize(calls);
    for (; status == STATUS_OK && made < count; made++)
        status = call(scheduler, cJSON_GetArrayItem(calls, made), result, &error);

    if (cJSON_IsNull(raises)) {
        ck_assert_msg(status == STATUS_OK, "entry %zu is accepted by diffusers, refused here: %s", entry,
            error.message);
        check_accepted(entry, scheduler, result);
    } else {
        const char *theirs = cJSON_GetStringValue(member(raises, "message"));
        ck_assert_msg(status == STATUS_BAD_INPUT, "entry %zu is refused by diffusers (%s), accepted here",
            entry, theirs);
        ck_assert_msg(made == count, "entry %zu is refused too early: %s", entry, error.message);
        check_message(entry, theirs, error.message);
    }
    scheduler_free(scheduler);
}

/* The entries that end otherwise here, the list of sched/DEVIATIONS.md: diffusers refuses the Python integer
 * 801 where it takes the timestep 801.0; what that is there to catch, the index of a timestep in its place,
 * is caught as a timestep that is not on the schedule. And EDMEuler's sigmas are to be a tensor, where a list
 * fails: here there are only lists. */
static const struct excused {
    size_t entry;
    const char *class_name, *message; /* of diffusers' refusal: how it begins */
} excused[] = {
    {24, "EulerDiscreteScheduler", "Passing integer indices"},
    {226, "EDMEulerScheduler", "'list' object has no attribute 'to'"},
    {242, "FlowMatchEulerDiscreteScheduler", "Passing integer indices"},
    {251, "FlowMatchLCMScheduler", "Passing integer indices"},
};
enum { EXCUSED = sizeof excused / sizeof *excused };

/* Whether the entry is one of them; the list must be about this very entry. */
static bool is_excused(size_t entry, const cJSON *recorded)
{
    for (size_t k = 0; k < EXCUSED; k++) {
        if (excused[k].entry != entry) continue;
        ck_assert_str_eq(cJSON_GetStringValue(member(recorded, "class")), excused[k].class_name);
        const char *message = cJSON_GetStringValue(member(member(recorded, "raises"), "message"));
        ck_assert_ptr_nonnull(message);
        ck_assert_int_eq(strncmp(message, excused[k].message, strlen(excused[k].message)), 0);
        return true;
    }
    return false;
}

START_TEST(every_recorded_call)
{
    cJSON *document = golden_json("sched_errors.json");
    size_t entry = 0, checked = 0, refused = 0, skipped = 0;
    const cJSON *recorded;
    cJSON_ArrayForEach(recorded, member(document, "errors"))
    {
        if (is_known_class(cJSON_GetStringValue(member(recorded, "class")))) {
            if (is_excused(entry, recorded)) {
                skipped++;
            } else {
                check_entry(entry, recorded);
                checked++;
                refused += !cJSON_IsNull(member(recorded, "raises"));
            }
        }
        entry++;
    }
    printf("sched_errors.json: %zu entries of our classes, %zu of them refused\n", checked, refused);
    ck_assert_uint_ge(checked, 80);
    ck_assert_uint_eq(skipped, EXCUSED);
    cJSON_Delete(document);
}
END_TEST

START_TEST(index_in_place_of_a_timestep)
{
    struct scheduler *scheduler = NULL;
    struct error error = {""};
    cJSON *empty = cJSON_CreateObject();
    ck_assert_int_eq(create("EulerDiscreteScheduler", empty, &scheduler, NULL, &error), STATUS_OK);
    cJSON_Delete(empty);
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = 5};
    ck_assert_int_eq(scheduler_set_timesteps(scheduler, &request, NULL, &error), STATUS_OK);
    real sample[PICTURE] = {0};
    expect_error(step_at(scheduler, 1, STEP_OPTIONS_DEFAULT, NULL, sample, &error), STATUS_BAD_INPUT, &error,
        "not on the schedule", NULL);
    scheduler_free(scheduler);
}
END_TEST

/* Which options and which arguments each class has. */
START_TEST(every_option_and_argument)
{
    cJSON *document = golden_json("sched_errors.json");
    const cJSON *row;
    size_t classes = 0;
    cJSON_ArrayForEach(row, member(document, "set_timesteps_support"))
    {
        const cJSON *option;
        bool known = is_known_class(row->string);
        classes += known;
        cJSON_ArrayForEach(option, member(row, "config_options"))
        {
            ck_assert_msg(scheduler_option_is_known(option->valuestring, NULL), "%s", option->valuestring);
            if (known)
                ck_assert_msg(scheduler_class_has_option(row->string, option->valuestring), "%s lacks %s",
                    row->string, option->valuestring);
        }
        if (!known) continue;
        cJSON *empty = cJSON_CreateObject();
        for (int kind = 0; kind < 2; kind++) {
            const double timesteps[] = {39, 20, 13}, sigmas[] = {1, 0.5, 0.25};
            const struct schedule_request request = {
                .timesteps = kind == 0 ? timesteps : NULL,
                .num_timesteps = kind == 0 ? 3 : 0,
                .sigmas = kind == 1 ? sigmas : NULL,
                .num_sigmas = kind == 1 ? 3 : 0,
            };
            struct scheduler *scheduler = NULL;
            struct error error = {""};
            ck_assert_int_eq(create(row->string, empty, &scheduler, NULL, &error), STATUS_OK);
            bool takes = cJSON_IsTrue(member(row, kind == 0 ? "timesteps" : "sigmas"));
            enum status status = scheduler_set_timesteps(scheduler, &request, NULL, &error);
            ck_assert_msg(
                status == (takes ? STATUS_OK : STATUS_BAD_INPUT), "%s: %s", row->string, error.message);
            scheduler_free(scheduler);
        }
        cJSON_Delete(empty);
    }
    ck_assert_uint_eq(classes, scheduler_class_count());
    cJSON_Delete(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sched_errors");
    TCase *tcase = tcase_create("errors");
    tcase_add_test(tcase, every_recorded_call);
    tcase_add_test(tcase, index_in_place_of_a_timestep);
    tcase_add_test(tcase, every_option_and_argument);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
