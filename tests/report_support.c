#include "report_support.h"

#include "ref/verify_names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- A verification by hand --------------------------------------------------------------- */

#define SIDE 6 /* of the tensors [1, 4, 6, 6] */

void make_report(struct made_report *made)
{
    *made = (struct made_report){.options = VERIFY_OPTIONS_DEFAULT};
    made->theirs = empty_set();
    made->exact = empty_set();
}

void free_report(struct made_report *made)
{
    for (size_t i = 0; i < made->verification.count; i++) {
        free((char *)made->verification.rows[i].name);
        free(made->verification.rows[i].diagnosis);
        free(made->verification.rows[i].reason);
    }
    free(made->verification.rows);
    tensor_set_free(made->theirs);
    tensor_set_free(made->exact);
}

struct verify_row *add_report_row(
    struct made_report *made, const char *name, enum verify_verdict verdict, double multiple)
{
    const double floor = 1e-6;
    float theirs[4 * SIDE * SIDE];
    double exact[4 * SIDE * SIDE], ours[4 * SIDE * SIDE];
    const size_t count = sizeof theirs / sizeof *theirs;
    struct verification *v = &made->verification;
    for (size_t i = 0; i < count; i++) {
        double side = i % 2 ? 1 : -1;
        exact[i] = side * (1 + (double)i / (double)count);
        ours[i] = exact[i] + side * floor;
        theirs[i] = (float)(exact[i] + side * (isfinite(multiple) ? multiple : 1) * floor);
    }
    if (verdict == VERIFY_NONFINITE) theirs[7] = NAN;
    struct tensor a = {.dtype = DTYPE_F32, .rank = 4, .shape = {1, 4, SIDE, SIDE}, .data = theirs};
    struct tensor b = {.dtype = DTYPE_F64, .rank = 4, .shape = {1, 4, SIDE, SIDE}, .data = exact}, c = b;
    c.data = ours;
    /* Names of files' tensors are UTF-8; what is shown holds its own against any. */
    char key[32];
    snprintf(key, sizeof key, "row %zu", v->count);
    add_tensor(made->theirs, key, &a);
    if (name[0] != '<') add_tensor(made->exact, name, &b);
    struct verify_row *rows = realloc(v->rows, (v->count + 1) * sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    v->rows = rows;
    struct verify_place place = {.stage = VERIFY_UNET, .step = -1};
    if (!verify_place(name, &place)) place.stage = VERIFY_UNET, place.step = -1;
    struct verify_row *row = &rows[v->count++];
    *row = (struct verify_row){
        .name = strdup(name), .stage = place.stage, .step = place.step, .verdict = verdict};
    if (verdict > VERIFY_NONFINITE) return row;
    row->multiple = verdict == VERIFY_NONFINITE ? (double)INFINITY : multiple;
    ck_assert_int_eq(tensor_difference_quantiles(&a, &b, DTYPE_F32, &row->error, NULL), STATUS_OK);
    ck_assert_int_eq(tensor_difference_quantiles(&c, &b, DTYPE_F32, &row->floor, NULL), STATUS_OK);
    return row;
}

void finish_report(struct made_report *made)
{
    struct verification *v = &made->verification;
    for (size_t i = 0; i < v->count; i++) {
        struct verify_row *row = &v->rows[i];
        row->their_name = row->name;
        row->theirs = tensor_set_at(made->theirs, i);
        v->verdicts[row->verdict]++;
        if (!v->first_wrong && verify_is_bad(row->verdict)) v->first_wrong = row;
    }
    made->report = (struct verify_report){.verification = v,
        .options = &made->options,
        .checkpoint = "tiny-sd",
        .path = "port.safetensors",
        .exact = made->exact};
}

/* --- What is written ---------------------------------------------------------------------- */

char *written_table(const struct made_report *made, bool all, bool coloured)
{
    char *text = NULL;
    size_t size;
    struct error error = {""};
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    const struct verify_table_options options = {.all = all, .coloured = coloured};
    ck_assert_msg(verify_write_table(&made->report, &options, out, &error) == STATUS_OK, "%s", error.message);
    fclose(out);
    return text;
}

char *written_json(const struct made_report *made)
{
    char *text = NULL;
    size_t size;
    struct error error = {""};
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    ck_assert_msg(verify_write_json(&made->report, out, &error) == STATUS_OK, "%s", error.message);
    fclose(out);
    return text;
}

char *written_page(const struct made_report *made)
{
    const char *path = path_in(test_folder, "report.html");
    struct error error = {""};
    ck_assert_msg(verify_write_html(&made->report, path, &error) == STATUS_OK, "%s", error.message);
    return read_whole_text(path);
}

size_t count_in(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

/* --- Pages -------------------------------------------------------------------------------- */

#define MOST_OPEN 64

struct parser {
    const char *at;
    char open[MOST_OPEN][32];
    size_t depth, elements;
};

static void read_name(struct parser *parser, char name[32])
{
    size_t length = strspn(parser->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    ck_assert_msg(length > 0 && length < 32, "no name of an element: %.40s", parser->at);
    snprintf(name, 32, "%.*s", (int)length, parser->at);
    parser->at += length;
}

static void expect_reference(const char *at)
{
    static const char *const known[] = {"&lt;", "&gt;", "&amp;", "&quot;", "&#39;"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(at, known[i], strlen(known[i])) == 0) return;
    ck_abort_msg("not a reference: %.20s", at);
}

static void read_attributes(struct parser *parser)
{
    while (*parser->at == ' ' || *parser->at == '\n') {
        char name[32];
        parser->at++;
        read_name(parser, name);
        ck_assert_msg(strncmp(parser->at, "=\"", 2) == 0, "an attribute without quotes: %s", name);
        for (parser->at += 2; *parser->at != '"'; parser->at++) {
            ck_assert_msg(*parser->at && *parser->at != '<', "an attribute that does not end: %s", name);
            if (*parser->at == '&') expect_reference(parser->at);
        }
        parser->at++;
    }
}

static void read_tag(struct parser *parser)
{
    char name[32];
    bool closing = parser->at[1] == '/';
    parser->at += closing ? 2 : 1;
    read_name(parser, name);
    if (closing) {
        ck_assert_msg(parser->depth > 0, "</%s> closes nothing", name);
        ck_assert_str_eq(parser->open[--parser->depth], name);
    } else {
        read_attributes(parser);
        parser->elements++;
        if (*parser->at == '/') {
            parser->at++;
        } else {
            ck_assert_uint_lt(parser->depth, MOST_OPEN);
            memcpy(parser->open[parser->depth++], name, sizeof name);
        }
    }
    ck_assert_msg(*parser->at == '>', "<%s does not end: %.40s", name, parser->at);
    parser->at++;
}

size_t expect_well_formed(const char *page)
{
    static const char doctype[] = "<!DOCTYPE html>\n";
    struct parser parser = {.at = page};
    ck_assert_msg(strncmp(page, doctype, strlen(doctype)) == 0, "no doctype");
    parser.at += strlen(doctype);
    while (*parser.at) {
        unsigned char c = (unsigned char)*parser.at;
        if (c == '<') {
            read_tag(&parser);
            continue;
        }
        if (c == '&') expect_reference(parser.at);
        ck_assert_msg(c >= ' ' || c == '\n', "a control character, %d", c);
        parser.at++;
    }
    ck_assert_msg(parser.depth == 0, "<%s> is not closed", parser.open[parser.depth ? parser.depth - 1 : 0]);
    return parser.elements;
}

const char hostile_name[] = "</title><script src='http://a'>\"&\x1b[31m\xff\x01\\\n\xe2\x80\xae.x";

void add_many_rows(struct made_report *made)
{
    static const char *const outside[] = {"input_ids.text_encoder", "last_hidden_state.text_encoder",
        "act.text_encoder.text_model.encoder.layers.0", "act.text_encoder.text_model.encoder.layers.1",
        "act.text_encoder.text_model.encoder.layers.2", "act.text_encoder.text_model.final_layer_norm"};
    char name[64];
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        add_report_row(made, outside[i], VERIFY_ROUNDING, 0.5 + 0.25 * (double)i);
    for (int step = 0; step < 10; step++) {
        const bool wrong = step == 3;
        snprintf(name, sizeof name, "step.%02d.model_input", step);
        add_report_row(made, name, VERIFY_ROUNDING, 0);
        snprintf(name, sizeof name, "step.%02d.noise_pred_uncond", step);
        add_report_row(made, name, VERIFY_ROUNDING, 1.5);
        snprintf(name, sizeof name, "step.%02d.noise_pred_text", step);
        struct verify_row *row =
            add_report_row(made, name, wrong ? VERIFY_WRONG : VERIFY_ROUNDING, wrong ? 41 : 2.5);
        if (wrong) row->diagnosis = strdup("equals ours at timestep 980, not 981");
        snprintf(name, sizeof name, "step.%02d.latents", step);
        add_report_row(made, name, step == 5 ? VERIFY_SUSPECT : VERIFY_ROUNDING, step == 5 ? 6 : 1);
    }
    add_report_row(made, "latents.final", VERIFY_UNCHECKED, 0)->reason = strdup("step.09.x is not recorded");
    add_report_row(made, "vae_input", VERIFY_UNCHECKED, 0)->reason = strdup("step.09.x is not recorded");
    add_report_row(made, "image", VERIFY_NONFINITE, 1);
    add_report_row(made, "image_u8", VERIFY_SHAPE, 0)->reason = strdup("[1, 8, 8, 3] for [1, 16, 16, 3]");
    add_report_row(made, hostile_name, VERIFY_SUSPECT, 7);
    finish_report(made);
}

void expect_self_contained(const char *page)
{
    ck_assert_ptr_null(strstr(page, "<script"));
    ck_assert_ptr_null(strstr(page, "<link"));
    ck_assert_ptr_null(strstr(page, "href="));
    ck_assert_ptr_null(strstr(page, "@import"));
    ck_assert_ptr_null(strstr(page, "url("));
    ck_assert_ptr_null(strstr(page, " on"
                                    "load="));
    ck_assert_uint_eq(count_in(page, " src=\""), count_in(page, " src=\"data:image/png;base64,"));
}
