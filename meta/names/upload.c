#include "meta/names/upload_internal.h"

#include "base/clock.h"
#include "base/rand.h"

#include <inttypes.h>

/* Columns of upload_get. */
enum {
    COL_BUCKET,
    COL_ID,
    COL_UPLOAD,
    COL_KEY,
    COL_OWNER,
    COL_INITIATED,
    COL_CLASS,
    COL_HEADERS,
    COL_TAGS,
    COL_CHECKSUM,
    COL_RESULT
};

enum err upload_of(struct arena *a, const struct sql_call *c, struct upload *out,
                   enum meta_missing *out_missing)
{
    if (c->rows == 0) {
        *out_missing = META_MISSING_BUCKET;
        return err_set(ERR_NOT_FOUND, "no such bucket");
    }
    if (sql_is_null(c, 0, COL_ID)) {
        *out_missing = META_MISSING_UPLOAD;
        return err_set(ERR_NOT_FOUND, "no such upload");
    }
    *out = (struct upload){.id = (uint64_t)sql_int(c, 0, COL_ID),
                           .upload = sql_str(c, 0, COL_UPLOAD),
                           .key = sql_str(c, 0, COL_KEY),
                           .owner = (uint64_t)sql_int(c, 0, COL_OWNER),
                           .initiated_ms = sql_int(c, 0, COL_INITIATED),
                           .storage_class = sql_str(c, 0, COL_CLASS),
                           .checksum = (int)sql_int(c, 0, COL_CHECKSUM)};
    if (!sql_is_null(c, 0, COL_RESULT))
        out->result = sql_str(c, 0, COL_RESULT);
    enum err err = pairs_unpack(a, sql_str(c, 0, COL_HEADERS), &out->headers);
    return err == OK ? pairs_unpack(a, sql_str(c, 0, COL_TAGS), &out->tags) : err;
}

enum err upload_get(struct meta *m, struct arena *a, struct str bucket, struct str key,
                    struct str upload, struct upload *out, enum meta_missing *out_missing)
{
    *out = (struct upload){.id = 0};
    *out_missing = META_MISSING_NONE;
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_upload_get(&u, p_bucket(bucket), p_key(key), p_upload(upload));
    enum err err = access_read(m, &u);
    return err == OK ? upload_of(a, c, out, out_missing) : err;
}

enum err upload_refused(struct meta *m, struct arena *a, struct str bucket, struct str key,
                        struct str upload, enum meta_missing *out_missing)
{
    struct upload now;
    enum err err = upload_get(m, a, bucket, key, upload, &now, out_missing);
    if (err == OK && now.result.ptr != NULL) {
        *out_missing = META_MISSING_UPLOAD;
        return err_set(ERR_NOT_FOUND, "the upload is completed");
    }
    return err == OK ? err_set(ERR_CONFLICT, "the upload was not there a moment ago") : err;
}

/* --- create and abort ------------------------------------------------------------------------ */

static enum err name(struct arena *a, struct upload *up)
{
    char random[UPLOAD_RANDOM_DIGITS + 1];
    rand_hex(random, UPLOAD_RANDOM_DIGITS);
    up->upload = str_of(arena_printf(a, "%0*" PRIx64 "%s", UPLOAD_NUMBER_DIGITS, up->id, random));
    return up->upload.ptr != NULL ? OK : err_set(ERR_NOMEM, "no memory for an upload");
}

static enum err add_insert(struct sql_unit *u, struct str bucket, struct str key,
                           const struct upload *up)
{
    struct str headers, tags = STR_NONE;
    enum err err = object_pack_pairs(u->arena, up->headers, &headers);
    if (err == OK && up->tags.count > 0)
        err = object_pack_pairs(u->arena, up->tags, &tags);
    if (err != OK)
        return err;
    sql_add_upload_insert(u, p_bucket(bucket), p_upload_id((int64_t)up->id), p_upload(up->upload),
                          p_key(key), p_owner((int64_t)up->owner), p_initiated_ms(up->initiated_ms),
                          p_class(up->storage_class), p_headers(headers),
                          p_tags_or_null(object_or_none(tags)), p_checksum(up->checksum));
    return OK;
}

enum err upload_create(struct meta *m, struct arena *a, struct str bucket, struct str key,
                       struct upload *inout)
{
    if (inout->initiated_ms == 0)
        inout->initiated_ms = clock_wall_ms();
    inout->key = key;
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.order_name = bucket;
    u.order_key = key;
    enum err err = meta_next_id(m, &inout->id);
    if (err == OK)
        err = name(a, inout);
    if (err == OK)
        err = add_insert(&u, bucket, key, inout);
    if (err == OK)
        err = access_write(m, &u);
    if (err == OK && u.first->rows == 0)
        err = err_set(ERR_NOT_FOUND, "no such bucket");
    return err;
}

enum err upload_abort(struct meta *m, struct str bucket, struct str key, struct str upload,
                      enum meta_missing *out_missing)
{
    *out_missing = META_MISSING_NONE;
    struct arena *a = arena_new(META_SMALL_ARENA);
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory for a write");
    struct sql_unit u;
    sql_unit_init(&u, SQL_WRITE, a);
    u.frees = true;
    u.order_name = bucket;
    u.order_key = key;
    sql_add_upload_lock(&u, p_bucket(bucket), p_key(key), p_upload(upload));
    sql_add_upload_drop_parts(&u, p_bucket(bucket), p_key(key), p_upload(upload));
    struct sql_call *c = sql_add_upload_drop(&u, p_bucket(bucket), p_key(key), p_upload(upload));
    enum err err = access_write(m, &u);
    if (err == OK && c->rows == 0)
        err = upload_refused(m, a, bucket, key, upload, out_missing);
    arena_free(a);
    return err;
}
