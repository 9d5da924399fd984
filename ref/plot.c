#include "plot.h"

#include "font.h"

#include <math.h>
#include <stdio.h>

static const struct colour ink = {40, 44, 52}, pale_ink = {100, 106, 116}, grid_colour = {226, 229, 234};

#define LABEL_SIZE 9.0 /* heights of capitals, in pixels */
#define TITLE_SIZE 11.0

struct colour plot_colour(size_t i)
{
    static const struct colour colours[] = {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167},
        {86, 180, 233}, {230, 159, 0}, {70, 70, 70}, {150, 120, 40}};
    return colours[i % (sizeof colours / sizeof *colours)];
}

struct colour plot_heat(double value)
{
    static const struct colour stops[] = {
        {68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};
    enum { LAST = sizeof stops / sizeof *stops - 1 };
    double place = LAST * (value > 0 ? value < 1 ? value : 1 : 0);
    int i = place >= LAST ? LAST - 1 : (int)place;
    double t = place - i;
    const struct colour *a = &stops[i], *b = &stops[i + 1];
    return (struct colour){
        (uint8_t)lround(a->red + t * (b->red - a->red)),
        (uint8_t)lround(a->green + t * (b->green - a->green)),
        (uint8_t)lround(a->blue + t * (b->blue - a->blue)),
    };
}

/* --- Ticks -------------------------------------------------------------------------------- */

/* The smallest of 1, 2, 5, 10, 20 ... that is at least `width`. */
static double round_step(double width)
{
    double power = pow(10, floor(log10(width)));
    double mantissa = width / power;
    return power * (mantissa <= 1.0000001 ? 1 : mantissa <= 2.0000001 ? 2 : mantissa <= 5.0000001 ? 5 : 10);
}

static size_t log_ticks(double minimum, double maximum, int room, double ticks[PLOT_MAX_TICKS])
{
    static const double folds[] = {1, 2, 5};
    int first = (int)ceil(log10(minimum) - 1e-9),
        last = (int)floor(log10(maximum) + 1e-9); /* powers inside */
    int powers = last - first + 1;
    int every = powers > room ? (powers + room - 1) / room : 1; /* powers from one tick to the next */
    int fold_count = 3 * log10(maximum / minimum) <= room ? 3 : 1;
    size_t count = 0;
    for (int power = first - 1; power <= last; power++)
        for (int fold = 0; fold < fold_count; fold++) {
            double tick = folds[fold] * pow(10, power);
            bool inside = tick >= minimum * 0.999999 && tick <= maximum * 1.000001;
            if (inside && (power - first) % every == 0 && count < PLOT_MAX_TICKS) ticks[count++] = tick;
        }
    return count;
}

size_t plot_ticks(double minimum, double maximum, bool logarithmic, int room, double ticks[PLOT_MAX_TICKS])
{
    if (room > PLOT_MAX_TICKS) room = PLOT_MAX_TICKS;
    if (room < 2) room = 2;
    if (!(maximum > minimum) || !isfinite(maximum - minimum) || (logarithmic && !(minimum > 0))) return 0;
    if (logarithmic) return log_ticks(minimum, maximum, room, ticks);
    double step = round_step((maximum - minimum) / (room - 1));
    double first = ceil(minimum / step - 1e-9);
    size_t count = 0;
    for (int i = 0; i < PLOT_MAX_TICKS; i++) {
        double tick = (first + i) * step;
        if (tick > maximum + 1e-9 * step || count == (size_t)room) break;
        ticks[count++] = fabs(tick) < 1e-9 * step ? 0 : tick;
    }
    return count;
}

static const char *show_tick(double tick, char *buffer, size_t size)
{
    snprintf(buffer, size, "%.6g", tick);
    return buffer;
}

/* --- Axes --------------------------------------------------------------------------------- */

struct axis {
    double minimum, maximum;
    bool logarithmic;
    int from, to; /* pixels of minimum and maximum */
};

/* Where a value lies; what has no place is at the nearer end, and `*inside` says so. */
static double axis_place(const struct axis *axis, double value, bool *inside)
{
    double low = axis->logarithmic ? log(axis->minimum) : axis->minimum;
    double high = axis->logarithmic ? log(axis->maximum) : axis->maximum;
    double at = axis->logarithmic ? log(value) : value; /* log(0) is -infinity, of a negative number NaN */
    double part = (at - low) / (high - low);
    *inside = part >= -1e-9 && part <= 1 + 1e-9;
    if (!*inside) part = part > 1 ? 1 : 0;
    return axis->from + part * (axis->to - axis->from);
}

/* The range of all curves' finite values (positive ones on a logarithmic axis), widened a little. */
static struct axis axis_over(const struct plot *plot, bool of_y)
{
    struct axis axis = {INFINITY, -INFINITY, of_y && plot->log_y, 0, 0};
    for (size_t s = 0; s < plot->series_count; s++)
        for (size_t i = 0; i < plot->series[s].count; i++) {
            double value = of_y ? plot->series[s].y[i] : plot->series[s].x[i];
            if (!isfinite(value) || (axis.logarithmic && value <= 0)) continue;
            axis.minimum = fmin(axis.minimum, value);
            axis.maximum = fmax(axis.maximum, value);
        }
    if (!(axis.minimum <= axis.maximum)) axis.minimum = axis.maximum = 1;
    if (axis.logarithmic) {
        double margin = fmax(pow(axis.maximum / axis.minimum, 0.05), 1.02);
        axis.minimum /= margin;
        axis.maximum *= margin;
    } else {
        double margin = axis.maximum > axis.minimum ? 0.04 * (axis.maximum - axis.minimum) : 0.5;
        axis.minimum -= margin;
        axis.maximum += margin;
    }
    return axis;
}

static double widest_tick(const double *ticks, size_t count)
{
    double widest = 0;
    for (size_t i = 0; i < count; i++) {
        char text[32];
        widest = fmax(widest, font_width(show_tick(ticks[i], text, sizeof text), LABEL_SIZE));
    }
    return widest;
}

/* Grid lines lie on whole pixels, so they are filled and not stroked. */
static void draw_x_ticks(struct raster *raster, const struct axis *x, const struct axis *y)
{
    double ticks[PLOT_MAX_TICKS];
    size_t count = plot_ticks(x->minimum, x->maximum, false, (x->to - x->from) / 46 + 1, ticks);
    for (size_t i = 0; i < count; i++) {
        bool inside;
        int at = (int)axis_place(x, ticks[i], &inside);
        char text[32];
        raster_fill(raster, at, y->to, 1, y->from - y->to, grid_colour);
        font_draw(raster, at + 0.5, y->from + LABEL_SIZE + 7, show_tick(ticks[i], text, sizeof text),
            LABEL_SIZE, TEXT_CENTRE, ink);
    }
}

static void draw_y_ticks(
    struct raster *raster, const struct axis *x, const struct axis *y, const double *ticks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool inside;
        int at = (int)axis_place(y, ticks[i], &inside);
        char text[32];
        raster_fill(raster, x->from, at, x->to - x->from, 1, grid_colour);
        font_draw(raster, x->from - 7, at + LABEL_SIZE / 2, show_tick(ticks[i], text, sizeof text),
            LABEL_SIZE, TEXT_RIGHT, ink);
    }
}

