/*
 * The mixture that `plumb sample --plot` samples: its denoiser against its density, every scheduler class
 * against its deviation, and the command.
 */
#include "ref/mixture.h"

#include "sched/scheduler.h"
#include "tests/program.h"
#include "tests/sampler_support.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* log of the density of x = signal x_0 + noise epsilon, up to a constant. */
static double log_density(double signal, double noise, double x, double y)
{
    const double variance = pow(signal * mixture_deviation, 2) + noise * noise;
    double sum = 0;
    for (size_t k = 0; k < MIXTURE_COMPONENTS; k++) {
        const double dx = x - signal * mixture_means[k][0], dy = y - signal * mixture_means[k][1];
        sum += exp(-(dx * dx + dy * dy) / (2 * variance));
    }
    return log(sum);
}

/* Tweedie's formula: signal E[x_0 | x] = x + noise^2 grad log density. */
START_TEST(denoiser_follows_the_density)
{
    const double levels[][2] = {{1, 0.3}, {0.8, 0.6}, {0.3, 0.95}, {1, 2}};
    const double places[][2] = {{0, 0}, {1.2, 0.4}, {-0.9, -1.1}, {0.5, 1.5}};
    const double h = 1e-5;
    for (size_t l = 0; l < 4; l++)
        for (size_t p = 0; p < 4; p++) {
            const double signal = levels[l][0], noise = levels[l][1], *x = places[p];
            double x0[2];
            mixture_denoise(signal, noise, x, x0);
            const double dx =
                (log_density(signal, noise, x[0] + h, x[1]) - log_density(signal, noise, x[0] - h, x[1])) /
                (2 * h);
            const double dy =
                (log_density(signal, noise, x[0], x[1] + h) - log_density(signal, noise, x[0], x[1] - h)) /
                (2 * h);
            ck_assert_double_eq_tol(signal * x0[0], x[0] + noise * noise * dx, 1e-7);
            ck_assert_double_eq_tol(signal * x0[1], x[1] + noise * noise * dy, 1e-7);
        }
    double x0[2];
    mixture_denoise(1, 1e-3, (const double[]){400, -300}, x0); /* no component is near: no 0 / 0 */
    ck_assert(isfinite(x0[0]) && isfinite(x0[1]));
}
END_TEST

/* What a class makes of the mixture in many steps. The deviation of 600 points has a statistical error of
 * 0.15 / sqrt(4 * 600) = 2 %; points that end between two means add to it. */
static double sampled_deviation(const char *class_name, int steps, struct error *error, enum status *status)
{
    struct mixture_paths paths = {0};
    struct generator *generator = seeded(GENERATOR_NUMPY_PCG64, "3");
    struct step_options options = STEP_OPTIONS_DEFAULT;
    struct schedule_request request = {.has_num_inference_steps = true, .num_inference_steps = steps};
    cJSON *config = config_from("{\"_class_name\": \"%s\", \"clip_sample\": false}", class_name);
    double deviation = 0;
    *status = mixture_sample_f64(config, &request, &options, generator, 600, &paths, NULL, error);
    if (*status == STATUS_OK) deviation = mixture_paths_deviation(&paths);
    mixture_paths_free(&paths);
    generator_free(generator);
    cJSON_Delete(config);
    return deviation;
}

START_TEST(many_steps_give_the_mixture)
{
    static const char *const classes[] = {"EulerDiscreteScheduler", "DDIMScheduler",
        "DPMSolverMultistepScheduler", "PNDMScheduler", "EDMEulerScheduler",
        "FlowMatchEulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DDPMScheduler"};
    struct error error = {""};
    enum status status;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (!scheduler_class_has_option(classes[i], "num_train_timesteps")) continue;
        double deviation = sampled_deviation(classes[i], 250, &error, &status);
        ck_assert_msg(status == STATUS_OK, "%s: %s", classes[i], error.message);
        ck_assert_msg(
            fabs(deviation / mixture_deviation - 1) < 0.15, "%s: deviation %g", classes[i], deviation);
    }
}
END_TEST

START_TEST(the_command_draws)
{
    ck_assert_int_eq(
        plumb("sample DDIM DDIM,timestep_spacing=trailing 'EulerDiscrete,sigmas=[14.6,3,1,0]' --steps 5 "
              "--plot %s",
            path_in(test_folder, "m.png")),
        0);
    expect_in(out, "DDIM, timestep_spacing=trailing");
    expect_in(out, "sigmas=[14.6,3,...]                   3 ");
    size_t size;
    unsigned char *png = read_bytes(path_in(test_folder, "m.png"), &size);
    ck_assert(size > 1000 && memcmp(png, "\x89PNG", 4) == 0);
    free(png);
    expect_failure(plumb("sample DDIM PNDM"), STATUS_BAD_INPUT, 1, "--tensors", NULL);
    expect_failure(plumb("sample DDIM,_class_name=Dim --plot %s", path_in(test_folder, "n.png")),
        STATUS_BAD_INPUT, 1, "Dim", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mixture");
    TCase *tcase = tcase_create("mixture");
    tcase_add_test(tcase, denoiser_follows_the_density);
    tcase_add_test(tcase, many_steps_give_the_mixture);
    tcase_add_test(tcase, the_command_draws);
    tcase_add_checked_fixture(tcase, make_test_folder, drop_program_folder);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
