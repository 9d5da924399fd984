#include "output_stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct output_stream {
    FILE *file;
    int descriptor, failure;
};

/* As fopencookie(3) wants it: 0 for a failure. */
static ssize_t write_all(void *cookie, const char *bytes, size_t size)
{
    struct output_stream *stream = cookie;
    for (size_t done = 0; done < size && stream->failure == 0;) {
        ssize_t written = write(stream->descriptor, bytes + done, size - done);
        if (written > 0)
            done += (size_t)written;
        else if (written == 0)
            stream->failure = EIO; /* of a device that takes nothing */
        else if (errno != EINTR)
            stream->failure = errno;
    }
    if (stream->failure) errno = stream->failure;
    return stream->failure ? 0 : (ssize_t)size;
}

struct output_stream *output_stream_open(int descriptor)
{
    struct output_stream *stream = calloc(1, sizeof *stream);
    if (!stream) return NULL;
    stream->descriptor = descriptor;
    stream->file = fopencookie(stream, "wb", (cookie_io_functions_t){.write = write_all});
    if (stream->file) return stream;
    free(stream);
    return NULL;
}

FILE *output_stream_file(struct output_stream *stream)
{
    return stream->file;
}

int output_stream_finish(struct output_stream *stream)
{
    bool failed = fflush(stream->file) != 0 || ferror(stream->file);
    /* A formatted number may have found no memory. */
    if (failed && stream->failure == 0) stream->failure = ENOMEM;
    return stream->failure;
}

void output_stream_close(struct output_stream *stream)
{
    if (!stream) return;
    if (stream->failure == 0) stream->failure = ECANCELED;
    fclose(stream->file);
    free(stream);
}
