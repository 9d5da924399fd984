#include "adams_bashforth.h"
#include "real.h"

void adams_bashforth(const struct history *derivatives, real *combined)
{
    const size_t n = derivatives->size;
    const size_t count =
        derivatives->count < ADAMS_BASHFORTH_ORDER ? derivatives->count : ADAMS_BASHFORTH_ORDER;
    const real
        *e[ADAMS_BASHFORTH_ORDER]; /* where there are fewer, the newest stands for those that are not read */
    for (size_t age = 0; age < ADAMS_BASHFORTH_ORDER; age++)
        e[age] = history_at(derivatives, age < count ? age : 0);
    const real *e0 = e[0], *e1 = e[1], *e2 = e[2], *e3 = e[3], over_24 = (real)(1.0 / 24);
    switch (count) {
    case 1:
        for (size_t i = 0; i < n; i++) combined[i] = e0[i];
        break;
    case 2:
        for (size_t i = 0; i < n; i++) combined[i] = (3 * e0[i] - e1[i]) / 2;
        break;
    case 3:
        for (size_t i = 0; i < n; i++) combined[i] = (23 * e0[i] - 16 * e1[i] + 5 * e2[i]) / 12;
        break;
    default:
        for (size_t i = 0; i < n; i++)
            combined[i] = over_24 * (55 * e0[i] - 59 * e1[i] + 37 * e2[i] - 9 * e3[i]);
    }
}
