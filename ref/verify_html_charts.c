/*
 * The errors against the floors, as pictures: how many floors each tensor is off, in the order of the run;
 * and for what each step makes, error and floor step by step. Axes of sizes are logarithmic.
 */
#include "verify_html.h"

#include "plot.h"
#include "verify_names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    double left, top, right, bottom; /* of what lies between the axes */
    double low, high;                /* values at the bottom and at the top */
};

/* What lies beyond an end is at that end: infinite errors at the top, zero at the bottom. */
static double height_of(const struct frame *frame, double value)
{
    double part = (log(value) - log(frame->low)) / (log(frame->high) - log(frame->low));
    if (!(part > 0)) part = 0;
    if (part > 1) part = 1;
    return frame->bottom - part * (frame->bottom - frame->top);
}

/* "1e-6", "0.5", "100" */
static const char *show_tick(double tick, char buffer[32])
{
    if (tick >= 0.001 && tick < 1e5)
        snprintf(buffer, 32, "%.6g", tick);
    else
        snprintf(
            buffer, 32, "%ge%d", tick / pow(10, floor(log10(tick) + 1e-9)), (int)floor(log10(tick) + 1e-9));
    return buffer;
}

static void write_grid(FILE *out, const struct frame *frame)
{
    double ticks[PLOT_MAX_TICKS];
    char text[32];
    size_t count = plot_ticks(frame->low, frame->high, true, (int)((frame->bottom - frame->top) / 26), ticks);
    for (size_t i = 0; i < count; i++) {
        double y = height_of(frame, ticks[i]);
        fprintf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", frame->left, y, frame->right);
        fprintf(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
            frame->left - 6, y + 4, show_tick(ticks[i], text));
    }
    fprintf(out, "<path class=\"axis\" fill=\"none\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", frame->left, frame->top,
        frame->bottom, frame->right);
}

/* The sign of a verdict on a picture: a dot, a diamond, a cross, a square. */
static void write_mark(FILE *out, enum verify_verdict verdict, double x, double y)
{
    const char *class = verify_html_class(verdict);
    switch (verdict) {
    case VERIFY_ROUNDING:
        fprintf(out, "<circle class=\"mark %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\">", class, x, y);
        break;
    case VERIFY_SUSPECT:
        fprintf(
            out, "<path class=\"mark %s\" d=\"M%.1f %.1fl4.5 4.5l-4.5 4.5l-4.5 -4.5z\">", class, x, y - 4.5);
        break;
    case VERIFY_WRONG:
        fprintf(out, "<path class=\"cross %s\" d=\"M%.1f %.1fl8 8m0 -8l-8 8\">", class, x - 4, y - 4);
        break;
    default:
        fprintf(out, "<rect class=\"mark %s\" x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\">", class, x - 4,
            y - 4);
        break;
    }
}

static void end_mark(FILE *out, enum verify_verdict verdict)
{
    fputs(verdict == VERIFY_ROUNDING                             ? "</circle>\n"
          : verdict == VERIFY_SUSPECT || verdict == VERIFY_WRONG ? "</path>\n"
                                                                 : "</rect>\n",
        out);
}

static void write_row_mark(FILE *out, const struct verify_row *row, double x, double y)
{
    char multiple[32];
    write_mark(out, row->verdict, x, y);
    fputs("<title>", out);
    html_text(out, row->name);
    fprintf(out, ": %s floors, %s</title>", verify_show_multiple(row, multiple),
        verify_verdict_names[row->verdict]);
    end_mark(out, row->verdict);
}

/* --- All tensors -------------------------------------------------------------------------- */

/* Where a row stands along the run: before the loop, in a step, after it. */
static int part_of(const struct verify_row *row)
{
    if (row->step >= 0) return row->step;
    return row->stage >= VERIFY_DECODER || strcmp(row->name, "latents.final") == 0 ? 1 << 20 : -1;
}

static void show_part(int part, char *buffer, size_t size)
{
    if (part < 0)
        snprintf(buffer, size, "inputs");
    else if (part == 1 << 20)
        snprintf(buffer, size, "picture");
    else
        snprintf(buffer, size, "step %d", part);
}

