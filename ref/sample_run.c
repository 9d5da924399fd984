#include "sched/real.h"
#include "sample_case.h"

#include "noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const enum dtype dtype_of_real = sizeof(real) == sizeof(float) ? DTYPE_F32 : DTYPE_F64;

/* What a run works with. `n` elements are in a sample. */
struct sampling {
    const struct sample_case *sample_case;
    const struct tensor_set *inputs;
    struct tensor_set *outputs;
    struct warnings *warnings;
    struct error *error;
    struct scheduler *scheduler;
    struct noise *source;
    size_t n;
    real *memory; /* the six below: n elements each, model_output 2n */
    real *sample, *scaled_input, *prev_sample, *pred_original_sample, *noise, *model_output;
    double *draw; /* [n] */
};

/* --- Reading and writing tensors ---------------------------------------------------------- */

static enum status put_numbers(
    struct sampling *s, const char *name, enum dtype dtype, int rank, const int64_t *shape, const void *data)
{
    struct tensor tensor = {.dtype = dtype, .rank = rank, .data = (void *)(uintptr_t)data};
    for (int i = 0; i < rank; i++) tensor.shape[i] = shape[i];
    return tensor_set_add(s->outputs, name, &tensor, s->error);
}

static enum status put_list(struct sampling *s, const char *name, const real *values, size_t count)
{
    int64_t length = (int64_t)count;
    return values ? put_numbers(s, name, dtype_of_real, 1, &length, values) : STATUS_OK;
}

/* `prefix` is that of a step, "step.3", or of a correction in front of it, "step.3.correct.0". */
static enum status put_sample(struct sampling *s, const char *prefix, const char *what, const real *values)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", prefix, what);
    return put_numbers(s, name, dtype_of_real, s->sample_case->rank, s->sample_case->shape, values);
}

/* Timesteps in the type in which Diffusers keeps them. */
static enum status put_timesteps(
    struct sampling *s, const char *name, const double *timesteps, size_t count, int rank)
{
    int64_t length = (int64_t)count;
    enum timestep_dtype kept = s->scheduler->timestep_dtype;
    enum dtype dtype = kept == TIMESTEP_INT64     ? DTYPE_I64
                       : kept == TIMESTEP_FLOAT32 ? dtype_of_real
                                                  : DTYPE_F64;
    size_t bytes = (count ? count : 1) * sizeof(double);
    void *converted = malloc(bytes);
    if (!converted) return error_memory(s->error, bytes);
    for (size_t i = 0; i < count; i++) {
        if (dtype == DTYPE_I64)
            ((int64_t *)converted)[i] = (int64_t)timesteps[i];
        else if (dtype == DTYPE_F32)
            ((float *)converted)[i] = (float)timesteps[i];
        else
            ((double *)converted)[i] = timesteps[i];
    }
    enum status status = put_numbers(s, name, dtype, rank, &length, converted);
    free(converted);
    return status;
}

/* A table of the class's own: real numbers in the arithmetic's type, integers as int64. */
static enum status put_shown(struct sampling *s, const struct shown_table *table)
{
    const int64_t length = (int64_t)table->count;
    const bool integers = table->kind == SHOWN_INTEGERS;
    const size_t bytes = (table->count ? table->count : 1) * sizeof(int64_t);
    void *values = malloc(bytes); /* room for the wider of the two */
    if (!values) return error_memory(s->error, bytes);
    for (size_t i = 0; i < table->count; i++) {
        const double value = table->at(s->scheduler, i);
        if (integers)
            ((int64_t *)values)[i] = (int64_t)value;
        else
            ((real *)values)[i] = (real)value;
    }
    enum status status = put_numbers(s, table->name, integers ? DTYPE_I64 : dtype_of_real,
        table->kind == SHOWN_NUMBER ? 0 : 1, &length, values);
    free(values);
    return status;
}

