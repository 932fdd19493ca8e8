/* Completes an upload: its parts become one file under the key. */
#include "meta/names/upload_internal.h"

#include <inttypes.h>

/*
 * One unit: the upload's row is locked; the key's row is made if the upload is in progress and has
 * exactly the parts named; the parts' links move to the new inode. Only parts that have their
 * bytes in their inode need a statement each, and a piece: there is at most one such part in what
 * S3 allows, the last.
 */

/* Bytes in an inode are fewer than that (fs/ makes slices of more). */
#define INLINE_PART_MAX  META_SLICE_MAX
#define INODES_MAX_BYTES (1u << 20)

/* The parts' inodes as a JSON array. */
static enum err inodes_of(struct arena *a, const struct part *parts, size_t count, struct str *out)
{
    struct buf b;
    buf_init(&b, INODES_MAX_BYTES);
    buf_append_char(&b, '[');
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, "%s%" PRIu64, i == 0 ? "" : ",", parts[i].inode);
    buf_append_char(&b, ']');
    enum err err = buf_check(&b);
    if (err == OK) {
        *out = arena_str(a, buf_str(&b));
        err = out->ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory to complete an upload");
    }
    buf_fini(&b);
    return err;
}

static enum err add_parts(struct meta *m, struct sql_unit *u, uint64_t inode, struct str upload,
                          struct str inodes, const struct part *parts, size_t count)
{
    sql_add_upload_move(u, p_inode((int64_t)inode), p_upload(upload), p_ids(inodes));
    uint64_t start = 0;
    for (size_t i = 0; i < count; i++) {
        enum err err = OK;
        if (parts[i].size > 0 && parts[i].size <= INLINE_PART_MAX)
            err = object_add_unpacked(m, u, inode, start, parts[i].inode, (uint64_t)parts[i].size);
        if (err != OK)
            return err;
        start += (uint64_t)parts[i].size;
    }
    return OK;
}

static void add_end(struct sql_unit *u, const struct object_put *p, struct str upload,
                    struct str result)
{
    sql_add_upload_done(u, p_inode((int64_t)p->inode), p_upload(upload), p_result(result));
    sql_add_upload_parts_done(u, p_inode((int64_t)p->inode), p_upload(upload));
    sql_add_tokens_copy(u, p_inode((int64_t)p->inode));
    sql_add_upload_check(u, p_bucket(p->bucket), p_key(p->key), p_inode((int64_t)p->inode));
}

/* The key's row was not made: the upload, the condition, or else the parts. OK: try again. */
static enum err refused(struct meta *m, struct arena *a, const struct object_put *p,
                        struct str upload, struct whole_lock *s, enum meta_missing *out_missing)
{
    struct upload now;
    struct object_state key;
    bool again = false;
    enum err err = upload_get(m, a, p->bucket, p->key, upload, &now, out_missing);
    if (err == OK)
        err = object_state(m, a, p->bucket, p->key, &key);
    if (err != OK)
        return err;
    if (now.result.ptr != NULL)
        return err_set(ERR_CONFLICT, "the upload was completed a moment ago");
    if (object_cond_wants_key(&p->cond) && !key.key) {
        *out_missing = META_MISSING_KEY;
        return err_set(ERR_NOT_FOUND, "no such key");
    }
    if (!object_state_fits(&p->cond, &key))
        return err_set(ERR_CONDITION, "the key is not as the condition wants it");
    if (object_cond_has_etag(&p->cond))
        err = whole_lock_take(m, &p->cond, &key, s, &again);
    if (err != OK || again)
        return err;
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

struct completion {
    const struct object_put *p;
    struct str upload;
    const struct part *parts;
    size_t count;
    uint64_t size;
    struct str result;
};

static enum err complete_once(struct meta *m, struct arena *a, const struct completion *x,
                              const struct whole_lock *s, bool *out_done)
{
    struct sql_unit u;
    const struct object_put *p = x->p;
    sql_unit_init(&u, SQL_WRITE, a);
    u.order_name = p->bucket;
    u.order_key = p->key;
    u.alone = true; /* the upload, then the key, then its files */
    struct str inodes;
    enum err err = inodes_of(a, x->parts, x->count, &inodes);
    if (err != OK)
        return err;
    struct p_upload upload = p_upload(x->upload);
    struct p_count parts = p_count((int64_t)x->count);
    sql_add_upload_lock(&u, p_bucket(p->bucket), p_key(p->key), upload);
    struct sql_call *key =
        object_cond_wants_key(&p->cond)
            ? sql_add_upload_key_update(&u, OBJECT_KEY_ROW(p, x->size),
                                        OBJECT_ETAG_COND(&p->cond, s), upload, p_ids(inodes), parts)
            : sql_add_upload_key_upsert(&u, OBJECT_KEY_ROW(p, x->size),
                                        OBJECT_ETAG_COND(&p->cond, s), upload, p_ids(inodes),
                                        parts);
    err = object_add_inode(&u, p, x->size, x->size == 0 ? STR("") : STR_NONE, 0);
    if (err == OK)
        err = add_parts(m, &u, p->inode, x->upload, inodes, x->parts, x->count);
    if (err != OK)
        return err;
    add_end(&u, p, x->upload, x->result);
    err = access_write(m, &u);
    if (err == ERR_CONDITION) /* the check's doing: conditions of the request find no row */
        err = err_set(ERR_CONFLICT, "the parts are not as long as they were said to be");
    *out_done = err == OK && key->rows > 0;
    return err;
}

enum err upload_complete(struct meta *m, const struct object_put *p, struct str upload,
                         const struct part *parts, size_t count, struct str result,
                         enum meta_missing *out_missing)
{
    struct completion x = {
        .p = p, .upload = upload, .parts = parts, .count = count, .result = result};
    struct whole_lock s = {.held = false};
    bool done = false;
    *out_missing = META_MISSING_NONE;
    enum err err = check_parts(parts, count, &x.size);
    while (err == OK && !done) {
        struct arena *a = arena_new(OBJECT_WRITE_ARENA);
        err = a != NULL ? complete_once(m, a, &x, &s, &done)
                        : err_set(ERR_NOMEM, "no memory for a write");
        if (err == OK && !done)
            err = refused(m, a, p, upload, &s, out_missing);
        arena_free(a);
    }
    whole_lock_release(m, &s);
    return err;
}
