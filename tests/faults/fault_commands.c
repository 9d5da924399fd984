#include "fault_commands.h"

#include "sched/plumb_sched.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SD "golden/models/tiny-sd"
#define XL "golden/models/tiny-sdxl"
#define TRACES "golden/models/traces/"
#define SMALL "--prompt fox --steps 1 --height 64 --width 64 --threads 1 "

const struct fault_command fault_commands[] = {
    {.arguments = "run " SD " " SMALL "--out @o.png --trace @t.safetensors --noise-log @n.json"},
    {.arguments = "run " XL " " SMALL "--seed 1,2 --images 2 --trace @t.npz --trace-modules"},
    {.arguments = "run " SD " " SMALL "--trace +t --scheduler EulerAncestralDiscrete --generator torch-cpu"},
    {.arguments = "run " SD " " SMALL "--precision f64 --out @o.png --range --range-format json"},
    {.arguments = "run " XL " " SMALL "--precision bf16 --out @o.png --range --report-memory"},
    {.arguments = "run " SD " " SMALL "--gemm openblas --out @o.png"},
    {.arguments = "run " XL " --recipe configs/recipes/ays_sigmas.json --height 64 --width 64 --threads 1 "
                  "--trace @t.safetensors"},
    {.arguments = "run --resume @t.safetensors --threads 1",
        .inputs =
            "run " SD " --prompt fox --steps 3 --height 64 --width 64 --threads 1 --trace @t.safetensors "
            "--scheduler EulerAncestralDiscrete",
        .goes_on = true},
    {.arguments = "run " SD " " SMALL "--seeds 1-3 --out-dir +d --traces",
        .inputs = "run " SD " " SMALL "--seeds 1-3 --out-dir +d --traces",
        .varies = true,
        .goes_on = true},
    {.arguments =
            "run " SD " --recipes configs/cluster/list.jsonl --shard 2/2 --steps 2 --height 64 --width 64 "
            "--threads 1 --out-dir +d",
        .varies = true,
        .goes_on = true},
    {.arguments = "schedule configs/schedulers/sdxl.json --steps 5 --coefficients --plot @p.png"},
    {.arguments = "schedule configs/schedulers/sd15.json DDIM LCM --steps 4 --format json --plot @p.png"},
    {.arguments = "schedule UniPCMultistep --steps 4 --format csv --set use_karras_sigmas=true"},
    {.arguments = "schedule DPMSolverMultistep --steps 4 --explain"},
    {.arguments = "schedule configs/schedulers/sd15.json --steps 4 --arithmetic both"},
    {.arguments = "schedule configs/schedulers/sd21v.json --steps 4 --arithmetic f64 --format json"},
    {.arguments = "schedule DDIM --set timestep_spacing=trailing --steps 7 --semantics documented"},
    {.arguments = "schedule configs/schedulers/sdxl.json --sigmas 14.615,6.315,1.342,0.380,0.0"},
    {.arguments = "schedule --list"},
    {.arguments = "schedule --list DDIM LCM --format json"},
    {.arguments = "sample golden/sched/euler_churn.json --tensors golden/sched/euler_churn.safetensors --out "
                  "@o.safetensors "
                  "--noise-log @n.json"},
    {.arguments = "sample EulerDiscrete EulerAncestralDiscrete DDIM --steps 3 --plot @p.png"},
    {.arguments = "compare " TRACES "sd-ddim5.safetensors " TRACES
                  "sd-ddim5-torchgen.safetensors --heatmap @h.png"},
    {.arguments = "compare " TRACES "sd-ddim5.safetensors " TRACES "sd-ddim5.safetensors --format json"},
    {.arguments = "compare -a.npz -a.npz", .inputs = "run " SD " " SMALL "--trace @a.npz"},
    {.arguments = "verify " SD " " TRACES "sd-ddim5.safetensors --threads 1", .is_long = true},
    {.arguments =
            "verify " SD " golden/faults/sd-pndm6-no-scaling-factor.safetensors --threads 1 --html @v.html"},
    {.arguments = "verify " XL
                  " golden/faults/sdxl-dpm5-leading-solver-order-one.safetensors --threads 1 --format json",
        .is_long = true},
    {.arguments = "inspect " XL " --tensors"},
    {.arguments = "inspect golden/models/tiny-sdxl-sharded"},
    {.arguments = "inspect golden/models/tiny-sdxl-fp16 --variant fp16"},
    {.arguments = "info", .varies = true},
    {.arguments = "info --plan sdxl --height 1024 --width 1024", .varies = true},
    {.arguments = "info --plan " SD " --format json", .varies = true},
    {.arguments = "synth tiny-sd15 +tiny --threads 1"},
    {.arguments = "synth tiny-sdxl +tiny --threads 1 --dtype f16 --variant fp16 --shard-size 300000"},
    {.arguments = "synth --list"},
    {.arguments = "hash " TRACES "sd-ddim5.safetensors --tensors"},
    {.arguments = "sheet @s.png -a.png -a.png", .inputs = "run " SD " " SMALL "--out @a.png"},
    {.arguments = "bench --list --architecture tiny-sdxl", .varies = true},
    {.arguments = "bench --list --checkpoint " SD " --format json", .varies = true},
    {.arguments = "bench --sched --repeat 1", .varies = true, .is_long = true},
    {.arguments = "bench --stages --architecture tiny-sd --size 64x64 --repeat 1 --threads 1",
        .varies = true,
        .is_long = true},
    {.arguments = "help"},
    {.arguments = "help run"},
    {.arguments = "help verify --format man"},
    {.arguments = "help --format bash"},
    {.arguments = "--version"},
    /* Mistakes are told under faults, too. */
    {.arguments = "run " SD " --promt fox"},
    {.arguments = "schedule DDIMM --set timestep_spacng=trailing"},
    {.arguments = "run golden --prompt fox --out @o.png"},
    {0},
};
const size_t fault_command_count = sizeof fault_commands / sizeof *fault_commands - 1;

size_t fault_commands_of_classes(struct fault_command *commands, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < plumb_scheduler_class_count() && count < room; i++) {
        char *text;
        if (asprintf(&text, "schedule %s --steps 4 --coefficients", plumb_scheduler_class_name(i)) < 0) break;
        commands[count++].arguments = text;
    }
    return count;
}

size_t fault_commands_of_cases(struct fault_command *commands, size_t room)
{
    glob_t found;
    if (glob("golden/sched/*.json", 0, NULL, &found) != 0) return 0;
    size_t count = 0;
    for (size_t i = 0; i < found.gl_pathc && count < room; i++) {
        const char *path = found.gl_pathv[i];
        int stem = (int)(strlen(path) - strlen(".json"));
        char *text;
        if (asprintf(&text, "sample %s --tensors %.*s.safetensors --out @o.safetensors", path, stem, path) <
            0)
            break;
        commands[count++].arguments = text;
    }
    globfree(&found);
    return count;
}

void fault_commands_free(struct fault_command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++) free((void *)(uintptr_t)commands[i].arguments);
}
