/* Parameters into PostgreSQL's binary form, results out of it. */
#include "meta/sql/pg.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* pg_type.dat: these are fixed for ever. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_UNKNOWN = 705,
    OID_VARCHAR = 1043,
    OID_VOID = 2278
};

enum err pg_note_sent(struct pg_link *l, struct sql_unit *u, struct sql_call *c, bool prepare)
{
    if (l->sent_count == l->sent_capacity) {
        size_t wanted = l->sent_capacity == 0 ? 64 : l->sent_capacity * 2;
        struct pg_sent *grown = reallocarray(l->sent, wanted, sizeof(*grown));
        if (grown == NULL)
            return err_set(ERR_NOMEM, "PostgreSQL: no memory for a batch");
        l->sent = grown;
        l->sent_capacity = wanted;
    }
    l->sent[l->sent_count++] = (struct pg_sent){.unit = u, .call = c, .prepare = prepare};
    return OK;
}

static bool sent_before(const struct pg_link *l, int statement)
{
    for (size_t i = 0; i < l->sent_count; i++)
        if (l->sent[i].prepare && l->sent[i].call->statement == statement)
            return true;
    return false;
}

enum err pg_prepare(struct pg_link *l, struct sql_unit *u, struct sql_call *c)
{
    struct sql_driver *d = l->base.driver;
    const struct sql_text *t = &d->catalogue[c->statement];
    Oid types[SQL_PARAMS_MAX];
    int count = 0;
    for (; t->types[count] != '\0'; count++)
        types[count] = t->types[count] == 'i'   ? OID_INT8
                       : t->types[count] == 'b' ? OID_BYTEA
                                                : OID_TEXT;
    if (PQsendPrepare(l->pg, t->name, d->texts[c->statement], count, types) == 0)
        return pg_fail_connection(l->pg);
    return pg_note_sent(l, u, c, true);
}

enum err pg_send(struct pg_link *l, struct sql_unit *u, struct sql_call *c)
{
    if (!l->prepared[c->statement] && !sent_before(l, c->statement)) {
        enum err err = pg_prepare(l, u, c);
        if (err != OK)
            return err;
    }
    const char *values[SQL_PARAMS_MAX];
    int lengths[SQL_PARAMS_MAX], formats[SQL_PARAMS_MAX];
    uint64_t numbers[SQL_PARAMS_MAX];
    for (size_t i = 0; i < c->count; i++) {
        const struct sql_value *v = &c->params[i];
        formats[i] = 1;
        values[i] = v->type == SQL_NULL ? NULL : v->str.ptr;
        lengths[i] = (int)v->str.len;
        if (v->type == SQL_INT) {
            numbers[i] = htobe64((uint64_t)v->num);
            values[i] = (const char *)&numbers[i];
            lengths[i] = (int)sizeof(numbers[i]);
        }
    }
    if (PQsendQueryPrepared(l->pg, l->base.driver->catalogue[c->statement].name, (int)c->count,
                            values, lengths, formats, 1) == 0)
        return pg_fail_connection(l->pg);
    return pg_note_sent(l, u, c, false);
}

static int64_t integer_of(const char *bytes, int len)
{
    uint64_t v = len > 0 && (bytes[0] & 0x80) != 0 ? ~(uint64_t)0 : 0;
    for (int i = 0; i < len; i++)
        v = v << 8 | (uint8_t)bytes[i];
    return (int64_t)v;
}

/* The type of a column's cells; SQL_NULL with a text set when it has none of ours. */
static enum sql_type type_of(const PGresult *r, int column, const char *statement)
{
    switch (PQftype(r, column)) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
    case OID_BOOL:
        return SQL_INT;
    case OID_BYTEA:
        return SQL_BYTES;
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_NAME:
    case OID_UNKNOWN:
    case OID_VOID:
        return SQL_TEXT;
    default:
        (void)err_set(ERR_BUG, "PostgreSQL: %s: column %s has a type (OID %u) to be cast in SQL",
                      statement, PQfname(r, column), PQftype(r, column));
        return SQL_NULL;
    }
}

static void take_column(const PGresult *r, int column, enum sql_type type, struct sql_call *c,
                        char **room)
{
    Oid oid = PQftype(r, column);
    for (size_t row = 0; row < c->rows; row++) {
        struct sql_value *v = &c->cells[row * c->columns + (size_t)column];
        v->str = (struct str){"", 0};
        if (PQgetisnull(r, (int)row, column) != 0 || oid == OID_VOID)
            continue;
        const char *bytes = PQgetvalue(r, (int)row, column);
        int len = PQgetlength(r, (int)row, column);
        v->type = type;
        if (type == SQL_INT) {
            v->num = integer_of(bytes, len);
            if (oid == OID_OID)
                v->num &= 0xffffffff;
            continue;
        }
        memcpy(*room, bytes, (size_t)len);
        v->str = (struct str){*room, (size_t)len};
        *room += len + 1; /* zeroed by the arena: the NUL */
    }
}

enum err pg_take(const struct pg_link *l, const PGresult *r, struct sql_unit *u, struct sql_call *c)
{
    const char *name = l->base.driver->catalogue[c->statement].name;
    struct str changed = str_of(PQcmdTuples((PGresult *)(uintptr_t)r));
    if (changed.len == 0 || str_to_i64(changed, &c->changed) != OK)
        c->changed = 0;
    c->columns = (size_t)PQnfields(r);
    c->rows = 0;
    size_t rows = (size_t)PQntuples(r), total = 1;
    enum sql_type types[SQL_PARAMS_MAX * 2];
    if (c->columns > sizeof(types) / sizeof(types[0]))
        return err_set(ERR_BUG, "PostgreSQL: %s: too many columns", name);
    for (int i = 0; i < (int)c->columns; i++) {
        types[i] = type_of(r, i, name);
        if (types[i] == SQL_NULL)
            return ERR_BUG;
        for (int row = 0; types[i] != SQL_INT && row < (int)rows; row++)
            total += (size_t)PQgetlength(r, row, i) + 1;
    }
    if (rows > 0 && c->columns > 0) {
        c->cells = arena_array(u->arena, rows * c->columns, sizeof(*c->cells));
        char *room = c->cells != NULL ? arena_alloc(u->arena, total) : NULL;
        if (room == NULL)
            return err_set(ERR_NOMEM, "SQL: %s: no room for the result in the request's memory",
                           name);
        c->rows = rows;
        for (int i = 0; i < (int)c->columns; i++)
            take_column(r, i, types[i], c, &room);
    }
    c->answered = true;
    return OK;
}
