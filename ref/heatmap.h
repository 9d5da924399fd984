/*
 * |a - b| of a tensor as a picture: its last two dimensions are rows and columns, the others panels side by
 * side; a tensor with fewer dimensions is wrapped into rows. From dark blue over green to yellow as the
 * distance goes from 0 to the largest finite one; red is what is finite on one side only.
 */
#ifndef REF_HEATMAP_H
#define REF_HEATMAP_H

#include "comparison.h"
#include "raster.h"

struct heatmap {
    const struct tensor *a, *b; /* of the same shape */
    size_t worst;               /* the element that must be seen where not all panels are drawn */

    /* What heatmap_panels() leaves: */
    double top;                             /* the end of the scale */
    size_t first_panel, panels, all_panels; /* which are drawn, of how many */
};

/* The panels alone, at most `width` x `height` pixels. The caller frees `*raster`, also on failure. A tensor
 * without elements is refused. */
enum status heatmap_panels(
    struct heatmap *map, int width, int height, struct raster *raster, struct error *error);

/* The same with a title and a scale of colours, as a PNG file. */
enum status heatmap_write(const char *path, const struct comparison_row *row, struct error *error);

#endif
