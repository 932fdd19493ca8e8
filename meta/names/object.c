#include "meta/sql/json_array.h"
#include "meta/names/object_internal.h"

#include <stdlib.h>

/* Extents that come with an object: 8 full pieces are 512 MiB and some 70 KiB of records. */
#define FIRST_EXTENTS 8

/* Columns of object_head and object_get, and of their forms for files written at ranges. */
enum {
    COL_BUCKET,
    COL_GENERATION,
    COL_VERSIONING,
    COL_ATTR, /* eight of them: object_attr_of() */
    COL_MARKER = COL_ATTR + 8,
    COL_RANGED,
    COL_TOKEN,
    COL_OPEN,
    COL_HEADERS,
    COL_CHECKSUM,
    COL_TAGS,
    COL_PARTS,
    COL_DATA,
    COL_EXTENT
};

void object_attr_of(const struct sql_call *c, size_t row, size_t first, struct object_attr *out)
{
    *out = (struct object_attr){.inode = (uint64_t)sql_int(c, row, first),
                                .size = sql_int(c, row, first + 1),
                                .etag = sql_str(c, row, first + 2),
                                .mtime_ms = sql_int(c, row, first + 3),
                                .owner = (uint64_t)sql_int(c, row, first + 4),
                                .storage_class = sql_str(c, row, first + 5),
                                .checksum = (int)sql_int(c, row, first + 6),
                                .version = sql_str(c, row, first + 7)};
}

static enum err missing(enum meta_missing what, enum meta_missing *out)
{
    *out = what;
    return err_set(ERR_NOT_FOUND, what == META_MISSING_BUCKET ? "no such bucket" : "no such key");
}

/* --- extents --------------------------------------------------------------------------------- */

/* Six columns from `column` on, one row each. */
static enum err extents_of(struct arena *a, const struct sql_call *c, size_t column,
                           struct object_extent **out)
{
    struct object_extent *extents = arena_array(a, c->rows, sizeof(*extents));
    if (extents == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu extents", c->rows);
    for (size_t i = 0; i < c->rows; i++) {
        extents[i] = (struct object_extent){.start = (uint64_t)sql_int(c, i, column),
                                            .len = (uint64_t)sql_int(c, i, column + 1),
                                            .piece_off = (uint64_t)sql_int(c, i, column + 2),
                                            .token = (uint64_t)sql_int(c, i, column + 3),
                                            .piece = (uint64_t)sql_int(c, i, column + 4),
                                            .records = sql_str(c, i, column + 5)};
        if (sql_is_null(c, i, column + 5) && extents[i].piece != 0)
            return err_set(ERR_CORRUPT, "a file names a piece that does not exist");
    }
    *out = extents;
    return OK;
}

/* Whether there may be extents behind these. Files written whole have them side by side. */
static bool may_go_on(const struct object_extent *extents, size_t count, size_t max, uint64_t end)
{
    if (count < max)
        return false;
    uint64_t reached = 0;
    for (size_t i = 0; i < count; i++) {
        if (extents[i].token != 0)
            return true;
        reached = extents[i].start + extents[i].len;
    }
    return reached < end;
}

enum err object_extents(struct meta *m, struct arena *a, const struct object *o, uint64_t offset,
                        uint64_t len, size_t max, struct object_extent **out, size_t *out_count,
                        bool *out_more)
{
    *out = NULL;
    *out_count = 0;
    *out_more = false;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c =
        sql_add_object_extents(&u, p_inode((int64_t)o->attr.inode), p_lo(object_position(offset)),
                               p_hi(object_position(object_end(offset, len))),
                               p_most(object_position(max)), OBJECT_VIEW(&o->view));
    enum err err = sql_read(m->sql, &u);
    if (err != OK)
        return err;
    err = extents_of(a, c, 0, out);
    if (err != OK)
        return err;
    *out_count = c->rows;
    *out_more = max > 0 && may_go_on(*out, c->rows, max, object_end(offset, len));
    return OK;
}

enum err object_links(struct meta *m, struct arena *a, const struct object *o, uint64_t offset,
                      uint64_t len, const struct object_extent *after, size_t max,
                      struct object_extent **out, size_t *out_count)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    bool any = after->len > 0;
    struct sql_call *c = sql_add_object_links(
        &u, p_inode((int64_t)o->attr.inode), p_lo(object_position(offset)),
        p_hi(object_position(object_end(offset, len))), p_most(object_position(max)),
        OBJECT_VIEW(&o->view), p_after_start(any ? object_position(after->start) : -1),
        p_after_token(any ? (int64_t)after->token : -1));
    enum err err = sql_read(m->sql, &u);
    *out_count = err == OK ? c->rows : 0;
    *out = arena_array(a, *out_count + 1, sizeof(**out));
    if (err == OK && *out == NULL)
        err = err_set(ERR_NOMEM, "no memory for %zu extents", c->rows);
    for (size_t i = 0; err == OK && i < c->rows; i++)
        (*out)[i] = (struct object_extent){.start = (uint64_t)sql_int(c, i, 0),
                                           .len = (uint64_t)sql_int(c, i, 1),
                                           .piece_off = (uint64_t)sql_int(c, i, 2),
                                           .token = (uint64_t)sql_int(c, i, 3),
                                           .piece = (uint64_t)sql_int(c, i, 4)};
    return err;
}

