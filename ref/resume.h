/*
 * Going on with a run that was interrupted, from its journal (trace_journal.h).
 *
 * No state of a sampler or of a generator is kept: the run is made again from the prompt on, but for the
 * UNet, whose predictions of the finished steps are in the journal. Everything else is computed anew, the
 * sampler's steps and the draws too, so that whatever remembers earlier steps (a multistep solver's
 * predictions, a generator, a Brownian tree) remembers the same; and each of its tensors must be the recorded
 * one bit for bit. So another checkpoint, program or machine that would have gone on differently is found
 * before it does.
 */
#ifndef REF_RESUME_H
#define REF_RESUME_H

#include "observer.h"
#include "run_files.h"

#include "kernels/cpu.h"

/* What a run leaves at the end beside its pictures. */
enum trace_kind { TRACE_NONE, TRACE_FILE, TRACE_FOLDER };

struct resume {
    struct observer observer; /* what the run is to be watched by; its context is this struct */
    struct trace
        *trace; /* that run's: gets the outputs of the UNet's modules, which are not computed again */

    char *path;          /* the journal's */
    size_t steps, total; /* finished and whole; all of the run's */
    struct tensor_set *set;
    struct journal_tensor *tensors; /* the trace's so far, in its order */
    size_t count;

    /* What the run was asked for; strings are the set's and `asked`'s. */
    cJSON *recipe, *asked;
    const char *checkpoint, *out, *noise_log; /* the last two: NULL where not wanted */
    enum trace_kind trace_kind;
    bool trace_modules;
    enum precision precision;
    enum gemm_kind gemm;
    char *blas_core; /* NULL where no number hangs on it */
};

/* The text of the journal's key "resume": the caller frees it with cJSON_free(). Where the
 * checkpoint's fingerprint is not known, every weight is read once. */
struct resume_request {
    const struct pipeline *pipeline;
    const cJSON *fingerprint; /* of its checkpoint; NULL: not known */
    const struct recipe *recipe;
    const char *out, *noise_log;
    enum trace_kind trace;
    bool trace_modules;
    size_t total;
};
enum status resume_describe(const struct resume_request *request, char **text, struct error *error);

/* Opens the journal. Steps that are not whole are left out, with a warning. */
enum status resume_open(
    const char *path, struct resume *resume, struct warnings *warnings, struct error *error);
void resume_close(struct resume *resume); /* accepts one that is all zero */

/* Refuses where the run that is about to begin is not the one of the journal, by the first thing that
 * differs: a component of the checkpoint, an argument of the recipe, the program's version, precision, matrix
 * products. The struct must stay where it is from then on. */
enum status resume_check(struct resume *resume, const struct pipeline *pipeline, const cJSON *fingerprint,
    const struct recipe *recipe, enum precision precision, struct error *error);

#endif
