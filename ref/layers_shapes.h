/*
 * What every layer does with shapes: whether its tensors fit together, and new ones. Internal to the layers.
 */
#ifndef REF_LAYERS_SHAPES_H
#define REF_LAYERS_SHAPES_H

#include "layers.h"

#define may_run KERNEL_NAME(may_run)
#define sides KERNEL_NAME(sides)
#define last_side KERNEL_NAME(last_side)
#define like KERNEL_NAME(like)
#define like_with_last KERNEL_NAME(like_with_last)

/* Whether a layer may go on: no error yet, and its tensors fit together. Models are checked when they are
 * loaded and their inputs when a pass begins, so that a misfit here is a caller's mistake; it is still no
 * crash. */
bool may_run(struct forward *f, bool fits, const char *layer, const struct tensor *x);

/* Product of the sides from `first` to before `end`; the last one, 0 where there is none. */
size_t sides(const struct tensor *x, int first, int end);
int64_t last_side(const struct tensor *x);

/* A new tensor of x's shape, or of x's shape with another last side. */
struct tensor like(struct forward *f, struct tensor x);
struct tensor like_with_last(struct forward *f, struct tensor x, int64_t last);

#endif
