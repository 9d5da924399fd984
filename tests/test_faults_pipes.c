/*
 * Standard output that cannot be written: its reader is gone, it is closed, its disk is full. Whoever prints
 * something ends by SIGPIPE, quietly, as Unix programs do, or with status 3 and a message where SIGPIPE is
 * ignored or there is no pipe: never as if all were well. What goes into files is not touched by it.
 */
#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SD "golden/models/tiny-sd"
#define TRACES "golden/models/traces/"
#define SMALL "--prompt fox --steps 1 --height 64 --width 64 --threads 1"

/* They print on standard output; %s is the test's folder. */
static const char *const printing[] = {
    "--help",
    "--version",
    "help",
    "help run",
    "help verify --format man",
    "help --format bash",
    "run --help",
    "run " SD " " SMALL " --out %s/o.png --range",
    "run " SD " " SMALL " --out %s/o.png --trace /dev/stdout",
    "run " SD " " SMALL " --out /dev/stdout",
    "schedule configs/schedulers/sdxl.json --steps 5 --coefficients --plot %s/p.png",
    "schedule DDIM LCM --steps 4 --format json --plot %s/p.png",
    "schedule UniPCMultistep --steps 1000 --format csv",
    "schedule DPMSolverMultistep --steps 4 --explain",
    "schedule DDIM --steps 4 --arithmetic both",
    "schedule --list",
    "schedule --list DDIM --format json",
    "schedule --tables",
    "sample golden/sched/euler_churn.json --tensors golden/sched/euler_churn.safetensors --out /dev/stdout",
    "compare " TRACES "sd-ddim5.safetensors " TRACES "sd-ddim5.safetensors",
    "compare " TRACES "sd-ddim5.safetensors " TRACES
    "sd-ddim5-torchgen.safetensors --format json --heatmap %s/h.png",
    "verify " SD
    " golden/faults/sd-ddim5-no-final-norm.safetensors --threads 1 --no-diagnose --html %s/v.html",
    "inspect " SD " --tensors",
    "info",
    "info --plan sdxl",
    "synth tiny-sd15 %s/synth --threads 1",
    "synth --list",
    "hash " TRACES "sd-ddim5.safetensors --tensors",
    "bench --list --architecture tiny-sdxl",
    "bench --list --architecture tiny-sdxl --format json",
};
enum { PRINTING = sizeof printing / sizeof *printing };

enum ending { READER_GONE, READER_GONE_UNNOTICED, CLOSED, FULL, ENDINGS };

static void connect_output(enum ending ending)
{
    int ends[2];
    switch (ending) {
    case READER_GONE:
    case READER_GONE_UNNOTICED:
        if (pipe(ends) != 0) _exit(126);
        close(ends[0]);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[1]);
        break;
    case CLOSED: close(STDOUT_FILENO); break;
    default: dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
    }
}

static const char *command_line(const char *arguments)
{
    static char line[2048];
    char with_folder[1024];
    const char *place = strstr(arguments, "%s"), *program = getenv("PLUMB");
    if (place)
        snprintf(with_folder, sizeof with_folder, "%.*s%s%s", (int)(place - arguments), arguments,
            test_folder, place + 2);
    else
        snprintf(with_folder, sizeof with_folder, "%s", arguments);
    snprintf(line, sizeof line, "exec %s %s 2>%s/err", program ? program : "build/plumb", with_folder,
        test_folder);
    return line;
}

/* Returns the wait status; `err` has what it said. */
static int run_with(enum ending ending, const char *arguments)
{
    const char *line = command_line(arguments);
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGPIPE, ending == READER_GONE_UNNOTICED ? SIG_IGN : SIG_DFL);
        connect_output(ending);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    free(err);
    err = read_whole_text(path_in(test_folder, "err"));
    return status;
}

/* Nothing half written is left. */
static void expect_whole_files(const char *arguments)
{
    char command[512];
    snprintf(command, sizeof command, "ls %s | grep -q partial", test_folder);
    ck_assert_msg(system(command) != 0, "plumb %s left something behind", arguments);
}

START_TEST(it_is_told_that_nothing_was_printed)
{
    static const char *const why[ENDINGS] = {
        "", "Broken pipe", "Bad file descriptor", "No space left on device"};
    const char *arguments = printing[_i];
    for (enum ending ending = 0; ending < ENDINGS; ending++) {
        /* What is named as a file is opened by its name, which no closed descriptor has. */
        const bool is_named = strstr(arguments, "/dev/stdout") != NULL;
        int status = run_with(ending, arguments);
        if (ending == READER_GONE) {
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "plumb %s: wait status %#x: %s",
                arguments, (unsigned)status, err);
            ck_assert_msg(!strstr(err, "error: "), "plumb %s: %s", arguments, err);
        } else {
            const int expected = is_named && ending == CLOSED ? STATUS_BAD_INPUT : STATUS_MACHINE;
            ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == expected,
                "plumb %s: ending %d: wait status %#x: %s", arguments, (int)ending, (unsigned)status, err);
            expect_in(err, is_named ? "error: /dev/stdout: cannot be written: "
                                    : "error: standard output: cannot be written: ");
            if (expected == STATUS_MACHINE) expect_in(err, why[ending]);
        }
        expect_whole_files(arguments);
        char command[512];
        snprintf(command, sizeof command, "rm -rf %s/*", test_folder);
        ck_assert_int_eq(system(command), 0);
    }
}
END_TEST

/* `| head -c 1` may come too late to be noticed; it is never anything else. */
START_TEST(a_reader_of_one_byte)
{
    char command[4096];
    snprintf(command, sizeof command, "{ (%s); echo $? >%s/status; } | head -c 1 >%s/byte",
        command_line(printing[_i]), test_folder, test_folder);
    ck_assert_int_eq(system(command), 0);
    char *status = read_whole_text(path_in(test_folder, "status"));
    const int number = atoi(status), by_sigpipe = 128 + SIGPIPE;
    ck_assert_msg(number <= STATUS_DISAGREE || number == by_sigpipe, "%s: status %d", printing[_i], number);
    free(status);
    size_t size;
    free(read_bytes(path_in(test_folder, "byte"), &size));
    ck_assert_uint_eq(size, 1);
    expect_whole_files(printing[_i]);
}
END_TEST

/* Closed descriptors would be the numbers of the first files that are opened. */
START_TEST(files_are_written_without_standard_descriptors)
{
    static const char *const closed[] = {"", ">&-", "<&- >&-", "<&- >&- 2>&-"};
    size_t size, first_size = 0;
    unsigned char *first = NULL;
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        char command[2048];
        snprintf(command, sizeof command,
            "%s run " SD " " SMALL " --out %s/o.png --trace %s/t.safetensors 2>/dev/null %s",
            getenv("PLUMB") ? getenv("PLUMB") : "build/plumb", test_folder, test_folder, closed[i]);
        ck_assert_int_eq(system(command), 0);
        unsigned char *bytes = read_bytes(path_in(test_folder, "t.safetensors"), &size);
        if (!first) first = bytes, first_size = size;
        ck_assert(size == first_size && memcmp(first, bytes, size) == 0);
        if (bytes != first) free(bytes);
        ck_assert_int_eq(plumb("sheet %s/s.png %s/o.png", test_folder, test_folder), 0);
    }
    free(first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults of pipes");
    TCase *cases = tcase_create("pipes");
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, it_is_told_that_nothing_was_printed, 0, PRINTING);
    tcase_add_loop_test(cases, a_reader_of_one_byte, 0, PRINTING);
    tcase_add_test(cases, files_are_written_without_standard_descriptors);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
