/*
 * Orders of convergence on a mixture of Gaussians in the plane (ref/mixture.h), whose score is known but
 * whose trajectories are not: the end of each is found by Runge and Kutta's method of order 4 in log sigma
 * with steps so small that it is exact next to the solvers. Each solver halves its steps in double.
 *
 * The training schedules are those of test_convergence.c: sigma linear in the timestep for the methods that
 * are classical in sigma, lambda = -log sigma linear in it for those that are exponential in lambda.
 */
#include "ref/mixture.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { POINTS = 6, TIMESTEPS = 4096, REFERENCE_STEPS = 6000 };

/* FLOW and EDM are the classes' own schedules: flow matching from pure noise to the data, and Karras sigmas
 * from LINEAR_TOP to 0, or to LOGARITHMIC_END. */
enum grid { LINEAR, LOGARITHMIC, FLOW, EDM, EDM_TO_END };
#define LINEAR_TOP 4.0
#define LOGARITHMIC_TOP 20.0
#define LOGARITHMIC_END 0.05

/* sigma at timestep t: N equal steps of a `trailing` grid end in 0, of a `linspace` one in the last sigma. */
static double training_sigma(enum grid grid, int t)
{
    if (grid == LINEAR) return LINEAR_TOP * (t + 1) / TIMESTEPS;
    return LOGARITHMIC_END * pow(LOGARITHMIC_TOP / LOGARITHMIC_END, (double)t / TIMESTEPS);
}

static void add_training_schedule(cJSON *config, enum grid grid)
{
    double betas[TIMESTEPS + 1], before = 1;
    const int count = grid == LINEAR ? TIMESTEPS : TIMESTEPS + 1;
    for (int t = 0; t < count; t++) {
        const double sigma = training_sigma(grid, t), a = 1 / (1 + sigma * sigma);
        betas[t] = 1 - a / before;
        before = a;
    }
    cJSON_AddItemToObject(config, "trained_betas", cJSON_CreateDoubleArray(betas, count));
    cJSON_AddNumberToObject(config, "num_train_timesteps", count);
}

/* --- The exact trajectories --------------------------------------------------------------- */

/* dx / d log sigma = x - E[x_0 | x], for x = x_0 + sigma epsilon (Song et al. 2021, arXiv:2011.13456) and for
 * a flow's x = (1 - sigma) x_0 + sigma epsilon alike. */
static void slope(bool flow, double log_sigma, const double x[2], double out[2])
{
    double x0[2];
    const double sigma = exp(log_sigma);
    mixture_denoise(flow ? fmax(1 - sigma, 0) : 1, sigma, x, x0);
    for (int i = 0; i < 2; i++) out[i] = x[i] - x0[i];
}

static void follow(bool flow, double from, double to, double x[2])
{
    const double h = log(to / from) / REFERENCE_STEPS;
    for (int step = 0; step < REFERENCE_STEPS; step++) {
        const double t = log(from) + h * step;
        double k1[2], k2[2], k3[2], k4[2], at[2];
        slope(flow, t, x, k1);
        for (int i = 0; i < 2; i++) at[i] = x[i] + h / 2 * k1[i];
        slope(flow, t + h / 2, at, k2);
        for (int i = 0; i < 2; i++) at[i] = x[i] + h / 2 * k2[i];
        slope(flow, t + h / 2, at, k3);
        for (int i = 0; i < 2; i++) at[i] = x[i] + h * k3[i];
        slope(flow, t + h, at, k4);
        for (int i = 0; i < 2; i++) x[i] += h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    }
}

/* --- The solvers -------------------------------------------------------------------------- */

struct convergence {
    const char *class_name, *options;
    enum grid grid;
    int first, count; /* the counts of steps: first, 2 first, ... */
    double order;
    int lms_order; /* step()'s argument */
    bool at_least; /* the error that limits the order is damped by the flow towards the data: not seen yet */
};

#define TRAILING "\"timestep_spacing\": \"trailing\""
#define LINSPACE "\"timestep_spacing\": \"linspace\", "
#define SIGMA_MIN "\"final_sigmas_type\": \"sigma_min\", "
#define DOCUMENTED ", \"_semantics\": \"documented\""

