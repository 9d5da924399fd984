/*
 * Small valid files of every container, damaged at random: bits turned over, bytes replaced by telling
 * values, pieces copied over others, inserted, cut out, ends cut off. Opening must say what is wrong, or give
 * tensors all of whose elements can be read; run under the sanitizers this looks for reads beyond a file and
 * for leaks.
 *
 * The damage follows from the number of the attempt alone. PLUMB_MUTATIONS sets how many attempts there are a
 * container (2000); PLUMB_MUTATION_START the first.
 */
#include "mutation_support.h"
#include "numpy_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAFETENSORS, NPY, NPY_FORTRAN, NPZ_STORED, NPZ_DEFLATED, CONTAINERS };

/* --- What is damaged ---------------------------------------------------------------------- */

static struct buffer make_safetensors(void)
{
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]},"
                         "\"e\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[32,32]},"
                         "\"c\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[32,33]}} ";
    struct buffer b = {.size = 0};
    put_number(&b, strlen(header), 8);
    put(&b, header, strlen(header));
    for (size_t i = 0; i < 33; i++) put_number(&b, i, 1);
    return b;
}

static struct buffer make_npz(int how)
{
    static struct zip zip;
    zip = (struct zip){.count = 0};
    unsigned char data[48] = {1, 2, 3};
    struct buffer one = make_npy(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (4, 6), }", data, 48);
    struct buffer two = make_npy(2, "{'descr': '|u1', 'fortran_order': True, 'shape': (4, 3), }", data, 12);
    add_entry(&zip, "one.npy", &one, how);
    add_entry(&zip, "two.npy", &two, how | ZIP64);
    return finish_zip(&zip, how == DEFLATE, "");
}

static struct buffer make_seed(int container)
{
    static const double data[6] = {1, 2, 3, 4, 5, 6};
    switch (container) {
    case SAFETENSORS: return make_safetensors();
    case NPY:
        return make_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", data, sizeof data);
    case NPY_FORTRAN:
        return make_npy(3, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }", data, sizeof data);
    case NPZ_STORED: return make_npz(0);
    default: return make_npz(DEFLATE);
    }
}

/* --- Damage ------------------------------------------------------------------------------- */

static void turn_bits(struct buffer *b, uint64_t *state)
{
    for (size_t n = 1 + below(state, 4); n > 0 && b->size > 0; n--)
        b->bytes[below(state, b->size)] ^= (unsigned char)(1U << below(state, 8));
}

/* Numbers at which sizes and signs turn over, and characters that mean something to a parser. */
static void put_telling_value(struct buffer *b, uint64_t *state)
{
    static const uint64_t values[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
        0xffffffff, 0x100000000, INT64_MAX, UINT64_MAX, '"', '\\', '{', '}', '[', ']', ',', '(', ')', '\'',
        '-', '9', 'e'};
    static const size_t widths[] = {1, 2, 4, 8};
    struct buffer value = {.size = 0};
    put_number(&value, values[below(state, sizeof values / sizeof values[0])], widths[below(state, 4)]);
    if (b->size < value.size) return;
    memcpy(b->bytes + below(state, b->size - value.size + 1), value.bytes, value.size);
}

/* A piece of `other` over a place in `b`, or between its bytes. */
static void splice(struct buffer *b, const struct buffer *other, bool insert, uint64_t *state)
{
    size_t length = 1 + below(state, other->size < 64 ? other->size : 64), at = below(state, b->size + 1);
    size_t from = below(state, other->size - length + 1);
    struct buffer tail = {.size = 0};
    size_t rest = insert ? at : at + length;
    if (rest < b->size) put(&tail, b->bytes + rest, b->size - rest);
    b->size = at;
    put(b, other->bytes + from, length);
    put(b, tail.bytes, tail.size);
}

static void cut_out(struct buffer *b, uint64_t *state)
{
    size_t at = below(state, b->size + 1), length = below(state, b->size - at + 1);
    memmove(b->bytes + at, b->bytes + at + length, b->size - at - length);
    b->size -= length;
}

static struct buffer damaged(const struct buffer seeds[CONTAINERS], int container, uint64_t attempt)
{
    uint64_t state = attempt * CONTAINERS + (uint64_t)container;
    struct buffer b = seeds[container];
    for (size_t n = 1 + below(&state, 3); n > 0; n--) {
        const struct buffer *other = &seeds[below(&state, 2) ? (size_t)container : below(&state, CONTAINERS)];
        switch (below(&state, 7)) {
        case 0:
        case 1: turn_bits(&b, &state); break;
        case 2:
        case 3: put_telling_value(&b, &state); break;
        case 4: splice(&b, other, false, &state); break;
        case 5: splice(&b, other, true, &state); break;
        default: cut_out(&b, &state); break;
        }
    }
    return b;
}

/* --- The test ----------------------------------------------------------------------------- */

/* Every element of every tensor, so that a sanitizer sees each byte that a tensor claims. */
static void read_all(const struct tensor_set *set)
{
    for (size_t i = 0; i < tensor_set_count(set); i++) {
        const struct tensor *tensor = tensor_set_at(set, i);
        ck_assert_ptr_eq(tensor_set_find(set, tensor_set_name(set, i)), tensor);
        for (size_t n = 0; n < tensor_count(tensor); n++) (void)tensor_get_double(tensor, n);
    }
}

START_TEST(damaged_files_are_refused_or_read)
{
    static const char *const names[CONTAINERS] = {"x.safetensors", "x.npy", "x.npy", "x.npz", "x.npz"};
    const char *path = path_in(test_folder, "%s", names[_i]);
    uint64_t start = mutation_setting("PLUMB_MUTATION_START", 0);
    uint64_t count = mutation_setting("PLUMB_MUTATIONS", 2000);
    size_t opened = 0;

    static struct buffer seeds[CONTAINERS];
    for (int i = 0; i < CONTAINERS; i++) seeds[i] = make_seed(i);
    write_bytes(path, seeds[_i].bytes, seeds[_i].size);
    struct tensor_set *set = open_set(path);
    read_all(set);
    tensor_set_free(set);

    for (uint64_t attempt = start; attempt < start + count; attempt++) {
        struct buffer b = damaged(seeds, _i, attempt);
        write_bytes(path, b.bytes, b.size);
        struct error error = {""};
        enum status status = tensor_set_open(path, &set, &error);
        if (status == STATUS_OK) {
            opened++;
            read_all(set);
            tensor_set_free(set);
            continue;
        }
        ck_assert_msg(status == STATUS_BAD_INPUT && strstr(error.message, path) != NULL,
            "attempt %llu: status %d: %s", (unsigned long long)attempt, (int)status, error.message);
    }
    /* Damage to data is not seen, but in archives, which have a CRC; damage to the rest nearly always is. */
    ck_assert_msg(opened < count, "all %zu damaged files opened", opened);
    ck_assert_msg(opened > 0 || count < 1000, "no damaged file opened: nothing read elements");
    if (getenv("PLUMB_MUTATIONS"))
        fprintf(
            stderr, "%s (%d): %llu attempts, %zu opened\n", names[_i], _i, (unsigned long long)count, opened);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("damaged tensor files");
    TCase *cases = tcase_create("mutations");
    tcase_set_timeout(cases, 0);
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_loop_test(cases, damaged_files_are_refused_or_read, 0, CONTAINERS);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
