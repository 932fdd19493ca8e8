#include "meta/files/write.h"

#include "base/rand.h"
#include "meta/names/object_internal.h"

#define RANGED_DIGITS 32
#define HOLE_SHORT    (256 * (uint64_t)META_PIECE_MAX)

/* --- a unit ----------------------------------------------------------------------------------- */

struct write {
    struct meta *meta;
    const struct range_write *w;
    struct sql_unit unit;
    char ranged[RANGED_DIGITS + 1]; /* random: the ETag's first part, if the file has none yet */
    uint64_t died;                  /* names the links that this write hides */
    uint64_t merged;                /* 0, or what the new links lie above (write_merged()) */
    uint64_t cover;                 /* then: hide links up to here */
};

static enum err init_write(struct write *x, struct meta *m, const struct range_write *w)
{
    *x = (struct write){.meta = m, .w = w};
    struct arena *a = arena_new(OBJECT_WRITE_ARENA);
    if (a == NULL)
        return err_set(ERR_NOMEM, "no memory for a write");
    sql_unit_init(&x->unit, SQL_WRITE, a);
    x->unit.order_name = w->bucket;
    x->unit.order_key = w->key;
    rand_hex(x->ranged, RANGED_DIGITS);
    return meta_next_id(m, &x->died);
}

static void fini_write(struct write *x)
{
    arena_free(x->unit.arena);
}

/* The parameters that say which file it is; under which lock it is written. */
#define OF_KEY(x)                                                                                  \
    p_bucket((x)->w->bucket), p_key((x)->w->key), p_inode((int64_t)(x)->w->now->attr.inode)
#define UNDER_LOCK(x)                                                                              \
    OF_KEY(x), p_lock((int64_t)(x)->w->lock->id), p_session((int64_t)(x)->w->lock->session)
/* The link by which it is seen that the write was made. */
#define IF_MADE(x)                                                                                 \
    p_inode((int64_t)(x)->w->now->attr.inode),                                                     \
        p_first_start((int64_t)((x)->w->offset + (x)->w->content.pieces[0].start)),                \
        p_first_piece((int64_t)(x)->w->content.pieces[0].id)

/* Sends it; *out_done: the row that `first` asks for was there, hence all of it was done. */
static enum err commit(struct write *x, struct arena *a, const struct sql_call *hold,
                       const struct sql_call *first, struct write_result *out, bool *out_done)
{
    struct sql_call *answer = sql_add_write_result(&x->unit, UNDER_LOCK(x));
    sql_add_write_release(&x->unit, p_inode((int64_t)x->w->lock->inode),
                          p_lock((int64_t)x->w->lock->id), p_session((int64_t)x->w->lock->session));
    enum err err = meta_content_begin(x->meta, &x->w->content);
    if (err != OK)
        return err;
    err = access_write(x->meta, &x->unit);
    *out_done = err == OK && hold->rows > 0 && first->changed > 0;
    meta_content_end(x->meta, &x->w->content, *out_done);
    if (!*out_done)
        return err;
    *out = (struct write_result){.size = sql_int(answer, 0, 0),
                                 .etag = arena_str(a, sql_str(answer, 0, 1)),
                                 .mtime_ms = sql_int(answer, 0, 2)};
    return out->etag.ptr != NULL ? OK : err_set(ERR_NOMEM, "the request's memory is full");
}

/* --- the new bytes ---------------------------------------------------------------------------- */

static enum err add_slices(struct write *x, const struct content_piece *p)
{
    for (size_t at = 0, n; at < p->slice_count; at += n) {
        n = object_same_tag(p->slices + at, p->slice_count - at);
        struct str ids;
        enum err err = object_slice_ids(x->unit.arena, p->slices + at, n, &ids);
        if (err != OK)
            return err;
        sql_add_write_slices(&x->unit, IF_MADE(x), p_tag((int64_t)p->slices[at].tag), p_ids(ids));
    }
    return OK;
}

static enum err add_piece(struct write *x, const struct content_piece *p)
{
    sql_add_write_piece(&x->unit, IF_MADE(x), p_piece((int64_t)p->id), p_len((int64_t)p->len),
                        p_records(p->records));
    return add_slices(x, p);
}

/* The link of the piece at `at`. */
static struct sql_call *add_link(struct write *x, bool first, uint64_t at,
                                 const struct content_piece *p)
{
    struct sql_unit *u = &x->unit;
    struct p_lock lock = p_lock((int64_t)x->w->lock->id);
    struct p_start start = p_start((int64_t)at);
    struct p_len len = p_len((int64_t)p->len);
    struct p_piece piece = p_piece((int64_t)p->id);
    struct p_merged merged = p_merged((int64_t)x->merged);
    if (first && x->merged != 0)
        return sql_add_merge_link(u, UNDER_LOCK(x), start, len, piece, merged);
    if (first)
        return sql_add_write_link(u, UNDER_LOCK(x), start, len, piece);
    if (x->merged != 0)
        return sql_add_merge_link_more(u, IF_MADE(x), lock, start, len, piece, merged);
    return sql_add_write_link_more(u, IF_MADE(x), lock, start, len, piece);
}

