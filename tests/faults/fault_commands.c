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
    {"run " SD " " SMALL "--out @o.png --trace @t.safetensors --noise-log @n.json", NULL, false},
    {"run " XL " " SMALL "--seed 1,2 --images 2 --trace @t.npz --trace-modules", NULL, false},
    {"run " SD " " SMALL "--trace +t --scheduler EulerAncestralDiscrete --generator torch-cpu", NULL, false},
    {"run " SD " " SMALL "--precision f64 --out @o.png --range --range-format json", NULL, false},
    {"run " XL " " SMALL "--precision bf16 --out @o.png --range --report-memory", NULL, false},
    {"run " SD " " SMALL "--gemm openblas --out @o.png", NULL, false},
    {"run " XL
     " --recipe configs/recipes/ays_sigmas.json --height 64 --width 64 --threads 1 --trace @t.safetensors",
        NULL, false},
    {"schedule configs/schedulers/sdxl.json --steps 5 --coefficients --plot @p.png", NULL, false},
    {"schedule configs/schedulers/sd15.json DDIM LCM --steps 4 --format json --plot @p.png", NULL, false},
    {"schedule UniPCMultistep --steps 4 --format csv --set use_karras_sigmas=true", NULL, false},
    {"schedule DPMSolverMultistep --steps 4 --explain", NULL, false},
    {"schedule configs/schedulers/sd15.json --steps 4 --arithmetic both", NULL, false},
    {"schedule configs/schedulers/sd21v.json --steps 4 --arithmetic f64 --format json", NULL, false},
    {"schedule DDIM --set timestep_spacing=trailing --steps 7 --semantics documented", NULL, false},
    {"schedule configs/schedulers/sdxl.json --sigmas 14.615,6.315,1.342,0.380,0.0", NULL, false},
    {"schedule --list", NULL, false},
    {"schedule --list DDIM LCM --format json", NULL, false},
    {"sample golden/sched/euler_churn.json --tensors golden/sched/euler_churn.safetensors --out "
     "@o.safetensors "
     "--noise-log @n.json",
        NULL, false},
    {"sample EulerDiscrete EulerAncestralDiscrete DDIM --steps 3 --plot @p.png", NULL, false},
    {"compare " TRACES "sd-ddim5.safetensors " TRACES "sd-ddim5-torchgen.safetensors --heatmap @h.png", NULL,
        false},
    {"compare " TRACES "sd-ddim5.safetensors " TRACES "sd-ddim5.safetensors --format json", NULL, false},
    {"compare -a.npz -a.npz", "run " SD " " SMALL "--trace @a.npz", false},
    {"verify " SD " " TRACES "sd-ddim5.safetensors --threads 1", NULL, false},
    {"verify " SD " golden/faults/sd-pndm6-no-scaling-factor.safetensors --threads 1 --html @v.html", NULL,
        false},
    {"verify " XL " golden/faults/sdxl-dpm5-leading-solver-order-one.safetensors --threads 1 --format json",
        NULL, false},
    {"inspect " XL " --tensors", NULL, false},
    {"inspect golden/models/tiny-sdxl-sharded", NULL, false},
    {"inspect golden/models/tiny-sdxl-fp16 --variant fp16", NULL, false},
    {"info", NULL, true},
    {"info --plan sdxl --height 1024 --width 1024", NULL, true},
    {"info --plan " SD " --format json", NULL, true},
    {"synth tiny-sd +tiny --threads 1", NULL, false},
    {"synth tiny-sdxl +tiny --threads 1 --dtype f16 --variant fp16 --shard-size 300000", NULL, false},
    {"synth --list", NULL, false},
    {"hash " TRACES "sd-ddim5.safetensors --tensors", NULL, false},
    {"sheet @s.png one=-a.png two=-a.png", "run " SD " " SMALL "--out @a.png", false},
    {"bench --list --architecture tiny-sdxl", NULL, false},
    {"bench --list --checkpoint " SD " --format json", NULL, false},
    {"bench --sched --repeat 1", NULL, true},
    {"bench --stages --architecture tiny-sd --size 64x64 --repeat 1 --threads 1", NULL, true},
    {"help", NULL, false},
    {"help run", NULL, false},
    {"help verify --format man", NULL, false},
    {"help --format bash", NULL, false},
    {"--version", NULL, false},
    /* Mistakes are told under faults, too. */
    {"run " SD " --promt fox", NULL, false},
    {"schedule DDIMM --set timestep_spacng=trailing", NULL, false},
    {"run golden --prompt fox --out @o.png", NULL, false},
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
