/*
 * The layers, and the blocks made of them, against their definitions written out, in both precisions: what
 * test_layers.c runs.
 */
#ifndef TESTS_LAYER_CHECKS_H
#define TESTS_LAYER_CHECKS_H

struct layer_check {
    const char *name;
    void (*run)(void); /* fails the present test where the layer does not do what it says */
};

/* Ended by a name of NULL. */
extern const struct layer_check LAYER_CHECKS_f32[], LAYER_CHECKS_f64[];
extern const struct layer_check BLOCK_CHECKS_f32[], BLOCK_CHECKS_f64[];

#endif