static enum status put_tables(struct sampling *s)
{
    const struct scheduler *scheduler = s->scheduler;
    size_t trained = scheduler->num_betas; /* not num_train_timesteps, where trained_betas are given */
    enum status status = put_list(s, "betas", scheduler->betas, trained);
    if (status == STATUS_OK) status = put_list(s, "alphas", scheduler->alphas, trained);
    if (status == STATUS_OK) status = put_list(s, "alphas_cumprod", scheduler->alphas_cumprod, trained);
    if (status == STATUS_OK) status = put_list(s, "sigmas", scheduler->sigmas, scheduler->num_sigmas);
    struct shown_table shown[MAX_SHOWN_TABLES];
    const size_t tables = scheduler_shown_tables(scheduler, shown);
    for (size_t i = 0; status == STATUS_OK && i < tables; i++) status = put_shown(s, &shown[i]);
    if (status == STATUS_OK)
        status = put_timesteps(s, "timesteps", scheduler->timesteps, scheduler->num_timesteps, 1);
    if (status != STATUS_OK) return status;
    float narrow = (float)scheduler->init_noise_sigma;
    const bool is_f32 = scheduler->init_noise_sigma_is_f32;
    return put_numbers(s, "init_noise_sigma", is_f32 ? DTYPE_F32 : DTYPE_F64, 0, NULL,
        is_f32 ? (const void *)&narrow : (const void *)&scheduler->init_noise_sigma);
}

/* Reads the tensor `name`, of `count` elements; false in `*found` where there is none. */
static enum status get(struct sampling *s, const char *name, size_t count, real *values, bool *found)
{
    const struct tensor *tensor = tensor_set_find(s->inputs, name);
    *found = tensor != NULL;
    if (!tensor) return STATUS_OK;
    if (tensor_count(tensor) != count)
        return error_input(s->error, "%s: expected %zu elements, got %zu", name, count, tensor_count(tensor));
    for (size_t i = 0; i < count; i++) values[i] = (real)tensor_get_double(tensor, i);
    return STATUS_OK;
}

/* A draw of x_T or of a step's noise, [n]: of the file, if there is one (but x_T is no noise where it is
 * recorded); else the recorded tensor `name`; else the generator's numbers. The stream moves on either
 * way. */
static enum status draw(
    struct sampling *s, const char *name, const struct noise_draw *draw, bool is_noise, real *values)
{
    const struct sample_case *c = s->sample_case;
    bool found;
    enum status status = get(s, name, s->n, values, &found);
    if (status != STATUS_OK) return status;
    if (found && !(c->noise && is_noise)) return noise_skip(s->source, draw, s->error);
    if (!c->noise && !c->seed)
        return error_input(s->error, "%s: not recorded, and the case has no seed to draw it with", name);
    status = noise_next(s->source, draw, s->draw, s->error);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < s->n; i++) values[i] = (real)s->draw[i];
    if (!c->noise)
        warnings_add(s->warnings, "%s is not recorded: drawn with %s, seed %s", name,
            generator_name(c->generator), c->seed);
    return STATUS_OK;
}

/* The noise that the class makes for itself, where nothing else is given or recorded. */
static enum status make_noise(
    struct sampling *s, const char *name, const struct noise_draw *draw, const struct step_input *input)
{
    bool found;
    enum status status = get(s, name, s->n, s->noise, &found);
    if (status != STATUS_OK) return status;
    if (found) return noise_note(s->source, draw, "recorded", s->error);
    status = scheduler_make_noise(
        s->scheduler, input->timestep, input->batch, input->sample_size, s->noise, s->error);
    return status == STATUS_OK ? noise_note(s->source, draw, "scheduler", s->error) : status;
}

/* --- The run ------------------------------------------------------------------------------ */

/* The recorded output of the model: of the sample's size, or twice that with a variance. */
static enum status get_model_output(struct sampling *s, const char *prefix, size_t *size)
{
    char name[96];
    bool found = false;
    snprintf(name, sizeof name, "%s.model_output", prefix);
    const struct tensor *tensor = tensor_set_find(s->inputs, name);
    bool twice = tensor && tensor_count(tensor) == 2 * s->n;
    *size = (twice ? 2 : 1) * s->sample_case->sample_size;
    enum status status = get(s, name, (twice ? 2 : 1) * s->n, s->model_output, &found);
    if (status == STATUS_OK && (!tensor || !found))
        return error_input(
            s->error, "%s: missing; the schedule has %zu timesteps", name, s->scheduler->num_timesteps);
    if (status == STATUS_OK)
        status = put_numbers(s, name, dtype_of_real, tensor->rank, tensor->shape, s->model_output);
    return status;
}

