#include "real.h"

#include "cpu.h"
#include "gemm_tile.h"

const struct micro_kernel *gemm_blocks(void)
{
    bool portable = sizeof(real) == sizeof(float) && kernels_gemm_in_use() == GEMM_PORTABLE;
    return portable ? micro_kernel_in_use() : NULL;
}

/* Rows whose distance is near a multiple of this fall on the same lines of an L1 of any usual size; a block
 * that reads several of them at a time would lose them before it has read them to the end. */
enum { ALIASING_BYTES = 2048 };

static bool rows_alias(size_t width)
{
    size_t rest = width * sizeof(real) % ALIASING_BYTES;
    return rest < 64 || rest > ALIASING_BYTES - 64;
}

struct matrix gemm_rows(const struct micro_kernel *blocks, struct stored x, size_t width, struct tile row,
    struct tile k, real *room)
{
    const real *data = stored_in_place(x);
    if (data != NULL && (blocks == NULL || !rows_alias(width)))
        return (struct matrix){data + row.begin * width + k.begin, width};
    size_t stride = gemm_row_stride(blocks);
    for (size_t i = row.begin; i < row.end; i++)
        stored_read(x, i * width + k.begin, k.end - k.begin, room + (i - row.begin) * stride);
    return (struct matrix){room, stride};
}

void gemm_panels(const struct micro_kernel *blocks, size_t rows, size_t columns, size_t depth,
    struct matrix a, const real *b, real *c, size_t c_stride, bool accumulate)
{
    size_t count = micro_blocks(blocks, rows);
    for (size_t column = 0; column < columns; column += blocks->columns) {
        const real *panel = b + column * MICRO_DEPTH;
        for (size_t block = 0; block < count; block++) {
            size_t first = micro_begin(rows, count, block), end = micro_begin(rows, count, block + 1);
            blocks->multiply(end - first, depth, a.data + first * a.stride, a.stride, 1, panel,
                c + first * c_stride + column, c_stride, accumulate);
        }
    }
}
