/*
 * A small disk that is really full, and kill -9: a file has its final name only when it is whole, whatever
 * happens, and a later run is not disturbed by what a killed one left.
 */
#include "interrupting.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program(void)
{
    return getenv("PLUMB") ? getenv("PLUMB") : "build/plumb";
}

/* --- A small disk ------------------------------------------------------------------------- */

enum { NO_NAMESPACE = 42, LEFT_BEHIND = 43, NOT_WHOLE = 44 };

static bool write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    bool written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0) close(file);
    return written;
}

/* In this process alone, whoever runs the tests may mount. */
static bool enter_namespace(void)
{
    char users[32], groups[32];
    snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", users) && write_text("/proc/self/gid_map", groups);
}

static bool mount_small_disk(int kibibytes)
{
    char options[32];
    snprintf(options, sizeof options, "size=%dk", kibibytes);
    return enter_namespace() && mount("none", test_folder, "tmpfs", 0, options) == 0;
}

/* In a process of its own: a disk of `kibibytes` over the test's folder, and the command on it. */
static int run_on_small_disk(int kibibytes, const char *arguments, const char *output)
{
    char command[2048];
    if (!mount_small_disk(kibibytes)) return NO_NAMESPACE;
    snprintf(command, sizeof command, "%s %s %s/%s >/dev/null 2>/dev/null", program(), arguments, test_folder,
        output);
    int status = WEXITSTATUS(system(command));
    snprintf(command, sizeof command, "ls %s | grep -q partial-", test_folder);
    if (system(command) == 0) return LEFT_BEHIND;
    bool is_there = access(path_in(test_folder, "%s", output), F_OK) == 0;
    return is_there == (status == 0) ? status : NOT_WHOLE;
}

static const struct {
    const char *arguments, *output;
    int most, by; /* KiB */
} writers[] = {
    {"schedule configs/schedulers/sdxl.json --steps 5 --plot", "p.png", 64, 4},
    {"run golden/models/tiny-sd --prompt fox --steps 1 --height 64 --width 64 --threads 1 --out", "o.png", 48,
        4},
    {"run golden/models/tiny-sd --prompt fox --steps 1 --height 64 --width 64 --threads 1 --trace", "t.npz",
        512, 48},
    {"sample golden/sched/euler_churn.json --tensors golden/sched/euler_churn.safetensors --out",
        "o.safetensors", 64, 4},
    {"synth tiny-sd15 --threads 1", "tiny", 4096, 512},
};

START_TEST(a_small_disk)
{
    int full = 0, enough = 0;
    for (int kibibytes = 4; kibibytes <= writers[_i].most; kibibytes += writers[_i].by) {
        fflush(NULL);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) _exit(run_on_small_disk(kibibytes, writers[_i].arguments, writers[_i].output));
        int status = WEXITSTATUS(end_of_program(child));
        if (status == NO_NAMESPACE) {
            printf("a small disk: skipped, no file system may be mounted here\n");
            return;
        }
        ck_assert_msg(status == 0 || status == STATUS_MACHINE, "plumb %s on %d KiB: %d",
            writers[_i].arguments, kibibytes, status);
        full += status != 0;
        enough += status == 0;
    }
    printf("plumb %.12s... on disks up to %d KiB: %d were full, %d had room\n", writers[_i].arguments,
        writers[_i].most, full, enough);
    ck_assert_int_gt(full, 0);
    ck_assert_int_gt(enough, 0);
}
END_TEST

/* Ten gigabytes are not begun where there is no room for them. */
START_TEST(room_is_looked_for_first)
{
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char command[1024];
        if (!mount_small_disk(1024)) _exit(NO_NAMESPACE);
        snprintf(command, sizeof command,
            "%s synth sdxl %s/sdxl 2>&1 | grep -q 'the weights take [0-9]* bytes, and the disk has [0-9]* "
            "free$'",
            program(), test_folder);
        _exit(WEXITSTATUS(system(command)));
    }
    int status = WEXITSTATUS(end_of_program(child));
    ck_assert(status == 0 || status == NO_NAMESPACE);
}
END_TEST

