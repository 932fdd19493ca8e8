#include "meta/tools/dump.h"

#include "base/codec.h"
#include "meta/tools/dump_tables.h"
#include "meta/core/handle.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* --- rows ------------------------------------------------------------------------------------- */

static json_t *bytes_json(struct str bytes)
{
    char *text = malloc(BASE64_SIZE(bytes.len));
    if (text == NULL)
        return NULL;
    base64_encode(bytes.ptr, bytes.len, text);
    json_t *value = json_string(text);
    free(text);
    return value;
}

static json_t *cell_json(const struct sql_call *c, size_t row, size_t column, char type)
{
    if (sql_is_null(c, row, column))
        return json_null();
    if (type == 'i')
        return json_integer(sql_int(c, row, column));
    struct str s = sql_str(c, row, column);
    return type == 'b' ? bytes_json(s) : json_stringn(s.ptr, s.len);
}

static enum err put_line(FILE *out, json_t *line)
{
    int bad = line == NULL ? -1 : json_dumpf(line, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(line);
    if (bad != 0 || putc('\n', out) == EOF)
        return err_set(ERR_IO, "the dump could not be written: %m");
    return OK;
}

static enum err put_row(FILE *out, const struct dump_table *t, const struct sql_call *c, size_t row)
{
    json_t *line = json_array();
    int bad = line == NULL || json_array_append_new(line, json_string(t->name)) != 0;
    for (size_t i = 0; !bad && t->load->types[i] != '\0'; i++)
        bad = json_array_append_new(line, cell_json(c, row, i, t->load->types[i])) != 0;
    if (bad) {
        json_decref(line);
        return err_set(ERR_CORRUPT, "a row of the table %s has text that is not UTF-8", t->name);
    }
    return put_line(out, line);
}

/* --- tables ----------------------------------------------------------------------------------- */

static size_t column_of(const struct dump_table *t, const char *name)
{
    size_t i = 0;
    while (strcmp(t->load->names[i], name) != 0)
        i++;
    return i;
}

/* The key of the last row of the page before; of none: below all. */
static void bind_after(struct sql_call *c, const struct dump_table *t, const struct sql_call *last)
{
    for (size_t i = 0; t->dump->types[i + 1] != '\0'; i++) {
        size_t column = column_of(t, t->dump->names[i]);
        char type = t->dump->types[i];
        size_t row = last != NULL ? last->rows - 1 : 0;
        if (type == 'i')
            sql_bind_int(c, last != NULL ? sql_int(last, row, column) : -1);
        else if (type == 'b')
            sql_bind_bytes(c, last != NULL ? sql_str(last, row, column) : STR(""));
        else
            sql_bind_text(c, last != NULL ? sql_str(last, row, column) : STR(""));
    }
}

/* Two arenas in turns: the page before gives the key that the next begins after. */
static enum err put_table(struct meta *m, FILE *out, const struct dump_table *t,
                          const struct dump_progress *p, uint64_t *rows)
{
    struct arena *arenas[2] = {arena_new(META_ROUND_ARENA), arena_new(META_ROUND_ARENA)};
    struct sql_call *last = NULL;
    enum err err = OK;
    bool more = true;
    for (size_t turn = 0; err == OK && more; turn = 1 - turn) {
        struct sql_unit u;
        arena_free(arenas[turn]);
        arenas[turn] = arena_new(META_ROUND_ARENA);
        sql_unit_init(&u, SQL_READ, arenas[turn]);
        struct sql_call *c = sql_add(&u, (int)(t->dump - sql_catalogue));
        bind_after(c, t, last);
        sql_bind_int(c, (int64_t)t->page);
        err = sql_read(m->sql, &u);
        for (size_t i = 0; err == OK && i < c->rows; i++) {
            err = put_row(out, t, c, i);
            (*rows)++;
            if (p != NULL && p->each_row != NULL)
                p->each_row(p->arg);
        }
        more = err == OK && c->rows == t->page;
        last = c;
    }
    arena_free(arenas[0]);
    arena_free(arenas[1]);
    return err;
}

/* --- the state around it ---------------------------------------------------------------------- */

struct state {
    int64_t sessions, id, slice, epoch, rows;
};

/* *out_header, if asked for, is the first line. */
static enum err look(struct meta *m, struct state *out, json_t **out_header)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_dump_state(&u);
    enum err err = sql_read(m->sql, &u);
    if (err == OK) {
        *out = (struct state){sql_int(c, 0, 0), sql_int(c, 0, 1), sql_int(c, 0, 2),
                              sql_int(c, 0, 3), sql_int(c, 0, 9)};
        struct str uuid = sql_str(c, 0, 4);
        if (out_header != NULL)
            *out_header =
                json_pack("{s:s, s:i, s:i, s:s%, s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I}", "kiseki",
                          "dump", "format", DUMP_FORMAT, "schema", META_SCHEMA_VERSION, "uuid",
                          uuid.ptr, uuid.len, "generation", (json_int_t)sql_int(c, 0, 5),
                          "auth_generation", (json_int_t)sql_int(c, 0, 6), "created_ms",
                          (json_int_t)sql_int(c, 0, 7), "key_check", cell_json(c, 0, 8, 'b'), "id",
                          (json_int_t)out->id, "slice", (json_int_t)out->slice, "epoch",
                          (json_int_t)out->epoch, "event", (json_int_t)sql_int(c, 0, 10));
    }
    arena_free(a);
    return err;
}

enum err dump_count(struct meta *m, uint64_t *out)
{
    struct state now;
    enum err err = look(m, &now, NULL);
    *out = err == OK ? (uint64_t)now.rows : 0;
    return err;
}

enum err dump_write(struct meta *m, FILE *out, const struct dump_progress *p)
{
    struct state before, after;
    json_t *header = NULL;
    uint64_t rows = 0;
    enum err err = look(m, &before, &header);
    if (err == OK && before.sessions > 0) {
        json_decref(header);
        return err_set(ERR_BUSY,
                       "gateways or tools are at work on this volume (%lld; `kiseki status` lists "
                       "them): stop them, or wait until their leases are over",
                       (long long)before.sessions);
    }
    if (err == OK)
        err = put_line(out, header);
    for (size_t i = 0; err == OK && i < dump_table_count; i++)
        err = put_table(m, out, &dump_tables[i], p, &rows);
    if (err == OK)
        err = look(m, &after, NULL);
    if (err == OK && (after.id != before.id || after.slice != before.slice ||
                      after.epoch != before.epoch || after.sessions > 0))
        err = err_set(ERR_CONFLICT, "a gateway was started meanwhile: the dump is not one state");
    if (err == OK)
        err = put_line(out, json_pack("{s:I}", "end", (json_int_t)rows));
    if (err == OK && fflush(out) != 0)
        err = err_set(ERR_IO, "the dump could not be written: %m");
    return err;
}
