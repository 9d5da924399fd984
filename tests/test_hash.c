/*
 * One number for a run's tensors: SHA-256 against its published examples; what changes the number of a file
 * and what does not; and the number of a run for every number of threads, and with portable products on
 * every machine.
 */
#include "program.h"

#include "ref/sha256.h"

#include "kernels/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- SHA-256 ------------------------------------------------------------------------------ */

/* The examples of FIPS 180-2, appendix B, and of the empty text; B.3 is a million letters. */
static const struct {
    const char *text;
    size_t times;
    const char *digits;
} examples[] = {
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"aaaaaaaaaa", 100000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};

START_TEST(sha256_of_the_published_examples)
{
    struct sha256 hash;
    char digits[65];
    sha256_begin(&hash);
    for (size_t i = 0; i < examples[_i].times; i++)
        sha256_add(&hash, examples[_i].text, strlen(examples[_i].text));
    ck_assert_str_eq(sha256_end(&hash, digits), examples[_i].digits);
}
END_TEST

/* Every length around the ends of one and two blocks, in two parts cut anywhere: as in one. */
START_TEST(sha256_in_parts)
{
    unsigned char bytes[130];
    char whole[65], parts[65];
    struct sha256 hash;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37 + 11);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        sha256_begin(&hash);
        sha256_add(&hash, bytes, size);
        sha256_end(&hash, whole);
        for (size_t cut = 0; cut <= size; cut += 7) {
            sha256_begin(&hash);
            sha256_add(&hash, bytes, cut);
            sha256_add(&hash, bytes + cut, size - cut);
            ck_assert_str_eq(sha256_end(&hash, parts), whole);
        }
    }
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

/* Two tensors, x[1] of which is `value`. */
static struct tensor_set *small_set(float value, bool with_metadata)
{
    struct tensor_set *set = empty_set();
    float x[4] = {1, value, -3, 4};
    int64_t n[2] = {5, -6};
    add_tensor(set, "x", &(struct tensor){DTYPE_F32, 2, {2, 2}, x});
    add_tensor(set, "n", &(struct tensor){DTYPE_I64, 1, {2}, n});
    if (with_metadata) ck_assert_int_eq(tensor_set_put_metadata(set, "machine", "another", NULL), STATUS_OK);
    return set;
}

static const char *write_small(const char *name, float value, bool with_metadata)
{
    struct tensor_set *set = small_set(value, with_metadata);
    const char *path = path_in(test_folder, "%s", name);
    write_set(set, path);
    tensor_set_free(set);
    return path;
}

/* What the header of command_hash.c says, computed by Python's hashlib. */
START_TEST(the_number_of_a_file)
{
    const char *path = write_small("a.safetensors", 2, false);
    ck_assert_int_eq(plumb("hash %s", path), 0);
    char line[512];
    snprintf(line, sizeof line, "%s  %s\n",
        "ceb26f07f848604e3592bcf5b32072988c1c41844bc7fe57a1d828fb26dd3367", path);
    ck_assert_str_eq(out, line);
}
END_TEST

START_TEST(containers_and_metadata_do_not_count)
{
    const char *a = write_small("a.safetensors", 2, false), *b = write_small("b.safetensors", 2, true);
    const char *c = write_small("c.npz", 2, false), *d = write_small("d/", 2, false);
    ck_assert_int_eq(plumb("hash %s %s %s %s", a, b, c, d), 0);
    ck_assert_uint_eq(strlen(out) - strlen(strchr(out, '\n')), 66 + strlen(a));
    for (const char *line = out; *line; line = strchr(line, '\n') + 1) ck_assert(strncmp(line, out, 64) == 0);
}
END_TEST

START_TEST(a_bit_counts)
{
    const char *a = write_small("a.safetensors", 0.0f, false),
               *b = write_small("b.safetensors", -0.0f, false);
    ck_assert_int_eq(plumb("hash %s %s --tensors", a, b), STATUS_DISAGREE);
    char *lines[6], *line = out;
    for (int i = 0; i < 6; i++) {
        lines[i] = line;
        line = strchr(line, '\n') + 1;
    }
    ck_assert_str_eq(line, "");
    ck_assert(strncmp(lines[0], lines[3], 64) == 0); /* n */
    ck_assert(strncmp(lines[1], lines[4], 64) != 0); /* x */
    ck_assert(strncmp(lines[2], lines[5], 64) != 0); /* both */
    expect_in(lines[1], "a.safetensors:x\n");
    expect_failure(plumb("hash %s/none", test_folder), STATUS_BAD_INPUT, 2, "none", NULL);
}
END_TEST

/* --- Runs --------------------------------------------------------------------------------- */

/* The number of a run, `arguments` those of `plumb run`, with further options. */
static void hash_run(const char *arguments, const char *options, char digits[65])
{
    const char *trace = path_in(test_folder, "t.safetensors");
    int status = plumb("run %s --trace %s %s", arguments, trace, options);
    ck_assert_msg(status == 0, "%s %s: %s", arguments, options, err);
    ck_assert_int_eq(plumb("hash %s", trace), 0);
    snprintf(digits, 65, "%.64s", out);
}

static const char small_run[] =
    "golden/models/tiny-sdxl --prompt 'a fox' --steps 3 --height 64 --width 48 --trace-modules";

static void expect_one_number(const char *const *options, size_t count)
{
    char first[65] = "", digits[65];
    for (size_t i = 0; i < count; i++) {
        hash_run(small_run, options[i], i == 0 ? first : digits);
        printf("%s  %s\n", i == 0 ? first : digits, options[i]);
        if (i > 0) ck_assert_str_eq(digits, first);
    }
}