static int by_id(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Each once, in order; holes have none. */
static size_t distinct_pieces(const struct object_extent *extents, size_t count, uint64_t *out)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < count; i++)
        if (extents[i].piece != 0)
            out[n++] = extents[i].piece;
    qsort(out, n, sizeof(*out), by_id);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

enum err object_records(struct meta *m, struct arena *a, struct object_extent *extents,
                        size_t count)
{
    uint64_t *ids = arena_array(a, count + 1, sizeof(*ids));
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    if (ids == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu extents", count);
    size_t pieces = distinct_pieces(extents, count, ids);
    struct str array = sql_json_array(a, ids, pieces);
    if (array.ptr == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu extents", count);
    struct sql_call *c = sql_add_object_records(&u, p_ids(array));
    enum err err = sql_read(m->sql, &u);
    for (size_t i = 0; err == OK && i < count; i++) {
        size_t row = 0;
        while (row < c->rows && (uint64_t)sql_int(c, row, 0) != extents[i].piece)
            row++;
        if (row < c->rows)
            extents[i].records = sql_str(c, row, 1);
        else if (extents[i].piece != 0)
            err = err_set(ERR_CORRUPT, "a file names a piece that does not exist");
    }
    return err;
}

/* --- look-up --------------------------------------------------------------------------------- */

static enum err ask(struct meta *m, struct arena *a, const struct object_get *q, bool ranged,
                    struct sql_call **out)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct p_bucket bucket = p_bucket(q->bucket);
    struct p_key key = p_key(q->key);
    struct p_lo lo = p_lo(object_position(q->offset));
    struct p_hi hi = p_hi(object_position(object_end(q->offset, q->len)));
    struct p_most most = p_most(FIRST_EXTENTS);
    if (q->want == OBJECT_DATA)
        *out = ranged ? sql_add_object_get_ranged(&u, bucket, key, lo, hi, most)
                      : sql_add_object_get(&u, bucket, key, lo, hi, most);
    else
        *out = ranged ? sql_add_object_head_ranged(&u, bucket, key)
                      : sql_add_object_head(&u, bucket, key);
    return access_read(m, &u);
}

/* One round trip; two if the file is written at ranges. */
static enum err look_up(struct meta *m, struct arena *a, const struct object_get *q,
                        struct sql_call **out)
{
    enum err err = ask(m, a, q, false, out);
    if (err != OK || (*out)->rows == 0 || sql_str(*out, 0, COL_RANGED).len == 0)
        return err;
    return ask(m, a, q, true, out);
}

/* A column that may be large, or NULL. */
static struct str optional(const struct sql_call *c, size_t column)
{
    return sql_is_null(c, 0, column) ? STR_NONE : sql_str(c, 0, column);
}

static enum err take_file(struct arena *a, const struct sql_call *c, struct object *out)
{
    if (sql_is_null(c, 0, COL_HEADERS))
        return err_set(ERR_CORRUPT, "a key names a file that does not exist");
    enum err err = pairs_unpack(a, sql_str(c, 0, COL_HEADERS), &out->headers);
    if (err == OK)
        err = pairs_unpack(a, optional(c, COL_TAGS), &out->tags);
    out->checksum = optional(c, COL_CHECKSUM);
    out->parts = optional(c, COL_PARTS);
    return err;
}

static enum err take_data(struct arena *a, const struct sql_call *c, const struct object_get *q,
                          struct object *out)
{
    out->data = optional(c, COL_DATA);
    if (sql_is_null(c, 0, COL_EXTENT))
        return OK;
    struct object_extent *extents;
    enum err err = extents_of(a, c, COL_EXTENT, &extents);
    if (err != OK)
        return err;
    uint64_t end = object_end(q->offset, q->len);
    uint64_t size = (uint64_t)out->attr.size;
    out->extents = extents;
    out->extent_count = c->rows;
    out->more_extents = may_go_on(extents, c->rows, FIRST_EXTENTS, end < size ? end : size);
    return OK;
}

enum err object_get(struct meta *m, struct arena *a, const struct object_get *q, struct object *out,
                    enum meta_missing *out_missing)
{
    *out = (struct object){.data = STR_NONE};
    *out_missing = META_MISSING_NONE;
    struct sql_call *c;
    enum err err = look_up(m, a, q, &c);
    if (err != OK)
        return err;
    if (c->rows == 0)
        return missing(META_MISSING_BUCKET, out_missing);
    out->bucket_id = (uint64_t)sql_int(c, 0, COL_BUCKET);
    out->bucket_generation = (uint64_t)sql_int(c, 0, COL_GENERATION);
    out->bucket_versioning = (int)sql_int(c, 0, COL_VERSIONING);
    if (sql_is_null(c, 0, COL_MARKER))
        return missing(META_MISSING_KEY, out_missing);
    object_attr_of(c, 0, COL_ATTR, &out->attr);
    out->attr.marker = sql_int(c, 0, COL_MARKER) != 0;
    out->ranged = sql_str(c, 0, COL_RANGED);
    out->view = (struct object_view){(uint64_t)sql_int(c, 0, COL_TOKEN), sql_str(c, 0, COL_OPEN)};
    if (out->attr.marker || (q->version.len > 0 && !str_eq(q->version, out->attr.version)))
        return missing(META_MISSING_KEY, out_missing);
    err = take_file(a, c, out);
    if (err == OK && q->want == OBJECT_DATA)
        err = take_data(a, c, q, out);
    return err;
}
