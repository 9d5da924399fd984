#include "class_list.h"
#include "cli.h"
#include "labelled_scheduler.h"
#include "output_names.h"
#include "schedule_columns.h"
#include "schedule_plot.h"
#include "schedule_table.h"
#include "timestep_tables.h"

#include <stdlib.h>
#include <string.h>

static const char description[] =
    "The table of a schedule: for each step its timestep, its sigma (noise over signal), what is left of "
    "the\n"
    "data's variance (alpha_cumprod) and the logarithm of the signal-to-noise ratio, as the scheduler "
    "computes\n"
    "them. Rows are marked where diffusers departs from its documentation; under the table stands how, and\n"
    "which timesteps repeat.\n\n"
    "SCHEDULER is a Diffusers scheduler config (a JSON file), a checkpoint folder, or the name of a class "
    "with or\n"
    "without the word Scheduler, which then has its own defaults (not Stable Diffusion's betas: those stand "
    "in\n"
    "configs/schedulers/). Settings of its own may follow it with commas, lists in brackets, and so may "
    "steps "
    "of\n"
    "its own: sdxl.json,timestep_spacing=trailing,num_inference_steps=10 or sdxl.json,sigmas=[14.6,3,1,0].\n"
    "Several schedulers are drawn into one plot; the options apply to all of them.";

static const char examples[] =
    "  plumb schedule --list\n"
    "  plumb schedule --list DDIM LCM --format json\n"
    "  plumb schedule configs/schedulers/sdxl.json --steps 10\n"
    "  plumb schedule configs/schedulers/sdxl.json \\\n"
    "      --sigmas 14.615,6.315,3.771,2.181,1.342,0.862,0.555,0.380,0.234,0.113,0.0\n"
    "  plumb schedule configs/schedulers/sdxl.json --set _class_name=DPMSolverMultistepScheduler \\\n"
    "      --set use_karras_sigmas=true --steps 20 --coefficients\n"
    "  plumb schedule DPMSolverMultistep --steps 10 --explain\n"
    "  plumb schedule configs/schedulers/sd21v.json --set timestep_spacing=trailing --format csv\n"
    "  plumb schedule configs/schedulers/sd15.json configs/schedulers/sdxl.json --steps 20 \\\n"
    "      --plot schedules.png";

enum { DIFFUSERS, F64, BOTH }; /* the choices of --arithmetic */

struct arguments {
    cJSON *settings;
    int64_t steps;
    bool has_steps, with_coefficients, has_mu, explain, tables;
    double mu;
    struct cli_numbers timesteps, sigmas;
    int format, arithmetic, semantics;
    const char *plot;
    int panels; /* an enum schedule_panels */
    bool list;
};

/* What the options ask for together; --semantics is an option of the config as well. */
static enum status check_together(struct invocation *invocation, struct arguments *arguments)
{
    if (arguments->list && arguments->format != SCHEDULE_AS_TABLE && arguments->format != SCHEDULE_AS_JSON)
        return error_input(&invocation->error, "--list is written as a table or as json");
    if (arguments->tables && invocation->positional_count > 0)
        return error_input(
            &invocation->error, "--tables is about all classes: leave out %s", invocation->positionals[0]);
    if (arguments->list || arguments->tables) return STATUS_OK;
    if (invocation->positional_count == 0)
        return error_input(
            &invocation->error, "too few arguments: SCHEDULER is missing; see plumb schedule --help");
    int ways = arguments->has_steps + (arguments->timesteps.count > 0) + (arguments->sigmas.count > 0);
    if (ways > 1)
        return error_input(
            &invocation->error, "--steps, --timesteps and --sigmas exclude each other: give one");
    if (invocation->positional_count > 1 && !arguments->plot)
        return error_input(&invocation->error,
            "several schedulers go into a plot: add --plot P.png, or leave out \"%.80s\"",
            invocation->positionals[1]);
    if (arguments->panels != PANELS_ALL && !arguments->plot)
        return error_input(&invocation->error, "--panel says what --plot draws: add --plot P.png");
    if (arguments->arithmetic == BOTH && (arguments->format != SCHEDULE_AS_TABLE || arguments->plot))
        return error_input(&invocation->error,
            "--arithmetic both is a table: leave out --format and --plot, or ask for one arithmetic");
    if (arguments->explain && (arguments->format != SCHEDULE_AS_TABLE || arguments->arithmetic == BOTH))
        return error_input(
            &invocation->error, "--explain is a text: leave out --format, and ask for one arithmetic");
    enum status status = check_picture_name("--plot", arguments->plot, &invocation->error);
    if (status != STATUS_OK) return status;
    return cli_set_semantics(&arguments->settings, arguments->semantics, &invocation->error);
}

