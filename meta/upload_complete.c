#include "meta/upload_internal.h"

#include <inttypes.h>

/*
 * One unit: the upload's row is locked; the key's row is made if the upload is in progress and has
 * exactly the parts named; the parts' links move to the new inode. Only parts that have their
 * bytes in their inode need a statement each, and a piece: there is at most one such part in what
 * S3 allows, the last.
 */

/* Bytes in an inode are fewer than that (fs/ makes slices of more). */
#define INLINE_PART_MAX META_SLICE_MAX
/* version, count, kind, pos, len, length of the bytes */
#define INLINE_HEADER_MAX 64
#define INODES_MAX_BYTES  (1u << 20)

/* The parts' inodes as a JSON array. */
static enum err inodes_of(struct arena *a, const struct part *parts, size_t count, struct str *out)
{
    struct buf b;
    buf_init(&b, INODES_MAX_BYTES);
    buf_append_char(&b, '[');
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, "%s%" PRIu64, i == 0 ? "" : ",", parts[i].inode);
    buf_append_char(&b, ']');
    enum err e = buf_check(&b);
    if (e == OK) {
        *out = arena_str(a, buf_str(&b));
        e = out->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory to complete an upload");
    }
    buf_fini(&b);
    return e;
}

/* What record_pack() writes before the bytes of one inline record. */
static enum err inline_header(struct arena *a, uint64_t len, struct str *out)
{
    static const struct record empty = {.kind = RECORD_INLINE};
    struct buf b;
    buf_init(&b, INLINE_HEADER_MAX);
    record_pack(&b, &empty, 1);
    /* The same with the length in its two places; the bytes follow in the database. */
    size_t at = b.len - 8 - 4;
    enum err e = buf_check(&b);
    if (e == OK) {
        b.len = at;
        buf_put_u64(&b, len);
        buf_put_u32(&b, (uint32_t)len);
        *out = arena_str(a, buf_str(&b));
        e = out->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory to complete an upload");
    }
    buf_fini(&b);
    return e;
}

static enum err add_inline(struct meta *m, struct sql_unit *u, uint64_t inode, uint64_t start,
                           const struct part *part)
{
    uint64_t piece;
    struct str header;
    enum err e = meta_next_id(m, &piece);
    if (e == OK)
        e = inline_header(u->arena, (uint64_t)part->size, &header);
    if (e != OK)
        return e;
    struct sql_call *c = sql_add(u, SQL_upload_inline);
    sql_bind_int(c, (int64_t)inode);
    sql_bind_int(c, (int64_t)part->inode);
    sql_bind_int(c, (int64_t)piece);
    sql_bind_bytes(c, header);
    sql_bind_int(c, part->size);
    c = sql_add(u, SQL_upload_inline_link);
    sql_bind_int(c, (int64_t)inode);
    sql_bind_int(c, (int64_t)start);
    sql_bind_int(c, part->size);
    sql_bind_int(c, (int64_t)piece);
    return OK;
}

static enum err add_parts(struct meta *m, struct sql_unit *u, uint64_t inode, struct str upload,
                          struct str inodes, const struct part *parts, size_t count)
{
    struct sql_call *c = sql_add(u, SQL_upload_move);
    sql_bind_int(c, (int64_t)inode);
    sql_bind_text(c, upload);
    sql_bind_text(c, inodes);
    uint64_t start = 0;
    for (size_t i = 0; i < count; i++) {
        enum err e = OK;
        if (parts[i].size > 0 && parts[i].size <= INLINE_PART_MAX)
            e = add_inline(m, u, inode, start, &parts[i]);
        if (e != OK)
            return e;
        start += (uint64_t)parts[i].size;
    }
    return OK;
}

static void add_end(struct sql_unit *u, const struct object_put *p, struct str upload,
                    struct str result)
{
    struct sql_call *c = sql_add(u, SQL_upload_done);
    sql_bind_int(c, (int64_t)p->inode);
    sql_bind_text(c, upload);
    sql_bind_bytes(c, result);
    c = sql_add(u, SQL_upload_parts_done);
    sql_bind_int(c, (int64_t)p->inode);
    sql_bind_text(c, upload);
    c = sql_add(u, SQL_upload_check);
    sql_bind_bytes(c, p->bucket);
    sql_bind_bytes(c, p->key);
    sql_bind_int(c, (int64_t)p->inode);
}

/* The key's row was not made: the upload, the condition, or else the parts. */
static enum err refused(struct meta *m, struct arena *a, const struct object_put *p,
                        struct str upload, enum meta_missing *out_missing)
{
    struct upload now;
    struct object_state key;
    enum err e = upload_get(m, a, p->bucket, p->key, upload, &now, out_missing);
    if (e == OK)
        e = object_state(m, a, p->bucket, p->key, &key);
    if (e != OK)
        return e;
    if (now.result.ptr != NULL)
        return err_set(ERR_CONFLICT, "the upload was completed a moment ago");
    if (object_cond_wants_key(&p->cond) && !key.key) {
        *out_missing = META_MISSING_KEY;
        return err_set(ERR_NOT_FOUND, "no such key");
    }
    if (!object_cond_holds(&p->cond, &key))
        return err_set(ERR_CONDITION, "the key is not as the condition wants it");
    return err_set(ERR_CONFLICT, "a part was replaced a moment ago");
}

static enum err check_parts(const struct part *parts, size_t count, uint64_t *out_size)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && parts[i].number <= parts[i - 1].number)
            return err_set(ERR_INVALID, "the parts are not in ascending order");
        size += (uint64_t)parts[i].size;
    }
    *out_size = size;
    return OK;
}

enum err upload_complete(struct meta *m, const struct object_put *p, struct str upload,
                         const struct part *parts, size_t count, struct str result,
                         enum meta_missing *out_missing)
{
    *out_missing = META_MISSING_NONE;
    struct arena *a = arena_new(OBJECT_WRITE_ARENA);
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory for a write");
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.order_name = p->bucket;
    u.order_key = p->key;
    u.alone = true; /* the upload, then the key, then its files */
    uint64_t size = 0;
    struct str inodes;
    enum err e = check_parts(parts, count, &size);
    if (e == OK)
        e = inodes_of(a, parts, count, &inodes);
    if (e != OK)
        goto out;
    upload_add(&u, SQL_upload_lock, p->bucket, p->key, upload);
    struct sql_call *key =
        object_add_key(&u, SQL_upload_key_upsert, SQL_upload_key_update, p, size);
    sql_bind_text(key, upload);
    sql_bind_text(key, inodes);
    sql_bind_int(key, (int64_t)count);
    e = object_add_inode(&u, p, size, size == 0 ? STR("") : STR_NONE, 0);
    if (e == OK)
        e = add_parts(m, &u, p->inode, upload, inodes, parts, count);
    if (e != OK)
        goto out;
    add_end(&u, p, upload, result);
    e = meta_write(m, &u);
    if (e == ERR_CONDITION) /* the check's doing: conditions of the request find no row */
        e = err_set(ERR_CONFLICT, "the parts are not as long as they were said to be");
    if (e == OK && key->rows == 0)
        e = refused(m, a, p, upload, out_missing);
out:
    arena_free(a);
    return e;
}
