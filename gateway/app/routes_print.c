#include "gateway/app/routes_print.h"

#include "base/buf.h"
#include "gateway/s3/core/op.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CELL_MAX ((size_t)1024)

static const char *const paths[] = {
    [S3_SERVICE] = "/", [S3_BUCKET] = "/BUCKET", [S3_OBJECT] = "/BUCKET/KEY"};

static const char *const resources[] = {[RESOURCE_NONE] = "-",
                                        [RESOURCE_NEW_BUCKET] = "new bucket",
                                        [RESOURCE_BUCKET] = "bucket",
                                        [RESOURCE_OBJECT] = "object",
                                        [RESOURCE_OBJECTS] = "objects"};

static const char *const bodies[] = {
    [S3_BODY_IGNORED] = "-", [S3_BODY_MEMORY] = "document", [S3_BODY_FILE] = "content"};

/* By the bits of enum s3_takes, lowest first. */
static const char *const groups[] = {"conditions", "ranges",       "offset",
                                     "source",     "source-range", "delete-conditions"};

static const char *state_of(const struct s3_op *op)
{
    if (op->handle == NULL)
        return "501";
    if (op->document != S3_DOCUMENT_NONE)
        return "never set";
    return op->everybody ? "for everybody" : "built";
}

/* --- one cell --------------------------------------------------------------------------------- */

static void cell_request(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, paths[op->scope]);
    if (op->query != NULL)
        buf_printf(out, "?%s", op->query);
    if (op->query2 != NULL)
        buf_printf(out, "&%s", op->query2);
    if (op->header != NULL)
        buf_printf(out, " %s", op->header);
}

static void cell_action(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, op->action);
    if (op->version_action != NULL)
        buf_printf(out, "|%s", op->version_action);
    if (op->source_action != NULL)
        buf_printf(out, "+%s", op->source_action);
}

static void cell_resource(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, resources[op->resource]);
    if (op->source_action != NULL)
        buf_append_cstr(out, ",source");
}

static void cell_takes(const struct s3_op *op, struct buf *out)
{
    const char *separator = "";

    if (op->args != NULL) {
        buf_append_cstr(out, op->args);
        separator = ",";
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (!s3_op_reads(op) && (op->takes >> i & 1) != 0) {
            buf_printf(out, "%s%s", separator, groups[i]);
            separator = ",";
        }
    if (out->len == 0)
        buf_append_cstr(out, "-");
}

static void cell_method(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, op->method);
}

static void cell_name(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, op->name);
}

static void cell_body(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, op->is_form ? "form" : bodies[op->body]);
}

static void cell_state(const struct s3_op *op, struct buf *out)
{
    buf_append_cstr(out, state_of(op));
}

static const struct column {
    const char *name;
    void (*cell)(const struct s3_op *op, struct buf *out);
} columns[] = {
    {"METHOD", cell_method}, {"REQUEST", cell_request},   {"OPERATION", cell_name},
    {"ACTION", cell_action}, {"RESOURCE", cell_resource}, {"BODY", cell_body},
    {"STATE", cell_state},   {"TAKES", cell_takes},
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* --- all of them ------------------------------------------------------------------------------ */

static void make_cell(const struct column *column, const struct s3_op *op, char out[CELL_MAX])
{
    struct buf cell;

    buf_init(&cell, CELL_MAX);
    column->cell(op, &cell);
    snprintf(out, CELL_MAX, STR_FMT, STR_ARG(buf_str(&cell)));
    buf_fini(&cell);
}

static size_t width_of(const struct column *column)
{
    size_t width = strlen(column->name);
    char cell[CELL_MAX];

    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        make_cell(column, op, cell);
        if (strlen(cell) > width)
            width = strlen(cell);
    }
    return width;
}

void routes_print_text(FILE *out)
{
    size_t widths[COLUMNS];
    char cell[CELL_MAX];

    for (size_t i = 0; i < COLUMNS; i++) {
        widths[i] = i + 1 < COLUMNS ? width_of(&columns[i]) + 2 : 0;
        fprintf(out, "%-*s", (int)widths[i], columns[i].name);
    }
    for (const struct s3_op *op = s3_ops; op->name != NULL; op++) {
        putc('\n', out);
        for (size_t i = 0; i < COLUMNS; i++) {
            make_cell(&columns[i], op, cell);
            fprintf(out, "%-*s", (int)widths[i], cell);
        }
    }
    putc('\n', out);
}

static json_t *row_json(const struct s3_op *op)
{
    char cell[CELL_MAX];

    make_cell(&(struct column){NULL, cell_request}, op, cell);
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:s, s:s, s:s?, s:b, s:s}", "operation",
                     op->name, "method", op->method, "request", cell, "action", op->action,
                     "version_action", op->version_action, "source_action", op->source_action,
                     "resource", resources[op->resource], "body",
                     op->is_form ? "form" : bodies[op->body], "arguments", op->args, "built",
                     op->handle != NULL, "state", state_of(op));
}

bool routes_print_json(FILE *out)
{
    json_t *rows = json_array();
    bool ok = rows != NULL;
    char *text = NULL;

    for (const struct s3_op *op = s3_ops; ok && op->name != NULL; op++)
        ok = json_array_append_new(rows, row_json(op)) == 0;
    if (ok)
        text = json_dumps(rows, JSON_INDENT(2));
    if (text != NULL)
        fprintf(out, "%s\n", text);
    ok = text != NULL;
    free(text);
    json_decref(rows);
    return ok;
}
