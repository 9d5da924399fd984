#include "sigma_kinds.h"
#include "beta_distribution.h"
#include "rounded_math.h"
#include "timesteps.h"

const char *sigma_kind_of(const struct scheduler_config *config)
{
    if (config->use_karras_sigmas) return "use_karras_sigmas";
    if (config->use_exponential_sigmas) return "use_exponential_sigmas";
    if (config->use_beta_sigmas) return "use_beta_sigmas";
    return NULL;
}

enum status sigma_kinds_check(const struct scheduler_config *config, struct error *error)
{
    if (config->use_karras_sigmas + config->use_exponential_sigmas + config->use_beta_sigmas <= 1)
        return STATUS_OK;
    return error_input(
        error, "use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas: only one of them may be true");
}

enum status sigmas_of_kind(const struct scheduler_config *config, double sigma_min, double sigma_max,
    size_t n, double *sigmas, struct error *error)
{
    const bool karras = config->use_karras_sigmas, exponential = !karras && config->use_exponential_sigmas;
    const bool negative = sigma_min < 0 || sigma_max < 0, zero = sigma_min == 0 || sigma_max == 0;
    if ((negative && (karras || exponential)) || (zero && exponential))
        return error_input(error, "sigma_min, sigma_max: expected %s numbers with %s = true, got %g and %g",
            exponential ? "positive" : "no negative", sigma_kind_of(config), sigma_min, sigma_max);
    if (karras)
        sigmas_karras(sigma_min, sigma_max, n, sigmas);
    else if (exponential)
        sigmas_exponential(sigma_min, sigma_max, n, sigmas);
    else
        sigmas_beta(sigma_min, sigma_max, n, sigmas);
    return STATUS_OK;
}

void sigmas_karras(double sigma_min, double sigma_max, size_t n, double *sigmas)
{
    const double rho = 7;
    double min_inv_rho = rounded_pow(sigma_min, 1 / rho), max_inv_rho = rounded_pow(sigma_max, 1 / rho);
    numpy_linspace(0, 1, n, sigmas);
    for (size_t i = 0; i < n; i++)
        sigmas[i] = rounded_pow(max_inv_rho + sigmas[i] * (min_inv_rho - max_inv_rho), rho);
}

void sigmas_exponential(double sigma_min, double sigma_max, size_t n, double *sigmas)
{
    numpy_linspace(rounded_log(sigma_max), rounded_log(sigma_min), n, sigmas);
    for (size_t i = 0; i < n; i++) sigmas[i] = rounded_exp(sigmas[i]);
}

void sigmas_beta(double sigma_min, double sigma_max, size_t n, double *sigmas)
{
    const struct beta_distribution distribution = beta_distribution(0.6, 0.6);
    numpy_linspace(0, 1, n, sigmas);
    for (size_t i = 0; i < n; i++)
        sigmas[i] = sigma_min + beta_quantile(&distribution, 1 - sigmas[i]) * (sigma_max - sigma_min);
}

void sigmas_lu(double log_sigma_min, double log_sigma_max, size_t n, double *sigmas)
{
    numpy_linspace(0, 1, n, sigmas);
    for (size_t i = 0; i < n; i++)
        sigmas[i] = rounded_exp(log_sigma_max + sigmas[i] * (log_sigma_min - log_sigma_max));
}

double sigma_shifted(double shift, double sigma)
{
    return shift * sigma / (1 + (shift - 1) * sigma);
}

void sigmas_flow(int num_train_timesteps, double flow_shift, size_t n, double *sigmas)
{
    double last = 1.0 / num_train_timesteps;
    double step = (last - 1) / (n ? (double)n : 1);
    for (size_t i = 0; i < n; i++) { /* point n - i of np.linspace(1, last, n + 1), whose end is exact */
        double alpha = i == 0 ? last : 1 + (double)(n - i) * step;
        sigmas[i] = sigma_shifted(flow_shift, 1.0 - alpha);
    }
}
