/*
 * Makes a key point at a new file: put and copy, and the parts of that unit that uploads share. A
 * write that found no row asks afterwards why, outside of the transaction.
 */
#include "meta/names/object_internal.h"

#include <inttypes.h>

/* A packed list of a file: headers and tags are limited far below that by S3. */
#define PAIRS_MAX_BYTES (1u << 20)
#define IDS_MAX_BYTES   (16u << 20)
/* version, count, kind, pos, len, length of the bytes */
#define INLINE_HEADER_MAX 64

/* --- parts of a unit, shared with uploads ---------------------------------------------------- */

enum err object_move_to_arena(struct arena *a, struct buf *b, struct str *out)
{
    enum err err = buf_check(b);
    if (err == OK) {
        *out = arena_str(a, buf_str(b));
        if (out->ptr == NULL)
            err = err_set(ERR_NOMEM, "the request's memory is full");
    }
    buf_fini(b);
    return err;
}

size_t object_same_tag(const struct slice_name *slices, size_t count)
{
    size_t n = 0;
    while (n < count && slices[n].tag == slices[0].tag)
        n++;
    return n;
}

enum err object_pack_pairs(struct arena *a, struct pairs p, struct str *out)
{
    struct buf b;
    buf_init(&b, PAIRS_MAX_BYTES);
    pairs_pack(&b, p);
    return object_move_to_arena(a, &b, out);
}

struct str object_or_none(struct str v)
{
    return v.len > 0 ? v : STR_NONE;
}

enum err object_add_inode(struct sql_unit *u, const struct object_put *p, uint64_t size,
                          struct str data, uint64_t source)
{
    struct str headers, tags = STR_NONE;
    enum err err = object_pack_pairs(u->arena, p->headers, &headers);
    if (err == OK && p->tags.count > 0)
        err = object_pack_pairs(u->arena, p->tags, &tags);
    if (err != OK)
        return err;
    struct p_bucket bucket = p_bucket(p->bucket);
    struct p_key key = p_key(p->key);
    struct p_inode inode = p_inode((int64_t)p->inode);
    struct p_size bytes = p_size((int64_t)size);
    struct p_mtime_ms mtime = p_mtime_ms(p->attr.mtime_ms);
    struct p_etag etag = p_etag(p->attr.etag);
    struct p_file_checksum checksum = p_file_checksum_or_null(object_or_none(p->checksum));
    struct p_parts parts = p_parts_or_null(object_or_none(p->parts));
    if (source != 0)
        sql_add_key_inode_copy(u, bucket, key, inode, bytes, mtime, etag, p_headers(headers),
                               checksum, parts, p_tags_or_null(object_or_none(tags)),
                               p_source((int64_t)source));
    else
        sql_add_key_inode(u, bucket, key, inode, bytes, mtime, etag, p_headers(headers), checksum,
                          parts, p_tags_or_null(object_or_none(tags)), p_data_or_null(data));
    return OK;
}

struct str object_inline(const struct content *c)
{
    if (c->piece_count > 0)
        return STR_NONE;
    return c->data.ptr != NULL ? c->data : STR("");
}

enum err object_slice_ids(struct arena *a, const struct slice_name *slices, size_t count,
                          struct str *out)
{
    struct buf ids;
    buf_init(&ids, IDS_MAX_BYTES);
    for (size_t i = 0; i < count; i++)
        buf_printf(&ids, "%c%" PRIu64, i == 0 ? '[' : ',', slices[i].id);
    buf_append_char(&ids, ']');
    return object_move_to_arena(a, &ids, out);
}

/* One statement for slices of one tag: those of a content nearly always have one. */
static enum err add_slices(struct sql_unit *u, uint64_t inode, const struct slice_name *slices,
                           size_t count)
{
    struct str text;
    enum err err = object_slice_ids(u->arena, slices, count, &text);
    if (err != OK)
        return err;
    sql_add_slices_new(u, p_inode((int64_t)inode), p_tag((int64_t)slices[0].tag), p_ids(text));
    return OK;
}

static enum err add_piece(struct sql_unit *u, uint64_t inode, const struct content_piece *p)
{
    sql_add_piece_new(u, p_inode((int64_t)inode), p_piece((int64_t)p->id), p_len((int64_t)p->len),
                      p_records(p->records));
    sql_add_piece_link(u, p_inode((int64_t)inode), p_start((int64_t)p->start),
                       p_len((int64_t)p->len), p_piece((int64_t)p->id));
    enum err err = OK;
    for (size_t at = 0, n; err == OK && at < p->slice_count; at += n) {
        n = object_same_tag(p->slices + at, p->slice_count - at);
        err = add_slices(u, inode, p->slices + at, n);
    }
    return err;
}

