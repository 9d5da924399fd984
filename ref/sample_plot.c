#include "sample_plot.h"

#include "labelled_scheduler.h"
#include "mixture.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>

enum { POINTS = 600 };

/* One scheduler of the command line: its paths and its label. */
static enum status sample_one(struct invocation *invocation, const struct sample_plot *plot,
    const char *argument, struct mixture_paths *paths, char **label)
{
    struct error *error = &invocation->error;
    struct labelled_scheduler scheduler = {0};
    struct generator *generator = NULL;
    const struct schedule_request common = {
        .has_num_inference_steps = true, .num_inference_steps = (int)plot->steps};
    struct step_options options = STEP_OPTIONS_DEFAULT;
    options.eta = plot->eta;
    enum status status = generator_create(GENERATOR_NUMPY_PCG64, plot->seed, &generator, error);
    if (status == STATUS_OK)
        status = labelled_scheduler_read(argument, plot->settings, &common, &scheduler, error);
    if (status == STATUS_OK) {
        status = plot->f64 ? mixture_sample_f64(scheduler.config, &scheduler.request, &options, generator,
                                 POINTS, paths, &invocation->warnings, error)
                           : mixture_sample_f32(scheduler.config, &scheduler.request, &options, generator,
                                 POINTS, paths, &invocation->warnings, error);
        error_prefix(error, status, "%s: ", argument);
    }
    *label = scheduler.label;
    scheduler.label = NULL;
    generator_free(generator);
    labelled_scheduler_free(&scheduler);
    return status;
}

static enum status write_lines(
    struct invocation *invocation, const struct mixture_paths *paths, const char *const *labels, size_t count)
{
    struct table table = {.alignment = "lr."};
    table_add(&table, "scheduler");
    table_add(&table, "calls of the model");
    table_add(&table, "deviation (target %.3g)", mixture_deviation);
    for (size_t i = 0; i < count; i++) {
        table_add(&table, "%s", labels[i]);
        table_add(&table, "%zu", paths[i].steps);
        table_add(&table, "%.4f", mixture_paths_deviation(&paths[i]));
    }
    enum status status = table_write(&table, invocation->out, "", &invocation->error);
    table_free(&table);
    return status;
}

enum status sample_plot(struct invocation *invocation, const struct sample_plot *plot)
{
    struct mixture_paths paths[SAMPLE_PLOT_MOST] = {0};
    char *labels[SAMPLE_PLOT_MOST] = {0};
    const char *const *shown = (const char *const *)labels;
    const size_t count = invocation->positional_count;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < count; i++)
        status = sample_one(invocation, plot, invocation->positionals[i], &paths[i], &labels[i]);
    if (status == STATUS_OK) status = mixture_plot_write(plot->path, paths, shown, count, &invocation->error);
    if (status == STATUS_OK) status = write_lines(invocation, paths, shown, count);
    if (status == STATUS_OK) fprintf(invocation->messages, "wrote %s\n", plot->path);
    for (size_t i = 0; i < count; i++) {
        mixture_paths_free(&paths[i]);
        free(labels[i]);
    }
    return status;
}