/* Dividing lines between the parts of a run, named where there is room. */
static void write_parts(
    FILE *out, const struct frame *frame, const struct verify_row *const *rows, size_t count)
{
    double width = (frame->right - frame->left) / (double)count, free_from = frame->left - 20;
    for (size_t first = 0, end; first < count; first = end) {
        char text[32];
        for (end = first; end < count && part_of(rows[end]) == part_of(rows[first]);) end++;
        double x = frame->left + (double)end * width;
        double middle = frame->left + (double)(first + end) / 2 * width;
        show_part(part_of(rows[first]), text, sizeof text);
        if (end < count)
            fprintf(out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, frame->top, frame->bottom + 4);
        double half = 3.3 * (double)strlen(text);
        if (middle - half < free_from) continue;
        fprintf(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", middle,
            frame->bottom + 18, text);
        free_from = middle + half + 8;
    }
}

static void write_limits(FILE *out, const struct frame *frame, const struct verify_options *options)
{
    double may = height_of(frame, options->rounding), bad = height_of(frame, options->wrong);
    double label = bad > may - 14 ? may - 14 : bad; /* the two labels do not run together */
    double one = height_of(frame, 1), one_label = one < may + 14 ? may + 14 : one;
    fprintf(out, "<rect class=\"zone\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", frame->left,
        may, frame->right - frame->left, frame->bottom - may);
    write_grid(out, frame);
    fprintf(out,
        "<g class=\"rounding\"><path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/><text class=\"said\" "
        "x=\"%.1f\" y=\"%.1f\">rounding: %g</text></g>\n",
        frame->left, may, frame->right, frame->right + 6, may + 4, options->rounding);
    fprintf(out,
        "<g class=\"wrong\"><path class=\"limit\" d=\"M%.1f %.1fH%.1f\"/><text class=\"said\" x=\"%.1f\" "
        "y=\"%.1f\">wrong: over %g</text></g>\n",
        frame->left, bad, frame->right, frame->right + 6, label + 4, options->wrong);
    fprintf(out,
        "<path class=\"floor\" d=\"M%.1f %.1fH%.1f\"/><text class=\"soft\" x=\"%.1f\" y=\"%.1f\">the "
        "floor: 1</text>\n",
        frame->left, one, frame->right, frame->right + 6, one_label + 4);
}

static void name_first_wrong(
    FILE *out, const struct frame *frame, const struct verify_row *row, double x, double y)
{
    bool to_the_right = x < (frame->left + frame->right) / 2;
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">first wrong: ", x + (to_the_right ? 9 : -9),
        y < frame->top + 20 ? y + 18 : y - 8, to_the_right ? "start" : "end");
    html_text(out, row->name);
    fputs("</text>\n", out);
}

/* More room below would show nothing. Above is what is of another order altogether: beside an exact answer of
 * zeros, any error is 1e38 floors and more. */
#define LEAST_FLOORS 0.05
#define MOST_FLOORS 1e8

static void write_overview(
    FILE *out, const struct verify_report *report, const struct verify_row *const *rows, size_t count)
{
    struct frame frame = {52, 14, 1010, 300, 1, fmax(3 * report->options->wrong, 30)};
    for (size_t i = 0; i < count; i++) {
        double m = rows[i]->multiple;
        if (isfinite(m)) frame.high = fmax(frame.high, fmin(1.6 * m, MOST_FLOORS));
        if (m > 0) frame.low = fmin(frame.low, fmax(m / 1.6, LEAST_FLOORS));
    }
    fputs("<div class=\"scroll\"><svg class=\"overview\" viewBox=\"0 0 1120 346\" role=\"img\" "
          "aria-label=\"How many floors each tensor is from the exact answer\">\n",
        out);
    write_limits(out, &frame, report->options);
    write_parts(out, &frame, rows, count);
    double width = (frame.right - frame.left) / (double)count;
    for (size_t i = 0; i < count; i++)
        if (rows[i]->verdict == VERIFY_ROUNDING)
            write_row_mark(
                out, rows[i], frame.left + ((double)i + 0.5) * width, height_of(&frame, rows[i]->multiple));
    const struct verify_row *first = report->verification->first_wrong;
    double first_x = 0, first_y = 0;
    for (size_t i = 0; i < count; i++) {
        double x = frame.left + ((double)i + 0.5) * width;
        double value = rows[i]->verdict == VERIFY_NONFINITE ? (double)INFINITY : rows[i]->multiple;
        if (rows[i] == first) first_x = x, first_y = height_of(&frame, value);
        if (rows[i]->verdict != VERIFY_ROUNDING) write_row_mark(out, rows[i], x, height_of(&frame, value));
    }
    if (first_x > 0) name_first_wrong(out, &frame, first, first_x, first_y);
    fputs("<text class=\"soft\" x=\"531\" y=\"338\" text-anchor=\"middle\">tensors in the order of the "
          "run</text>\n"
          "</svg></div>\n",
        out);
}

