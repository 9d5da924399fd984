#include "kernels/real.h"

#include "layers_shapes.h"

bool may_run(struct forward *f, bool fits, const char *layer, const struct tensor *x)
{
    if (f->status != STATUS_OK) return false;
    if (fits && x->dtype == DTYPE_REAL) return true;
    char shown[160];
    f->status = error_input(f->error, "%s: does not fit an input of shape %s and type %s", layer,
        tensor_show_shape(x, shown, sizeof shown), dtype_name(x->dtype));
    return false;
}

size_t sides(const struct tensor *x, int first, int end)
{
    size_t product = 1;
    for (int i = first; i < end; i++) product *= (size_t)x->shape[i];
    return product;
}

int64_t last_side(const struct tensor *x)
{
    return x->rank > 0 ? x->shape[x->rank - 1] : 0;
}

struct tensor like(struct forward *f, struct tensor x)
{
    return forward_tensor(f, x.rank, x.shape);
}

struct tensor like_with_last(struct forward *f, struct tensor x, int64_t last)
{
    x.shape[x.rank - 1] = last;
    return forward_tensor(f, x.rank, x.shape);
}
