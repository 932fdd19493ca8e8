/* The other half of meta/tools/dump.h. */
#include "base/codec.h"
#include "meta/tools/dump.h"
#include "meta/tools/dump_tables.h"
#include "meta/core/handle.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ROWS  64
#define BATCH_BYTES ((size_t)2 << 20)

struct load {
    struct meta *m;
    FILE *in;
    const struct dump_progress *p;
    char *line; /* getline()'s */
    size_t line_cap;
    uint64_t number; /* of the line */
    uint64_t rows;
    json_t *header;
    int64_t generation;
    /* rows that are not sent yet */
    struct arena *a;
    struct sql_unit u;
    size_t pending, pending_bytes;
};

static enum err corrupt(const struct load *l, const char *what)
{
    return err_set(ERR_CORRUPT, "line %llu: %s", (unsigned long long)l->number, what);
}

/* NULL with OK at the end of the file. */
static enum err next_line(struct load *l, json_t **out)
{
    *out = NULL;
    ssize_t n = getline(&l->line, &l->line_cap, l->in);
    if (n < 0)
        return ferror(l->in) ? err_set(ERR_IO, "the dump could not be read: %m") : OK;
    l->number++;
    *out = json_loadb(l->line, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    return *out != NULL ? OK : corrupt(l, "not JSON");
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum err new_batch(struct load *l)
{
    arena_free(l->a);
    l->a = arena_new(META_ROUND_ARENA);
    sql_unit_init(&l->u, SQL_WRITE, l->a);
    l->pending = 0;
    l->pending_bytes = 0;
    return l->a != NULL ? OK : err_set(ERR_NOMEM, "no memory to load");
}

static enum err send(struct load *l)
{
    enum err err = l->pending > 0 ? sql_write(l->m->sql, &l->u) : OK;
    return err == OK ? new_batch(l) : err;
}

static enum err decode(struct load *l, json_t *v, struct str *out)
{
    struct str text = {json_string_value(v), json_string_length(v)};
    size_t len = text.len / 4 * 3, pad = 0;
    while (pad < 2 && pad < text.len && text.ptr[text.len - 1 - pad] == '=')
        pad++;
    len -= len > 0 ? pad : 0;
    char *bytes = arena_alloc(l->a, len + 1);
    if (bytes == NULL)
        return err_set(ERR_NOMEM, "no memory to load");
    if (base64_decode(text, bytes, len) != OK)
        return corrupt(l, "bytes that are not base64");
    *out = (struct str){bytes, len};
    return OK;
}

static enum err bind(struct load *l, struct sql_call *c, json_t *v, char type)
{
    if (json_is_null(v)) {
        sql_bind_null(c);
    } else if (type == 'i' && json_is_integer(v)) {
        sql_bind_int(c, json_integer_value(v));
    } else if (type == 't' && json_is_string(v)) {
        struct str copy =
            arena_str(l->a, (struct str){json_string_value(v), json_string_length(v)});
        if (copy.ptr == NULL)
            return err_set(ERR_NOMEM, "no memory to load");
        sql_bind_text(c, copy);
    } else if (type == 'b' && json_is_string(v)) {
        struct str bytes;
        enum err err = decode(l, v, &bytes);
        if (err != OK)
            return err;
        sql_bind_bytes(c, bytes);
    } else {
        return corrupt(l, "a column of another type");
    }
    return OK;
}

static const struct dump_table *table_of(json_t *row)
{
    const char *name = json_string_value(json_array_get(row, 0));
    for (size_t i = 0; name != NULL && i < dump_table_count; i++)
        if (strcmp(name, dump_tables[i].name) == 0)
            return &dump_tables[i];
    return NULL;
}

static enum err add_row(struct load *l, json_t *row)
{
    const struct dump_table *t = table_of(row);
    if (t == NULL)
        return corrupt(l, "a table that is not known");
    if (json_array_size(row) != strlen(t->load->types) + 1)
        return corrupt(l, "another number of columns");
    struct sql_call *c = sql_add(&l->u, (int)(t->load - sql_catalogue));
    enum err err = OK;
    for (size_t i = 0; err == OK && t->load->types[i] != '\0'; i++)
        err = bind(l, c, json_array_get(row, i + 1), t->load->types[i]);
    l->pending++;
    l->pending_bytes += l->line_cap;
    l->rows++;
    if (l->p != NULL && l->p->each_row != NULL)
        l->p->each_row(l->p->arg);
    if (err == OK && (l->pending == BATCH_ROWS || l->pending_bytes > BATCH_BYTES))
        err = send(l);
    return err;
}

/* --- around them ------------------------------------------------------------------------------ */

static enum err check_empty(struct meta *m)
{
    struct arena *a = arena_new(META_SMALL_ARENA);
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_load_look(&u);
    enum err err = sql_read(m->sql, &u);
    if (err == OK && sql_int(c, 0, 0) != 0)
        err =
            err_set(ERR_NOT_EMPTY, "the database holds a volume already, or what a load that broke"
                                   " off has left: load into an empty one");
    arena_free(a);
    return err;
}

static enum err take_header(struct load *l, struct dump_header *out)
{
    const char *kind = "", *uuid = "";
    int format = 0, schema = 0;
    json_int_t generation = 0;
    enum err err = next_line(l, &l->header);
    if (err == OK && l->header == NULL)
        err = err_set(ERR_CORRUPT, "the dump is empty");
    if (err != OK)
        return err;
    if (json_unpack(l->header, "{s:s, s:i, s:i, s:s, s:I}", "kiseki", &kind, "format", &format,
                    "schema", &schema, "uuid", &uuid, "generation", &generation) != 0 ||
        strcmp(kind, "dump") != 0 || strlen(uuid) != 36)
        return corrupt(l, "this is no dump of a Kiseki volume");
    if (format != DUMP_FORMAT || schema != META_SCHEMA_VERSION)
        return err_set(ERR_UNSUPPORTED,
                       "a dump of format %d and schema %d: this kiseki loads format %d and schema"
                       " %d; dump it again by a kiseki of this version",
                       format, schema, DUMP_FORMAT, META_SCHEMA_VERSION);
    snprintf(out->uuid, sizeof(out->uuid), "%s", uuid);
    out->generation = generation;
    return OK;
}

static int64_t header_int(const struct load *l, const char *name)
{
    return json_integer_value(json_object_get(l->header, name));
}

/* Only now it is this volume: a load that broke off leaves a database that no store belongs to. */
static enum err finish(struct load *l)
{
    static const char *const counters[] = {"id", "slice", "epoch"};
    enum err err = send(l);
    if (err != OK)
        return err;
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        sql_add_load_counter(&l->u, p_counter(str_of(counters[i])),
                             p_next(header_int(l, counters[i])));
    sql_add_load_deltas(&l->u);
    sql_add_load_event_number(&l->u, p_next(header_int(l, "event")));
    sql_add_load_first_event_number(&l->u, p_next(header_int(l, "event")));
    struct str key_check = STR_NONE;
    json_t *v = json_object_get(l->header, "key_check");
    if (json_is_string(v))
        err = decode(l, v, &key_check);
    struct str uuid = str_of(json_string_value(json_object_get(l->header, "uuid")));
    sql_add_load_volume(&l->u, p_uuid(uuid), p_generation(l->generation),
                        p_auth_generation(header_int(l, "auth_generation") + 1),
                        p_created_ms(header_int(l, "created_ms")), p_key_check_or_null(key_check));
    l->pending = 1;
    return err == OK ? send(l) : err;
}

static enum err load_rows(struct load *l)
{
    for (;;) {
        json_t *line = NULL;
        enum err err = next_line(l, &line);
        if (err == OK && line == NULL)
            return corrupt(l, "the dump is cut off: its last line is missing");
        json_t *end = json_object_get(line, "end");
        bool last = end != NULL;
        if (err == OK && last && json_integer_value(end) != (json_int_t)l->rows)
            err = corrupt(l, "rows are missing");
        else if (err == OK && !last)
            err = add_row(l, line);
        json_decref(line);
        if (err != OK || last)
            return err;
    }
}

enum err dump_load(struct meta *m, FILE *in, dump_claim *claim, void *arg,
                   const struct dump_progress *p)
{
    struct load l = {.m = m, .in = in, .p = p};
    struct dump_header header;
    enum err err = check_empty(m);
    if (err == OK)
        err = take_header(&l, &header);
    if (err == OK)
        err = claim(arg, &header, &l.generation);
    if (err == OK)
        err = new_batch(&l);
    if (err == OK)
        err = load_rows(&l);
    if (err == OK)
        err = finish(&l);
    json_decref(l.header);
    arena_free(l.a);
    free(l.line);
    return err;
}
