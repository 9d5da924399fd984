#include "adams_bashforth.h"
#include "real.h"

void adams_bashforth(const struct history *derivatives, real *combined)
{
    const size_t count =
        derivatives->count < ADAMS_BASHFORTH_ORDER ? derivatives->count : ADAMS_BASHFORTH_ORDER;
    const real *e[ADAMS_BASHFORTH_ORDER];
    for (size_t age = 0; age < count; age++) e[age] = history_at(derivatives, age);
    const real over_24 = (real)(1.0 / 24);
    for (size_t i = 0; i < derivatives->size; i++) {
        if (count == 1)
            combined[i] = e[0][i];
        else if (count == 2)
            combined[i] = (3 * e[0][i] - e[1][i]) / 2;
        else if (count == 3)
            combined[i] = (23 * e[0][i] - 16 * e[1][i] + 5 * e[2][i]) / 12;
        else
            combined[i] = over_24 * (55 * e[0][i] - 59 * e[1][i] + 37 * e[2][i] - 9 * e[3][i]);
    }
}
