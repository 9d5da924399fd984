#include "churn.h"
#include "real.h"
#include "step_index.h"

#include <math.h>

struct churn churn_at(const struct scheduler *scheduler, real sigma, const struct step_options *options)
{
    struct churn churn = {0};
    if ((real)options->s_tmin <= sigma && sigma <= (real)options->s_tmax)
        churn.gamma = fmin(options->s_churn / (double)(scheduler->num_sigmas - 1), sqrt(2) - 1);
    churn.sigma_hat = sigma * (real)(churn.gamma + 1);
    churn.noise_scale = real_sqrt(churn.sigma_hat * churn.sigma_hat - sigma * sigma);
    return churn;
}

bool churn_needs_noise(struct scheduler *scheduler, double timestep, const struct step_options *options)
{
    size_t index = 0;
    if (step_index_now(scheduler, timestep, OFF_SCHEDULE_IS_ERROR, &index, NULL) != STATUS_OK) return false;
    return index + 1 < scheduler->num_sigmas &&
           churn_at(scheduler, scheduler->sigmas[index], options).gamma > 0;
}
