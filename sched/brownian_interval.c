/*
 * A query is answered in two passes. The first goes down the tree of halves to where the interval asked for
 * begins and to where it ends, and lists the halvings on these two paths. The second takes the n dimensions
 * in pieces that stay in a cache, and goes through that list with each piece: it carries the increment of the
 * interval that it is in, halves it, and collects the halves that lie within the interval asked for, in the
 * order of time, in which torchsde adds them up.
 */
#include "brownian_interval.h"
#include "real.h"
#include "seed_sequence.h"
#include "torch_mt19937.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
    MOST_LEVELS = 62,
    MOST_HALVINGS = 2 * MOST_LEVELS + 1,
    PIECE = 256, /* dimensions; a multiple of the 16 that torch.randn draws at once */
};

/* --- The tree ----------------------------------------------------------------------------- */

/* Python's round(time, 6): the multiple of 1e-6 that is nearest, of two the even one, as a double. Where
 * doubles are further apart than that, it is the time itself. */
static double rounded_time(double time)
{
    if (!(fabs(time) < 0x1p33)) return time;
    const double product = time * 1e6, error = fma(time, 1e6, -product);
    double whole = rint(product);
    const double beyond = product - whole;
    if (beyond == 0.5 && error > 0) whole += 1; /* what looks like the middle is not quite */
    if (beyond == -0.5 && error < 0) whole -= 1;
    return whole / 1e6;
}

/* A node: its interval, and its place: left is 0 and right is 1 in the bits of `key`, below the root's 0. */
struct node {
    double start, middle, end;
    uint64_t key;
    uint32_t depth;
};

static struct node node_of(double start, double end, uint64_t key, uint32_t depth)
{
    return (struct node){start, rounded_time(0.5 * (end + start)), end, key, depth};
}

static struct node half_of(const struct node *node, bool left)
{
    return left ? node_of(node->start, node->middle, 2 * node->key, node->depth + 1)
                : node_of(node->middle, node->end, 2 * node->key + 1, node->depth + 1);
}

/* np.random.SeedSequence(entropy=seed, pool_size=24), with spawn_key=(key, depth) for a halving: its first
 * word seeds the generator of the normals. */
static uint32_t normals_seed(uint64_t seed, const struct node *halving)
{
    uint32_t words[LARGEST_SEED_POOL + 3] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, state;
    size_t count = 1 + (seed >> 32 != 0);
    if (halving) {
        count = LARGEST_SEED_POOL;
        words[count++] = (uint32_t)halving->key;
        if (halving->key >> 32) words[count++] = (uint32_t)(halving->key >> 32);
        words[count++] = halving->depth;
    }
    struct seed_sequence sequence = {0};
    seed_sequence_mix(&sequence, LARGEST_SEED_POOL, words, count);
    seed_sequence_generate(&sequence, &state, 1);
    return state;
}

/* --- The halvings that a query needs ------------------------------------------------------ */

struct halving {
    real left_length, by_length, deviation; /* mean left_length w by_length; standard deviation */
    bool goes_left;                         /* the half in which the path goes on */
    bool keeps_other;                       /* the other half lies within the interval asked for */
    struct torch_mt19937 normals;
};

/* From the root to the node that is the interval asked for, or at whose middle it is cut in two: `common`
 * halvings, the last of which is the cut; then the halvings towards its start, in the left half, and those
 * towards its end, in the right half. */
struct plan {
    size_t common, to_start, to_end;
    bool is_cut;
    real whole_deviation;
    struct torch_mt19937 whole_normals;
    struct halving halvings[MOST_HALVINGS];
    real others[MOST_HALVINGS][2 * PIECE]; /* halves to the right of the path to the start */
};

static enum status add_halving(const struct brownian_interval *interval, const struct node *node,
    bool goes_left, bool keeps_other, struct plan *plan, struct error *error)
{
    const size_t count = plan->common + plan->to_start + plan->to_end;
    if (node->depth >= MOST_LEVELS)
        return error_input(error, "Brownian path: the interval from %g to %g is too long for steps of 1e-6",
            interval->start, interval->end);
    const double kept = goes_left ? node->start : node->end, left_out = goes_left ? node->end : node->start;
    if (node->middle == left_out)
        return error_input(error,
            "Brownian path: torchsde recurses without end at %.17g, which is rounded to a multiple of 1e-6 "
            "that its halvings do not reach; another sigma_min or sigma_max gets around it",
            kept);
    const double left = node->middle - node->start, right = node->end - node->middle;
    const double by_length = 1 / (node->end - node->start);
    struct halving *halving = &plan->halvings[count];
    halving->left_length = (real)left;
    halving->by_length = (real)by_length;
    halving->deviation = (real)sqrt(left * right * by_length);
    halving->goes_left = goes_left;
    halving->keeps_other = keeps_other;
    torch_mt19937_seed(&halving->normals, normals_seed(interval->seed, node));
    return STATUS_OK;
}

