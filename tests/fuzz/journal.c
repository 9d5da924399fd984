/*
 * The steps of an interrupted run, F.partial: refused, or finished steps of a run that can be gone on with.
 */
#include "fuzz.h"

#include "ref/resume.h"
#include "ref/trace_journal.h"

#include <stdio.h>

static void check(const struct resume *resume)
{
    fuzz_require(resume->steps >= 1 && resume->steps <= resume->total, "%zu steps of %zu", resume->steps,
        resume->total);
    fuzz_require(resume->recipe && resume->asked, "no recipe, or nothing that was asked for");
    fuzz_require(resume->trace_kind <= TRACE_FOLDER && resume->gemm < GEMM_KINDS, "what was asked for");
    for (size_t i = 0; i < resume->count; i++) {
        const struct journal_tensor *t = &resume->tensors[i];
        fuzz_require(!trace_journal_owns(t->name), "%s is none of the run's", t->name);
        fuzz_require(tensor_set_find(resume->set, t->name) == t->tensor, "%s is not the set's", t->name);
    }
    fuzz_read_all(resume->set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resume resume;
    struct warnings warnings = {0};
    struct error error = {""};
    const char *path = fuzz_file("t.safetensors" JOURNAL_ENDING, data, size);
    enum status status = resume_open(path, &resume, &warnings, &error);
    if (fuzz_accepted(status, &error)) {
        check(&resume);
        resume_close(&resume);
    }
    warnings_free(&warnings);
    return 0;
}