START_TEST(threads_do_not_count)
{
    static const char *const openblas[] = {"--gemm openblas --threads 1", "--gemm openblas --threads 2",
        "--gemm openblas --threads 3", "--gemm openblas --threads 8"};
    static const char *const twice[] = {"--precision f64 --threads 1", "--precision f64 --threads 3"};
    expect_one_number(openblas, 4);
    expect_one_number(twice, 2);
}
END_TEST

/* One run in every instruction set that this processor has, or in its best alone, against its number. */
static void expect_number(
    const char *digits, const char *arguments, bool every_set, const int *threads, size_t count)
{
    for (enum kernel_set set = 0; set < KERNEL_SETS; set++) {
        if (!kernels_available(set) || (!every_set && set != kernels_best())) continue;
        for (size_t i = 0; i < count; i++) {
            char options[64], got[65];
            snprintf(options, sizeof options, "--gemm portable --cpu %s --threads %d", kernels_set_name(set),
                threads[i]);
            hash_run(arguments, options, got);
            printf("%s  %-6s %d  %.60s\n", got, kernels_set_name(set), threads[i], arguments);
            ck_assert_msg(strcmp(got, digits) == 0, "plumb run %s %s: %s, expected %s", arguments, options,
                got, digits);
        }
    }
}

/* The numbers of portable_hashes.txt, which hold on every machine: here those sets that this processor has;
 * make check-aarch64 runs the same on NEON. The first run tries every set and number of threads. */
START_TEST(one_number_on_every_machine_with_portable_products)
{
    static const int every[] = {1, 2, 3, 8}, few[] = {2};
    FILE *file = fopen("tests/portable_hashes.txt", "r");
    char line[512], digits[65];
    int runs = 0, arguments = 0;
    ck_assert_msg(file != NULL, "tests/portable_hashes.txt: run from the top folder");
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') continue;
        ck_assert_msg(sscanf(line, "%64[0-9a-f] %n", digits, &arguments) == 1, "%s", line);
        line[strcspn(line, "\n")] = 0;
        expect_number(digits, line + arguments, runs == 0, runs == 0 ? every : few, runs == 0 ? 4 : 1);
        runs++;
    }
    fclose(file);
    ck_assert_int_ge(runs, 5);
}
END_TEST

/* Without the variable, the core is the one that all machines of this architecture have: the same by default
 * and by name. The variable stays in force, the option wins over it, and what chose is said. */
START_TEST(the_core_of_the_blas_is_pinned)
{
    const char *common = kernels_common_blas_core();
    unsetenv("OPENBLAS_CORETYPE");
    ck_assert_int_eq(plumb("info --blas-core auto"), 0);
    expect_in(out, "(chosen by the processor)");
    if (!common) return;

    char by_default[65], by_name[65], by_variable[65], options[64], said[96];
    hash_run(small_run, "--gemm openblas", by_default);
    snprintf(options, sizeof options, "--gemm openblas --blas-core %s", common);
    hash_run(small_run, options, by_name);
    ck_assert_str_eq(by_name, by_default);
    struct tensor_set *set = open_set(path_in(test_folder, "t.safetensors"));
    snprintf(said, sizeof said, "\"blas_core\":\"%s\"", common);
    expect_in(tensor_set_metadata(set, "machine"), said);
    expect_in(tensor_set_metadata(set, "machine"), "\"gemm\":\"openblas\"");
    tensor_set_free(set);

    setenv("OPENBLAS_CORETYPE", "Nehalem", 1);
    hash_run(small_run, "--gemm openblas", by_variable);
    printf("%s  by default\n%s  with kernels for SSE\n", by_default, by_variable);
    ck_assert_str_ne(by_variable, by_default); /* there is something to pin */
    ck_assert_int_eq(plumb("info"), 0);
    expect_in(out, "Nehalem (chosen by OPENBLAS_CORETYPE)");
    ck_assert_int_eq(plumb("info --blas-core %s", common), 0);
    snprintf(said, sizeof said, "%s (chosen by --blas-core)", common);
    expect_in(out, said);
    unsetenv("OPENBLAS_CORETYPE");
}
END_TEST

START_TEST(a_core_that_is_not_there)
{
    expect_failure(plumb("info --blas-core Pentium"), STATUS_BAD_INPUT, 0, "--blas-core: Pentium",
        "expected auto", kernels_common_blas_core() ? kernels_common_blas_core() : "auto", NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hash");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, make_test_folder, drop_program_folder);
    tcase_add_loop_test(
        files, sha256_of_the_published_examples, 0, (int)(sizeof examples / sizeof *examples));
    tcase_add_test(files, sha256_in_parts);
    tcase_add_test(files, the_number_of_a_file);
    tcase_add_test(files, containers_and_metadata_do_not_count);
    tcase_add_test(files, a_bit_counts);
    suite_add_tcase(suite, files);
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, make_test_folder, drop_program_folder);
    tcase_set_timeout(runs, 300);
    tcase_add_test(runs, threads_do_not_count);
    tcase_add_test(runs, one_number_on_every_machine_with_portable_products);
    tcase_add_test(runs, the_core_of_the_blas_is_pinned);
    tcase_add_test(runs, a_core_that_is_not_there);
    suite_add_tcase(suite, runs);
    return run_suite(suite);
}
