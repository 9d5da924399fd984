/*
 * Which of its kernels OpenBLAS uses. It chooses when it is loaded, by the processor or by OPENBLAS_CORETYPE
 * in the environment, and the bits of its products depend on the choice. So a program that wants others than
 * it found starts itself anew, once, with that variable set.
 */
#ifndef REF_BLAS_CORE_H
#define REF_BLAS_CORE_H

#include "sched/error.h"

/* Sees to it that OpenBLAS uses the kernels of `core`, in capitals or not. Where it does not, the program is
 * replaced by itself with `argv` and this does not return: call it before anything else is done. An error
 * names the cores that this processor can run. */
enum status blas_core_use(const char *core, char **argv, struct error *error);

/* The same for the core that machines of this architecture have in common (kernels_common_blas_core()),
 * unless the environment has a core already or there is none in common: the same bits on all of them. */
enum status blas_core_use_common(char **argv, struct error *error);

/* "--blas-core", "the default", "OPENBLAS_CORETYPE" or "the processor": what has chosen the core in use. */
const char *blas_core_chosen_by(void);

#endif
