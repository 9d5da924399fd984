/*
 * The vector kernels as a command line names them.
 */
#include "cli.h"

#include "kernels/cpu.h"

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

enum status cli_use_kernels(int set, struct error *error)
{
    char available[128];
    if (kernels_use((enum kernel_set)set)) return STATUS_OK;
    return error_input(error, "--cpu: this processor has %s, not %s",
        cli_show_kernels(available, sizeof available), kernels_set_name((enum kernel_set)set));
}
