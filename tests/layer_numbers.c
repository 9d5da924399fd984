#include "kernels/real.h"

#include "layer_numbers.h"

#include "support.h"

struct error layer_error;

struct forward begin(void)
{
    struct forward f = {.error = &layer_error};
    layer_error.message[0] = '\0';
    ck_assert_int_eq(arena_create(&f.arena, TEST_ARENA, &layer_error), STATUS_OK);
    return f;
}

void end(struct forward *f)
{
    ck_assert_msg(f->status == STATUS_OK, "%s", layer_error.message);
    arena_free(f->arena);
}

double number(size_t i, unsigned seed)
{
    uint32_t x = (uint32_t)i * 2654435761u + seed * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return ((double)(x % 33) - 16) / 4;
}

struct tensor numbers(struct forward *f, int rank, const int64_t *shape, unsigned seed)
{
    struct tensor tensor = forward_tensor(f, rank, shape);
    ck_assert_ptr_nonnull(tensor.data);
    for (size_t i = 0; i < tensor_count(&tensor); i++) ((real *)tensor.data)[i] = (real)number(i, seed);
    return tensor;
}

double at(struct tensor x, size_t i)
{
    return tensor_get_double(&x, i);
}

void check_shape(struct tensor x, int rank, const int64_t *shape)
{
    ck_assert_int_eq(x.dtype, DTYPE_REAL);
    ck_assert_int_eq(x.rank, rank);
    for (int i = 0; i < rank; i++) ck_assert_int_eq(x.shape[i], shape[i]);
}