/* --- Step by step ------------------------------------------------------------------------- */

/* The rows of one thing that every step makes. */
struct course {
    const char *key;
    const struct verify_row **rows;
    size_t count;
};

static bool is_of(const struct verify_row *row, const char *key)
{
    struct verify_place place;
    return verify_has_error(row) && row->step >= 0 && verify_place(row->name, &place) && !place.is_module &&
           strcmp(place.key, key) == 0;
}

/* Of the peak, so that steps of different sizes compare. */
static double relative(const struct verify_row *row, double value)
{
    return row->error.peak > 0 ? value / row->error.peak : value;
}

static double place_of_step(const struct frame *frame, const struct course *course, int step)
{
    int first = course->rows[0]->step, last = course->rows[course->count - 1]->step;
    double part = last > first ? (double)(step - first) / (last - first) : 0.5;
    return frame->left + 12 + part * (frame->right - frame->left - 24);
}

/* A line through `factor` floors of each step, or through the errors where `factor` is 0. */
static void write_line(
    FILE *out, const struct frame *frame, const struct course *course, double factor, const char *class)
{
    bool pen_down = false;
    fprintf(out, "<path class=\"%s\" d=\"", class);
    for (size_t i = 0; i < course->count; i++) {
        const struct verify_row *row = course->rows[i];
        double value = relative(row, factor > 0 ? factor * row->floor.rms : row->error.rms);
        if (!(value > 0) || !isfinite(value)) {
            pen_down = false;
            continue;
        }
        fprintf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', place_of_step(frame, course, row->step),
            height_of(frame, value));
        pen_down = true;
    }
    fputs("\"/>\n", out);
}

static void write_steps(FILE *out, const struct frame *frame, const struct course *course)
{
    int first = course->rows[0]->step, last = course->rows[course->count - 1]->step;
    double ticks[PLOT_MAX_TICKS];
    size_t count = plot_ticks(first, last, false, 9, ticks);
    if (first == last) ticks[0] = first, count = 1;
    for (size_t i = 0; i < count; i++) {
        if (ticks[i] != floor(ticks[i])) continue;
        double x = place_of_step(frame, course, (int)ticks[i]);
        fprintf(out, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>", x, frame->bottom);
        fprintf(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n", x,
            frame->bottom + 17, ticks[i]);
    }
    fprintf(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">step</text>\n",
        (frame->left + frame->right) / 2, frame->bottom + 32);
}

static void write_course(FILE *out, const struct course *course, const struct verify_options *options)
{
    struct frame frame = {52, 30, 350, 190, INFINITY, 0};
    for (size_t i = 0; i < course->count; i++) {
        const struct verify_row *row = course->rows[i];
        const double values[] = {relative(row, row->error.rms), relative(row, row->floor.rms),
            relative(row, 2 * options->wrong * row->floor.rms)};
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            if (!(values[k] > 0) || !isfinite(values[k])) continue;
            /* What is nearly nothing does not press the rest together. */
            frame.low = fmin(frame.low, fmax(values[k], relative(row, 0.02 * row->floor.rms)));
            frame.high = fmax(frame.high, values[k]);
        }
    }
    if (!(frame.low < frame.high)) return;
    frame.low /= 1.5, frame.high *= 1.3;
    fprintf(out,
        "<svg viewBox=\"0 0 360 226\" role=\"img\" aria-label=\"Error and floor of %s, step by step\">\n"
        "<text class=\"name\" x=\"8\" y=\"16\">%s</text>\n",
        course->key, course->key);
    write_grid(out, &frame);
    write_steps(out, &frame, course);
    fputs("<g class=\"rounding\">", out);
    write_line(out, &frame, course, options->rounding, "limit");
    fputs("</g><g class=\"wrong\">", out);
    write_line(out, &frame, course, options->wrong, "limit");
    fputs("</g>", out);
    write_line(out, &frame, course, 1, "floor");
    write_line(out, &frame, course, 0, "error");
    for (size_t i = 0; i < course->count; i++) {
        const struct verify_row *row = course->rows[i];
        double value = row->verdict == VERIFY_NONFINITE ? (double)INFINITY : relative(row, row->error.rms);
        write_row_mark(out, row, place_of_step(&frame, course, row->step), height_of(&frame, value));
    }
    fputs("</svg>\n", out);
}

