#include "meta/object_internal.h"

#include <string.h>

/* Columns of both statements. */
enum { COL_BUCKET, COL_GENERATION, COL_OWNER, COL_VERSIONING, COL_KEY, COL_CUT, COL_ATTR };

struct str object_joined(struct arena *a, struct str s, char byte)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (copy == NULL)
        return STR_NONE;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = byte;
    return (struct str){copy, s.len + 1};
}

/* The keys to look at: [from, to). */
static enum err bounds(struct arena *a, const struct object_list_query *q, struct str *out_from,
                       struct str *out_to)
{
    struct str from = q->prefix;
    *out_to = object_joined(a, q->prefix, OBJECT_AFTER_ALL);
    if (q->after.len > 0) {
        struct str behind =
            object_joined(a, q->after, q->after_is_prefix ? OBJECT_AFTER_ALL : OBJECT_NEXT);
        if (behind.ptr == NULL)
            return err_set(ERR_NOMEM, "no memory for a listing");
        if (str_cmp(behind, from) > 0)
            from = behind;
    }
    *out_from = from;
    return out_to->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory for a listing");
}

static struct sql_call *ask(struct sql_unit *u, const struct object_list_query *q, struct str from,
                            struct str to)
{
    bool fold = q->delimiter.len > 0;
    struct sql_call *c = sql_add(u, fold ? SQL_object_list_folded : SQL_object_list);
    sql_bind_bytes(c, q->bucket);
    sql_bind_bytes(c, from);
    sql_bind_bytes(c, to);
    sql_bind_int(c, object_position(q->max) < INT64_MAX ? object_position(q->max) + 1 : INT64_MAX);
    if (fold) {
        sql_bind_bytes(c, q->delimiter);
        sql_bind_int(c, (int64_t)q->prefix.len);
    }
    return c;
}

static enum err take(struct arena *a, const struct sql_call *c, size_t max, struct object_list *out)
{
    struct object_entry *entries = arena_array(a, c->rows, sizeof(*entries));
    if (entries == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu entries of a listing", c->rows);
    out->entries = entries;
    for (size_t row = 0; row < c->rows; row++) {
        if (sql_is_null(c, row, COL_KEY)) /* the bucket's own row */
            continue;
        if (out->count == max) {
            out->more = max > 0;
            break;
        }
        struct object_entry *entry = &entries[out->count++];
        size_t cut = (size_t)sql_int(c, row, COL_CUT);
        entry->is_prefix = cut > 0;
        entry->key = sql_str(c, row, COL_KEY);
        if (entry->is_prefix)
            entry->key = str_sub(entry->key, 0, cut);
        else
            object_attr_of(c, row, COL_ATTR, &entry->attr);
    }
    return OK;
}

enum err object_list(struct meta *m, struct arena *a, const struct object_list_query *q,
                     struct object_list *out)
{
    *out = (struct object_list){.entries = NULL};
    struct str from, to;
    enum err e = bounds(a, q, &from, &to);
    if (e != OK)
        return e;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = ask(&u, q, from, to);
    e = sql_read(m->sql, &u);
    if (e != OK)
        return e;
    if (c->rows == 0)
        return err_set(ERR_NOT_FOUND, "no such bucket");
    out->bucket = (struct bucket_ref){.id = (uint64_t)sql_int(c, 0, COL_BUCKET),
                                      .generation = (uint64_t)sql_int(c, 0, COL_GENERATION),
                                      .owner = (uint64_t)sql_int(c, 0, COL_OWNER),
                                      .versioning = (int)sql_int(c, 0, COL_VERSIONING)};
    return take(a, c, q->max, out);
}
