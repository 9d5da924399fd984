/*
 * From the names of a port's dump to ours: a JSON object of patterns, looked at from the first to the last.
 *
 *     {
 *         "in/it_*":       "step.*.model_input",
 *         "out/it_*":      ["step.*.noise_pred_uncond", "step.*.noise_pred_text"],
 *         "latents_*":     "step.{1-1:02d}.latents",
 *         "mid.*":         {"to": "act.unet.mid_block.*", "layout": "nhwc"},
 *         "uncond.*":      {"to": "act.unet.*", "half": "uncond"},
 *         "text.*":        {"to": "act.unet.*", "half": "text"},
 *         "debug.*":       null
 *     }
 *
 * A pattern stands for the whole name. Each '*' in it is any run of characters, none included: the shortest
 * that fits, from left to right, and the last one what is left. In what it turns into, the first '*' is what
 * the pattern's first '*' stood for, and so on; {2} is the second of them wherever it is needed. {1-1} and
 * {1+1} count it down or up, {1:02d} writes it with two digits: they fit digits only, and a name that has
 * none there is left to later patterns.
 *
 * A list cuts the tensor into as many parts of its first side, in their order (null: a part that is not
 * wanted); null in place of all drops the tensor. An object says more, in the order in which it is done:
 *
 *     "reshape"    their elements as this shape; one side may be -1, which is what is left
 *     "transpose"  side i of the result is their side transpose[i], as in NumPy
 *     "layout"     "nchw" or "nhwc": what theirs is, where ours has rows and columns; instead of "transpose"
 *     "half"       "uncond" or "text": theirs is this half of what we have of both, in one batch
 */
#ifndef REF_NAMES_MAP_H
#define REF_NAMES_MAP_H

#include "tensor.h"

#define NAMES_MAP_PIECES 9
#define NAMES_MAP_PARTS 8
#define NAME_SIZE 512 /* that a name of ours fits in, with its zero */

enum their_layout { LAYOUT_AS_OURS, LAYOUT_NCHW, LAYOUT_NHWC };
enum guidance_half { HALF_NONE, HALF_UNCOND, HALF_TEXT };

struct names_entry {
    char *pattern;
    char *targets[NAMES_MAP_PARTS]; /* NULL: a part that is not wanted */
    int parts;                      /* 0: the tensor is dropped */
    int reshape_rank;               /* -1: as it is */
    int64_t reshape[TENSOR_MAX_RANK];
    int transpose_rank; /* -1: as it is */
    int transpose[TENSOR_MAX_RANK];
    enum their_layout layout;
    enum guidance_half half;
};

struct names_map {
    char *path;
    struct names_entry *entries;
    size_t count;
};

/* Reads the JSON file `path`. Refuses what does not have this form, with the pattern. */
enum status names_map_read(const char *path, struct names_map *map, struct error *error);
void names_map_free(struct names_map *map); /* accepts an empty one */

/* The first entry whose pattern `name` fits; NULL where there is none. `targets` are then the names that its
 * parts turn into, empty for a part that is not wanted. */
const struct names_entry *names_map_find(
    const struct names_map *map, const char *name, char targets[NAMES_MAP_PARTS][NAME_SIZE]);

#endif
