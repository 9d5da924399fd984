/*
 * Sums, products and powers are in diffusers' order, since what they leave depends on it.
 */
#include "sasolver_coefficients.h"
#include "real.h"

/* integral of e^-x x^power dx from start to end. */
static real integral_of_noise(int power, real start, real end)
{
    const real s = start, e = end, growth = real_exp(e - s);
    real difference = 0;
    switch (power) {
    case 0: difference = growth - 1; break;
    case 1: difference = (s + 1) * growth - (e + 1); break;
    case 2: difference = (s * s + 2 * s + 2) * growth - (e * e + 2 * e + 2); break;
    default:
        difference = (s * s * s + 3 * (s * s) + 6 * s + 6) * growth - (e * e * e + 3 * (e * e) + 6 * e + 6);
    }
    return real_exp(-e) * difference;
}

/* integral of e^(k x) x^power dx from start to end, k = 1 + tau^2: with y = k x, that of e^y y^power over
 * k^(power + 1). */
static real integral_of_data(int power, real start, real end, int tau)
{
    const real k = (real)(1 + tau * tau), s = k * start, e = k * end, decay = real_exp(-(e - s));
    switch (power) {
    case 0: return real_exp(e) * (1 - decay) / k;
    case 1: return real_exp(e) * ((e - 1) - (s - 1) * decay) / (k * k);
    case 2: return real_exp(e) * ((e * e - 2 * e + 2) - (s * s - 2 * s + 2) * decay) / (k * k * k);
    default:
        return real_exp(e) *
               ((e * e * e - 3 * (e * e) + 6 * e - 6) - (s * s * s - 3 * (s * s) + 6 * s - 6) * decay) /
               (k * k * k * k);
    }
}

/* The coefficients of the Lagrange polynomial of nodes[own], from the highest power down: [order]. */
static void lagrange_polynomial(int order, int own, const real *nodes, real *coefficients)
{
    real other[SASOLVER_MAX_ORDER - 1] = {0}, denominator = 1;
    int count = 0;
    for (int i = 0; i < order; i++) {
        if (i == own) continue;
        const real difference = nodes[own] - nodes[i];
        denominator = count ? denominator * difference : difference;
        other[count++] = nodes[i];
    }
    const real a = other[0], b = other[1], c = other[2];
    coefficients[0] = 1 / denominator;
    if (order == 2) {
        coefficients[1] = -a / denominator;
    } else if (order == 3) {
        coefficients[1] = (-a - b) / denominator;
        coefficients[2] = a * b / denominator;
    } else if (order == 4) {
        coefficients[1] = (-a - b - c) / denominator;
        coefficients[2] = (a * b + a * c + b * c) / denominator;
        coefficients[3] = -a * b * c / denominator;
    }
}

void sasolver_weigh(bool data, int order, real start, real end, int tau, const real *nodes, real *weights)
{
    for (int i = 0; i < order; i++) {
        real polynomial[SASOLVER_MAX_ORDER];
        lagrange_polynomial(order, i, nodes, polynomial);
        weights[i] = 0;
        for (int j = 0; j < order; j++) {
            const int power = order - 1 - j;
            weights[i] += polynomial[j] * (data ? integral_of_data(power, start, end, tau)
                                                : integral_of_noise(power, start, end));
        }
    }
}
