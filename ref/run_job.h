/*
 * One run from its recipe to its files, so that it can be interrupted at any time: what `plumb run` does
 * once, and with a list again and again.
 */
#ifndef REF_RUN_JOB_H
#define REF_RUN_JOB_H

#include "cli.h"
#include "resume.h"

struct run_job {
    const struct pipeline *pipeline;
    const cJSON *fingerprint; /* of its checkpoint, where it is known; NULL: computed where it is needed */
    const struct recipe *recipe;
    enum precision precision;
    bool trace_modules;
    const char *out, *trace, *noise_log; /* files; NULL where not wanted */
    const char *journal;                 /* where its steps are kept meanwhile; NULL: nowhere */
    const char *going_on;                /* the command that goes on with it then */
    struct resume *resume;               /* the journal that it goes on from; NULL: it begins */
    const struct observer *observer;     /* who watches, and then nothing can be resumed; NULL: nobody */
    const char *words;                   /* in front of its progress: "3 of 20, "; "" */
    struct memory_plan memory;           /* what it took */
};

/* The journal of a trace that is asked for, allocated; NULL in `*path` where it has none, a pipe for one. */
enum status run_job_journal(const char *trace, char **path, struct error *error);

/* Runs it. A failure of the machine leaves the journal, as a signal does, and says so. */
enum status run_job(struct invocation *invocation, struct run_job *job, struct error *error);

#endif
