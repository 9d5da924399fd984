#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct trace {
    struct tensor_set *tensors;
};

enum status trace_create(struct trace **out, struct error *error)
{
    *out = NULL;
    struct trace *trace = calloc(1, sizeof *trace);
    if (!trace) return error_memory(error, sizeof *trace);
    enum status status = tensor_set_create(&trace->tensors, error);
    if (status == STATUS_OK)
        *out = trace;
    else
        free(trace);
    return status;
}

void trace_free(struct trace *trace)
{
    if (!trace) return;
    tensor_set_free(trace->tensors);
    free(trace);
}

enum status trace_add(
    struct trace *trace, const struct tensor *tensor, struct error *error, const char *name_format, ...)
{
    if (!trace) return STATUS_OK;
    char name[512];
    va_list arguments;
    va_start(arguments, name_format);
    int length = vsnprintf(name, sizeof name, name_format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof name)
        return error_input(
            error, "trace: %.60s...: expected a name of at most %zu bytes", name, sizeof name - 1);
    return error_prefix(error, tensor_set_add(trace->tensors, name, tensor, error), "trace: ");
}

enum status trace_put_metadata(struct trace *trace, const char *key, const char *value, struct error *error)
{
    if (!trace) return STATUS_OK;
    return error_prefix(error, tensor_set_put_metadata(trace->tensors, key, value, error), "trace: ");
}

const struct tensor_set *trace_tensors(const struct trace *trace)
{
    return trace->tensors;
}

enum status trace_write(const struct trace *trace, const char *path, struct error *error)
{
    return tensor_set_write(trace->tensors, path, error);
}
