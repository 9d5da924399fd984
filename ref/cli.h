/*
 * What the commands share: how a command line is described, read and explained, and how a command reports.
 *
 * A command is a function that reads its command line with cli_parse(), writes its results to `out`, and
 * returns a status with `error` filled. Warnings are gathered. main() prints errors and warnings and exits;
 * a long command only shows its warnings before the long part begins.
 */
#ifndef REF_CLI_H
#define REF_CLI_H

#include "sched/error.h"
#include "sched/json.h"

#include <stdbool.h>
#include <stdio.h>

/* How a command explains itself where its command line asks for help (cli_help.h). */
enum help_form { HELP_AS_TEXT, HELP_AS_MANUAL_PAGE, HELP_AS_COMPLETION };

/* One run of one command. */
struct invocation {
    int argc; /* argv[0] is the command's name */
    char **argv;
    FILE *out;              /* results: standard output */
    bool out_is_seen;       /* `out` is a terminal: colours may be used */
    FILE *messages;         /* progress and remarks: standard error */
    bool messages_are_seen; /* `messages` is a terminal: progress may be shown */
    struct warnings warnings;
    size_t warnings_shown; /* the first so many of them, by cli_show_warnings() */
    struct error error;
    enum help_form help_form;

    const char *sought_option; /* not NULL: cli_parse() only says whether the command has it */
    bool sought_option_is_there;

    /* What cli_parse() leaves: */
    bool helped; /* help was written, or sought_option looked for; there is nothing else to do */
    char **positionals;
    size_t positional_count;
};

/* The commands, one file each. */
enum status command_run(struct invocation *invocation);
enum status command_schedule(struct invocation *invocation);
enum status command_sample(struct invocation *invocation);
enum status command_compare(struct invocation *invocation);
enum status command_verify(struct invocation *invocation);
enum status command_bench(struct invocation *invocation);
enum status command_synth(struct invocation *invocation);
enum status command_hash(struct invocation *invocation);
enum status command_inspect(struct invocation *invocation);
enum status command_info(struct invocation *invocation);
enum status command_sheet(struct invocation *invocation);
enum status command_help(struct invocation *invocation);

/* --- Describing a command line ------------------------------------------------------------ */

/* What an option's argument is, and the type that `value` points to. */
enum cli_kind {
    CLI_FLAG,    /* bool; no argument */
    CLI_STRING,  /* const char *, which points into argv */
    CLI_INTEGER, /* int64_t, from minimum to maximum */
    CLI_NUMBER,  /* double: finite, and not negative */
    CLI_NUMBERS, /* struct cli_numbers: "a,b,c" or a JSON array */
    CLI_CHOICE,  /* int: which of `choices` */
    CLI_SETTING, /* cJSON *: key=value is put into this object; may be given again and again */

    /* cJSON *: put into this object under the option's name, with underscores for the hyphens; an object is
     * made where there is none yet. So a command line becomes a recipe. */
    CLI_KEY_STRING,  /* a string, as it stands */
    CLI_KEY_STRINGS, /* "a,b,c" as a list of strings; one alone as a string */
    CLI_KEY_VALUE,   /* as after `=` in key=value: cli_value() */
    CLI_KEY_NUMBERS, /* a list of numbers */
};

struct cli_numbers {
    double *values; /* NULL where the option is not given; the command frees it */
    size_t count;
};

struct cli_option {
    const char *name;  /* "num-inference-steps" */
    const char *alias; /* another name, "steps", shown in its place in help; NULL where there is none */
    enum cli_kind kind;
    void *value;
    const char *argument; /* what help calls the argument, "N"; bash completes by it (completion.c); NULL for
                             a flag */
    const char *help;
    int64_t minimum, maximum;   /* CLI_INTEGER */
    const char *const *choices; /* CLI_CHOICE; ends with NULL */
    bool *given;                /* set to true where the option stands; may be NULL */
};

struct cli_usage {
    const char *arguments;   /* "A B [options]"; bash completes by its words, too */
    const char *description; /* paragraphs with an empty line between them; wrapped to fit, but for those
                                that begin with a space */
    const char *examples;    /* lines */
    const struct cli_option *options;
    size_t option_count;
    size_t minimum_positionals, maximum_positionals;
};

