#include "second_order.h"
#include "real.h"

#include <stdlib.h>

real *second_order_sigmas(const real *sigmas, size_t count, size_t places)
{
    real *list = malloc(places * sizeof *list);
    for (size_t i = 0; list && i < places; i++) list[i] = sigmas[second_order_place(i, count)];
    return list;
}

double *second_order_timesteps(const double *timesteps, size_t count, size_t *places)
{
    *places = count ? 2 * count - 1 : 0;
    double *list = malloc((*places ? *places : 1) * sizeof *list);
    for (size_t i = 0; list && i < *places; i++) list[i] = timesteps[second_order_place(i, count)];
    return list;
}
