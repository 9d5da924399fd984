/*
 * The library in C++: what sched/examples/sample.c does, which has to print the same. test_headers builds it with
 * every C++ compiler that is there and pedantic warnings as errors.
 */
#include "plumb_sched.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

struct FreeScheduler {
    void operator()(plumb_scheduler *scheduler) const { plumb_scheduler_free(scheduler); }
};
struct FreeGenerator {
    void operator()(plumb_generator *generator) const { plumb_generator_free(generator); }
};
using Scheduler = std::unique_ptr<plumb_scheduler, FreeScheduler>;
using Generator = std::unique_ptr<plumb_generator, FreeGenerator>;

static const char config[] = R"({"_class_name": "DPMSolverMultistepScheduler", "beta_start": 0.00085,
    "beta_end": 0.012, "beta_schedule": "scaled_linear", "use_karras_sigmas": true, "prediction_type": "epsilon"})";

/* The perfect model of data that is 0.25 everywhere. */
static std::vector<float> model(double sigma, const std::vector<float> &sample)
{
    const double alpha = 1 / std::sqrt(1 + sigma * sigma);
    std::vector<float> epsilon;
    for (float x : sample)
        epsilon.push_back(static_cast<float>((static_cast<double>(x) - alpha * 0.25) / (alpha * sigma)));
    return epsilon;
}

int main()
{
    const std::size_t n = 64;
    char message[PLUMB_MESSAGE_SIZE] = "";
    Generator generator(plumb_generator_create("numpy-pcg64", "42", message));
    Scheduler scheduler(plumb_scheduler_create(config, PLUMB_DIFFUSERS, message));
    if (!generator || !scheduler || std::string(plumb_sched_version()) != PLUMB_SCHED_VERSION ||
        plumb_scheduler_set_timesteps(scheduler.get(), "{\"num_inference_steps\": 20}") != PLUMB_OK) {
        std::fprintf(stderr, "%s\n", message);
        return 1;
    }
    std::vector<float> sample(n), input(n), next(n);
    plumb_generator_normal_f32(generator.get(), sample.data(), n);
    for (float &x : sample) x *= static_cast<float>(plumb_scheduler_init_noise_sigma(scheduler.get()));

    for (std::size_t i = 0; i < plumb_scheduler_count(scheduler.get()); i++) {
        const double timestep = plumb_scheduler_timesteps(scheduler.get())[i];
        plumb_scheduler_scale_model_input(scheduler.get(), timestep, sample.data(), n, input.data());
        const std::vector<float> output = model(plumb_scheduler_sigma(scheduler.get(), i), input);
        plumb_step step = {};
        step.timestep = timestep;
        step.model_output = output.data();
        step.model_output_size = n;
        step.sample = sample.data();
        step.batch = 1;
        step.sample_size = n;
        if (plumb_scheduler_step(scheduler.get(), &step, next.data(), nullptr) != PLUMB_OK) {
            std::fprintf(stderr, "%s\n", plumb_scheduler_message(scheduler.get()));
            return 1;
        }
        sample = next;
        std::printf("%g ", timestep);
    }
    double sum = 0;
    for (float x : sample) sum += static_cast<double>(x);
    std::printf("\nmean of the samples: %.4f\n", sum / static_cast<double>(n));
    return 0;
}
