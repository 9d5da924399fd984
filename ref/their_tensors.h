/*
 * What another backend dumped, in our names and our layout.
 *
 * A port's dump is a safetensors file, a .npy file, an .npz archive, or a folder of .npy and raw files
 * (tensor_set.h). A tensor gets its name of ours by the first of these that fits:
 *
 *   1. a pattern of the map, in the map's order (names_map.h);
 *   2. its own name, where that is one of ours;
 *   3. its own name up to what cannot be mistaken (name_likeness.h): "step/3/latents" is step.03.latents,
 *      "unet.conv_in" is act.unet.conv_in.
 *
 * `step.NN.noise_pred_both` [2B, ...] is a name of its own for the two halves of guidance in one batch,
 * uncond first: it becomes step.NN.noise_pred_uncond and step.NN.noise_pred_text.
 *
 * Without a map the elements stay what they are and in their order. A shape is read as ours where the two
 * differ in sides of 1 and in neighbouring sides multiplied together ([4, 64, 64] for [1, 4, 64, 64], [154,
 * 768] for [2, 77, 768]); of a model input [2B, ...] whose halves are the same bits, one is taken. What would
 * change a value's place is never guessed: channels last is an option or a word in the map, since it may as
 * well be the port's fault.
 */
#ifndef REF_THEIR_TENSORS_H
#define REF_THEIR_TENSORS_H

#include "name_likeness.h"
#include "tensor_set.h"

/* What a user of a command is told of all this: the formats, the map. Paragraphs, ends in a line feed. */
extern const char their_tensors_help[];

struct their_options {
    const char *map;    /* a file that names_map.h reads; NULL: none */
    bool channels_last; /* their tensors with rows and columns are [B, H, W, C]; a map's entry may say
                           otherwise */
};

struct their_record {
    const char *name;       /* ours */
    const char *their_name; /* theirs; of two halves that were put together the first */
    char *change;           /* "[4, 8, 8] read as [1, 4, 8, 8]"; NULL where the tensor is as it was */
};

/* A name that is none of ours, whose tensor is left out. */
struct unknown_name {
    const char *their_name;
    char *mapped;                       /* what the map made of it, NULL where no pattern fits */
    const char *nearest[NEAREST_NAMES]; /* of ours, nearest first; NULL after the last */
};

/* Two of their tensors for one of ours. The first is taken: what the map or its own name says before what was
 * recognised, then in the order of their names. */
struct name_twice {
    const char *name;                  /* ours */
    const char *their_name, *left_out; /* theirs: what was taken, what was not */
    bool same;                         /* the two are alike, bit by bit */
};

struct their_tensors {
    struct tensor_set *tensors;   /* in our names and layout, with their file's metadata */
    struct their_record *records; /* one a tensor, in the order of tensor_set_at() */
    size_t count;
    struct unknown_name *unknown; /* in the order of their names */
    size_t unknown_count;
    struct name_twice *twice;
    size_t twice_count;
    /* What the map drops, exact values in a golden trace (f64.*), an unfinished trace's own. */
    size_t ignored;
    struct tensor_set *file; /* theirs as it is: most of `tensors` lies in its mappings */
};

/* `known` must be in order and outlive `*out`. A pattern of the map that no name fits is a warning; so is a
 * tensor of which only one half of guidance is there. On failure `*out` is empty. */
enum status their_tensors_open(const char *path, const struct their_options *options,
    const struct known_tensors *known, struct their_tensors *out, struct warnings *warnings,
    struct error *error);
void their_tensors_free(struct their_tensors *theirs); /* accepts an empty one */

/* The record of one of ours; NULL where they have none. */
const struct their_record *their_tensors_record(const struct their_tensors *theirs, const char *name);

/* "their_name is no tensor of a run (did you mean A, B or C?)", a warning for each, `most` at most and then
 * how many more there are; and one for each name given twice. */
void their_tensors_warn(const struct their_tensors *theirs, size_t most, struct warnings *warnings);

#endif
