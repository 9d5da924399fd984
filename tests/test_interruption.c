/*
 * A run that is ended from outside, at any moment: a signal keeps the steps so far and says where they are
 * and how to go on; kill -9 too leaves a journal that opens, and never a damaged file under a final name; a
 * run that is killed again and again comes to the same bytes in the end. (test_resume.c has the journals
 * themselves.)
 */
#include "interrupting.h"

#include "ref/trace_journal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS "400"
#define MODEL "golden/models/tiny-sd"
#define RECIPE MODEL, "--prompt", "fox", "--height", "16", "--width", "16", "--threads", "1"

static pid_t start_run(const char *name, bool goes_on)
{
    const char *trace = path_in(test_folder, "%s.safetensors", name),
               *picture = path_in(test_folder, "%s.png", name);
    const char *const begin[] = {
        "plumb", "run", RECIPE, "--steps", STEPS, "--trace", trace, "--out", picture, NULL};
    const char *const go_on[] = {"plumb", "run", "--resume", trace, NULL};
    return start_program(goes_on ? go_on : begin);
}

/* Waits until the first step is kept; false where the run is over before one looks. */
static bool wait_for_journal(pid_t child)
{
    int status;
    while (!is_in_folder("part.safetensors.partial")) {
        if (waitpid(child, &status, WNOHANG) == child) return false;
        wait_milliseconds(1);
    }
    return true;
}

/* The journal opens, and every step that it names is whole; how many. */
static size_t whole_steps(void)
{
    struct tensor_set *set = open_set(path_in(test_folder, "part.safetensors.partial"));
    struct journal_tensor *tensors;
    size_t count, steps, named = 0;
    char name[48];
    ck_assert_int_eq(trace_journal_read(set, &tensors, &count, &steps, NULL), STATUS_OK);
    do snprintf(name, sizeof name, "step.%02zu.latents", named++);
    while (tensor_set_find(set, name));
    ck_assert_uint_eq(named - 1, steps);
    ck_assert_uint_ge(steps, 1);
    free(tensors);
    tensor_set_free(set);
    return steps;
}

static void expect_finished(void)
{
    expect_same_bytes("whole.safetensors", "part.safetensors", "killed");
    expect_same_bytes("whole.png", "part.png", "killed");
    ck_assert(!is_in_folder("part.safetensors.partial"));
}

/* Returns how many milliseconds it takes. */
static double run_whole(void)
{
    const double before = milliseconds_now();
    int status = end_of_program(start_run("whole", false));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert(!is_in_folder("whole.safetensors.partial"));
    return milliseconds_now() - before;
}

/* --- Signals ------------------------------------------------------------------------------ */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

START_TEST(a_signal_keeps_the_steps_and_says_so)
{
    run_whole();
    pid_t child = start_run("part", false);
    ck_assert(wait_for_journal(child));
    wait_milliseconds(20);
    kill(child, signals[_i]);
    int status = end_of_program(child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signals[_i], "status %x", (unsigned)status);
    ck_assert(!is_in_folder("part.safetensors") && !is_in_folder("part.png"));
    size_t steps = whole_steps();
    char *said = read_whole_text(path_in(test_folder, "err")), expected[512];
    snprintf(expected, sizeof expected,
        "interrupted: %s/part.safetensors.partial holds %zu of 401 steps; plumb run --resume "
        "%s/part.safetensors goes "
        "on with them\n",
        test_folder, steps, test_folder);
    ck_assert_str_eq(said, expected);
    free(said);
    ck_assert_uint_eq(count_entries(test_folder), 4); /* whole.*, the journal, err */
    status = end_of_program(start_run("part", true));
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_finished();
}
END_TEST

/* Traces of other containers: the journal is the same. */
START_TEST(archives_and_folders_go_on_too)
{
    static const char *const names[] = {"t.npz", "t/", "t/"}, *const resumed[] = {"t.npz", "t/", "t.partial"};
    char digits[65];
    const char *trace = path_in(test_folder, "%s", names[_i]);
    const char *journal = _i == 0 ? "t.npz.partial" : "t.partial";
    ck_assert_int_eq(
        plumb("run " MODEL " --prompt fox --steps 60 --trace-modules --trace %s/whole.npz", test_folder), 0);
    ck_assert_int_eq(plumb("hash %s/whole.npz", test_folder), 0);
    snprintf(digits, sizeof digits, "%.64s", out);
    pid_t child = start_program((const char *const[]){"plumb", "run", MODEL, "--prompt", "fox", "--steps",
        "60", "--trace-modules", "--trace", trace, NULL});
    while (!is_in_folder(journal)) wait_milliseconds(0.2);
    kill(child, SIGKILL);
    ck_assert(WIFSIGNALED(end_of_program(child)));
    ck_assert_int_eq(plumb("run --resume %s/%s", test_folder, resumed[_i]), 0);
    ck_assert_int_eq(plumb("hash %s", trace), 0);
    ck_assert(strncmp(out, digits, 64) == 0 && !is_in_folder(journal));
    if (_i == 0) expect_same_bytes("whole.npz", "t.npz", "an archive");
    ck_assert_int_eq(plumb("run --resume %s", trace), 0);
    expect_in(err, ": this run is finished\n");
}
END_TEST

