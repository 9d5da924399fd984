/*
 * Files as NumPy writes them, put together byte by byte: .npy of the three versions, .npz stored and
 * deflated.
 */
#ifndef TESTS_NUMPY_SUPPORT_H
#define TESTS_NUMPY_SUPPORT_H

#include "file_support.h"

/* A .npy file of a version with a dict, padded as NumPy pads it. */
struct buffer make_npy(int major, const char *dict, const void *data, size_t size);

/* A zip archive in the making: what stands before the directory, and the directory. */
struct zip {
    struct buffer file, directory;
    size_t count;
};

/* How an entry is written, as Python's zipfile does it: with ZIP64 its local header says its sizes in an
 * extra field, with a DESCRIPTOR not at all. */
enum { ZIP64 = 1, DEFLATE = 2, DESCRIPTOR = 4 };
void add_entry(struct zip *zip, const char *name, const struct buffer *npy, int how);

/* The archive, with an end record of the old kind or, with `zip64`, the new one. */
struct buffer finish_zip(const struct zip *zip, bool zip64, const char *comment);

#endif
