/*
 * A stream onto a descriptor that no signal cuts short and that keeps the reason of its first failure, which
 * a FILE forgets: by the time that all is written and somebody asks, errno is another's. After a failure
 * nothing more is written.
 */
#ifndef REF_OUTPUT_STREAM_H
#define REF_OUTPUT_STREAM_H

#include <stdio.h>

struct output_stream;

/* NULL where memory is out. The descriptor stays the caller's. */
struct output_stream *output_stream_open(int descriptor);
/* Write here; it is fully buffered. */
FILE *output_stream_file(struct output_stream *stream);
/* Writes what is buffered. 0, or the errno of the first failure since the stream was opened. */
int output_stream_finish(struct output_stream *stream);
/* Without writing what is buffered where that has not been done. NULL is let pass. */
void output_stream_close(struct output_stream *stream);

#endif
