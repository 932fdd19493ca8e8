#include "meta/names/upload_internal.h"

/* Small bytes end far below that: what lies behind is not in inodes.data. */
#define DATA_MAX (1 << 30)

static struct sql_call *init_unit(struct sql_unit *u, struct arena *a, const struct part_put *p,
                                  uint64_t size)
{
    sql_unit_init(u, SQL_WRITE, a);
    u->order_name = p->bucket;
    u->order_key = p->key;
    struct sql_call *c = upload_add(u, SQL_part_upsert, p->bucket, p->key, p->upload);
    sql_bind_int(c, p->part.number);
    sql_bind_int(c, (int64_t)p->part.inode);
    sql_bind_int(c, (int64_t)size);
    sql_bind_text(c, p->part.etag);
    sql_bind_int(c, p->part.mtime_ms);
    object_bind_optional(c, p->part.checksum);
    return c;
}

static struct sql_call *add_inode(struct sql_unit *u, int statement, const struct part_put *p,
                                  uint64_t size)
{
    struct sql_call *c = sql_add(u, statement);
    sql_bind_text(c, p->upload);
    sql_bind_int(c, p->part.number);
    sql_bind_int(c, (int64_t)p->part.inode);
    sql_bind_int(c, (int64_t)size);
    sql_bind_int(c, p->part.mtime_ms);
    sql_bind_text(c, p->part.etag);
    return c;
}

enum err part_put(struct meta *m, const struct part_put *p, enum meta_missing *out_missing)
{
    *out_missing = META_MISSING_NONE;
    struct arena *a = arena_new(OBJECT_WRITE_ARENA);
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory for a write");
    struct sql_unit u;
    struct sql_call *row = init_unit(&u, a, p, p->content.size);
    struct sql_call *inode = add_inode(&u, SQL_part_inode, p, p->content.size);
    struct str data = object_inline(&p->content);
    if (data.ptr != NULL)
        sql_bind_bytes(inode, data);
    else
        sql_bind_null(inode);
    sql_bind_bytes(inode, STR("")); /* no headers: the upload has them */
    enum err err = object_add_content(&u, p->part.inode, &p->content);
    if (err == OK)
        err = meta_content_begin(m, &p->content);
    if (err != OK)
        goto out;
    err = access_write(m, &u);
    meta_content_end(m, &p->content, err == OK && row->rows > 0);
    if (err == OK && row->rows == 0)
        err = upload_refused(m, a, p->bucket, p->key, p->upload, out_missing);
out:
    arena_free(a);
    return err;
}

enum err part_copy(struct meta *m, const struct part_put *p, const struct object *source,
                   uint64_t offset, uint64_t len, enum meta_missing *out_missing)
{
    *out_missing = META_MISSING_NONE;
    uint64_t size = (uint64_t)source->attr.size;
    if (offset > size || len > size - offset)
        return err_set(ERR_INVALID, "the range to copy ends behind its source");
    struct arena *a = arena_new(OBJECT_WRITE_ARENA);
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory for a write");
    struct sql_unit u;
    struct sql_call *row = init_unit(&u, a, p, len);
    u.alone = true; /* the source's pieces are locked too, after the upload */
    struct sql_call *c = add_inode(&u, SQL_part_inode_copy, p, len);
    sql_bind_int(c, (int64_t)source->attr.inode);
    sql_bind_int(c, offset < DATA_MAX ? (int64_t)offset : DATA_MAX);
    sql_bind_int(c, len < DATA_MAX ? (int64_t)len : DATA_MAX);
    sql_bind_bytes(c, STR(""));
    object_add_links(&u, p->part.inode, source, offset, offset + len);
    c = sql_add(&u, SQL_part_copy_check);
    sql_bind_text(c, p->upload);
    sql_bind_int(c, p->part.number);
    sql_bind_int(c, (int64_t)p->part.inode);
    enum err err = access_write(m, &u);
    if (err == ERR_CONDITION)
        err = err_set(ERR_CONFLICT, "the source of the copy was replaced and is gone");
    if (err == OK && row->rows == 0)
        err = upload_refused(m, a, p->bucket, p->key, p->upload, out_missing);
    arena_free(a);
    return err;
}

/* --- listing --------------------------------------------------------------------------------- */

static enum err take_parts(struct arena *a, const struct sql_call *c, size_t max, struct part **out,
                           size_t *out_count, bool *out_more)
{
    size_t count = c->rows < max ? c->rows : max;
    struct part *parts = arena_array(a, count, sizeof(*parts));
    if (parts == NULL)
        return err_set(ERR_NOMEM, "no memory for %zu parts", count);
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct part){.number = (int)sql_int(c, i, 0),
                                 .inode = (uint64_t)sql_int(c, i, 1),
                                 .size = sql_int(c, i, 2),
                                 .etag = sql_str(c, i, 3),
                                 .mtime_ms = sql_int(c, i, 4),
                                 .checksum = sql_is_null(c, i, 5) ? STR_NONE : sql_str(c, i, 5)};
    *out = parts;
    *out_count = count;
    *out_more = max > 0 && c->rows > max;
    return OK;
}

enum err part_list(struct meta *m, struct arena *a, struct str bucket, struct str key,
                   struct str upload, int after, size_t max, struct upload *out_upload,
                   struct part **out, size_t *out_count, bool *out_more,
                   enum meta_missing *out_missing)
{
    *out_upload = (struct upload){.id = 0};
    *out = NULL;
    *out_count = 0;
    *out_more = false;
    *out_missing = META_MISSING_NONE;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    u.snapshot = true; /* or parts of a completed upload would be missing from one in progress */
    struct sql_call *row = upload_add(&u, SQL_upload_get, bucket, key, upload);
    struct sql_call *parts = sql_add(&u, SQL_part_list);
    sql_bind_text(parts, upload);
    sql_bind_int(parts, after);
    sql_bind_int(parts, max < INT64_MAX ? (int64_t)max + 1 : INT64_MAX);
    enum err err = access_read(m, &u);
    if (err == OK)
        err = upload_of(a, row, out_upload, out_missing);
    if (err == OK)
        err = take_parts(a, parts, max, out, out_count, out_more);
    return err;
}
