/*
 * Which rows of a schedule's table diffusers' departures from its documentation touch
 * (sched/DEVIATIONS.md).
 */
#ifndef REF_SCHEDULE_DEPARTURES_H
#define REF_SCHEDULE_DEPARTURES_H

#include "schedule_table.h"

#include <stddef.h>
#include <stdint.h>

/* What of a row differs between the semantics. */
enum departure_sign {
    DEPARTS_IN_TIMESTEP = 1,
    DEPARTS_IN_SIGMA = 2, /* before or after the step */
    DEPARTS_IN_STEP = 4,  /* what the step makes of the same numbers */
    DEPARTS_IN_COUNT = 8, /* the other schedule has no such step, or one of them ends here */
};

/* The headings of DEVIATIONS.md that rows are marked with: departure_heading(i) for i from 0 up to the count,
 * at most 32. */
size_t departure_count(void);
const char *departure_heading(size_t departure);
/* The departure's place: "sched/DEVIATIONS.md#a-stride-in-the-place-of-the-list". */
const char *departure_link(size_t departure, char buffer[160]);

/* Which departures (bit i: heading i) explain that a row of the schedule, taken by a step of `order`, shows
 * `signs`. `options` is the whole config, every option given or default. */
uint32_t departures_that_explain(
    const cJSON *options, const struct schedule_request *request, unsigned signs, int order);

/* Makes the schedule of `config` in both semantics, runs both on the same numbers, and fills table->signs and
 * table->departures for the table's rows. Where the other semantics refuse the config or the request, nothing
 * can be compared, and no row is marked. The suffix is the sampler's arithmetic. */
enum status schedule_departures_find_f32(const cJSON *config, const struct schedule_request *request,
    struct schedule_table *table, struct error *error);
enum status schedule_departures_find_f64(const cJSON *config, const struct schedule_request *request,
    struct schedule_table *table, struct error *error);

/* The departures that any row of the table is marked with. */
uint32_t schedule_departures_of(const struct schedule_table *table);

/* The rows' marks: a letter for each departure of the table, in the order of the headings; "" for a row
 * without. */
const char *schedule_departure_mark(const struct schedule_table *table, size_t row, char buffer[33]);

/* What the marks mean, a line each: the heading, its rows, and where to read on. Nothing where there are
 * none. */
void schedule_departures_write(const struct schedule_table *table, FILE *out);

/* In JSON: an array of objects, [] where there are none. */
void schedule_departures_write_json(const struct schedule_table *table, FILE *out);

#endif
