/*
 * Orders of convergence, from first principles: no recorded number.
 *
 * For Gaussian data N(mu, s^2) everything is known. At a level a = alphas_cumprod the noised data are
 * N(sqrt(a) mu, v(a)), v(a) = a s^2 + 1 - a; the best prediction of the noise in x is
 * sqrt(1 - a) (x - sqrt(a) mu) / v(a); and along the probability flow (Song et al. 2021, arXiv:2011.13456,
 * eq. 13) x keeps its quantile: (x - sqrt(a) mu) / sqrt(v(a)) = z is constant. A solver of order p, given
 * that prediction, must approach this solution as N^-p with N equal steps.
 *
 * Equal in what? DDIM, Euler and PNDM are classical methods in the variable sigma = sqrt((1 - a) / a):
 * Euler's, and Adams' and Runge and Kutta's of order 4. DPM-Solver is exponential in lambda = -log sigma. So
 * the training schedules here are made for the purpose (trained_betas): sigma linear in the timestep, or
 * lambda linear in it. Then a grid of N equal steps meets training timesteps exactly and nothing but the
 * solver's order limits the error.
 *
 * The arithmetic is double, so that rounding (about 1e-12 here) stays far below the smallest error that is
 * fitted.
 */
#include "tests/sampler_run.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <math.h>

enum { QUANTILES = 5 };
static const double quantiles[QUANTILES] = {-2, -0.7, 0, 0.4, 1.5};

struct gaussian {
    double mu, s;
};

static double variance(const struct gaussian *data, double a)
{
    return a * data->s * data->s + 1 - a;
}

static struct prediction gaussian_model(const void *context, double a, double x)
{
    const struct gaussian *data = context;
    double centred = (x - sqrt(a) * data->mu) / variance(data, a);
    return (struct prediction){
        .epsilon = sqrt(1 - a) * centred,
        .original = data->mu + sqrt(a) * data->s * data->s * centred,
    };
}

static double gaussian_solution(const void *context, double a, double z)
{
    const struct gaussian *data = context;
    return sqrt(a) * data->mu + sqrt(variance(data, a)) * z;
}

/* The training schedules, by the sigmas of their timesteps 0 .. count - 1. */
enum grid {
    /* sigma = top (t + 1) / T: a `trailing` grid of N steps is N equal ones from top down to 0 */
    LINEAR,
    /* lambda linear from sigma = top to 0.01: a `linspace` grid of N steps is N equal ones in lambda */
    LOGARITHMIC,
    /* not the schedule's: N equal steps from top down to 0, given as sigmas */
    CUSTOM_SIGMAS,
    /* a schedule without training: the class's own, from pure noise to the data; and N equal sigmas from
     * top */
    OWN,
    OWN_LINEAR
};
enum { LINEAR_TIMESTEPS = 2048, LOGARITHMIC_TIMESTEPS = 1 + 1024 };

static void add_training_schedule(cJSON *config, enum grid grid, double top)
{
    double betas[LINEAR_TIMESTEPS], before = 1;
    const int count = grid == LINEAR ? LINEAR_TIMESTEPS : LOGARITHMIC_TIMESTEPS;
    for (int t = 0; t < count; t++) {
        double sigma =
            grid == LINEAR ? top * (t + 1) / count : 0.01 * pow(top / 0.01, (double)t / (count - 1));
        double a = 1 / (1 + sigma * sigma);
        betas[t] = 1 - a / before;
        before = a;
    }
    cJSON_AddItemToObject(config, "trained_betas", cJSON_CreateDoubleArray(betas, count));
    cJSON_AddNumberToObject(config, "num_train_timesteps", count);
}

static const struct gaussian data = {.mu = 0.3, .s = 1};

/* The largest error at the end of a run, over the quantiles. */
static double error_of(const cJSON *config, const struct schedule_request *request)
{
    const struct sampler_run run = {
        .config = config,
        .request = *request,
        .options = STEP_OPTIONS_DEFAULT,
        .batch = 1,
        .size = QUANTILES,
        .model = gaussian_model,
        .solution = gaussian_solution,
        .context = &data,
    };
    double end[QUANTILES], worst = 0;
    double last = run_sampler_f64(&run, quantiles, end);
    for (int j = 0; j < QUANTILES; j++)
        worst = fmax(worst, fabs(end[j] - gaussian_solution(&data, last, quantiles[j])));
    return worst;
}

struct convergence {
    const char *class_name, *options;
    enum grid grid;
    double top;       /* the first sigma */
    int first, count; /* the counts of steps: first, 2 first, ... */
    double order;
};

