#include "interrupting.h"

#include "ref/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t start_program(const char *const *arguments)
{
    const char *program = getenv("PLUMB") ? getenv("PLUMB") : "build/plumb",
               *err_path = path_in(test_folder, "err");
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child > 0) return child;
    dup2(open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    signal(SIGINT, SIG_DFL); /* a shell's background job ignores it, and so would the program */
    signal(SIGHUP, SIG_DFL);
    execv(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

int end_of_program(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return status;
}

void wait_milliseconds(double milliseconds)
{
    struct timespec time = {.tv_sec = (time_t)(milliseconds / 1000)};
    time.tv_nsec = (long)((milliseconds - 1000 * (double)time.tv_sec) * 1e6);
    nanosleep(&time, NULL);
}

double milliseconds_now(void)
{
    return 1e3 * clock_seconds();
}

double random_fraction(unsigned *state)
{
    *state = *state * 1103515245u + 12345u;
    return (double)(*state >> 16 & 0x7fff) / 0x7fff;
}

bool is_in_folder(const char *name)
{
    return access(path_in(test_folder, "%s", name), F_OK) == 0;
}