static enum status parse(struct invocation *invocation, struct arguments *arguments)
{
    static const char *const formats[] = {"table", "json", "csv", NULL};
    static const char *const arithmetics[] = {"diffusers", "f64", "both", NULL};
    static const char *const panels[] = {"all", "timesteps", "sigmas", "snr", NULL};
    const struct cli_option options[] = {
        {.name = "set",
            .kind = CLI_SETTING,
            .value = &arguments->settings,
            .argument = "KEY=VALUE",
            .help = "override an option of the config; may be given again and again"},
        {.name = "num-inference-steps",
            .alias = "steps",
            .kind = CLI_INTEGER,
            .value = &arguments->steps,
            .argument = "N",
            .help = "number of steps (50)",
            .minimum = 1,
            .maximum = 1000000,
            .given = &arguments->has_steps},
        {.name = "timesteps",
            .kind = CLI_NUMBERS,
            .value = &arguments->timesteps,
            .argument = "LIST",
            .help = "these timesteps: 999,845,... or [999,845,...]"},
        {.name = "sigmas",
            .kind = CLI_NUMBERS,
            .value = &arguments->sigmas,
            .argument = "LIST",
            .help = "these sigmas, the last (0) with them"},
        {.name = "mu",
            .kind = CLI_NUMBER,
            .value = &arguments->mu,
            .argument = "X",
            .help = "the shift where use_dynamic_shifting is true",
            .given = &arguments->has_mu},
        {.name = "format",
            .kind = CLI_CHOICE,
            .value = &arguments->format,
            .argument = "FORMAT",
            .help = "table, json or csv; json and csv give every number exactly",
            .choices = formats},
        {.name = "list",
            .kind = CLI_FLAG,
            .value = &arguments->list,
            .help = "the classes that there are, or those named, with the options that each one uses, takes "
                    "and ignores, or refuses"},
        {.name = "coefficients",
            .kind = CLI_FLAG,
            .value = &arguments->with_coefficients,
            .help = "also what each step multiplies the sample, the model's outputs and the noise with; [-1] "
                    "is one step earlier; the order of each step, and the evaluations of the model so far"},
        {.name = "explain",
            .kind = CLI_FLAG,
            .value = &arguments->explain,
            .help = "in place of the table: the schedule from betas to coefficients, in words and equations"},
        {.name = "tables",
            .kind = CLI_FLAG,
            .value = &arguments->tables,
            .help =
                "no SCHEDULER: the timesteps of every class, spacing and kind of sigmas for many counts of "
                "steps, in the format of golden/timesteps.txt"},
        {.name = "plot",
            .kind = CLI_STRING,
            .value = &arguments->plot,
            .argument = "P.png",
            .help = "draw timesteps, sigmas and signal-to-noise ratios"},
        {.name = "panel",
            .kind = CLI_CHOICE,
            .value = &arguments->panels,
            .argument = "WHICH",
            .help = "with --plot: all of them, or one alone: timesteps, sigmas or snr",
            .choices = panels},
        {.name = "arithmetic",
            .kind = CLI_CHOICE,
            .value = &arguments->arithmetic,
            .argument = "WHICH",
            .help = "diffusers (as it computes on a CPU), f64 (in double throughout), or both: how far "
                    "the first is from the second",
            .choices = arithmetics},
        cli_semantics_option(&arguments->semantics),
    };
    const struct cli_usage usage = {
        "SCHEDULER... [options]", description, examples, options, sizeof options / sizeof *options, 0, 32};
    enum status status = cli_parse(invocation, &usage);
    if (status == STATUS_OK && !invocation->helped) status = check_together(invocation, arguments);
    return status;
}

static struct schedule_request request_of(const struct arguments *arguments)
{
    return (struct schedule_request){
        .has_num_inference_steps = !arguments->timesteps.count && !arguments->sigmas.count,
        .num_inference_steps = (int)arguments->steps,
        .timesteps = arguments->timesteps.values,
        .num_timesteps = arguments->timesteps.count,
        .sigmas = arguments->sigmas.values,
        .num_sigmas = arguments->sigmas.count,
        .has_mu = arguments->has_mu,
        .mu = arguments->mu,
    };
}

/* One scheduler of the command line. */
struct shown {
    struct labelled_scheduler scheduler;
    struct schedule_table table;
};

