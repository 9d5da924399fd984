#include "lms_coefficients.h"

#include <math.h>

double lms_coefficient(const double *nodes, size_t order, size_t current, double end)
{
    /* With tau = nodes[0] + u the factors are u + (nodes[0] - nodes[k]): u and nodes[0] - nodes[k] have one
     * sign where the nodes run in one direction. polynomial[j] belongs to u^j. */
    double polynomial[MAX_LMS_ORDER] = {1}, denominator = 1;
    size_t degree = 0;
    for (size_t k = 0; k < order; k++) {
        if (k == current) continue;
        const double constant = nodes[0] - nodes[k];
        degree++;
        for (size_t j = degree; j > 0; j--) polynomial[j] = polynomial[j - 1] + constant * polynomial[j];
        polynomial[0] *= constant;
        denominator *= nodes[current] - nodes[k];
    }
    /* Horner's rule on the antiderivative at u = end - nodes[0]. */
    const double u = end - nodes[0];
    double sum = 0;
    for (size_t j = degree + 1; j > 0; j--) sum = (sum + polynomial[j - 1] / (double)j) * u;
    return denominator == 0 ? (double)NAN : sum / denominator;
}
