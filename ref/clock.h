/*
 * Time, which no result depends on: how long something took.
 */
#ifndef REF_CLOCK_H
#define REF_CLOCK_H

/* Seconds since some moment, on a clock that nobody sets. */
double clock_seconds(void);

#endif