static struct tensor shape_of_sample(const struct sampling *s)
{
    struct tensor shape = {.dtype = dtype_of_real, .rank = s->sample_case->rank};
    for (int i = 0; i < shape.rank; i++) shape.shape[i] = s->sample_case->shape[i];
    return shape;
}

static enum status find_noise(struct sampling *s, const char *prefix, struct step_input *input)
{
    char name[96];
    snprintf(name, sizeof name, "%s.noise", prefix);
    input->noise = s->noise;
    const struct tensor shape = shape_of_sample(s);
    const struct noise_draw asked = {name, true, input->timestep, &shape};
    const bool makes = scheduler_makes_noise(s->scheduler) && !noise_is_given(s->source, &asked);
    enum status status = makes ? make_noise(s, name, &asked, input) : draw(s, name, &asked, true, s->noise);
    return status == STATUS_OK ? put_sample(s, prefix, "noise", s->noise) : status;
}

/* prev_sample becomes the sample. */
static enum status take_prev_sample(struct sampling *s, const char *prefix)
{
    real *made = s->prev_sample;
    s->prev_sample = s->sample;
    s->sample = made;
    return put_sample(s, prefix, "prev_sample", made);
}

/* The corrections in front of a step, each with a model output of its own (ScoreSdeVe). */
static enum status run_corrections(struct sampling *s, size_t i, const struct step_input *of_step)
{
    enum status status = STATUS_OK;
    for (int c = 0; status == STATUS_OK && c < scheduler_correct_steps(s->scheduler); c++) {
        char prefix[64];
        struct step_input input = *of_step;
        snprintf(prefix, sizeof prefix, "step.%zu.correct.%d", i, c);
        input.sample = s->sample;
        status = put_sample(s, prefix, "sample", s->sample);
        if (status == STATUS_OK) status = get_model_output(s, prefix, &input.model_output_size);
        if (status == STATUS_OK) status = find_noise(s, prefix, &input);
        if (status == STATUS_OK) status = scheduler_correct(s->scheduler, &input, s->prev_sample, s->error);
        if (status == STATUS_OK) status = take_prev_sample(s, prefix);
    }
    return status;
}

/* What the class made of the step's sample before it stepped, where that is another. */
static enum status put_corrected(struct sampling *s, const char *prefix)
{
    const real *corrected = scheduler_corrected_sample(s->scheduler);
    bool differs = false;
    for (size_t e = 0; corrected && e < s->n; e++) differs = differs || !(corrected[e] == s->sample[e]);
    return differs ? put_sample(s, prefix, "corrected_sample", corrected) : STATUS_OK;
}

static enum status run_step(struct sampling *s, size_t i)
{
    const struct sample_case *c = s->sample_case;
    struct step_input input = {
        .timestep = s->scheduler->timesteps[i],
        .model_output = s->model_output,
        .batch = c->batch,
        .sample_size = c->sample_size,
        .options = c->options,
    };
    char prefix[64], name[96];
    snprintf(prefix, sizeof prefix, "step.%zu", i);
    snprintf(name, sizeof name, "%s.timestep", prefix);
    enum status status = put_timesteps(s, name, &input.timestep, 1, 0);
    if (status == STATUS_OK) status = run_corrections(s, i, &input);
    input.sample = s->sample;
    if (status == STATUS_OK) status = put_sample(s, prefix, "sample", s->sample);
    if (status == STATUS_OK && scheduler_has_step(s->scheduler)) {
        status = scheduler_scale_model_input(
            s->scheduler, input.timestep, s->sample, s->n, s->scaled_input, s->error);
        if (status == STATUS_OK) status = put_sample(s, prefix, "scaled_input", s->scaled_input);
    }
    if (status == STATUS_OK) status = get_model_output(s, prefix, &input.model_output_size);
    if (status == STATUS_OK && scheduler_needs_noise(s->scheduler, input.timestep, &input.options))
        status = find_noise(s, prefix, &input);
    if (status != STATUS_OK) return status;

