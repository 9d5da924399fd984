/* The stages of a run as a picture: boxes and arrows, in the order of a run. */
#include "verify_html.h"

#include <math.h>
#include <string.h>

struct box {
    const char *name;
    int stage; /* an enum verify_stage; -1: a box without verdict */
    double x, y;
};

struct diagram {
    double width, height; /* of a box */
    struct box boxes[VERIFY_STAGES + 1];
};

/* The place of each stage's box in a diagram's array, the prompt first. */
enum {
    PROMPT,
    TOKENS,
    ENCODER,
    CONDITIONING,
    SCHEDULE,
    NOISE,
    INPUT,
    UNET,
    GUIDANCE,
    STEP,
    DECODER,
    PICTURE
};

static struct diagram boxes_of(double width, double height)
{
    return (struct diagram){width, height,
        {[PROMPT] = {.name = "prompt", .stage = -1},
            [TOKENS] = {.name = "tokens", .stage = VERIFY_TOKENS},
            [ENCODER] = {.name = "text encoder", .stage = VERIFY_TEXT_ENCODER},
            [CONDITIONING] = {.name = "conditioning", .stage = VERIFY_CONDITIONING},
            [SCHEDULE] = {.name = "schedule", .stage = VERIFY_SCHEDULE},
            [NOISE] = {.name = "noise", .stage = VERIFY_NOISE},
            [INPUT] = {.name = "model input", .stage = VERIFY_MODEL_INPUT},
            [UNET] = {.name = "UNet", .stage = VERIFY_UNET},
            [GUIDANCE] = {.name = "guidance", .stage = VERIFY_GUIDANCE},
            [STEP] = {.name = "step", .stage = VERIFY_STEP},
            [DECODER] = {.name = "decoder", .stage = VERIFY_DECODER},
            [PICTURE] = {.name = "bytes", .stage = VERIFY_PICTURE}}};
}

enum { BOXES = PICTURE + 1 };
_Static_assert(BOXES == VERIFY_STAGES + 1, "a box for each stage, and the prompt");

static int steps_of(const struct verification *v)
{
    int last = -1;
    for (size_t i = 0; i < v->count; i++)
        if (v->rows[i].step > last) last = v->rows[i].step;
    return last + 1;
}

