/*
 * How the threads of the libraries behave that read their environment when they are loaded: OpenBLAS's and
 * those of OpenMP. A program that wants another behaviour starts itself anew, once, with the variables set.
 */
#ifndef REF_LIBRARY_THREADS_H
#define REF_LIBRARY_THREADS_H

/* Sees to it that
 *   - OpenBLAS has no threads of its own (OPENBLAS_NUM_THREADS is 1). Otherwise it starts one a processor
 *     when it is loaded, which never work, since each product is computed by the thread that asks for it, and
 *     which wait for ever where the system has no memory for them;
 *   - a thread of GNU OpenMP that waits for work spins for about 50 us before it sleeps (GOMP_SPINCOUNT), not
 *     for a millisecond as it is installed, unless the environment says otherwise. Most waits in a forward
 *     pass are shorter; in a longer one it would keep a processor from whoever has work, which slows down the
 *     smaller models by a tenth on a quiet machine and by many times on a busy one.
 * Where one of them is not so the program is replaced by itself with it set: call this before anything else
 * is done. Returns, and nothing has changed, where the program cannot be started anew. */
void library_threads_settle(char **argv);

#endif
