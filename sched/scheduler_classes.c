/*
 * The classes of schedulers, and which of them a config names.
 */
#include "real.h"

#include "nearest.h"
#include "solver.h"
#include "uncovered_classes.h"

#include <stdio.h>
#include <string.h>

#define SOLVER(stem) extern const struct solver REAL_NAME(stem##_solver);
#include "solvers.h"
#undef SOLVER

static const struct solver *const solvers[] = {
#define SOLVER(stem) &REAL_NAME(stem##_solver),
#include "solvers.h"
#undef SOLVER
    NULL};

size_t scheduler_class_count(void)
{
    return sizeof solvers / sizeof solvers[0] - 1;
}

const char *scheduler_class_name(size_t i)
{
    return i < scheduler_class_count() ? solvers[i]->class_name : NULL;
}

const struct solver *scheduler_class_solver(const char *class_name)
{
    for (size_t i = 0; i < scheduler_class_count(); i++)
        if (strcmp(class_name, solvers[i]->class_name) == 0) return solvers[i];
    return NULL;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), ending_length = strlen(ending);
    return length >= ending_length && strcmp(text + length - ending_length, ending) == 0;
}

/* A class that nobody has: what it is instead, which it may mean, or else all that there are. */
static enum status refuse_class(const char *name, struct error *error)
{
    const char *names[sizeof solvers / sizeof *solvers];
    size_t count = scheduler_class_count();
    char why[900] = "", stem[96];
    for (size_t i = 0; i < count; i++) names[i] = scheduler_class_name(i);
    /* Without its ending the name may be the beginning of a class's: Euler of EulerDiscreteScheduler. */
    size_t length = strlen(name) - (ends_with(name, "Scheduler") ? strlen("Scheduler") : 0);
    snprintf(stem, sizeof stem, "%.*s", length < sizeof stem ? (int)length : 0, name);
    const char *nearest = nearest_name(stem, names, count);
    if (!nearest) nearest = nearest_name(name, names, count);
    if (ends_with(name, "Pipeline")) {
        snprintf(why, sizeof why, ", a pipeline; its scheduler's config is scheduler/scheduler_config.json");
    } else if (ends_with(name, "Model") || strncmp(name, "Autoencoder", strlen("Autoencoder")) == 0) {
        snprintf(why, sizeof why, ", a model");
    } else if (nearest) {
        did_you_mean(nearest, "", why, sizeof why);
    } else {
        for (size_t i = 0, used = 0; i < count && used < sizeof why; i++)
            used +=
                (size_t)snprintf(why + used, sizeof why - used, "%s%s", i ? ", " : "; they are ", names[i]);
    }
    return error_input(
        error, "_class_name: expected one of the scheduler classes, got \"%.100s\"%s", name, why);
}

enum status scheduler_class_of_config(const cJSON *config, const struct solver **solver, struct error *error)
{
    if (!cJSON_IsObject(config)) return error_input(error, "expected a scheduler config, a JSON object");
    const char *name = NULL;
    enum status status = json_get_string(config, "_class_name", &name, NULL, error);
    if (status != STATUS_OK) return status;
    if (!name) return error_input(error, "_class_name: missing; expected the name of a scheduler class");
    *solver = scheduler_class_solver(name);
    if (*solver) return STATUS_OK;
    const char *reason = why_not_covered(name);
    if (reason)
        return error_input(
            error, "_class_name: %s is a class of diffusers that Plumb does not have: %s", name, reason);
    return refuse_class(name, error);
}
