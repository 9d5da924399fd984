/*
 * Inside of `plumb bench`: how fast the models' operators and forward passes are on this machine, as shares
 * of what the machine can do at all, measured in the same run. Benchmarks are in float32.
 *
 * A file an idea: bench_timing.c (what a measurement is), bench_peak.c (what the machine can do),
 * bench_model.c (models and their inputs), bench_operators.c (which operators there are, and what they cost),
 * bench_replay.c (one of them alone), bench_stages.c (forward passes, a step), bench_sched.c (schedulers),
 * bench_report.c (tables), bench_json.c.
 */
#ifndef REF_BENCH_H
#define REF_BENCH_H

#include "architecture.h"
#include "layers.h"

#include <stdio.h>

/* --- Timing ------------------------------------------------------------------------------- */

/* What passes on the wall, or what this process spends on all its threads: that one is fair on a busy machine
 * with one thread, but counts threads that wait. */
enum bench_clock { BENCH_WALL, BENCH_CPU };

struct bench_timing {
    enum bench_clock clock;
    int repeats;    /* of each measurement; an odd number has a median that was measured */
    int threads;    /* of everything but `one_thread` */
    bool scaling;   /* measure with one thread, too */
    FILE *progress; /* where to say what is measured; NULL: nowhere */
};

double bench_now(enum bench_clock clock); /* seconds */
/* The middle one of `count` values, at least one, which are put in order; the mean of the two middle ones of
 * an even number. */
double bench_median(double *values, int count);

/* What the machine can do with the threads that are set. Reads and writes both count as copied bytes. */
struct bench_peak {
    double flops, bytes; /* a second */
};

struct bench_task {
    void (*run)(void *context); /* once */
    void *context;
    double flops, bytes; /* of one run: operations of the plain algorithm, bytes that must move */
};

/* Medians over the repeats. Each repeat measures the peak before and after the task; shares are of those. */
struct bench_result {
    double seconds;       /* of one run */
    double share_of_gemm; /* of SGEMM's rate; 0 for a task without operations */
    double share_of_roof; /* of the time that the roofline asks for: max(flops / peak, bytes / peak) */
    double speedup;       /* the time with one thread, by this one; 0 where that was not asked for */
};

struct bench_meter; /* bench_peak.c: matrices and buffers of the two peaks */
enum status bench_meter_create(
    const struct bench_timing *timing, struct bench_meter **out, struct error *error);
void bench_meter_free(struct bench_meter *meter); /* accepts NULL */
/* Both peaks, each measured for at least `seconds`. */
struct bench_peak bench_meter_read(struct bench_meter *meter, double seconds);
/* The median of all that was read with this many threads; 0 without a meter. */
struct bench_peak bench_meter_median(const struct bench_meter *meter, int threads);
int64_t bench_meter_gemm_size(const struct bench_meter *meter); /* the side of its square matrices */

/* Runs the task once, then `repeats` times between readings of the peak; short tasks several times in each.
 * With `scaling` everything again with one thread. Without a meter the task runs once, and nothing is
 * measured. */
struct bench_result bench_measure(
    struct bench_meter *meter, const struct bench_timing *timing, const struct bench_task *task);

/* The time that the roofline asks for one run, and whether the operations bound it. */
double bench_roof(const struct bench_task *task, struct bench_peak peak, bool *by_compute);

/* --- Models ------------------------------------------------------------------------------- */

/* Where the models come from, and at what size they run. */
struct bench_source {
    struct architecture architecture; /* all zero with a checkpoint */
    struct checkpoint checkpoint;     /* all zero with an architecture */
    const char *variant;
    enum dtype dtype; /* of an architecture's weights */
    int64_t batch;
    int64_t height, width; /* of the latents; 0: the model's own */
};

bool bench_source_has(const struct bench_source *source, const char *part);
const char *bench_source_name(const struct bench_source *source);
/* The scheduler's config, which lives with the source (`*owned` is freed by the caller where it does not). */
enum status bench_source_scheduler(
    const struct bench_source *source, const cJSON **config, cJSON **owned, struct error *error);
/* The side of the square of pixels that a latent stands for. */
enum status bench_source_pixels(const struct bench_source *source, int64_t *side, struct error *error);
/* Fills in height and width where they are 0. */
enum status bench_source_size(struct bench_source *source, struct error *error);

/* synth_values.scale of uniform numbers of deviation one: sqrt(3) / 2^23. */
#define BENCH_UNIT_SCALE 0x1.bb67aep-23f
#define BENCH_INPUTS 4

