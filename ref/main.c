/*
 * Plumb: a reference implementation of the Diffusers text-to-image pipelines. The dispatcher: finds the
 * command, runs it, prints what it reports, and turns its status into the exit status (error.h). Nothing else
 * prints errors or exits.
 */
#include "blas_core.h"
#include "cli.h"
#include "faults.h"
#include "version.h"

#include "sched/nearest.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *arguments, *summary;
    enum status (*run)(struct invocation *invocation);
} commands[] = {
    {"run", "CHECKPOINT", "text to image", command_run},
    {"schedule", "SCHEDULER", "the table of a schedule: timesteps, sigmas, alphas; JSON, CSV or a plot",
        command_schedule},
    {"sample", "CASE", "the sampler alone, on recorded model outputs", command_sample},
    {"compare", "A B", "two sets of tensors, tensor by tensor", command_compare},
    {"verify", "CHECKPOINT THEIRS",
        "another backend's tensors, stage by stage, each from its own recorded inputs", command_verify},
    {"synth", "ARCHITECTURE DIR",
        "a full-size checkpoint with deterministic weights, for tests and benchmarks", command_synth},
    {"hash", "F...", "one number for a file's tensors, which nothing but their bits changes", command_hash},
    {"inspect", "CHECKPOINT", "what is in a checkpoint, and whether it is whole", command_inspect},
    {"sheet", "OUT PICTURE...", "several pictures side by side, enlarged, with labels", command_sheet},
    {"bench", "", "kernels and forward passes against this machine's SGEMM and memory", command_bench},
    {"info", "", "CPU, kernels, BLAS, versions: what a result depends on", command_info},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void write_help(FILE *out)
{
    fprintf(out, "Plumb " PLUMB_VERSION ": the numerical reference for text-to-image diffusion models.\n\n"
                 "usage: plumb COMMAND ...\n\n");
    for (int i = 0; i < COMMANDS; i++) {
        char words[64];
        snprintf(words, sizeof words, "%s %s", commands[i].name, commands[i].arguments);
        fprintf(out, "  plumb %-22s %s\n", words, commands[i].summary);
    }
    fprintf(out,
        "\n`plumb COMMAND --help` explains a command, with examples. `plumb --version` says the version.\n"
        "Exit status: 0 done, and whatever was compared agrees; 1 it does not agree; 2 the command line or\n"
        "an input is wrong; 3 the machine failed (memory, disk).\n");
}

static enum status refuse_command(const char *word, struct error *error)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
    const char *nearest = nearest_name(word, names, COMMANDS);
    return error_input(error, "no command \"%.60s\"%s%s%s; see plumb --help", word,
        nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
}

static enum status dispatch(struct invocation *invocation)
{
    if (invocation->argc < 1)
        return error_input(&invocation->error, "a command is missing; see plumb --help");
    const char *word = invocation->argv[0];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        write_help(invocation->out);
        return STATUS_OK;
    }
    if (strcmp(word, "--version") == 0) {
        fprintf(invocation->out, "plumb " PLUMB_VERSION "\n");
        return STATUS_OK;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(word, commands[i].name) == 0) return commands[i].run(invocation);
    return refuse_command(word, &invocation->error);
}

/* Results that did not reach their file are no results. A broken pipe (`| head`) is the reader's choice. */
static enum status finish_output(struct invocation *invocation, enum status status)
{
    errno = 0;
    bool failed = fflush(invocation->out) != 0 || ferror(invocation->out);
    if (!failed || errno == EPIPE || status == STATUS_MACHINE) return status;
    return error_machine(&invocation->error, "standard output: cannot be written: %s",
        errno ? strerror(errno) : "an earlier write failed");
}

int main(int argc, char **argv)
{
    blas_without_threads(argv);
    struct invocation invocation = {
        .argc = argc - 1,
        .argv = argv + 1,
        .out = stdout,
        .messages = stderr,
        .messages_are_seen = isatty(STDERR_FILENO),
    };
    /* A file that outgrows `ulimit -f` is a write that fails, not the program's end with half a file left. */
    signal(SIGXFSZ, SIG_IGN);
    faults_handle();
    enum status status = dispatch(&invocation);
    status = finish_output(&invocation, status);
    cli_show_warnings(&invocation);
    if (status != STATUS_OK && invocation.error.message[0]) cli_show_error(&invocation);
    warnings_free(&invocation.warnings);
    return (int)status;
}
