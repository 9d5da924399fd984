/*
 * Plumb: a reference implementation of the Diffusers text-to-image pipelines. The dispatcher: finds the
 * command, runs it, prints what it reports, and turns its status into the exit status (error.h). Nothing else
 * prints errors or exits.
 */
#include "blas_core.h"
#include "cli_help.h"
#include "commands.h"
#include "faults.h"
#include "library_threads.h"
#include "version.h"

#include <errno.h>
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

/* Results that did not reach their file are no results. A broken pipe (`| head`) is the reader's choice. */
static enum status finish_output(struct invocation *invocation, enum status status)
{
    errno = 0;
    bool failed = fflush(invocation->out) != 0 || ferror(invocation->out);
    if (!failed || errno == EPIPE || status == STATUS_MACHINE) return status;
    return error_machine(&invocation->error, "standard output: cannot be written: %s",
        errno ? strerror(errno) : "an earlier write failed");
}

int main(int argc, char **argv)
{
    library_threads_settle(argv);
    struct invocation invocation = {
        .argc = argc - 1,
        .argv = argv + 1,
        .out = stdout,
        .messages = stderr,
        .messages_are_seen = isatty(STDERR_FILENO),
    };
    /* A file that outgrows `ulimit -f` is a write that fails, not the program's end with half a file left. */
    signal(SIGXFSZ, SIG_IGN);
    faults_handle();
    enum status status = dispatch(&invocation);
    status = finish_output(&invocation, status);
    cli_show_warnings(&invocation);
    if (status != STATUS_OK && invocation.error.message[0]) cli_show_error(&invocation);
    warnings_free(&invocation.warnings);
    faults_done();
    return (int)status;
}