/* --- Any moment --------------------------------------------------------------------------- */

/* The run is stopped, looked at, and goes on, until its end. */
START_TEST(the_journal_is_whole_at_every_moment)
{
    const double duration = run_whole();
    pid_t child = start_run("part", false);
    int status = 0;
    size_t looks = 0, before = 0, most = 0;
    for (;;) {
        wait_milliseconds(duration / 100);
        kill(child, SIGSTOP);
        ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
        if (!WIFSTOPPED(status)) break;
        if (is_in_folder("part.safetensors.partial") && !is_in_folder("part.safetensors")) {
            size_t steps = whole_steps();
            ck_assert_uint_ge(steps, before);
            before = steps;
            most = steps > most ? steps : most;
            looks++;
        }
        kill(child, SIGCONT);
    }
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect_finished();
    printf("looked at %zu times while it was written, up to step %zu: whole each time\n", looks, most);
    ck_assert_uint_ge(looks, 5);
}
END_TEST

/* kill -9 after random times, and on again, until it is done. */
START_TEST(it_is_killed_until_it_is_done)
{
    const double duration = run_whole();
    unsigned state = 17 + (unsigned)_i;
    size_t kills = 0, resumed = 0, most = 0;
    for (bool done = false; !done;) {
        bool goes_on = is_in_folder("part.safetensors.partial");
        pid_t child = start_run("part", goes_on);
        resumed += goes_on;
        wait_milliseconds(random_fraction(&state) * duration * (0.7 + 0.05 * (double)kills));
        kill(child, SIGKILL);
        int status = end_of_program(child);
        kills += !WIFEXITED(status);
        /* It may be killed when there is nothing left to do. */
        done = WIFEXITED(status) || (is_in_folder("part.png") && !is_in_folder("part.safetensors.partial"));
        if (is_in_folder("part.safetensors"))
            expect_same_bytes("whole.safetensors", "part.safetensors", "killed");
        if (is_in_folder("part.png")) expect_same_bytes("whole.png", "part.png", "killed");
        if (is_in_folder("part.safetensors.partial")) {
            size_t steps = whole_steps();
            ck_assert_uint_ge(steps, most);
            most = steps;
        }
        if (WIFEXITED(status)) ck_assert_int_eq(WEXITSTATUS(status), 0);
    }
    expect_finished();
    printf("killed %zu times, gone on %zu times: the same bytes\n", kills, resumed);
    ck_assert_uint_ge(kills, 1);
}
END_TEST

/* --- A full disk -------------------------------------------------------------------------- */

/* Its room is taken with the first step, so that a disk that will not do is known then. */
START_TEST(a_disk_that_is_too_small_is_known_at_once)
{
    char command[1024];
    snprintf(command, sizeof command,
        "ulimit -f 200; %s run golden/models/tiny-sd --prompt fox --height 16 --width 16 --steps 900 "
        "--trace "
        "%s/t.safetensors >%s/out 2>%s/err",
        getenv("PLUMB") ? getenv("PLUMB") : "build/plumb", test_folder, test_folder, test_folder);
    int status = system(command);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), STATUS_MACHINE);
    char *said = read_whole_text(path_in(test_folder, "err"));
    expect_in(said, "t.safetensors.partial: cannot be written: File too large\n");
    free(said);
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("interruption");
    TCase *cases = tcase_create("interruption");
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, a_signal_keeps_the_steps_and_says_so, 0, 3);
    tcase_add_loop_test(cases, archives_and_folders_go_on_too, 0, 3);
    tcase_add_test(cases, the_journal_is_whole_at_every_moment);
    tcase_add_loop_test(cases, it_is_killed_until_it_is_done, 0, 2);
    tcase_add_test(cases, a_disk_that_is_too_small_is_known_at_once);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