/* Links that lie below the new ones, up to `hi`, die. */
static void add_cover(struct write *x, uint64_t hi)
{
    struct p_lock lock = p_lock((int64_t)x->w->lock->id);
    struct p_lo lo = p_lo((int64_t)x->w->offset);
    struct p_died died = p_died((int64_t)x->died);
    if (x->merged != 0)
        sql_add_merge_cover(&x->unit, IF_MADE(x), lock, lo, p_hi((int64_t)x->cover), died,
                            p_merged((int64_t)x->merged));
    else
        sql_add_write_cover(&x->unit, IF_MADE(x), lock, lo, p_hi((int64_t)hi), died);
    sql_add_write_died(&x->unit, died);
}

/* Links, pieces, slices; links that they cover die. *out_first: the link that stands for it all. */
static enum err add_content(struct write *x, struct sql_call **out_first)
{
    const struct range_write *w = x->w;
    const struct content *content = &w->content;
    uint64_t lo = w->offset, at = lo;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < content->piece_count; i++) {
        const struct content_piece *p = &content->pieces[i];
        if (lo + p->start != at || p->len == 0 || p->len > META_PIECE_MAX)
            return err_set(ERR_BUG, "piece %zu of a range write is not where the last one ends", i);
        struct sql_call *link = add_link(x, i == 0, at, p);
        if (i == 0)
            *out_first = link;
        err = add_piece(x, p);
        at += p->len;
    }
    if (err != OK)
        return err;
    if (at - lo != content->size || at == lo)
        return err_set(ERR_BUG, "a range write's pieces are not as long as the write");
    add_cover(x, at);
    return OK;
}

static bool is_locked(const struct range_write *w, uint64_t lo, uint64_t hi)
{
    const struct range_lock *l = w->lock;
    return l != NULL && l->inode == w->now->attr.inode && l->mode == LOCK_EXCLUSIVE &&
           l->lo <= lo && l->hi >= hi;
}

/* --- plain ------------------------------------------------------------------------------------ */

enum err write_plain(struct meta *m, struct arena *a, const struct range_write *w,
                     struct write_result *out, bool *out_done)
{
    *out_done = false;
    uint64_t hi = w->offset + w->content.size;
    if (!is_locked(w, w->offset, hi))
        return err_set(ERR_BUG, "a range write without its lock");
    struct write x;
    struct sql_call *first = NULL;
    enum err err = init_write(&x, m, w);
    if (err != OK)
        goto out;
    if (w->now->ranged.len == 0)
        sql_add_write_mark(&x.unit, OF_KEY(&x), p_ranged(str_of(x.ranged)));
    struct sql_call *hold = sql_add_write_hold(&x.unit, UNDER_LOCK(&x));
    err = add_content(&x, &first);
    if (err != OK)
        goto out;
    sql_add_write_log(&x.unit, IF_MADE(&x), p_lock((int64_t)w->lock->id), p_bucket(w->bucket),
                      p_key(w->key), p_hi((int64_t)hi), p_mtime_ms(w->mtime_ms));
    err = commit(&x, a, hold, first, out, out_done);
out:
    fini_write(&x);
    return err;
}

enum err write_merged(struct meta *m, struct arena *a, const struct range_write *w, uint64_t token,
                      uint64_t hi, bool *out_done)
{
    *out_done = false;
    if (!is_locked(w, w->offset, hi) || hi < w->offset + w->content.size || token == 0)
        return err_set(ERR_BUG, "a merge without its lock");
    struct write x;
    struct sql_call *first = NULL;
    struct write_result ignored;
    enum err err = init_write(&x, m, w);
    if (err != OK)
        goto out;
    x.merged = token;
    x.cover = hi;
    struct sql_call *hold = sql_add_write_hold(&x.unit, UNDER_LOCK(&x));
    err = add_content(&x, &first);
    if (err == OK)
        err = commit(&x, a, hold, first, &ignored, out_done);
out:
    fini_write(&x);
    return err;
}

/* --- under the whole file's lock -------------------------------------------------------------- */