/* --- Curves ------------------------------------------------------------------------------- */

/* Several curves may share points; later ones are thinner and have smaller marks, so that the earlier ones
 * still show around them. */
static double line_thickness(size_t series, size_t series_count)
{
    double more = (double)(series_count - 1 - series);
    return 1.6 + (more > 3 ? 3 : more);
}

static double mark_radius(size_t series, size_t series_count, size_t points)
{
    double beyond_line = points > 60 ? 0.6 : points > 30 ? 1.4 : 2.2;
    return line_thickness(series, series_count) / 2 + beyond_line;
}

static void draw_curve(struct raster *raster, const struct axis *x, const struct axis *y,
    const struct plot_series *series, size_t index, size_t series_count)
{
    struct raster_clip frame = {x->from, y->to - 6, x->to, y->from + 6};
    bool had_last = false;
    double last_x = 0, last_y = 0;
    for (size_t i = 0; i < series->count; i++) {
        bool inside, inside_x;
        double px = axis_place(x, series->x[i], &inside_x) + 0.5,
               py = axis_place(y, series->y[i], &inside) + 0.5;
        if (isnan(series->y[i])) {
            had_last = false;
            continue;
        }
        if (had_last && inside)
            raster_line(raster, last_x, last_y, px, py, line_thickness(index, series_count));
        if (inside)
            raster_disc(raster, px, py, mark_radius(index, series_count, series->count));
        else
            raster_circle(raster, px, py, 3.4, 1.4);
        had_last = inside;
        last_x = px;
        last_y = py;
    }
    raster_erase_outside(raster, frame);
    raster_paint(raster, plot_colour(index));
}