enum err object_add_content(struct sql_unit *u, uint64_t inode, const struct content *c)
{
    uint64_t at = 0;
    for (size_t i = 0; i < c->piece_count; i++) {
        const struct content_piece *p = &c->pieces[i];
        if (p->start != at || p->len == 0 || p->len > META_PIECE_MAX)
            return err_set(ERR_BUG, "piece %zu of a new file is not where the last one ends", i);
        at += p->len;
        enum err err = add_piece(u, inode, p);
        if (err != OK)
            return err;
    }
    if (at != (c->piece_count > 0 ? c->size : 0) || (at == 0 && c->data.len != c->size))
        return err_set(ERR_BUG, "a new file's pieces or bytes are not as long as the file");
    return OK;
}

void object_add_links(struct sql_unit *u, uint64_t inode, const struct object *source,
                      uint64_t offset, uint64_t end)
{
    sql_add_pieces_copy(u, p_inode((int64_t)inode), p_source((int64_t)source->attr.inode),
                        p_lo(object_position(offset)), p_hi(object_position(end)),
                        OBJECT_VIEW(&source->view));
    sql_add_pieces_ref(u, p_inode((int64_t)inode));
    sql_add_tokens_copy(u, p_inode((int64_t)inode));
}

/* --- bytes of a row as a piece ---------------------------------------------------------------- */

/* What record_pack() writes before the bytes of one inline record. */
static enum err inline_header(struct arena *a, uint64_t len, struct str *out)
{
    static const struct record empty = {.kind = RECORD_INLINE};
    struct buf b;
    buf_init(&b, INLINE_HEADER_MAX);
    record_pack(&b, &empty, 1);
    /* The same with the length in its two places; the bytes follow in the database. */
    if (buf_check(&b) == OK) {
        b.len -= 8 + 4;
        buf_put_u64(&b, len);
        buf_put_u32(&b, (uint32_t)len);
    }
    return object_move_to_arena(a, &b, out);
}

enum err object_add_unpacked(struct meta *m, struct sql_unit *u, uint64_t inode, uint64_t start,
                             uint64_t source, uint64_t size)
{
    uint64_t piece;
    struct str header;
    enum err err = meta_next_id(m, &piece);
    if (err == OK)
        err = inline_header(u->arena, size, &header);
    if (err != OK)
        return err;
    sql_add_upload_inline(u, p_inode((int64_t)inode), p_source((int64_t)source),
                          p_piece((int64_t)piece), p_header(header), p_size((int64_t)size));
    sql_add_upload_inline_link(u, p_inode((int64_t)inode), p_start((int64_t)start),
                               p_len((int64_t)size), p_piece((int64_t)piece));
    return OK;
}

/* --- why a write found no row -------------------------------------------------------------- */

enum err object_state(struct meta *m, struct arena *a, struct str bucket, struct str key,
                      struct object_state *out)
{
    *out = (struct object_state){.bucket = false};
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, a);
    struct sql_call *c = sql_add_object_state(&u, p_bucket(bucket), p_key(key));
    enum err err = sql_read(m->sql, &u);
    if (err != OK)
        return err;
    out->bucket = c->rows > 0;
    out->key = out->bucket && !sql_is_null(c, 0, 1) && sql_int(c, 0, 1) == 0;
    out->etag = out->key ? sql_str(c, 0, 2) : STR_NONE;
    out->ranged = out->key && sql_str(c, 0, 3).len > 0;
    out->inode = out->key ? (uint64_t)sql_int(c, 0, 4) : 0;
    return OK;
}

bool object_state_fits(const struct object_cond *c, const struct object_state *now)
{
    struct object_attr attr = {.etag = now->etag};
    struct object_cond etags = *c;

    if (!now->key)
        return !object_cond_wants_key(c);
    etags.has_size = etags.has_mtime = false;
    return object_cond_holds(&etags, &attr);
}

