#include "commands.h"

#include "sched/nearest.h"

#include <string.h>

const struct command commands[] = {
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
    const char *nearest = nearest_name(name, names, count);
    error_input(error, "no command \"%.60s\"%s%s%s; see plumb --help", name, nearest ? " (did you mean " : "",
        nearest ? nearest : "", nearest ? "?)" : "");
    return NULL;
}