    /* A class that returns nothing beside prev_sample leaves the NaNs alone. */
    bool returned = false;
    for (size_t e = 0; e < s->n; e++) s->pred_original_sample[e] = (real)NAN;
    status = scheduler_step(s->scheduler, &input, s->prev_sample, s->pred_original_sample, s->error);
    if (status != STATUS_OK) return error_prefix(s->error, status, "step %zu: ", i);
    for (size_t e = 0; e < s->n; e++) returned = returned || !isnan(s->pred_original_sample[e]);
    status = put_corrected(s, prefix);
    if (status == STATUS_OK) status = take_prev_sample(s, prefix);
    if (status == STATUS_OK && returned)
        status = put_sample(s, prefix, scheduler_second_output(s->scheduler), s->pred_original_sample);
    return status;
}

static enum status run_steps(struct sampling *s)
{
    const struct sample_case *c = s->sample_case;
    bool found = tensor_set_find(s->inputs, "x_T") != NULL;
    const struct tensor shape = shape_of_sample(s);
    const struct noise_draw asked = {.who = "init_noise", .tensor = &shape};
    enum status status = draw(s, "x_T", &asked, false, s->sample);
    for (size_t e = 0; status == STATUS_OK && !found && e < s->n; e++)
        s->sample[e] *= (real)s->scheduler->init_noise_sigma;
    if (status == STATUS_OK) status = put_numbers(s, "x_T", dtype_of_real, c->rank, c->shape, s->sample);
    for (size_t i = 0; status == STATUS_OK && i < s->scheduler->num_timesteps; i++) status = run_step(s, i);
    if (status == STATUS_OK)
        status = put_numbers(s, "final_sample", dtype_of_real, c->rank, c->shape, s->sample);
    return status;
}

/* A case of tables alone takes no step: x_T goes along as it is recorded, if it is. */
static enum status copy_start(struct sampling *s)
{
    const struct tensor *x_T = tensor_set_find(s->inputs, "x_T");
    return x_T ? tensor_set_add(s->outputs, "x_T", x_T, s->error) : STATUS_OK;
}

/* What add_noise works with: n elements of `batch` pictures. */
struct noising {
    const struct tensor *shape; /* of the originals, and of all that is made of them */
    size_t batch, n;
    real *original, *noise, *result; /* [n] each, in one block */
    double *timesteps;               /* [batch] */
};

static enum status put_noising(
    struct sampling *s, const struct noising *noising, const char *name, const real *values)
{
    return put_numbers(s, name, dtype_of_real, noising->shape->rank, noising->shape->shape, values);
}

/* The samples noised, and the velocity that belongs to them, where the class says it. */
static enum status add_noise(struct sampling *s, const struct noising *of)
{
    const size_t sample_size = of->n / of->batch;
    enum status status = scheduler_add_noise(
        s->scheduler, of->original, of->noise, of->timesteps, of->batch, sample_size, of->result, s->error);
    if (status == STATUS_OK) status = put_noising(s, of, "add_noise.result", of->result);
    if (status != STATUS_OK || !scheduler_has_velocity(s->scheduler)) return status;
    status = scheduler_get_velocity(
        s->scheduler, of->original, of->noise, of->timesteps, of->batch, sample_size, of->result, s->error);
    return status == STATUS_OK ? put_noising(s, of, "get_velocity.result", of->result) : status;
}

/* add_noise on recorded originals, noise and timesteps (one a picture), where they are recorded. */
static enum status run_add_noise(struct sampling *s)
{
    const struct tensor *timesteps = tensor_set_find(s->inputs, "add_noise.timesteps");
    const struct tensor *original = tensor_set_find(s->inputs, "add_noise.original");
    if (!timesteps || !original) return STATUS_OK;
    const size_t batch = tensor_count(timesteps), n = tensor_count(original);
    if (batch == 0 || n % batch || n == 0)
        return error_input(s->error, "add_noise.timesteps: expected one a picture of add_noise.original");
    struct noising of = {.shape = original, .batch = batch, .n = n};
    of.original = malloc(3 * n * sizeof *of.original);
    of.timesteps = malloc(batch * sizeof *of.timesteps);
    bool found = false;
    enum status status = STATUS_OK;
    if (!of.original || !of.timesteps) {
        status = error_memory(s->error, 3 * n * sizeof *of.original + batch * sizeof *of.timesteps);
        goto done;
    }
    of.noise = of.original + n;
    of.result = of.noise + n;
    for (size_t i = 0; i < batch; i++) of.timesteps[i] = tensor_get_double(timesteps, i);
    status = get(s, "add_noise.original", n, of.original, &found);
    if (status == STATUS_OK) status = get(s, "add_noise.noise", n, of.noise, &found);
    if (status == STATUS_OK && !found) status = error_input(s->error, "add_noise.noise: missing");
    if (status == STATUS_OK) status = add_noise(s, &of);
    if (status == STATUS_OK) status = put_noising(s, &of, "add_noise.original", of.original);
    if (status == STATUS_OK) status = put_noising(s, &of, "add_noise.noise", of.noise);
    if (status == STATUS_OK) status = tensor_set_add(s->outputs, "add_noise.timesteps", timesteps, s->error);
done:
    free(of.original);
    free(of.timesteps);
    return status;
}

