/*
 * Parts of a stored weight as real numbers, on the calling thread. Internal to kernels/.
 */
#ifndef KERNELS_STORED_H
#define KERNELS_STORED_H

#include "kernels.h"

#define stored_in_place KERNEL_NAME(stored_in_place)
#define stored_read KERNEL_NAME(stored_read)
#define stored_size KERNEL_NAME(stored_size)

/* Bytes of one number. */
size_t stored_size(enum stored_type type);
/* The numbers where they lie, if they are of type real and aligned as such; NULL otherwise. */
const real *stored_in_place(struct stored x);
/* y = n numbers of x from number `first` on. */
void stored_read(struct stored x, size_t first, size_t n, real *y);

#endif