/* One model with what it is given: the tensors hold numbers of deviation one. */
struct bench_model {
    const char *part;
    struct text_encoder *encoder; /* one of the three is there */
    struct unet *unet;
    struct vae *vae; /* its decoder */
    void *weights;   /* the memory of made weights, a list */
    size_t weight_bytes;
    int64_t *ids;                       /* text encoders */
    struct tensor inputs[BENCH_INPUTS]; /* sample, encoder_hidden_states, text_embeds, time_ids */
};

/* `with_values`: false makes a model of an architecture that knows its shapes only, for dry passes.
 * `batch` is that of its inputs. */
enum status bench_model_open(const struct bench_source *source, const char *part, int64_t batch,
    bool with_values, struct bench_model *model, struct error *error);
void bench_model_close(struct bench_model *model); /* accepts one that is all zero */

/* One forward pass; the result stays in the arena. */
struct tensor bench_model_forward(struct forward *f, const struct bench_model *model);
/* Bytes of the arena that a pass with the present number of threads needs. */
enum status bench_model_plan(const struct bench_model *model, size_t *bytes, struct error *error);

/* --- Operators ---------------------------------------------------------------------------- */

struct bench_operator {
    const char *part;        /* of the model: "unet" */
    struct kernel_call call; /* the shapes of its tensors; call.conv2d points to nothing */
    struct conv2d conv2d;    /* its stride and padding */
    size_t count;            /* how often a pass calls it */
    double flops, bytes;     /* of one call */
    bool measured;
    struct bench_result result;
};

struct bench_operators {
    struct bench_operator *items;
    size_t count, capacity;
};

/* Adds every operator that a pass calls, each shape once. */
enum status bench_operators_list(
    const struct bench_model *model, struct bench_operators *operators, struct error *error);
void bench_operators_free(struct bench_operators *operators);

/* A linear layer or a convolution, with whatever is done in the same pass. */
bool bench_call_is_linear(const struct kernel_call *call);
bool bench_call_is_conv2d(const struct kernel_call *call);
/* Operations and bytes of one call: a multiplication and an addition are two; each input is read once and the
 * result is written once, in their stored types. */
double bench_call_flops(const struct kernel_call *call);
double bench_call_bytes(const struct kernel_call *call);
/* "[4096, 320] x [320, 960]" and the like. */
void bench_show_shape(const struct bench_operator *op, char *text, size_t size);

/* Measures one operator alone, on tensors of its shapes. Those that cannot be run alone stay unmeasured. */
enum status bench_replay(struct bench_meter *meter, const struct bench_timing *timing,
    struct bench_operator *op, struct error *error);

/* --- Stages, steps, schedulers ------------------------------------------------------------ */

struct bench_stage {
    const char *name; /* the part, or "step" */
    int64_t batch;
    char input[80]; /* its shape */
    size_t weight_bytes, activation_bytes;
    struct bench_task task;
    struct bench_result result;
};

/* Without a meter costs only. A forward pass of `part`, or, where `part` is NULL, a whole step of denoising:
 * the UNet for prompt and empty prompt, guidance, the scheduler. */
enum status bench_stage_measure(const struct bench_source *source, const char *part,
    struct bench_meter *meter, const struct bench_timing *timing, struct bench_stage *result,
    struct error *error);

struct bench_scheduler {
    const char *class_name;
    double create_seconds; /* its tables for 1000 training steps and a schedule of 1000 steps */
    double bytes;          /* that one step must move: the sample and the model's output in, a sample out */
    struct bench_result step; /* of 4 x 128 x 128 latents */
    struct error error;       /* why it could not be measured; empty where it was */
};

#define BENCH_SCHEDULER_STEPS 1000
/* The class `class_name` with its default options. */
void bench_scheduler_measure(const char *class_name, struct bench_meter *meter,
    const struct bench_timing *timing, struct bench_scheduler *result);

/* --- Reports ------------------------------------------------------------------------------ */

struct bench_report {
    const struct bench_source *source; /* NULL where no model was asked for */
    const struct bench_timing *timing;
    const struct bench_meter *meter;
    const struct bench_operators *operators;
    const struct bench_stage *stages;
    size_t stage_count;
    const struct bench_scheduler *schedulers;
    size_t scheduler_count;
};

enum status bench_write_table(const struct bench_report *report, FILE *out, struct error *error);
enum status bench_write_json(const struct bench_report *report, FILE *out, struct error *error);

#endif
