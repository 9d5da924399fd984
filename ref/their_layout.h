/*
 * Inside of their_tensors.h: one of their tensors in our layout.
 */
#ifndef REF_THEIR_LAYOUT_H
#define REF_THEIR_LAYOUT_H

#include "known_tensors.h"
#include "names_map.h"

/* A tensor on its way: elements where they were, or in memory of its own. */
struct laid_out {
    struct tensor tensor;
    void *owned;      /* the caller's; NULL where the elements lie in their file */
    char change[256]; /* what was done, in words; "" for nothing */
};

/* Their tensor `source`, or its part `part` of `entry->parts`, as `known` has it. `entry` is NULL where no
 * map named it; the messages do not name the tensor. On failure `out->owned` is NULL. */
enum status lay_out(const struct tensor *source, const struct names_entry *entry, int part,
    bool channels_last, const struct known_tensor *known, struct laid_out *out, struct error *error);

/* Two halves of guidance as one batch, uncond first; frees what `uncond` and `text` own. */
enum status lay_out_together(
    struct laid_out *uncond, struct laid_out *text, struct laid_out *out, struct error *error);

/* Reads the shape as that of `known`, where that leaves every element in its place in memory: sides of 1,
 * neighbouring sides multiplied together. Of a model input with both halves of guidance, the same bits twice,
 * one is left. */
void lay_out_fit(struct laid_out *out, const struct known_tensor *known);

#endif
