/*
 * The machine fails in the middle of a run: memory that is limited at every size, a disk that is full, a
 * checkpoint that is cut under its mapping, signals. Each time there is a message and status 3 (or the
 * signal's own end), and nothing half written is left.
 */
#include "interrupting.h"

#include "ref/faults.h"
#include "ref/output_file.h"
#include "ref/output_folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TINY "golden/models/tiny-sd"

static const char *program(void)
{
    return getenv("PLUMB") ? getenv("PLUMB") : "build/plumb";
}

/* Sanitizers need address space without end. */
static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return true;
#else
    return false;
#endif
}

/* --- Memory ------------------------------------------------------------------------------- */

/* The exit status of a run under `ulimit FLAG KIBIBYTES`; a run that hangs is ended. */
static int limited_run(char flag, int kibibytes, const char *options)
{
    char command[1024];
    snprintf(command, sizeof command,
        "ulimit -%c %d; timeout 60 %s run " TINY
        " --prompt fox --steps 1 --threads 2 %s --out %s/o.png >%s/out "
        "2>%s/err",
        flag, kibibytes, program(), options, test_folder, test_folder, test_folder);
    int status = system(command);
    ck_assert_msg(WIFEXITED(status), "ulimit -%c %d: ended by signal %d", flag, kibibytes, WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* From what loads the program's libraries to what is enough: at every limit the picture, or one line that
 * says that memory is out, and no file. */
static void expect_limits_are_met(char flag, int from, int to, int by, const char *options)
{
    int failed = 0, succeeded = 0;
    for (int kibibytes = from; kibibytes <= to; kibibytes += by) {
        int status = limited_run(flag, kibibytes, options);
        size_t size;
        unsigned char *bytes = read_bytes(path_in(test_folder, "err"), &size);
        char *text = calloc(size + 1, 1);
        ck_assert_ptr_nonnull(text);
        memcpy(text, bytes, size);
        bool there = access(path_in(test_folder, "o.png"), F_OK) == 0;
        ck_assert_msg(status == 0 || status == STATUS_MACHINE, "ulimit -%c %d: status %d: %s", flag,
            kibibytes, status, text);
        if (status == 0)
            succeeded++;
        else
            failed++;
        ck_assert_msg(status == 0 || strstr(text, "error: "), "ulimit -%c %d: %s", flag, kibibytes, text);
        ck_assert(there == (status == 0));
        ck_assert_uint_eq(count_entries(test_folder), there ? 3 : 2);
        unlink(path_in(test_folder, "o.png"));
        free(bytes);
        free(text);
    }
    printf("ulimit -%c %d to %d%s%s: %d ran out of memory, %d did not\n", flag, from, to, *options ? " " : "",
        options, failed, succeeded);
    ck_assert_int_gt(failed, 0);
    ck_assert_int_gt(succeeded, 0);
}

START_TEST(address_space_runs_out)
{
    if (is_sanitized()) return;
    expect_limits_are_met('v', 90000, 450000, 20000, "--gemm openblas");
}
END_TEST

START_TEST(data_run_out)
{
    if (is_sanitized()) return;
    expect_limits_are_met('d', 12000, 330000, 26500, "--precision f64");
    expect_limits_are_met('d', 12000, 60000, 3000, "--gemm portable");
}
END_TEST

/* A picture that no machine has the memory for is refused before the work begins, by the plan. */
START_TEST(a_picture_that_is_too_large)
{
    int status =
        plumb("run " TINY " --prompt fox --steps 1 --height 32768 --width 32768 --out %s/o.png", test_folder);
    expect_failure(status, STATUS_MACHINE, 0, "out of memory (asked for", NULL);
}
END_TEST

/* --- Files that change under their mapping ------------------------------------------------ */

/* Waits until the process has mapped a file whose path ends so. */
static void wait_for_mapping(pid_t child, const char *name)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)child);
    for (int i = 0; i < 20000; i++) {
        FILE *maps = fopen(path, "r");
        bool found = false;
        while (maps && fgets(line, sizeof line, maps)) found = found || strstr(line, name);
        if (maps) fclose(maps);
        if (found) return;
        wait_milliseconds(2);
    }
    ck_abort_msg("%s was not mapped", name);
}

