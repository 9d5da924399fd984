#include "kernels/real.h"

#include "ref/text_encoder.h"
#include "run_text_encoder.h"
#include "support.h"

#include <inttypes.h>
#include <stdlib.h>

#define run_text_encoder KERNEL_NAME(run_text_encoder)

static enum status add_output(
    struct forward *f, struct trace *trace, const char *name, int64_t n, const struct tensor *tensor)
{
    if (f->status == STATUS_OK && n < 0) f->status = trace_add(trace, tensor, f->error, "%s", name);
    if (f->status == STATUS_OK && n >= 0)
        f->status = trace_add(trace, tensor, f->error, "%s.%" PRId64, name, n);
    return f->status;
}

enum status run_text_encoder(const struct checkpoint *checkpoint, const char *component, const char *variant,
    const struct tensor *ids, struct trace *trace, struct error *error)
{
    struct forward f = {.error = error};
    struct text_encoder *encoder = NULL;
    size_t count = tensor_count(ids);
    int64_t *values = malloc(count * sizeof *values);
    if (!values) return error_memory(error, count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = tensor_get_int(ids, i);

    f.status = text_encoder_open(checkpoint, component, variant, &encoder, error);
    if (f.status == STATUS_OK) f.status = arena_create(&f.arena, TEST_ARENA, error);
    int64_t layers = f.status == STATUS_OK ? text_encoder_layers(encoder) : -1;
    for (int64_t n = 0; n <= layers && f.status == STATUS_OK; n++) {
        struct arena_mark scope = scope_begin(&f);
        f.modules = n == layers ? trace : NULL; /* once */
        /* From both ends in turn, so that both ways to count are used. */
        struct text_encoder_output output = text_encoder_forward(
            &f, encoder, values, ids->shape[0], ids->shape[1], n % 2 ? n - layers - 1 : n);
        f.modules = NULL;
        add_output(&f, trace, "hidden_states", n, &output.hidden_state);
        struct tensor normed = text_encoder_final_norm(&f, encoder, output.hidden_state);
        add_output(&f, trace, "final_norm", n, &normed);
        if (n == layers) add_output(&f, trace, "last_hidden_state", -1, &output.last_hidden_state);
        if (n == layers && text_encoder_projection_size(encoder) > 0)
            add_output(&f, trace, "text_embeds", -1, &output.text_embeds);
        arena_release(f.arena, scope);
    }
    arena_free(f.arena);
    text_encoder_free(encoder);
    free(values);
    return f.status;
}
