/*
 * Plumb: a reference implementation of the Diffusers text-to-image pipelines. The dispatcher: finds the
 * command, runs it, prints what it reports, and turns its status into the exit status (error.h). Nothing else
 * prints errors or exits.
 */
#include "blas_core.h"
#include "cli_help.h"
#include "commands.h"
#include "faults.h"
#include "output_stream.h"
#include "library_threads.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static enum status dispatch(struct invocation *invocation)
{
    if (invocation->argc < 1)
        return error_input(&invocation->error, "a command is missing; see plumb --help");
    const char *word = invocation->argv[0];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        help_write_program(invocation->out);
        return STATUS_OK;
    }
    if (strcmp(word, "--version") == 0) {
        fprintf(invocation->out, "plumb " PLUMB_VERSION "\n");
        return STATUS_OK;
    }
    const struct command *command = command_find(word, &invocation->error);
    return command ? command->run(invocation) : STATUS_BAD_INPUT;
}

/* Where the caller has closed one of the three standard descriptors, the first file that is opened would take
 * its number, and what is printed would go into that file. What stands there instead can only fail: it is
 * neither read nor written, nor opened again as /dev/stdout. */
static void fill_closed_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) (void)!open("/", O_PATH | O_DIRECTORY);
}

/* Results that did not reach their file are no results. A reader that goes away (`| head`) ends the program
 * by SIGPIPE, quietly; where that is ignored, it is a failure like another. */
static enum status finish_output(struct invocation *invocation, struct output_stream *out, enum status status)
{
    int system_error = output_stream_finish(out);
    if (system_error == 0 || status == STATUS_MACHINE) return status;
    return error_machine(
        &invocation->error, "standard output: cannot be written: %s", strerror(system_error));
}

int main(int argc, char **argv)
{
    library_threads_settle(argv);
    fill_closed_descriptors();
    struct output_stream *out = output_stream_open(STDOUT_FILENO);
    struct invocation invocation = {
        .argc = argc - 1,
        .argv = argv + 1,
        .out = out ? output_stream_file(out) : NULL,
        .out_is_seen = isatty(STDOUT_FILENO),
        .messages = stderr,
        .messages_are_seen = isatty(STDERR_FILENO),
    };
    /* A file that outgrows `ulimit -f` is a write that fails, not the program's end with half a file left. */
    signal(SIGXFSZ, SIG_IGN);
    faults_handle();
    if (out && invocation.out_is_seen) (void)setvbuf(invocation.out, NULL, _IOLBF, BUFSIZ);
    enum status status = out ? dispatch(&invocation) : error_memory(&invocation.error, BUFSIZ);
    if (out) status = finish_output(&invocation, out, status);
    cli_show_warnings(&invocation);
    if (status != STATUS_OK && invocation.error.message[0]) cli_show_error(&invocation);
    warnings_free(&invocation.warnings);
    output_stream_close(out);
    faults_done();
    return (int)status;
}
