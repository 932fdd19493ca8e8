/*
 * Puts a part, by upload or by copy, and lists parts. A part is a file of its own until the upload
 * is completed.
 */
#include "meta/names/upload_internal.h"

/* Small bytes end far below that: what lies behind is not in inodes.data. */
#define DATA_MAX (1 << 30)

static struct sql_call *init_unit(struct sql_unit *u, struct arena *a, const struct part_put *p,
                                  uint64_t size)
{
    sql_unit_init(u, SQL_WRITE, a);
    u->order_name = p->bucket;
    u->order_key = p->key;
    return sql_add_part_upsert(
        u, p_bucket(p->bucket), p_key(p->key), p_upload(p->upload), p_number(p->part.number),
        p_inode((int64_t)p->part.inode), p_size((int64_t)size), p_etag(p->part.etag),
        p_mtime_ms(p->part.mtime_ms), p_file_checksum_or_null(object_or_none(p->part.checksum)));
}

/* What the statements that make a part's inode begin with. The upload has its headers. */
#define PART_INODE(p, bytes)                                                                       \
    p_upload((p)->upload), p_number((p)->part.number), p_inode((int64_t)(p)->part.inode),          \
        p_size((int64_t)(bytes)), p_mtime_ms((p)->part.mtime_ms), p_etag((p)->part.etag)
#define NO_HEADERS p_headers(STR(""))

enum err part_put(struct meta *m, const struct part_put *p, enum meta_missing *out_missing)
{
    *out_missing = META_MISSING_NONE;
    struct arena *a = arena_new(OBJECT_WRITE_ARENA);
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory for a write");
    struct sql_unit u;
    struct sql_call *row = init_unit(&u, a, p, p->content.size);
    sql_add_part_inode(&u, PART_INODE(p, p->content.size),
                       p_data_or_null(object_inline(&p->content)), NO_HEADERS);
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
    sql_add_part_inode_copy(&u, PART_INODE(p, len), p_source((int64_t)source->attr.inode),
                            p_offset(offset < DATA_MAX ? (int64_t)offset : DATA_MAX),
                            p_len(len < DATA_MAX ? (int64_t)len : DATA_MAX), NO_HEADERS);
    object_add_links(&u, p->part.inode, source, offset, offset + len);
    sql_add_part_copy_check(&u, p_upload(p->upload), p_number(p->part.number),
                            p_inode((int64_t)p->part.inode));
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
    struct sql_call *row = sql_add_upload_get(&u, p_bucket(bucket), p_key(key), p_upload(upload));
    struct sql_call *parts =
        sql_add_part_list(&u, p_upload(upload), p_after_number(after),
                          p_most(max < INT64_MAX ? (int64_t)max + 1 : INT64_MAX));
    enum err err = access_read(m, &u);
    if (err == OK)
        err = upload_of(a, row, out_upload, out_missing);
    if (err == OK)
        err = take_parts(a, parts, max, out, out_count, out_more);
    return err;
}