#define TRAILING "\"timestep_spacing\": \"trailing\""
#define TO_SIGMA_MIN "\"timestep_spacing\": \"linspace\", \"final_sigmas_type\": \"sigma_min\", "

/* Between two counts the slope is p + O(1/N): within 0.06 of p for all of these, where an order gone missing
 * is 1 away. */
static const double slope_tolerance = 0.1;
static const struct convergence cases[] = {
    {"DDIMScheduler", TRAILING ", \"clip_sample\": false", LINEAR, 4, 32, 5, 1},
    {"DDIMScheduler", TRAILING ", \"clip_sample\": false, \"prediction_type\": \"v_prediction\"", LINEAR, 4,
        32, 5, 1},
    {"DDIMScheduler", TRAILING ", \"clip_sample\": false, \"prediction_type\": \"sample\"", LINEAR, 4, 32, 5,
        1},
    {"EulerDiscreteScheduler", "\"prediction_type\": \"epsilon\"", CUSTOM_SIGMAS, 4, 32, 5, 1},
    {"EulerDiscreteScheduler", "\"prediction_type\": \"v_prediction\"", CUSTOM_SIGMAS, 4, 32, 5, 1},
    /* Runge-Kutta's and Adams' methods of order 4; 512 steps leave Runge-Kutta a half step of 2 timesteps. */
    {"PNDMScheduler", TRAILING ", \"set_alpha_to_one\": true", LINEAR, 4, 64, 4, 4},
    /* Without the Runge-Kutta steps the first two are of second order: each leaves an error of h^3 that the
     * later steps cannot take back, so the order is 3. It shows where the solution is curved at the start
     * already. */
    {"PNDMScheduler", TRAILING ", \"set_alpha_to_one\": true, \"skip_prk_steps\": true", LINEAR, 1, 64, 4, 3},
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 1", LOGARITHMIC, 1000, 64, 5, 1},
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 2", LOGARITHMIC, 1000, 64, 5, 2},
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 2, \"solver_type\": \"heun\"",
        LOGARITHMIC, 1000, 64, 5, 2},
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 1, \"algorithm_type\": \"dpmsolver\"",
        LOGARITHMIC, 1000, 64, 5, 1},
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 2, \"algorithm_type\": \"dpmsolver\"",
        LOGARITHMIC, 1000, 64, 5, 2},
    /* Adams' method again, whose first step is Euler's: an error of h^2 that no later step takes back. Its
     * own steps are not equal in sigma at all where they begin, at the sigma of pure noise, and the order
     * is 1. */
    {"IPNDMScheduler", "\"prediction_type\": \"v_prediction\"", OWN_LINEAR, 4, 64, 5, 2},
    {"IPNDMScheduler", "\"prediction_type\": \"v_prediction\"", OWN, 0, 64, 5, 1},
    /* See third_order below: diffusers' own third-order update is asymptotically of order 2. */
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 3", LOGARITHMIC, 1000, 64, 5, 2},
    {"DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 3, \"algorithm_type\": \"dpmsolver\"",
        LOGARITHMIC, 1000, 64, 5, 2},
};

static cJSON *config_for(const struct convergence *c)
{
    cJSON *config = config_from("{\"_class_name\": \"%s\", %s}", c->class_name, c->options);
    if (c->grid == LINEAR || c->grid == LOGARITHMIC) add_training_schedule(config, c->grid, c->top);
    return config;
}

/* N equal steps for the class that takes noise levels, sigma / sqrt(1 + sigma^2), for its trained_betas. */
static double error_of_levels(const struct convergence *c, const cJSON *config, int n)
{
    const struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = n};
    double levels[1025];
    for (int j = 0; j <= n; j++) {
        const double sigma = c->top * (n - j) / n;
        levels[j] = sigma / hypot(1, sigma);
    }
    cJSON *with_levels = cJSON_Duplicate(config, true);
    cJSON_AddItemToObject(with_levels, "trained_betas", cJSON_CreateDoubleArray(levels, n + 1));
    const double error = error_of(with_levels, &request);
    cJSON_Delete(with_levels);
    return error;
}

static double error_of_case(const struct convergence *c, const cJSON *config, int n)
{
    struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = n};
    double sigmas[1025];
    if (c->grid == OWN_LINEAR) return error_of_levels(c, config, n);
    if (c->grid == CUSTOM_SIGMAS) {
        for (int j = 0; j <= n; j++) sigmas[j] = c->top * (n - j) / n;
        request = (struct schedule_request){.sigmas = sigmas, .num_sigmas = (size_t)n + 1};
    }
    return error_of(config, &request);
}

