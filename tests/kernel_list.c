/*
 * Every case of every kernel, in both precisions, as one list.
 */
#include "tests/kernel_report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct kernel_group *kernel_elements_groups_f32(void);
const struct kernel_group *kernel_elements_groups_f64(void);
const struct kernel_group *kernel_vectors_groups_f32(void);
const struct kernel_group *kernel_norms_groups_f32(void);
const struct kernel_group *kernel_vectors_groups_f64(void);
const struct kernel_group *kernel_norms_groups_f64(void);
const struct kernel_group *kernel_products_groups_f32(void);
const struct kernel_group *kernel_products_groups_f64(void);
const struct kernel_group *kernel_attention_groups_f32(void);
const struct kernel_group *kernel_models_groups_f32(void);
const struct kernel_group *kernel_attention_groups_f64(void);
const struct kernel_group *kernel_models_groups_f64(void);

typedef const struct kernel_group *group_table(void);
static const struct {
    group_table *groups;
    const char *precision;
} tables[] = {
    {kernel_elements_groups_f32, "float"},
    {kernel_vectors_groups_f32, "float"},
    {kernel_norms_groups_f32, "float"},
    {kernel_products_groups_f32, "float"},
    {kernel_attention_groups_f32, "float"},
    {kernel_models_groups_f32, "float"},
    {kernel_elements_groups_f64, "double"},
    {kernel_vectors_groups_f64, "double"},
    {kernel_norms_groups_f64, "double"},
    {kernel_products_groups_f64, "double"},
    {kernel_attention_groups_f64, "double"},
    {kernel_models_groups_f64, "double"},
};
enum { TABLES = sizeof tables / sizeof *tables };

struct kernel_item *kernel_list(size_t *count)
{
    size_t all = 0, at = 0;
    for (size_t t = 0; t < TABLES; t++)
        for (const struct kernel_group *g = tables[t].groups(); g->kernel != NULL; g++) all += g->count;
    struct kernel_item *items = checker_memory(all * sizeof *items);
    for (size_t t = 0; t < TABLES; t++)
        for (const struct kernel_group *g = tables[t].groups(); g->kernel != NULL; g++)
            for (size_t i = 0; i < g->count; i++)
                items[at++] = (struct kernel_item){g, tables[t].precision, i};
    *count = all;
    return items;
}

void kernel_item_check(struct checker *k, const struct kernel_item *item)
{
    checker_begin(k, item->group->kernel, item->precision, item->group->accuracy);
    clock_t begin = clock();
    item->group->check(k, item->index);
    k->row->seconds += (double)(clock() - begin) / CLOCKS_PER_SEC;
}