/* Lists the halvings for the increment between two rounded times, from <= to, within the interval. */
static enum status make_plan(
    const struct brownian_interval *interval, double from, double to, struct plan *plan, struct error *error)
{
    struct node node = node_of(rounded_time(interval->start), rounded_time(interval->end), 0, 0);
    enum status status = STATUS_OK;
    plan->common = plan->to_start = plan->to_end = 0;
    plan->is_cut = false;
    plan->whole_deviation = (real)sqrt(interval->end - interval->start);
    torch_mt19937_seed(&plan->whole_normals, normals_seed(interval->seed, NULL));

    while (status == STATUS_OK && !plan->is_cut && (node.start != from || node.end != to)) {
        const bool left = to <= node.middle;
        plan->is_cut = !left && from < node.middle;
        status = add_halving(interval, &node, left, false, plan, error);
        plan->common++;
        if (!plan->is_cut) node = half_of(&node, left);
    }
    if (status != STATUS_OK || !plan->is_cut) return status;

    struct node early = half_of(&node, true), late = half_of(&node, false);
    while (status == STATUS_OK && early.start != from) {
        const bool left = from < early.middle;
        status = add_halving(interval, &early, left, left, plan, error);
        plan->to_start++;
        early = half_of(&early, left);
    }
    while (status == STATUS_OK && late.end != to) {
        const bool left = to <= late.middle;
        status = add_halving(interval, &late, left, !left, plan, error);
        plan->to_end++;
        late = half_of(&late, left);
    }
    return status;
}

/* --- The increments ----------------------------------------------------------------------- */

/* Halves the increments `whole` [n] into `left` and `right` [n]; `left` may be `whole`. */
static void halve(struct halving *halving, const real *whole, real *left, real *right, size_t n)
{
    float normals[2 * PIECE];
    torch_randn_f32(&halving->normals, true, normals, n);
    for (size_t i = 0; i < n; i++) {
        const real w = whole[i];
        const real mean = halving->left_length * w * halving->by_length;
        left[i] = mean + halving->deviation * (real)normals[i];
        right[i] = w - left[i];
    }
}

static void copy(const real *from, real *to, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

static void add(const real *terms, real *sum, size_t n)
{
    for (size_t i = 0; i < n; i++) sum[i] += terms[i];
}

/* The next n dimensions of the increment, n <= 2 PIECE. */
static void follow_plan(struct plan *plan, size_t n, real *increment)
{
    real left[2 * PIECE], right[2 * PIECE];
    float normals[2 * PIECE];
    torch_randn_f32(&plan->whole_normals, true, normals, n);
    for (size_t i = 0; i < n; i++) left[i] = (real)normals[i] * plan->whole_deviation;

    struct halving *halving = plan->halvings;
    for (size_t i = 0; i < plan->common; i++, halving++) {
        halve(halving, left, left, right, n);
        const bool is_cut = plan->is_cut && i + 1 == plan->common;
        if (!halving->goes_left && !is_cut) copy(right, left, n);
    }
    if (!plan->is_cut) {
        copy(left, increment, n);
        return;
    }

    for (size_t i = 0; i < plan->to_start; i++, halving++) {
        halve(halving, left, left, plan->others[i], n);
        if (!halving->goes_left) copy(plan->others[i], left, n);
    }
    copy(left, increment, n);
    for (size_t i = plan->to_start; i-- > 0;)
        if (plan->halvings[plan->common + i].keeps_other) add(plan->others[i], increment, n);

    for (size_t i = 0; i < plan->to_end; i++, halving++) {
        halve(halving, right, left, right, n);
        if (halving->keeps_other) add(left, increment, n);
        if (halving->goes_left) copy(left, right, n);
    }
    add(right, increment, n);
}

enum status brownian_increment(const struct brownian_interval *interval, double from, double to, size_t n,
    real *increment, struct error *error)
{
    const double start = rounded_time(interval->start), end = rounded_time(interval->end);
    from = fmin(fmax(from, start), end);
    to = fmin(fmax(to, start), end);
    if (from == to) {
        for (size_t i = 0; i < n; i++) increment[i] = 0;
        return STATUS_OK;
    }
    struct plan *plan = malloc(sizeof *plan);
    if (!plan) return error_memory(error, sizeof *plan);
    enum status status = make_plan(interval, rounded_time(from), rounded_time(to), plan, error);
    /* A generator drawn from in multiples of 16 gives what it gives at once; the last piece is the longest,
     * since torch.randn draws the last 16 of a tensor anew. */
    for (size_t i = 0, m; status == STATUS_OK && i < n; i += m) {
        m = n - i > 2 * PIECE ? PIECE : n - i;
        follow_plan(plan, m, increment + i);
    }
    free(plan);
    return status;
}

enum status brownian_noise_between(const struct brownian_noise *paths, real sigma, real sigma_next,
    size_t batch, size_t sample_size, real *noise, struct error *error)
{
    if (paths->count != 1 && paths->count != batch)
        return error_input(error, "seed: expected one, or one a picture (%zu), got %zu", batch, paths->count);
    const bool reversed = !(sigma < sigma_next), all_reversed = !(paths->sigma_min < paths->sigma_max);
    const double from = (double)(reversed ? sigma_next : sigma), to = (double)(reversed ? sigma : sigma_next);
    const real distance = real_sqrt((real)fabs((double)(sigma_next - sigma)));
    const size_t n = batch * sample_size / paths->count;
    for (size_t i = 0; i < paths->count; i++) {
        const struct brownian_interval interval = {
            .seed = paths->seeds[i],
            .start = (double)(all_reversed ? paths->sigma_max : paths->sigma_min),
            .end = (double)(all_reversed ? paths->sigma_min : paths->sigma_max),
        };
        real *increment = noise + i * n;
        enum status status = brownian_increment(&interval, from, to, n, increment, error);
        if (status != STATUS_OK) return status;
        for (size_t k = 0; k < n; k++)
            increment[k] = (reversed != all_reversed ? -increment[k] : increment[k]) / distance;
    }
    return STATUS_OK;
}