/* Reads the command line into the options' values, and what is no option into `positionals`. On `--help`
 * writes the help to `out`, in the invocation's form, and sets `helped`. */
enum status cli_parse(struct invocation *invocation, const struct cli_usage *usage);

/* --- Messages ----------------------------------------------------------------------------- */

/* Writes the warnings that were not shown yet to `messages`, each text once. */
void cli_show_warnings(struct invocation *invocation);
void cli_show_error(const struct invocation *invocation);

/* --- Values ------------------------------------------------------------------------------- */

/* "a,b,c" or "[a, b, c]": finite numbers, at least one. `name` is for messages. */
enum status cli_read_numbers(
    const char *text, const char *name, struct cli_numbers *numbers, struct error *error);

/* A value as one types it: JSON where it is JSON (2, true, null, [1, 2], "text"), None, True and False as in
 * Python, anything else a string. NULL where memory is out. */
cJSON *cli_value(const char *text);

/* Puts "key=value" into `*object`, in place of what the key had before; makes the object where it is NULL. */
enum status cli_set(cJSON **object, const char *setting, struct error *error);

/* Puts every key of `from` (may be NULL) into the object `onto`, in place of what the key had before. */
enum status cli_merge(cJSON *onto, const cJSON *from, struct error *error);

/* The option --semantics, an index into diffusers, documented; cli_set_semantics() puts it into the settings
 * that go over a scheduler's config. */
struct cli_option cli_semantics_option(int *value);
enum status cli_set_semantics(cJSON **settings, int semantics, struct error *error);

/* The whole name of a scheduler class, from it with or without "Scheduler"; the error of an unknown one says
 * why Plumb does not have it, or which it may mean. */
enum status cli_scheduler_class(const char *name, const char **class_name, struct error *error);

/* A scheduler's config from what stands on the command line: a JSON file, a checkpoint folder (its
 * scheduler/scheduler_config.json), or a class, with or without the word Scheduler at its end: all its
 * options are then the class's defaults. `settings` (may be NULL) go over it. The caller frees `*config` with
 * cJSON_Delete. */
enum status cli_scheduler_config(
    const char *argument, const cJSON *settings, cJSON **config, struct error *error);

/* What --threads, --cpu, --gemm and --blas-core say, the same for every command that computes. All zero: what
 * the machine has. */
struct cli_machine {
    int64_t threads;
    int cpu;  /* an enum kernel_set, where given */
    int gemm; /* an enum gemm_kind, where given */
    bool cpu_given, gemm_given;
    const char *blas_core; /* NULL where not given */
    bool
        as_it_is; /* set by a command that measures: OpenBLAS's choice of kernels stays without --blas-core */
};
struct cli_option cli_threads_option(struct cli_machine *machine);
struct cli_option cli_cpu_option(struct cli_machine *machine);
struct cli_option cli_gemm_option(struct cli_machine *machine);
struct cli_option cli_blas_core_option(struct cli_machine *machine);
/* Computes that way from now on. `f64` says that the command computes in double, whose products are always
 * OpenBLAS's. Call it before anything else is done: the program may be started anew (blas_core.h), and the
 * process is then another. */
enum status cli_use_machine(struct invocation *invocation, const struct cli_machine *machine, bool f64);
/* The kernel sets that this processor has, "avx2 (also available: scalar)", the one in use first. Returns
 * `buffer`. */
const char *cli_show_kernels(char *buffer, size_t size);

/* The shortest decimal number that reads back as the same float or the same double; "inf", "-inf", "nan". At
 * most 32 characters with the NUL. Returns `buffer`. */
const char *show_float(float value, char buffer[32]);
const char *show_double(double value, char buffer[32]);

/* `text` in quotes, as JSON writes it; a byte that is no UTF-8 becomes U+FFFD. */
void cli_write_json_string(FILE *out, const char *text);
/* A number that reads back as the same double; "inf", "-inf", "nan" in quotes, since JSON has no numbers for
 * them. */
void cli_write_json_number(FILE *out, double value);

#endif