enum status plot_draw(
    struct raster *raster, struct plot_area area, const struct plot *plot, struct error *error)
{
    if (area.width < 160 || area.height < 120)
        return error_input(
            error, "a plot needs 160 x 120 pixels at least, and has %d x %d", area.width, area.height);
    struct axis x = axis_over(plot, false), y = axis_over(plot, true);
    y.to = area.y + 34;
    y.from = area.y + area.height - 46;
    double y_ticks[PLOT_MAX_TICKS];
    size_t y_count = plot_ticks(y.minimum, y.maximum, y.logarithmic, (y.from - y.to) / 34 + 1, y_ticks);
    x.from = area.x + 34 + (int)widest_tick(y_ticks, y_count);
    x.to = area.x + area.width - 14;

    draw_x_ticks(raster, &x, &y);
    draw_y_ticks(raster, &x, &y, y_ticks, y_count);
    raster_fill(raster, x.from, y.to, 1, y.from - y.to, pale_ink);
    raster_fill(raster, x.from, y.from, x.to - x.from, 1, pale_ink);
    char text[256];
    double middle_x = (x.from + x.to) / 2.0, middle_y = (y.from + y.to) / 2.0;
    font_draw(raster, middle_x, area.y + 20,
        font_fit(plot->title, TITLE_SIZE, area.width - 20, text, sizeof text), TITLE_SIZE, TEXT_CENTRE, ink);
    font_draw(raster, middle_x, area.y + area.height - 10, plot->x_label, LABEL_SIZE, TEXT_CENTRE, pale_ink);
    font_draw_upwards(raster, area.x + 16, middle_y, plot->y_label, LABEL_SIZE, TEXT_CENTRE, pale_ink);
    for (size_t s = 0; s < plot->series_count; s++)
        draw_curve(raster, &x, &y, &plot->series[s], s, plot->series_count);
    return STATUS_OK;
}

int plot_legend(struct raster *raster, struct plot_area area, const struct plot_series *series, size_t count)
{
    enum { SAMPLE = 26, GAP = 24, ROW = 20 };
    int row = 0;
    size_t first = 0;
    while (first < count) {
        /* As many entries as fit in this row, then drawn centred. */
        char text[256];
        double width = 0;
        size_t end = first;
        while (end < count) {
            double more =
                SAMPLE + 6 + GAP +
                font_width(
                    font_fit(series[end].label, LABEL_SIZE, area.width - 60, text, sizeof text), LABEL_SIZE);
            if (end > first && width + more > area.width) break;
            width += more;
            end++;
        }
        double x = area.x + (area.width - width + GAP) / 2, y = area.y + row * ROW + ROW / 2.0;
        for (size_t i = first; raster && i < end; i++) {
            raster_line(raster, x, y, x + SAMPLE, y, line_thickness(i, count));
            raster_disc(raster, x + SAMPLE / 2.0, y, mark_radius(i, count, series[i].count));
            raster_paint(raster, plot_colour(i));
            font_fit(series[i].label, LABEL_SIZE, area.width - 60, text, sizeof text);
            font_draw(raster, x + SAMPLE + 6, y + LABEL_SIZE / 2, text, LABEL_SIZE, TEXT_LEFT, ink);
            x += SAMPLE + 6 + GAP + font_width(text, LABEL_SIZE);
        }
        first = end;
        row++;
    }
    return row * ROW;
}