static void write_legend(FILE *out)
{
    fputs("<ul class=\"legend\"><li><svg viewBox=\"0 0 30 16\"><path class=\"error\" d=\"M0 "
          "8H30\"/></svg>their error</li><li><svg viewBox=\"0 0 30 16\"><path class=\"floor\" d=\"M0 "
          "8H30\"/></svg>the floor</li><li class=\"rounding\"><svg viewBox=\"0 0 30 16\"><path "
          "class=\"limit\" d=\"M0 8H30\"/></svg>rounding up to here</li><li class=\"wrong\"><svg "
          "viewBox=\"0 0 30 16\"><path class=\"limit\" d=\"M0 8H30\"/></svg>wrong from here</li></ul>\n",
        out);
}

static void write_marks_legend(FILE *out)
{
    static const enum verify_verdict shown[] = {
        VERIFY_ROUNDING, VERIFY_SUSPECT, VERIFY_WRONG, VERIFY_NONFINITE};
    fputs("<ul class=\"legend\">", out);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        fputs("<li><svg viewBox=\"0 0 30 16\">", out);
        write_mark(out, shown[i], 15, 8);
        end_mark(out, shown[i]);
        fprintf(out, "</svg>%s</li>", verify_verdict_names[shown[i]]);
    }
    fputs("</ul>\n", out);
}

static void write_courses(FILE *out, const struct verify_report *report, const struct verify_row **rows)
{
    static const char *const keys[] = {
        "model_input", "noise_pred_uncond", "noise_pred_text", "noise_pred", "latents"};
    const struct verification *v = report->verification;
    bool begun = false;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        struct course course = {.key = keys[k], .rows = rows};
        bool any_error = false;
        for (size_t i = 0; i < v->count; i++)
            if (is_of(&v->rows[i], keys[k])) {
                rows[course.count++] = &v->rows[i];
                any_error |= v->rows[i].error.unequal > 0;
            }
        if (course.count < 2 || !any_error) continue;
        if (!begun) {
            fputs("<h2>Step by step</h2>\n"
                  "<p class=\"soft\">Root mean square errors as parts of the tensor's peak; an error of "
                  "exactly zero lies on the axis.</p>\n",
                out);
            write_legend(out);
            fputs("<div class=\"small\">\n", out);
        }
        begun = true;
        write_course(out, &course, report->options);
    }
    if (begun) fputs("</div>\n", out);
}

enum status verify_html_charts(FILE *out, const struct verify_report *report, struct error *error)
{
    const struct verification *v = report->verification;
    const struct verify_row **rows = calloc(v->count ? v->count : 1, sizeof *rows);
    if (!rows) return error_memory(error, v->count * sizeof *rows);
    size_t count = 0;
    for (size_t i = 0; i < v->count; i++)
        if (verify_has_error(&v->rows[i])) rows[count++] = &v->rows[i];
    if (count > 0) {
        fputs("<section><h2>Errors in floors</h2>\n"
              "<p class=\"soft\">The floor is how far a correct implementation in their precision is from "
              "the exact answer on the same inputs. What is exact lies on the axis; at the top is what is "
              "not finite or further than 1e8.</p>\n",
            out);
        write_marks_legend(out);
        write_overview(out, report, rows, count);
        write_courses(out, report, rows);
        fputs("</section>\n", out);
    }
    free(rows);
    return STATUS_OK;
}