/* The upsert or update of a key's row found nothing to do; OK: it is to be tried again. */
static enum err refused(struct meta *m, struct arena *a, const struct object_put *p,
                        struct whole_lock *s, enum meta_missing *out_missing)
{
    const struct object_cond *c = &p->cond;
    struct object_state now;
    bool again = false;
    enum err err = object_state(m, a, p->bucket, p->key, &now);
    if (err == OK)
        err = whole_lock_take(m, c, &now, s, &again);
    if (err != OK || again)
        return err;
    if (!now.bucket) {
        *out_missing = META_MISSING_BUCKET;
        return err_set(ERR_NOT_FOUND, "no such bucket");
    }
    if (!now.key && object_cond_wants_key(c)) {
        *out_missing = META_MISSING_KEY;
        return err_set(ERR_NOT_FOUND, "no such key");
    }
    /* It may hold by now: it did not when it was evaluated. */
    if (c->if_absent || c->if_none_match.len > 0 || object_cond_wants_key(c))
        return err_set(ERR_CONDITION, "the key is not as the condition wants it");
    return err_set(ERR_CONFLICT, "the bucket was made a moment ago");
}

/* --- put and copy ---------------------------------------------------------------------------- */

static struct sql_call *init_unit(struct sql_unit *u, struct arena *a, const struct object_put *p,
                                  uint64_t size, const struct whole_lock *s)
{
    sql_unit_init(u, SQL_WRITE, a);
    u->order_name = p->bucket;
    u->order_key = p->key;
    if (object_cond_wants_key(&p->cond))
        return sql_add_key_update(u, OBJECT_KEY_ROW(p, size), OBJECT_ETAG_COND(&p->cond, s));
    if (object_cond_has_etag(&p->cond))
        return sql_add_key_upsert_unless(u, OBJECT_KEY_ROW(p, size), OBJECT_ETAG_COND(&p->cond, s));
    return sql_add_key_upsert(u, OBJECT_KEY_ROW(p, size));
}

/* One attempt; *out_done false and OK: to be tried again. */
typedef enum err (*attempt)(struct meta *m, struct arena *a, const struct object_put *p,
                            const struct object *source, const struct whole_lock *s,
                            bool *out_done);

static enum err put_once(struct meta *m, struct arena *a, const struct object_put *p,
                         const struct object *source, const struct whole_lock *s, bool *out_done)
{
    (void)source;
    struct sql_unit u;
    struct sql_call *key = init_unit(&u, a, p, p->content.size, s);
    enum err err = object_add_inode(&u, p, p->content.size, object_inline(&p->content), 0);
    if (err == OK)
        err = object_add_content(&u, p->inode, &p->content);
    if (err == OK)
        err = meta_content_begin(m, &p->content);
    if (err != OK)
        return err;
    err = access_write(m, &u);
    *out_done = err == OK && key->rows > 0;
    meta_content_end(m, &p->content, *out_done);
    return err;
}

static enum err copy_once(struct meta *m, struct arena *a, const struct object_put *p,
                          const struct object *source, const struct whole_lock *s, bool *out_done)
{
    struct sql_unit u;
    uint64_t size = (uint64_t)source->attr.size;
    struct sql_call *key = init_unit(&u, a, p, size, s);
    u.alone = true; /* the pieces are locked too, after the key */
    enum err err = object_add_inode(&u, p, size, STR_NONE, source->attr.inode);
    if (err != OK)
        return err;
    object_add_links(&u, p->inode, source, 0, size);
    sql_add_key_copy_check(&u, p_bucket(p->bucket), p_key(p->key), p_inode((int64_t)p->inode));
    err = access_write(m, &u);
    if (err == ERR_CONDITION) /* the check's doing: conditions of the request find no row */
        err = err_set(ERR_CONFLICT, "the source of the copy was replaced and is gone");
    *out_done = err == OK && key->rows > 0;
    return err;
}

static enum err make(struct meta *m, const struct object_put *p, const struct object *source,
                     attempt once, enum meta_missing *out_missing)
{
    struct whole_lock s = {.held = false};
    bool done = false;
    enum err err = OK;
    *out_missing = META_MISSING_NONE;
    while (err == OK && !done) {
        struct arena *a = arena_new(OBJECT_WRITE_ARENA);
        err =
            a != NULL ? once(m, a, p, source, &s, &done) : err_set(ERR_NOMEM, "no memory to write");
        if (err == OK && !done)
            err = refused(m, a, p, &s, out_missing);
        arena_free(a);
    }
    whole_lock_release(m, &s);
    return err;
}

enum err object_put(struct meta *m, const struct object_put *p, enum meta_missing *out_missing)
{
    return make(m, p, NULL, put_once, out_missing);
}

enum err object_copy(struct meta *m, const struct object_put *p, const struct object *source,
                     enum meta_missing *out_missing)
{
    return make(m, p, source, copy_once, out_missing);
}
