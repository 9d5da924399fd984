/*
 * A case: a sampler run without a model, on recorded model outputs (golden/sched/).
 */
#ifndef REF_SAMPLE_CASE_H
#define REF_SAMPLE_CASE_H

#include "sched/call_arguments.h"
#include "sched/generator.h"
#include "tensor_set.h"

struct sample_case {
    cJSON *json;
    const cJSON *scheduler;         /* the config, within `json` */
    struct owned_request arguments; /* of set_timesteps */
    struct step_options options;
    int rank;
    int64_t shape[TENSOR_MAX_RANK]; /* of a sample: the first dimension is the batch */
    size_t batch, sample_size;
    char *seed;                    /* NULL where the case has none */
    enum generator_kind generator; /* numpy-pcg64 where the case does not say */
    int begin_index;               /* -1: none */
    bool tables_only;
    const char *noise; /* a file with the draws (noise.h), from the command line; NULL: the generator's */
    cJSON **noise_log; /* gets the log of the draws, the caller's; NULL: not wanted */
};

/* Reads `scheduler`, `set_timesteps`, `step_kwargs`, `shape`, `seed`, `generator`, `begin_index` and
 * `tables_only`; other keys say where the case comes from. Arguments of set_timesteps and step that Plumb
 * does not have are refused by name. */
enum status sample_case_read(const char *path, struct sample_case *c, struct error *error);
void sample_case_free(struct sample_case *c); /* accepts an empty one */

/* Runs the sampler from `x_T` with the recorded `step.N.model_output` and `step.N.noise` of `inputs`, each
 * step on the sample that the step before has made. What is not recorded of x_T and noise is drawn:
 * with the case's generator and seed, one stream in call order, in which recorded draws take their place too;
 * a warning says so. `outputs` gets the tables
 * (`betas`, `alphas`, `alphas_cumprod`, `timesteps`, `sigmas` ...) and, unless the case is of tables only,
 * x_T, `step.N.timestep`, `.sample`, `.scaled_input`, `.model_output`, `.noise`, `.prev_sample`,
 * `.pred_original_sample` (where the class returns it, or another under its name) and `final_sample`; with
 * `add_noise.original`,
 * `.noise` and `.timesteps` also `add_noise.result`. Numbers are F32 (_f32) or F64 (_f64). */
enum status sample_case_run_f32(const struct sample_case *sample_case, const struct tensor_set *inputs,
    struct tensor_set *outputs, struct warnings *warnings, struct error *error);
enum status sample_case_run_f64(const struct sample_case *sample_case, const struct tensor_set *inputs,
    struct tensor_set *outputs, struct warnings *warnings, struct error *error);

#endif
