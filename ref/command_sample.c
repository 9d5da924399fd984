#include "cli.h"
#include "output_names.h"
#include "sample_plot.h"
#include "noise.h"
#include "sample_case.h"
#include "version.h"

#include <string.h>

static const char description[] = "The sampler alone, on recorded model outputs: from x_T, each step on the "
                                  "sample that the step before has made.\n\n"
                                  "CASE is a JSON object with `scheduler` (a Diffusers scheduler config), "
                                  "`set_timesteps` (its arguments), `step_kwargs`,\n"
                                  "`shape` and `seed`; IN has the tensors `x_T`, `step.0.model_output`, "
                                  "`step.0.noise` and so on (golden/sched/ is full of\n"
                                  "both). OUT gets the tables and every step's tensors under the names of "
                                  "the golden files, so that `plumb compare` can\n"
                                  "say where two samplers part. Noise that IN does not have is drawn with "
                                  "the case's seed and `generator` (numpy-pcg64); a warning says\n"
                                  "so.\n\n"
                                  "With --plot no tensors are needed: points in the plane are sampled from a "
                                  "mixture of five Gaussians, for which the best model is known, with each "
                                  "SCHEDULER (named as in plumb schedule) and drawn with their paths. A line "
                                  "for each says how far the points lie from the nearest mean.";

static const char examples[] =
    "  plumb sample golden/sched/doc_ays_sigmas_euler.json \\\n"
    "      --tensors golden/sched/doc_ays_sigmas_euler.safetensors --out mine.safetensors\n"
    "  plumb compare mine.safetensors golden/sched/doc_ays_sigmas_euler.safetensors\n"
    "  plumb sample case.json --tensors in.npz --out truth.safetensors --arithmetic f64\n"
    "  plumb sample configs/schedulers/sd15.json configs/schedulers/sd15.json,timestep_spacing=trailing \\\n"
    "      --steps 8 --plot spacings.png";

/* What the results depend on. */
static enum status put_metadata(struct tensor_set *outputs, const struct sample_case *sample_case,
    const char *arithmetic, struct error *error)
{
    char *json = cJSON_PrintUnformatted(sample_case->json);
    if (!json) return error_memory(error, 0);
    enum status status = tensor_set_put_metadata(outputs, "case", json, error);
    cJSON_free(json);
    if (status == STATUS_OK) status = tensor_set_put_metadata(outputs, "arithmetic", arithmetic, error);
    if (status == STATUS_OK) status = tensor_set_put_metadata(outputs, "plumb", PLUMB_VERSION, error);
    return status;
}

static enum status run_case(struct invocation *invocation, const char *tensors, const char *out,
    const char *noise, const char *noise_log, const char *arithmetic, const cJSON *settings)
{
    cJSON *log = NULL;
    struct error *error = &invocation->error;
    enum status status;
    struct sample_case sample_case = {0};
    struct tensor_set *inputs = NULL, *outputs = NULL;
    const char *path = invocation->positionals[0];
    status = sample_case_read(path, &sample_case, error);
    if (status == STATUS_OK)
        status = cli_merge(cJSON_GetObjectItemCaseSensitive(sample_case.json, "scheduler"), settings, error);
    sample_case.noise = noise;
    sample_case.noise_log = noise_log ? &log : NULL;
    if (status == STATUS_OK) status = tensor_set_open(tensors, &inputs, error);
    if (status == STATUS_OK) status = tensor_set_create(&outputs, error);
    if (status == STATUS_OK) {
        status = strcmp(arithmetic, "f64") != 0
                     ? sample_case_run_f32(&sample_case, inputs, outputs, &invocation->warnings, error)
                     : sample_case_run_f64(&sample_case, inputs, outputs, &invocation->warnings, error);
        error_prefix(error, status, "%s: ", path);
    }
    if (status == STATUS_OK) status = put_metadata(outputs, &sample_case, arithmetic, error);
    if (status == STATUS_OK && log) status = noise_log_write(log, noise_log, error);
    if (status == STATUS_OK) status = tensor_set_write(outputs, out, error);
    if (status == STATUS_OK) fprintf(invocation->messages, "wrote %s\n", out);
    cJSON_Delete(log);
    tensor_set_free(outputs);
    tensor_set_free(inputs);
    sample_case_free(&sample_case);
    return status;
}