START_TEST(a_checkpoint_is_cut_in_use)
{
    const char *copy = path_in(test_folder, "copy"), *trace = path_in(test_folder, "t.safetensors");
    const char *weights = path_in(copy, "unet/diffusion_pytorch_model.safetensors");
    copy_folder(TINY, copy);
    const char *const arguments[] = {
        program(), "run", copy, "--prompt", "fox", "--steps", "1000", "--trace", trace, NULL};
    pid_t child = start_program(arguments);
    wait_for_mapping(child, "unet/diffusion_pytorch_model.safetensors");
    ck_assert_int_eq(truncate(weights, 4096), 0);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    size_t size;
    char *said = (char *)read_bytes(path_in(test_folder, "err"), &size), text[2048];
    snprintf(text, sizeof text, "%.*s", (int)size, said);
    free(said);
    ck_assert_msg(WEXITSTATUS(status) == STATUS_MACHINE, "status %d: %s", WEXITSTATUS(status), text);
    expect_in(text, weights);
    expect_in(text, "cannot be read any more: it was changed or cut while it was in use\n");
    /* The copy, err, and the steps that were finished by then, if there were any. */
    bool kept = access(path_in(test_folder, "t.safetensors.partial"), F_OK) == 0;
    if (kept) expect_in(text, "goes on with them\n");
    ck_assert_uint_eq(count_entries(test_folder), kept ? 3 : 2);
}
END_TEST

/* --- Signals ------------------------------------------------------------------------------ */

static bool holds_partial(void)
{
    char command[512];
    snprintf(command, sizeof command, "ls -d %s/*.partial-* >%s 2>&1", test_folder, "/dev/null");
    return system(command) == 0;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* A checkpoint of which the first files are written: the folder goes, with all that is in it. */
START_TEST(a_signal_removes_a_folder_in_the_making)
{
    const char *place = path_in(test_folder, "sd15");
    const char *const arguments[] = {program(), "synth", "sd15", place, "--dtype", "f16", NULL};
    pid_t child = start_program(arguments);
    for (int i = 0; i < 20000 && !holds_partial(); i++) wait_milliseconds(2);
    ck_assert(holds_partial());
    kill(child, signals[_i]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == signals[_i]);
    ck_assert(!holds_partial());
    ck_assert_uint_eq(count_entries(test_folder), 1); /* err */
}
END_TEST

/* In a process of its own: an output in the making, one that is finished, a folder with a folder in it. */
static void be_interrupted(int number)
{
    struct output_file half = {0}, whole = {0}, inside = {0};
    struct output_folder folder = {0};
    struct error error;
    signal(number, SIG_DFL); /* nohup ignores it */
    faults_handle();
    bool made = output_file_open(&whole, path_in(test_folder, "whole"), &error) == STATUS_OK &&
                output_file_commit(&whole, &error) == STATUS_OK &&
                output_file_open(&half, path_in(test_folder, "half"), &error) == STATUS_OK &&
                output_folder_open(&folder, path_in(test_folder, "folder"), &error) == STATUS_OK &&
                mkdir(path_in(folder.partial, "unet"), 0777) == 0 &&
                output_file_open(&inside, path_in(folder.partial, "unet/weights"), &error) == STATUS_OK;
    if (!made || count_entries(test_folder) != 3) _exit(1);
    raise(number);
    _exit(2);
}

START_TEST(a_signal_removes_what_is_half_written)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) be_interrupted(signals[_i]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == signals[_i], "status %x", (unsigned)status);
    ck_assert_uint_eq(count_entries(test_folder), 1);
    ck_assert_int_eq(access(path_in(test_folder, "whole"), F_OK), 0);
}
END_TEST

/* --- A full disk -------------------------------------------------------------------------- */

/* A file may be no larger than 100 blocks of 1024 bytes. Of a folder nothing is left either. */
START_TEST(a_disk_is_full_while_a_checkpoint_is_written)
{
    char command[512];
    snprintf(command, sizeof command, "ulimit -f 100; %s synth tiny-sdxl %s/tiny >%s/out 2>%s/err", program(),
        test_folder, test_folder, test_folder);
    int status = system(command);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), STATUS_MACHINE);
    size_t size;
    char *said = (char *)read_bytes(path_in(test_folder, "err"), &size), text[1024];
    snprintf(text, sizeof text, "%.*s", (int)size, said);
    free(said);
    expect_in(text, "cannot be written: File too large");
    ck_assert_uint_eq(count_entries(test_folder), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults");
    TCase *memory = tcase_create("memory");
    tcase_add_checked_fixture(memory, make_test_folder, drop_program_folder);
    tcase_set_timeout(memory, 600);
    tcase_add_test(memory, address_space_runs_out);
    tcase_add_test(memory, data_run_out);
    tcase_add_test(memory, a_picture_that_is_too_large);
    suite_add_tcase(suite, memory);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_test_folder, drop_program_folder);
    tcase_set_timeout(files, 120);
    tcase_add_test(files, a_checkpoint_is_cut_in_use);
    tcase_add_loop_test(files, a_signal_removes_a_folder_in_the_making, 0, 3);
    tcase_add_loop_test(files, a_signal_removes_what_is_half_written, 0, 3);
    tcase_add_test(files, a_disk_is_full_while_a_checkpoint_is_written);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
