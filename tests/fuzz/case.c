/*
 * A case as `plumb sample` takes it, run in both arithmetics on model outputs of its own shape: refused, or a
 * run that leaves a sample of that shape.
 */
#include "fuzz.h"
#include "scheduler_input.h"

#include "ref/sample_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ELEMENTS = 96, MOST_STEPS = 24 };

static void put(struct tensor_set *set, const char *name, const struct tensor *tensor)
{
    struct error error = {""};
    fuzz_require(tensor_set_add(set, name, tensor, &error) == STATUS_OK, "%s", error.message);
}

/* x_T, model outputs and every other step's noise: what is missing is drawn. */
static struct tensor_set *make_inputs(const struct sample_case *c)
{
    struct tensor_set *set;
    struct error error = {""};
    fuzz_require(tensor_set_create(&set, &error) == STATUS_OK, "%s", error.message);
    float values[MOST_ELEMENTS];
    struct tensor tensor = {.dtype = DTYPE_F32, .rank = c->rank, .data = values};
    memcpy(tensor.shape, c->shape, sizeof tensor.shape);
    for (int step = 0; step <= MOST_STEPS; step++) {
        char name[48];
        for (size_t i = 0; i < MOST_ELEMENTS; i++)
            values[i] = (float)((i * 7 + (size_t)step * 5) % 13) / 4 - 1.5F;
        if (step == MOST_STEPS) {
            put(set, "x_T", &tensor);
            break;
        }
        snprintf(name, sizeof name, "step.%d.model_output", step);
        put(set, name, &tensor);
        snprintf(name, sizeof name, "step.%d.noise", step);
        if (step % 2) put(set, name, &tensor);
    }
    return set;
}

static void run(const struct sample_case *c, const struct tensor_set *inputs, bool twofold)
{
    struct tensor_set *outputs;
    struct warnings warnings = {0};
    struct error error = {""};
    fuzz_require(tensor_set_create(&outputs, &error) == STATUS_OK, "%s", error.message);
    enum status status = twofold ? sample_case_run_f64(c, inputs, outputs, &warnings, &error)
                                 : sample_case_run_f32(c, inputs, outputs, &warnings, &error);
    if (fuzz_accepted(status, &error) && !c->tables_only) {
        const struct tensor *sample = tensor_set_find(outputs, "final_sample");
        fuzz_require(sample && tensor_count(sample) == c->batch * c->sample_size, "no final sample");
        fuzz_read_all(outputs);
    }
    warnings_free(&warnings);
    tensor_set_free(outputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sample_case c;
    struct error error = {""};
    const char *path = fuzz_file("case.json", data, size);
    if (!fuzz_accepted(sample_case_read(path, &c, &error), &error)) return 0;
    const cJSON *request = cJSON_GetObjectItemCaseSensitive(c.json, "set_timesteps");
    if (c.batch * c.sample_size <= MOST_ELEMENTS && !scheduler_input_takes_long(c.scheduler, request)) {
        struct tensor_set *inputs = make_inputs(&c);
        run(&c, inputs, false);
        run(&c, inputs, true);
        tensor_set_free(inputs);
    }
    sample_case_free(&c);
    return 0;
}
