/*
 * How a command computes, as the command line says it: threads, vector kernels, matrix products.
 */
#include "blas_core.h"
#include "cli.h"

#include "kernels/cpu.h"

#include <string.h>

const char *cli_show_kernels(char *buffer, size_t size)
{
    int used = snprintf(buffer, size, "%s", kernels_set_name(kernels_in_use()));
    const char *before = " (also available: ", *after = "";
    for (enum kernel_set set = 0; set < KERNEL_SETS; set++) {
        if (set == kernels_in_use() || !kernels_available(set) || used < 0 || (size_t)used >= size) continue;
        used += snprintf(buffer + used, size - (size_t)used, "%s%s", before, kernels_set_name(set));
        before = ", ";
        after = ")";
    }
    if (used >= 0 && (size_t)used < size) snprintf(buffer + used, size - (size_t)used, "%s", after);
    return buffer;
}

struct cli_option cli_threads_option(struct cli_machine *machine)
{
    return (struct cli_option){.name = "threads",
        .kind = CLI_INTEGER,
        .value = &machine->threads,
        .argument = "N",
        .minimum = 1,
        .maximum = 1024,
        .help = "by default one a processor; changes no bit of the result"};
}

struct cli_option cli_cpu_option(struct cli_machine *machine)
{
    return (struct cli_option){.name = "cpu",
        .kind = CLI_CHOICE,
        .value = &machine->cpu,
        .argument = "SET",
        .choices = kernels_set_names(),
        .given = &machine->cpu_given,
        .help =
            "the vector kernels: scalar, avx2, avx512 or neon; by default the best of `plumb info`. All give "
            "the same bits"};
}

struct cli_option cli_gemm_option(struct cli_machine *machine)
{
    return (struct cli_option){.name = "gemm",
        .kind = CLI_CHOICE,
        .value = &machine->gemm,
        .argument = "openblas|portable",
        .choices = kernels_gemm_names(),
        .given = &machine->gemm_given,
        .help =
            "whose matrix products in single precision: our own, whose bits are the same on every machine "
            "(portable, the default), or OpenBLAS's; those in double are OpenBLAS's"};
}

struct cli_option cli_blas_core_option(struct cli_machine *machine)
{
    return (struct cli_option){.name = "blas-core",
        .kind = CLI_STRING,
        .value = &machine->blas_core,
        .argument = "NAME|auto",
        .help =
            "OpenBLAS's kernels, on which the bits of its products depend. By default those of Haswell on "
            "x86-64 with AVX2, the same on every such machine; auto leaves the choice to OpenBLAS, or to "
            "OPENBLAS_CORETYPE"};
}

static enum status use_kernels(int set, struct error *error)
{
    char available[128];
    if (kernels_use((enum kernel_set)set)) return STATUS_OK;
    return error_input(error, "--cpu: this processor has %s, not %s",
        cli_show_kernels(available, sizeof available), kernels_set_name((enum kernel_set)set));
}

/* Without it a result is as good, but other machines may have other bits. */
static void use_common_core(struct invocation *invocation, char **argv)
{
    struct error error = {""};
    if (blas_core_use_common(argv, &error) != STATUS_OK)
        warnings_add(&invocation->warnings, "%s; OpenBLAS's own choice is used", error.message);
}

enum status cli_use_machine(struct invocation *invocation, const struct cli_machine *machine, bool f64)
{
    struct error *error = &invocation->error;
    if (machine->gemm_given) kernels_use_gemm((enum gemm_kind)machine->gemm);
    bool automatic = machine->blas_core && strcmp(machine->blas_core, "auto") == 0;
    bool with_blas = kernels_need_blas(f64);
    char **argv = invocation->argv - 1; /* with the program's name */
    enum status status = STATUS_OK;
    if (machine->blas_core && !automatic)
        status = blas_core_use(machine->blas_core, argv, error);
    else if (with_blas && !automatic && !machine->as_it_is)
        use_common_core(invocation, argv);
    if (status == STATUS_OK && machine->cpu_given) status = use_kernels(machine->cpu, error);
    if (status == STATUS_OK && machine->threads) kernels_set_threads((int)machine->threads);
    return status;
}