START_TEST(order_of_convergence)
{
    const struct convergence *c = &cases[_i];
    cJSON *config = config_for(c);
    double errors[8];
    for (int i = 0; i < c->count; i++) errors[i] = error_of_case(c, config, c->first << i);
    const double order = fitted_order(errors, c->count);
    ck_assert_msg(fabs(order - c->order) <= slope_tolerance,
        "%s, %s: order %.3f, not %g; errors %.3g to %.3g", c->class_name, c->options, order, c->order,
        errors[0], errors[c->count - 1]);
    cJSON_Delete(config);
}
END_TEST

/* DPM-Solver++ of order 3 on the LOGARITHMIC grid, from the Taylor expansion of the exact solution (Lu et al.
 * 2022, arXiv:2211.01095, eq. 9 and 10): with h the step in lambda, a_t and s_t the weights of data and
 * noise,
 *
 *     x_t = s_t / s_s x_s + a_t (phi_1 D + phi_2 h D' + phi_3 h^2 D''),
 *     phi_1 = 1 - e^-h,  phi_2 = (h - 1 + e^-h) / h,  phi_3 = 1/2 - phi_2 / h,
 *
 * where D' and D'' come from the last three predictions of the data. The first two steps are of order 1
 * and 2. `share` is how much of the last term is taken: 1 is the expansion, 1/2 what diffusers takes, whose
 * "D2 = (D1_0 - D1_1) / (r0 + r1)" is half of h^2 D''. Returns the error as error_of() does. */
static double third_order_error(int n, double top, double share)
{
    double worst = 0;
    for (int q = 0; q < QUANTILES; q++) {
        double x = 0, D[3] = {0, 0, 0}, a_before = 0;
        for (int i = 0; i <= n; i++) {
            const double sigma = top * pow(0.01 / top, (double)i / n), a = 1 / (1 + sigma * sigma);
            const double h = log(top / 0.01) / n;
            if (i == 0) {
                x = gaussian_solution(&data, a, quantiles[q]);
            } else {
                const double first = D[0] - D[1], second = D[0] - 2 * D[1] + D[2];
                const double phi_1 = 1 - exp(-h), phi_2 = 1 - phi_1 / h, phi_3 = 0.5 - phi_2 / h;
                double sum = phi_1 * D[0];
                if (i == 2) sum += 0.5 * phi_1 * first; /* the `midpoint` form of order 2 */
                if (i > 2) sum += phi_2 * (first + second / 2) + share * phi_3 * second;
                x = sqrt((1 - a) / (1 - a_before)) * x + sqrt(a) * sum;
            }
            D[2] = D[1];
            D[1] = D[0];
            D[0] = gaussian_model(&data, a, x).original;
            a_before = a;
        }
        worst = fmax(worst, fabs(x - gaussian_solution(&data, a_before, quantiles[q])));
    }
    return worst;
}

/* What diffusers calls order 3 is the textbook's method with half of one term. So it is not a third-order
 * method, but from some 32 steps on its error is less than half of order 2's. Plumb's is diffusers'; the
 * textbook's shows that the term is all that is missing. */
START_TEST(third_order)
{
    const double top = 1000;
    const struct convergence three = {
        "DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 3", LOGARITHMIC, top, 0, 0, 0};
    const struct convergence two = {
        "DPMSolverMultistepScheduler", TO_SIGMA_MIN "\"solver_order\": 2", LOGARITHMIC, top, 0, 0, 0};
    cJSON *config_three = config_for(&three), *config_two = config_for(&two);
    double textbook[4];
    for (int i = 0; i < 4; i++) {
        const int n = 32 << i;
        double error = error_of_case(&three, config_three, n);
        /* Two orders of operations of the same formulas, over n steps. */
        ck_assert_double_eq_tol(error, third_order_error(n, top, 0.5), 1e-10);
        ck_assert_double_lt(2 * error, error_of_case(&two, config_two, n));
        textbook[i] = third_order_error(n, top, 1);
        ck_assert_double_lt(textbook[i], error);
    }
    /* Third order at least: on this data the errors of third order nearly cancel, and the fourth shows. */
    ck_assert_double_ge(fitted_order(textbook, 4), 2.9);
    cJSON_Delete(config_three);
    cJSON_Delete(config_two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("convergence");
    TCase *orders = tcase_create("orders");
    tcase_add_loop_test(orders, order_of_convergence, 0, sizeof cases / sizeof *cases);
    tcase_add_test(orders, third_order);
    tcase_set_timeout(orders, 60);
    suite_add_tcase(suite, orders);
    return run_suite(suite);
}