static enum status make_one(
    struct invocation *invocation, const struct arguments *arguments, const char *argument, struct shown *one)
{
    struct error *error = &invocation->error;
    const struct schedule_request common = request_of(arguments);
    enum status status =
        labelled_scheduler_read(argument, arguments->settings, &common, &one->scheduler, error);
    if (status != STATUS_OK) return status;
    bool with = arguments->with_coefficients;
    const cJSON *config = one->scheduler.config;
    const struct schedule_request *request = &one->scheduler.request;
    status = arguments->arithmetic == F64
                 ? schedule_table_make_f64(config, request, with, &one->table, &invocation->warnings, error)
                 : schedule_table_make_f32(config, request, with, &one->table, &invocation->warnings, error);
    return error_prefix(error, status, "%s: ", argument);
}

/* --arithmetic both: the table at hand is the one of diffusers' arithmetic. */
static enum status write_both(
    struct invocation *invocation, const struct arguments *arguments, const struct shown *one)
{
    struct schedule_table exact;
    enum status status = schedule_table_make_f64(one->scheduler.config, &one->scheduler.request,
        arguments->with_coefficients, &exact, NULL, &invocation->error);
    if (status == STATUS_OK)
        status = schedule_both_write(
            &one->table, &exact, one->scheduler.config, invocation->out, &invocation->error);
    schedule_table_free(&exact);
    return status;
}

/* What stands on standard output for one scheduler. */
static enum status write_one(
    struct invocation *invocation, const struct arguments *arguments, const struct shown *one)
{
    const cJSON *config = one->scheduler.config;
    const struct schedule_request *request = &one->scheduler.request;
    if (arguments->explain)
        return arguments->arithmetic == F64
                   ? schedule_explain_f64(config, request, invocation->out, NULL, &invocation->error)
                   : schedule_explain_f32(config, request, invocation->out, NULL, &invocation->error);
    if (arguments->arithmetic == BOTH) return write_both(invocation, arguments, one);
    return schedule_table_write(
        &one->table, config, (enum schedule_format)arguments->format, invocation->out, &invocation->error);
}

static enum status plot_all(
    struct invocation *invocation, const struct arguments *arguments, const struct shown *all, size_t count)
{
    struct schedule_curves *curves = calloc(count, sizeof *curves);
    if (!curves) return error_memory(&invocation->error, count * sizeof *curves);
    for (size_t i = 0; i < count; i++)
        curves[i] = (struct schedule_curves){&all[i].table, all[i].scheduler.label};
    enum status status = schedule_plot_write(
        arguments->plot, curves, count, (enum schedule_panels)arguments->panels, &invocation->error);
    if (status == STATUS_OK) fprintf(invocation->messages, "wrote %s\n", arguments->plot);
    free(curves);
    return status;
}

static enum status show_all(
    struct invocation *invocation, const struct arguments *arguments, struct shown *all, size_t count)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = make_one(invocation, arguments, invocation->positionals[i], &all[i]);
    if (status == STATUS_OK && arguments->plot) status = plot_all(invocation, arguments, all, count);
    bool as_array = arguments->format == SCHEDULE_AS_JSON && count > 1;
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (as_array)
            fputs(i > 0 ? "," : "[", invocation->out);
        else if (i > 0)
            fputc('\n', invocation->out);
        status = write_one(invocation, arguments, &all[i]);
    }
    if (as_array) fputs("]\n", invocation->out);
    return status;
}

enum status command_schedule(struct invocation *invocation)
{
    struct arguments arguments = {.steps = 50};
    enum status status = parse(invocation, &arguments);
    if (status == STATUS_OK && !invocation->helped && arguments.list) {
        status = class_list_write(invocation->positionals, invocation->positional_count,
            arguments.format == SCHEDULE_AS_JSON, invocation->out, &invocation->error);
    } else if (status == STATUS_OK && !invocation->helped && arguments.tables) {
        status = timestep_tables_write(invocation->out, &invocation->error);
    } else if (status == STATUS_OK && !invocation->helped) {
        size_t count = invocation->positional_count;
        struct shown *all = calloc(count, sizeof *all);
        status = all ? show_all(invocation, &arguments, all, count)
                     : error_memory(&invocation->error, count * sizeof *all);
        for (size_t i = 0; all && i < count; i++) {
            labelled_scheduler_free(&all[i].scheduler);
            schedule_table_free(&all[i].table);
        }
        free(all);
    }
    cJSON_Delete(arguments.settings);
    free(arguments.timesteps.values);
    free(arguments.sigmas.values);
    return status;
}