/* A case's shape may say anything: memory is asked for where a recorded tensor is as large. */
static enum status check_size(const struct sampling *s)
{
    const char *name = s->scheduler->num_timesteps > 0 ? "step.0.model_output" : "x_T";
    const struct tensor *recorded = tensor_set_find(s->inputs, name);
    size_t count = recorded ? tensor_count(recorded) : 0;
    if (!recorded)
        return error_input(
            s->error, "%s: missing; the schedule has %zu timesteps", name, s->scheduler->num_timesteps);
    if (count != s->n && count != 2 * s->n)
        return error_input(s->error, "%s: expected %zu elements, got %zu", name, s->n, count);
    return STATUS_OK;
}

static enum status allocate(struct sampling *s)
{
    s->n = s->sample_case->batch * s->sample_case->sample_size;
    enum status status = check_size(s);
    if (status != STATUS_OK) return status;
    size_t bytes = 7 * s->n * sizeof(real);
    s->memory = malloc(bytes);
    s->draw = malloc(s->n * sizeof *s->draw);
    if (!s->memory || !s->draw) return error_memory(s->error, bytes);
    real **places[] = {
        &s->sample, &s->scaled_input, &s->prev_sample, &s->pred_original_sample, &s->noise, &s->model_output};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) *places[i] = s->memory + i * s->n;
    return STATUS_OK;
}

static enum status open_noise(struct sampling *s)
{
    const struct sample_case *c = s->sample_case;
    const uint64_t *seeds = NULL;
    size_t count = 0;
    enum status status =
        noise_open(c->generator, (char *const *)&c->seed, c->seed ? 1 : 0, c->noise, &s->source, s->error);
    if (status != STATUS_OK || !scheduler_makes_noise(s->scheduler)) return status;
    status = noise_seeds(s->source, &seeds, &count, s->error);
    if (status == STATUS_OK) status = scheduler_seed_noise(s->scheduler, seeds, count, s->error);
    return status;
}

enum status REAL_NAME(sample_case_run)(const struct sample_case *sample_case, const struct tensor_set *inputs,
    struct tensor_set *outputs, struct warnings *warnings, struct error *error)
{
    struct sampling s = {.sample_case = sample_case,
        .inputs = inputs,
        .outputs = outputs,
        .warnings = warnings,
        .error = error};
    enum status status = scheduler_create(sample_case->scheduler, &s.scheduler, warnings, error);
    if (status == STATUS_OK)
        status = scheduler_set_timesteps(s.scheduler, &sample_case->arguments.request, warnings, error);
    if (status == STATUS_OK && sample_case->begin_index >= 0)
        scheduler_set_begin_index(s.scheduler, sample_case->begin_index);
    if (status == STATUS_OK) status = put_tables(&s);
    if (status == STATUS_OK) status = open_noise(&s);
    if (status == STATUS_OK && sample_case->tables_only) status = copy_start(&s);
    if (status == STATUS_OK && !sample_case->tables_only) status = allocate(&s);
    if (status == STATUS_OK && !sample_case->tables_only) status = run_steps(&s);
    if (status == STATUS_OK) status = run_add_noise(&s);
    if (status == STATUS_OK && sample_case->noise_log) {
        *sample_case->noise_log = noise_log(s.source);
        if (!*sample_case->noise_log) status = error_memory(error, sizeof(cJSON));
    }
    scheduler_free(s.scheduler);
    noise_free(s.source);
    free(s.memory);
    free(s.draw);
    return status;
}