enum status command_sample(struct invocation *invocation)
{
    static const char *const arithmetics[] = {"diffusers", "f64", NULL};
    const char *tensors = NULL, *out = NULL, *noise = NULL, *noise_log = NULL;
    int arithmetic = 0, semantics = 0;
    bool of_plots_alone = false;
    struct sample_plot plot = {.steps = 10, .seed = "0"};
    const struct cli_option options[] = {
        {.name = "tensors",
            .kind = CLI_STRING,
            .value = &tensors,
            .argument = "IN",
            .help = "the recorded tensors: safetensors, .npz, a folder of .npy"},
        {.name = "out",
            .kind = CLI_STRING,
            .value = &out,
            .argument = "OUT.safetensors",
            .help = "where the results go"},
        {.name = "noise",
            .kind = CLI_STRING,
            .value = &noise,
            .argument = "F",
            .help = "every draw from a set of tensors, such as another program's, in place of IN's"},
        {.name = "noise-log",
            .kind = CLI_STRING,
            .value = &noise_log,
            .argument = "F.json",
            .help = "who drew how many random numbers, when, and in which type"},
        {.name = "arithmetic",
            .kind = CLI_CHOICE,
            .value = &arithmetic,
            .argument = "WHICH",
            .help = "diffusers (as it computes on a CPU) or f64 (in double throughout)",
            .choices = arithmetics},
        {.name = "plot",
            .kind = CLI_STRING,
            .value = &plot.path,
            .argument = "P.png",
            .help = "draw points being sampled by each SCHEDULER"},
        {.name = "num-inference-steps",
            .alias = "steps",
            .kind = CLI_INTEGER,
            .value = &plot.steps,
            .given = &of_plots_alone,
            .argument = "N",
            .help = "with --plot: number of steps (10)",
            .minimum = 1,
            .maximum = 1000},
        {.name = "set",
            .kind = CLI_SETTING,
            .value = &plot.settings,
            .argument = "KEY=VALUE",
            .help = "override an option of the scheduler; may be given again and again"},
        {.name = "eta",
            .kind = CLI_NUMBER,
            .value = &plot.eta,
            .given = &of_plots_alone,
            .argument = "X",
            .help = "with --plot: noise of DDIM (0) and of others that have it"},
        {.name = "seed",
            .kind = CLI_STRING,
            .value = &plot.seed,
            .given = &of_plots_alone,
            .argument = "S",
            .help = "with --plot: of the points and the noise (0)"},
        cli_semantics_option(&semantics),
    };
    const struct cli_usage usage = {"CASE.json --tensors IN --out OUT.safetensors [options]\n       plumb "
                                    "sample SCHEDULER... --plot P.png "
                                    "[options]",
        description, examples, options, sizeof options / sizeof *options, 1, SAMPLE_PLOT_MOST};
    struct error *error = &invocation->error;
    enum status status = cli_parse(invocation, &usage);
    if (status != STATUS_OK || invocation->helped) goto done;
    status = cli_set_semantics(&plot.settings, semantics, error);
    if (status != STATUS_OK) goto done;
    plot.f64 = arithmetic == 1;
    status = check_picture_name("--plot", plot.path, error);
    if (status == STATUS_OK) status = check_tensors_name("--out", out, error);
    if (status == STATUS_OK) status = check_input_is_kept("--out", out, "--tensors", tensors, error);
    if (status == STATUS_OK) status = check_input_is_kept("--out", out, "--noise", noise, error);
    if (status != STATUS_OK) goto done;
    if (of_plots_alone && !plot.path)
        status = error_input(
            error, "--steps, --eta and --seed: add --plot P.png, which they are of; a case has its own");
    else if (plot.path)
        status = sample_plot(invocation, &plot);
    else if (!tensors || !out)
        status =
            error_input(error, "--%s is missing (or --plot, which takes schedulers); see plumb sample --help",
                tensors ? "out" : "tensors");
    else if (invocation->positional_count > 1)
        status = error_input(error, "several schedulers go into a picture: add --plot P.png");
    else
        status = run_case(invocation, tensors, out, noise, noise_log, arithmetics[arithmetic], plot.settings);
done:
    cJSON_Delete(plot.settings);
    return status;
}
