#include "commands.h"
#include "usual_names.h"

#include "sched/nearest.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
    {"run", "CHECKPOINT", "text to image", command_run},
    {"schedule", "SCHEDULER", "the table of a schedule: timesteps, sigmas, alphas; JSON, CSV or a plot",
        command_schedule},
    {"sample", "CASE", "the sampler alone, on recorded model outputs", command_sample},
    {"compare", "A B", "two sets of tensors, tensor by tensor", command_compare},
    {"verify", "CHECKPOINT THEIRS", "another backend's tensors against the exact values, stage by stage",
        command_verify},
    {"synth", "ARCHITECTURE DIR", "a checkpoint of any size with deterministic weights, without a download",
        command_synth},
    {"hash", "F...", "one number for a file's tensors, which nothing but their bits changes", command_hash},
    {"inspect", "CHECKPOINT", "what is in a checkpoint, and whether it is whole; what is in a trace",
        command_inspect},
    {"sheet", "OUT PICTURE...", "several pictures side by side, enlarged, with labels", command_sheet},
    {"bench", "", "kernels and forward passes against this machine's SGEMM and memory", command_bench},
    {"info", "", "CPU, kernels, BLAS, versions: what a result depends on", command_info},
    {"help", "[COMMAND]", "this text, or a command's; as a manual page; for bash's completion", command_help},
    {0},
};

const struct command *command_find(const char *name, struct error *error)
{
    const char *names[sizeof commands / sizeof *commands];
    size_t count = 0;
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(name, command->name) == 0) return command;
        names[count++] = command->name;
    }
    char meant[64];
    if (*name == '-' || access(name, F_OK) == 0)
        error_input(error, "a command comes first, as in plumb run, got \"%.60s\"; see plumb --help", name);
    else
        error_input(error, "no command \"%.60s\"%s; see plumb --help", name,
            did_you_mean(likely_name(name, names, count), "", meant, sizeof meant));
    return NULL;
}

const char *command_with_option(const char *option)
{
    for (const struct command *command = commands; command->name; command++) {
        char *argv[] = {(char *)(uintptr_t)command->name, NULL};
        struct invocation asked = {.argc = 1, .argv = argv, .sought_option = option};
        command->run(&asked);
        warnings_free(&asked.warnings);
        if (asked.sought_option_is_there) return command->name;
    }
    return NULL;
}
