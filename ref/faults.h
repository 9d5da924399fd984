/*
 * What happens to files when the program is ended from outside, or when a file is cut short under its
 * mapping.
 *
 * A mapped file that loses its end (overwritten, truncated, a network drive that is gone) raises SIGBUS where
 * it is next read. Nobody can go on from there: the program says which file it was, removes what it has half
 * written, and ends with the status of a machine that failed. SIGINT, SIGTERM, SIGHUP and SIGPIPE end it as
 * they always do, but what is half written goes first.
 *
 * The registers are the program's, not a caller's: a signal has no other way to find them. Only
 * faults_handle() changes what signals do, and only main() calls it.
 */
#ifndef REF_FAULTS_H
#define REF_FAULTS_H

#include <stddef.h>

/* From now on those signals are handled, and so is a library that ends the program by exit(), as the OpenMP
 * runtime does where memory is out: with a message and STATUS_MACHINE, and without what is half written. */
void faults_handle(void);
/* The program ends by itself now. */
void faults_done(void);

/* `path` is a file or a folder with all that is in it, which a commit has not named yet and which a signal
 * removes; it stays the caller's, and must stay as it is until faults_forget_partial(). Register it before it
 * is made. Of more than 64 at a time some are not removed. */
void faults_partial(const char *path);
void faults_forget_partial(const char *path);
/* Removes a file, or a folder with all that is in it, and asks for no memory. */
void faults_remove(const char *path);

/* What is said, before it ends the program, by a signal that does: what was kept and how to go on. NULL, as
 * it is at first: nothing. The text stays the caller's, and must stay as it is until there is another. */
void faults_say_at_end(const char *text);

/* `size` bytes at `address` are the file `path`, which is copied. Of more than 256 at a time a fault does not
 * name some. */
void faults_mapped(const void *address, size_t size, const char *path);
void faults_forget_mapped(const void *address);

#endif