/* The key's row, of `size` bytes; what was not folded is. */
static struct sql_call *add_key(struct write *x, uint64_t size)
{
    int64_t old_ms = x->w->now->attr.mtime_ms;
    struct p_mtime_ms mtime = p_mtime_ms(x->w->mtime_ms > old_ms ? x->w->mtime_ms : old_ms);
    struct sql_call *c = sql_add_write_key(&x->unit, UNDER_LOCK(x), p_size((int64_t)size), mtime,
                                           p_ranged(str_of(x->ranged)));
    sql_add_write_folded(&x->unit, UNDER_LOCK(x));
    return c;
}

static void add_hole(struct write *x, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    if (to - from > HOLE_SHORT)
        x->unit.alone = true; /* thousands of rows: nobody shall wait for them in its batch */
    sql_add_write_hole(&x->unit, UNDER_LOCK(x), p_lo((int64_t)from), p_hi((int64_t)to));
}

enum err write_whole(struct meta *m, struct arena *a, const struct range_write *w,
                     struct write_result *out, bool *out_done)
{
    *out_done = false;
    uint64_t old = (uint64_t)w->now->attr.size, hi = w->offset + w->content.size;
    if (!is_locked(w, 0, LOCK_TO_END))
        return err_set(ERR_BUG, "a write of a whole file without its lock");
    struct write x;
    struct sql_call *first = NULL;
    enum err err = init_write(&x, m, w);
    if (err != OK)
        goto out;
    add_key(&x, hi > old ? hi : old);
    struct sql_call *hold = sql_add_write_hold(&x.unit, UNDER_LOCK(&x));
    add_hole(&x, old, w->offset);
    err = add_content(&x, &first);
    if (err == OK)
        err = commit(&x, a, hold, first, out, out_done);
out:
    fini_write(&x);
    return err;
}

enum err write_cut(struct meta *m, struct arena *a, const struct range_write *w, uint64_t size,
                   struct write_result *out, bool *out_done)
{
    *out_done = false;
    uint64_t old = (uint64_t)w->now->attr.size;
    if (!is_locked(w, 0, LOCK_TO_END))
        return err_set(ERR_BUG, "a file is cut without its lock");
    struct write x;
    enum err err = init_write(&x, m, w);
    if (err != OK)
        goto out;
    struct sql_call *first = add_key(&x, size);
    struct sql_call *hold = sql_add_write_hold(&x.unit, UNDER_LOCK(&x));
    add_hole(&x, old, size);
    if (size < old) {
        sql_add_write_cut(&x.unit, UNDER_LOCK(&x), p_lo((int64_t)size), p_died((int64_t)x.died));
        sql_add_write_died(&x.unit, p_died((int64_t)x.died));
    }
    err = commit(&x, a, hold, first, out, out_done);
out:
    fini_write(&x);
    return err;
}

/* --- files that have their bytes in their row ------------------------------------------------- */

enum err write_small(struct meta *m, struct arena *a, const struct range_write *w, struct str data,
                     struct write_result *out, bool *out_done)
{
    *out_done = false;
    struct write x;
    uint64_t inode = 0;
    enum err err = init_write(&x, m, w);
    if (err == OK)
        err = meta_next_id(m, &inode);
    if (err != OK)
        goto out;
    *out = (struct write_result){.size = (int64_t)data.len,
                                 .etag = str_of(arena_printf(a, "%s-1", x.ranged)),
                                 .mtime_ms = w->mtime_ms};
    struct p_new_inode new_inode = p_new_inode((int64_t)inode);
    struct p_size size = p_size(out->size);
    struct p_etag etag = p_etag(out->etag);
    struct p_mtime_ms mtime = p_mtime_ms(out->mtime_ms);
    sql_add_write_swap(&x.unit, OF_KEY(&x), new_inode, size, etag, mtime);
    sql_add_write_inode(&x.unit, OF_KEY(&x), new_inode, size, etag, mtime, p_data(data));
    err = access_write(m, &x.unit);
    *out_done = err == OK && x.unit.first->changed > 0;
out:
    fini_write(&x);
    return err;
}

enum err write_unpack(struct meta *m, struct arena *a, const struct range_write *w, bool *out_done)
{
    (void)a;
    *out_done = false;
    struct write x;
    uint64_t inode = 0;
    enum err err = init_write(&x, m, w);
    if (err == OK)
        err = meta_next_id(m, &inode);
    if (err != OK)
        goto out;
    sql_add_unpack_swap(&x.unit, OF_KEY(&x), p_new_inode((int64_t)inode));
    sql_add_unpack_inode(&x.unit, OF_KEY(&x), p_new_inode((int64_t)inode));
    if (w->now->attr.size > 0)
        err = object_add_unpacked(m, &x.unit, inode, 0, w->now->attr.inode,
                                  (uint64_t)w->now->attr.size);
    if (err == OK)
        err = access_write(m, &x.unit);
    *out_done = err == OK && x.unit.first->changed > 0;
out:
    fini_write(&x);
    return err;
}