static void write_box(
    FILE *out, const struct diagram *diagram, const struct box *box, const struct verification *v)
{
    double middle = box->x + diagram->width / 2;
    struct verify_stage_summary summary = {.verdict = VERIFY_UNCHECKED};
    if (box->stage >= 0) summary = verify_summarise(v, (enum verify_stage)box->stage);
    char multiple[32] = "";
    if (summary.worst) verify_show_multiple(summary.worst, multiple);
    fprintf(out,
        "<g class=\"%s\"><rect class=\"box %s\" x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" rx=\"6\"/>",
        verify_html_class(summary.verdict), verify_html_class(summary.verdict), box->x, box->y,
        diagram->width, diagram->height);
    if (box->stage < 0) {
        fprintf(out, "<text class=\"name\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text></g>\n", middle,
            box->y + diagram->height / 2 + 4, box->name);
        return;
    }
    fprintf(out, "<text class=\"name\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>", middle,
        box->y + 19, box->name);
    fprintf(out, "<text class=\"said\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">", middle, box->y + 36);
    if (!summary.worst)
        fputs("not recorded", out);
    else if (verify_has_error(summary.worst) && summary.worst->multiple == 0)
        fprintf(out, "%s exact", verify_html_sign(summary.verdict));
    else if (verify_has_error(summary.worst) && isfinite(summary.worst->multiple))
        fprintf(out, "%s %s %s", verify_html_sign(summary.verdict), multiple,
            strcmp(multiple, "1") ? "floors" : "floor");
    else
        fprintf(out, "%s %s", verify_html_sign(summary.verdict), verify_verdict_names[summary.verdict]);
    fputs("</text></g>\n", out);
}

/* A straight arrow, along x or y. */
static void write_arrow(FILE *out, double x0, double y0, double x1, double y1)
{
    fprintf(out, "<path class=\"arrow\" d=\"M%g %gL%g %g\"/>", x0, y0, x1, y1);
    if (y0 == y1)
        fprintf(out, "<path class=\"tip\" d=\"M%g %gl-7 -4v8z\"/>\n", x1, y1);
    else
        fprintf(out, "<path class=\"tip\" d=\"M%g %gl-4 -7h8z\"/>\n", x1, y1);
}

static void begin(FILE *out, const char *class, double width, double height, const struct verification *v)
{
    fprintf(out,
        "<svg class=\"%s\" viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"The stages of a run: ", class,
        width, height);
    for (enum verify_stage stage = 0; stage < VERIFY_STAGES; stage++) {
        struct verify_stage_summary summary = verify_summarise(v, stage);
        fprintf(out, "%s%s %s", stage ? ", " : "", verify_stage_names[stage],
            summary.rows ? verify_verdict_names[summary.verdict] : "not recorded");
    }
    fputs("\">\n", out);
}

static void show_steps(const struct verification *v, char *buffer, size_t size)
{
    int steps = steps_of(v);
    if (steps == 0)
        snprintf(buffer, size, "each step");
    else
        snprintf(buffer, size, steps == 1 ? "%d step" : "%d steps", steps);
}

/* From left to right; what comes from the side stands above. */
static void write_across(FILE *out, const struct verification *v)
{
    static const int row[] = {
        PROMPT, TOKENS, ENCODER, CONDITIONING, INPUT, UNET, GUIDANCE, STEP, DECODER, PICTURE};
    const double gap = 14, top = 92;
    struct diagram d = boxes_of(108, 46);
    char steps[32];
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        d.boxes[row[i]].x = 2 + (double)i * (d.width + gap), d.boxes[row[i]].y = top;
    d.boxes[NOISE].x = d.boxes[INPUT].x, d.boxes[SCHEDULE].x = d.boxes[STEP].x;
    d.boxes[NOISE].y = d.boxes[SCHEDULE].y = 2;
    begin(out, "wide", 2 + 10 * (d.width + gap) - gap + 2, top + d.height + 52, v);
    const double first = d.boxes[INPUT].x, last = d.boxes[STEP].x + d.width, bottom = top + d.height;
    fprintf(out, "<rect class=\"loop\" x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" rx=\"10\"/>\n", first - 7,
        top - 12, last - first + 14, d.height + 60);
    for (size_t i = 0; i + 1 < sizeof row / sizeof *row; i++)
        write_arrow(out, d.boxes[row[i]].x + d.width, top + d.height / 2, d.boxes[row[i + 1]].x - 2,
            top + d.height / 2);
    write_arrow(out, d.boxes[NOISE].x + d.width / 2, 2 + d.height, d.boxes[NOISE].x + d.width / 2, top - 2);
    write_arrow(out, d.boxes[STEP].x + d.width / 2, 2 + d.height, d.boxes[STEP].x + d.width / 2, top - 2);
    double back = bottom + 26, from = d.boxes[STEP].x + d.width / 2, to = d.boxes[INPUT].x + d.width / 2;
    fprintf(out, "<path class=\"arrow\" d=\"M%g %gV%gH%gV%g\"/><path class=\"tip\" d=\"M%g %gl-4 7h8z\"/>\n",
        from, bottom, back, to, bottom + 4, to, bottom + 2);
    show_steps(v, steps, sizeof steps);
    fprintf(out, "<text class=\"soft\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n", (from + to) / 2,
        back - 7, steps);
    for (size_t i = 0; i < BOXES; i++) write_box(out, &d, &d.boxes[i], v);
    fputs("</svg>\n", out);
}

/* From top to bottom. */
static void write_down(FILE *out, const struct verification *v)
{
    const double gap = 20;
    struct diagram d = boxes_of(200, 46);
    char steps[32];
    for (size_t i = 0; i < BOXES; i++) d.boxes[i].x = 24, d.boxes[i].y = 2 + (double)i * (d.height + gap);
    begin(out, "narrow", 300, d.boxes[BOXES - 1].y + d.height + 2, v);
    const double middle = 24 + d.width / 2, right = 24 + d.width;
    for (size_t i = 0; i + 1 < BOXES; i++)
        write_arrow(out, middle, d.boxes[i].y + d.height, middle, d.boxes[i + 1].y - 2);
    double from = d.boxes[STEP].y + d.height / 2, to = d.boxes[INPUT].y + d.height / 2;
    fprintf(out, "<path class=\"arrow\" d=\"M%g %gH%gV%gH%g\"/><path class=\"tip\" d=\"M%g %gl7 -4v8z\"/>\n",
        right, from, right + 22, to, right + 4, right + 2, to);
    show_steps(v, steps, sizeof steps);
    fprintf(out,
        "<text class=\"soft\" transform=\"translate(%g %g)rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
        right + 38, (from + to) / 2, steps);
    for (size_t i = 0; i < BOXES; i++) write_box(out, &d, &d.boxes[i], v);
    fputs("</svg>\n", out);
}

void verify_html_diagram(FILE *out, const struct verify_report *report)
{
    fputs("<section><h2>Stages</h2>\n"
          "<p class=\"soft\">Each was computed from your own recorded inputs, so that one stage's error "
          "does not hide the next. A box has the worst verdict of its tensors and how many floors the "
          "worst of them is from the exact answer.</p>\n",
        out);
    write_across(out, report->verification);
    write_down(out, report->verification);
    fputs("</section>\n", out);
}