/* --- kill -9 ------------------------------------------------------------------------------ */

static const struct {
    const char *arguments[16];   /* NULL: the output */
    const char *output, *reader; /* NULL: a page, which ends as one */
} killed[] = {
    {{"plumb", "synth", "tiny-sdxl", NULL, "--threads", "1"}, "synth", "inspect"},
    {{"plumb", "schedule", "configs/schedulers/sdxl.json", "--plot", NULL}, "p.png", "sheet"},
    {{"plumb", "sample", "golden/sched/euler_churn.json", "--tensors", "golden/sched/euler_churn.safetensors",
         "--out", NULL},
        "o.safetensors", "hash"},
    {{"plumb", "run", "golden/models/tiny-sd", "--prompt", "fox", "--steps", "1", "--threads", "1", "--out",
         NULL},
        "o.png", "sheet"},
    {{"plumb", "verify", "golden/models/tiny-sd", "golden/models/traces/sd-ddim5.safetensors", "--html",
         NULL},
        "v.html", NULL},
};

static double run_and_kill(size_t which, double after)
{
    const char *arguments[20] = {NULL};
    for (size_t i = 0, missing = 1; i < 16 && (killed[which].arguments[i] || missing); i++)
        if (!(arguments[i] = killed[which].arguments[i]))
            arguments[i] = path_in(test_folder, "%s", killed[which].output), missing = 0;
    double begin = milliseconds_now();
    pid_t child = start_program(arguments);
    if (after >= 0) {
        wait_milliseconds(after);
        kill(child, SIGKILL);
    }
    int status = end_of_program(child);
    if (after < 0) ck_assert_int_eq(status, 0);
    return milliseconds_now() - begin;
}

static void expect_whole(size_t which)
{
    const char *output = path_in(test_folder, "%s", killed[which].output);
    if (!killed[which].reader) {
        char command[512];
        snprintf(command, sizeof command, "tail -c 8 %s | grep -q '</html>'", output);
        ck_assert_msg(system(command) == 0, "%s is not whole after kill -9", output);
        return;
    }
    const bool is_picture = strcmp(killed[which].reader, "sheet") == 0;
    int status =
        plumb("%s %s %s", killed[which].reader, is_picture ? path_in(test_folder, "sheet.png") : "", output);
    ck_assert_msg(status == 0, "%s after kill -9: %s", output, err);
}

START_TEST(it_is_killed)
{
    enum { KILLS = 25 };
    unsigned state = 1;
    size_t whole = 0;
    double duration = run_and_kill((size_t)_i, -1);
    for (int i = 0; i < KILLS; i++) {
        char command[512];
        snprintf(command, sizeof command, "rm -rf %s/%s", test_folder, killed[_i].output);
        ck_assert_int_eq(system(command), 0);
        run_and_kill((size_t)_i, random_fraction(&state) * duration * 1.1);
        if (!is_in_folder(killed[_i].output)) continue;
        whole++;
        expect_whole((size_t)_i);
    }
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s/%s", test_folder, killed[_i].output);
    ck_assert_int_eq(system(command), 0);
    run_and_kill((size_t)_i, -1); /* among what the others left */
    expect_whole((size_t)_i);
    printf("plumb %s killed %d times: %zu outputs, all whole\n", killed[_i].arguments[1], (int)KILLS, whole);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults of disks");
    TCase *cases = tcase_create("disks");
    tcase_add_checked_fixture(cases, make_test_folder, drop_program_folder);
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, a_small_disk, 0, sizeof writers / sizeof *writers);
    tcase_add_test(cases, room_is_looked_for_first);
    tcase_add_loop_test(cases, it_is_killed, 0, sizeof killed / sizeof *killed);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