static const struct convergence cases[] = {
    {"DDIMScheduler", TRAILING ", \"clip_sample\": false", LINEAR, 128, 4, 1, 4, false},
    {"EulerDiscreteScheduler", TRAILING, LINEAR, 128, 4, 1, 4, false},
    {"HeunDiscreteScheduler", TRAILING, LINEAR, 128, 4, 2, 4, false},
    {"KDPM2DiscreteScheduler", TRAILING, LINEAR, 128, 4, 2, 4, true},
    {"LMSDiscreteScheduler", TRAILING, LINEAR, 128, 4, 1, 1, false},
    {"LMSDiscreteScheduler", TRAILING, LINEAR, 128, 4, 2, 4, true},
    {"PNDMScheduler", TRAILING ", \"set_alpha_to_one\": true", LINEAR, 256, 4, 4, 4, false},
    {"DPMSolverMultistepScheduler", LINSPACE SIGMA_MIN "\"solver_order\": 1", LOGARITHMIC, 64, 4, 1, 4,
        false},
    {"DPMSolverMultistepScheduler", LINSPACE SIGMA_MIN "\"solver_order\": 2", LOGARITHMIC, 64, 4, 2, 4,
        false},
    {"DPMSolverMultistepScheduler", LINSPACE SIGMA_MIN "\"solver_order\": 3" DOCUMENTED, LOGARITHMIC, 64, 4,
        3, 4, true},
    {"DPMSolverSinglestepScheduler", SIGMA_MIN "\"solver_order\": 2", LOGARITHMIC, 64, 4, 2, 4, false},
    /* In whole blocks of three steps, whose timesteps are rounded: few enough not to see it. */
    {"DPMSolverSinglestepScheduler", SIGMA_MIN "\"solver_order\": 3", LOGARITHMIC, 48, 3, 3, 4, false},
    {"DEISMultistepScheduler", LINSPACE "\"solver_order\": 1", LOGARITHMIC, 64, 4, 1, 4, false},
    {"DEISMultistepScheduler", LINSPACE "\"solver_order\": 2", LOGARITHMIC, 64, 4, 2, 4, false},
    {"DEISMultistepScheduler", LINSPACE "\"solver_order\": 3", LOGARITHMIC, 64, 4, 3, 4, false},
    /* The corrector makes the order one higher, but not after the last step: where that is lowered to order
     * 1, its error of h^2 stays. */
    {"UniPCMultistepScheduler", LINSPACE SIGMA_MIN "\"solver_order\": 1", LOGARITHMIC, 64, 4, 2, 4, false},
    {"UniPCMultistepScheduler", LINSPACE SIGMA_MIN "\"solver_order\": 2", LOGARITHMIC, 256, 4, 2, 4, false},
    {"UniPCMultistepScheduler", LINSPACE SIGMA_MIN "\"solver_order\": 2, \"lower_order_final\": false",
        LOGARITHMIC, 64, 4, 3, 4, false},
    {"FlowMatchEulerDiscreteScheduler", "\"num_train_timesteps\": 1000", FLOW, 128, 4, 1, 4, false},
    {"FlowMatchHeunDiscreteScheduler", "\"num_train_timesteps\": 100000", FLOW, 32, 4, 2, 4, false},
    {"EDMEulerScheduler", "\"sigma_max\": 4", EDM, 128, 4, 1, 4, false},
    {"EDMDPMSolverMultistepScheduler", SIGMA_MIN "\"sigma_max\": 4, \"sigma_min\": 0.05", EDM_TO_END, 64, 4,
        2, 4, false},
    {"EDMDPMSolverMultistepScheduler", SIGMA_MIN "\"sigma_max\": 4, \"sigma_min\": 0.05, \"solver_order\": 1",
        EDM_TO_END, 64, 4, 1, 4, false},
};
enum { CASES = sizeof cases / sizeof *cases };

static double error_at(const struct convergence *c, int steps)
{
    char text[400];
    snprintf(text, sizeof text, "{\"_class_name\": \"%s\", %s}", c->class_name, c->options);
    cJSON *config = cJSON_Parse(text);
    ck_assert_msg(config != NULL, "%s", text);
    if (c->grid == LINEAR || c->grid == LOGARITHMIC) add_training_schedule(config, c->grid);
    struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = steps};
    struct step_options options = STEP_OPTIONS_DEFAULT;
    options.order = c->lms_order;
    struct generator *generator = NULL;
    struct mixture_paths paths;
    struct error error;
    ck_assert_int_eq(generator_create(GENERATOR_NUMPY_PCG64, "1", &generator, &error), STATUS_OK);
    enum status status =
        mixture_sample_f64(config, &request, &options, generator, POINTS, &paths, NULL, &error);
    ck_assert_msg(status == STATUS_OK, "%s: %s", text, error.message);
    const bool flow = c->grid == FLOW, to_end = c->grid == LOGARITHMIC || c->grid == EDM_TO_END;
    const double top = flow ? 1 : c->grid == LOGARITHMIC ? LOGARITHMIC_TOP : LINEAR_TOP;
    const double end = to_end ? LOGARITHMIC_END : 1e-6;
    /* From the scale of the picture, variance preserving (EDM: at sigma_data), to that of the sample. */
    const double at_top = flow ? 1 : c->grid < FLOW ? hypot(1, top) : hypot(0.5, top) / 0.5;
    const double at_end = c->grid == LOGARITHMIC ? hypot(1, end) : 1;
    double worst = 0;
    for (size_t p = 0; p < POINTS; p++) {
        const double *first = paths.positions + 2 * p, *last = first + paths.steps * POINTS * 2;
        double x[2] = {first[0] * at_top, first[1] * at_top};
        follow(flow, top, end, x);
        worst = fmax(worst, hypot(last[0] * at_end - x[0], last[1] * at_end - x[1]));
    }
    mixture_paths_free(&paths);
    generator_free(generator);
    cJSON_Delete(config);
    return worst;
}

/* Within 0.2 of the theory over the counts of steps here. */
START_TEST(order_on_the_mixture)
{
    const struct convergence *c = &cases[_i];
    double errors[8];
    for (int i = 0; i < c->count; i++) errors[i] = error_at(c, c->first << i);
    const double order = fitted_order(errors, c->count), excess = order - c->order;
    printf("%-30s order %.2f of %g, errors %.2g to %.2g\n", c->class_name, order, c->order, errors[0],
        errors[c->count - 1]);
    ck_assert_msg(excess >= -0.2 && (c->at_least || excess <= 0.2),
        "%s, %s: order %.3f, not %g; errors %.3g to %.3g", c->class_name, c->options, order, c->order,
        errors[0], errors[c->count - 1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mixture_convergence");
    TCase *tcase = tcase_create("orders");
    tcase_add_loop_test(tcase, order_on_the_mixture, 0, CASES);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
