/*
 * What a run of the kernel checker is asked for, and what it found: one row a kernel and precision, and a
 * message for each failure. Shared by tests/checkkernels.c and tests/test_kernels.c; knows no precision.
 */
#ifndef TESTS_KERNEL_REPORT_H
#define TESTS_KERNEL_REPORT_H

#include "kernels/cpu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* How large the cases are. Every tail and every kind of input is in all of them. */
enum check_effort {
    EFFORT_BRIEF, /* for an emulated processor: without the cases that take many operations */
    EFFORT_USUAL,
    EFFORT_FULL /* the models' operators whole, for latents of 16 x 16 */
};

struct kernel_row {
    char kernel[32];
    const char *precision, *accuracy;
    size_t cases, failures;
    double worst;                    /* the largest error, as a share of its bound; 0 where all are exact */
    char worst_case[120];            /* whose it is */
    double seconds;                  /* of CPU, the twin's among them */
    size_t bench_n;                  /* elements of the result that was timed, */
    double nanoseconds[KERNEL_SETS]; /* for each of them */
};

struct checker {
    /* Asked for. */
    const char *kernel;       /* a glob over the names of kernels; NULL: all */
    enum kernel_set only_set; /* beside the scalar one; KERNEL_SETS: all that there are */
    unsigned seed;            /* added to that of every case */
    enum check_effort effort;
    bool bench;
    bool few_ways;  /* one number of threads is enough; set by the cases */
    FILE *messages; /* where failures are written as they are found; NULL: nowhere */
    /* Found. */
    struct kernel_row *rows;
    size_t row_count, failures;
    struct kernel_row *row; /* of the kernel being checked */
    char first[640];        /* the first message */
};

/* Everything of `checker` that is asked for is zero but only_set. */
struct checker checker_usual(void);
/* Reads PLUMB_CHECK_EFFORT (brief, usual, full); usual where it is not set. */
enum check_effort effort_of_environment(void);
/* "brief" and so on; false where it is none. */
bool effort_by_name(const char *name, enum check_effort *effort);

/* What is checked from now on; its row is made where it is new. */
void checker_begin(struct checker *k, const char *kernel, const char *precision, const char *accuracy);
bool checker_wants(const struct checker *k, const char *kernel);
/* Whether this processor has the set and it is asked for; chooses it. */
bool checker_uses(const struct checker *k, enum kernel_set set);
/* Counts a failure of the kernel being checked; the message says how to see it again. */
void checker_fail(struct checker *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A case whose largest error is this share of its bound. */
void checker_count(struct checker *k, const char *name, double share);
void checker_write(const struct checker *k, FILE *out);
void checker_free(struct checker *k);

/* The cases of one kernel: check(checker, i) for i below count. */
struct kernel_group {
    const char *kernel;
    const char *accuracy; /* its class: "bit", "ulp", "acc" (kernels/README.md) */
    void (*check)(struct checker *k, size_t index);
    size_t count;
};

/* One case of one kernel, in one precision: what a program runs. */
struct kernel_item {
    const struct kernel_group *group;
    const char *precision; /* "float", "double" */
    size_t index;
};
/* All of them, from malloc (kernel_list.c). */
struct kernel_item *kernel_list(size_t *count);
/* Checks one, into the row of its kernel. */
void kernel_item_check(struct checker *k, const struct kernel_item *item);

/* Memory, or the end of the program with status 2. */
void *checker_memory(size_t bytes);
void *checker_zeros(size_t bytes);

#endif
