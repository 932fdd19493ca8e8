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

/* $1 bucket, $2 key, $3 inode */
static struct sql_call *of_key(struct write *x, int statement)
{
    struct sql_call *c = sql_add(&x->unit, statement);
    sql_bind_bytes(c, x->w->bucket);
    sql_bind_bytes(c, x->w->key);
    sql_bind_int(c, (int64_t)x->w->now->attr.inode);
    return c;
}

/* $4 lock, $5 session */
static struct sql_call *under_lock(struct write *x, int statement)
{
    struct sql_call *c = of_key(x, statement);
    sql_bind_int(c, (int64_t)x->w->lock->id);
    sql_bind_int(c, (int64_t)x->w->lock->session);
    return c;
}

/* $1 to $3: the link by which it is seen that the write was made. */
static struct sql_call *if_made(struct write *x, int statement)
{
    const struct range_write *w = x->w;
    struct sql_call *c = sql_add(&x->unit, statement);
    sql_bind_int(c, (int64_t)w->now->attr.inode);
    sql_bind_int(c, (int64_t)(w->offset + w->content.pieces[0].start));
    sql_bind_int(c, (int64_t)w->content.pieces[0].id);
    return c;
}

/* Sends it; *out_done: the row that `first` asks for was there, hence all of it was done. */
static enum err commit(struct write *x, struct arena *a, const struct sql_call *hold,
                       const struct sql_call *first, struct write_result *out, bool *out_done)
{
    struct sql_call *answer = under_lock(x, SQL_write_result);
    struct sql_call *release = sql_add(&x->unit, SQL_write_release);
    sql_bind_int(release, (int64_t)x->w->lock->inode);
    sql_bind_int(release, (int64_t)x->w->lock->id);
    sql_bind_int(release, (int64_t)x->w->lock->session);
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
    size_t from = 0;
    while (from < p->slice_count) {
        size_t to = from + 1;
        while (to < p->slice_count && p->slices[to].tag == p->slices[from].tag)
            to++;
        struct str ids;
        enum err err = object_slice_ids(x->unit.arena, p->slices + from, to - from, &ids);
        if (err != OK)
            return err;
        struct sql_call *c = if_made(x, SQL_write_slices);
        sql_bind_int(c, (int64_t)p->slices[from].tag);
        sql_bind_text(c, ids);
        from = to;
    }
    return OK;
}

static enum err add_piece(struct write *x, const struct content_piece *p)
{
    struct sql_call *c = if_made(x, SQL_write_piece);
    sql_bind_int(c, (int64_t)p->id);
    sql_bind_int(c, (int64_t)p->len);
    sql_bind_bytes(c, p->records);
    return add_slices(x, p);
}

/* Links, pieces, slices; links that they cover die. *out_first: the link that stands for it all. */
static enum err add_content(struct write *x, struct sql_call **out_first)
{
    const struct range_write *w = x->w;
    const struct content *content = &w->content;
    struct sql_call *c = NULL;
    uint64_t lo = w->offset, at = lo;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < content->piece_count; i++) {
        const struct content_piece *p = &content->pieces[i];
        if (lo + p->start != at || p->len == 0 || p->len > META_PIECE_MAX)
            return err_set(ERR_BUG, "piece %zu of a range write is not where the last one ends", i);
        bool merged = x->merged != 0;
        if (i == 0)
            c = under_lock(x, merged ? SQL_merge_link : SQL_write_link);
        else
            c = if_made(x, merged ? SQL_merge_link_more : SQL_write_link_more);
        if (i == 0)
            *out_first = c;
        else
            sql_bind_int(c, (int64_t)w->lock->id);
        sql_bind_int(c, (int64_t)at);
        sql_bind_int(c, (int64_t)p->len);
        sql_bind_int(c, (int64_t)p->id);
        if (merged)
            sql_bind_int(c, (int64_t)x->merged);
        err = add_piece(x, p);
        at += p->len;
    }
    if (err != OK)
        return err;
    if (at - lo != content->size || at == lo)
        return err_set(ERR_BUG, "a range write's pieces are not as long as the write");
    c = if_made(x, x->merged != 0 ? SQL_merge_cover : SQL_write_cover);
    sql_bind_int(c, (int64_t)w->lock->id);
    sql_bind_int(c, (int64_t)lo);
    sql_bind_int(c, (int64_t)(x->merged != 0 ? x->cover : at));
    sql_bind_int(c, (int64_t)x->died);
    if (x->merged != 0)
        sql_bind_int(c, (int64_t)x->merged);
    sql_bind_int(sql_add(&x->unit, SQL_write_died), (int64_t)x->died);
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
        sql_bind_text(of_key(&x, SQL_write_mark), str_of(x.ranged));
    struct sql_call *hold = under_lock(&x, SQL_write_hold);
    err = add_content(&x, &first);
    if (err != OK)
        goto out;
    struct sql_call *c = if_made(&x, SQL_write_log);
    sql_bind_int(c, (int64_t)w->lock->id);
    sql_bind_bytes(c, w->bucket);
    sql_bind_bytes(c, w->key);
    sql_bind_int(c, (int64_t)hi);
    sql_bind_int(c, w->mtime_ms);
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
    struct sql_call *hold = under_lock(&x, SQL_write_hold);
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
    struct sql_call *c = under_lock(x, SQL_write_key);
    sql_bind_int(c, (int64_t)size);
    sql_bind_int(c, x->w->mtime_ms > x->w->now->attr.mtime_ms ? x->w->mtime_ms
                                                              : x->w->now->attr.mtime_ms);
    sql_bind_text(c, str_of(x->ranged));
    under_lock(x, SQL_write_folded);
    return c;
}

static void add_hole(struct write *x, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    if (to - from > HOLE_SHORT)
        x->unit.alone = true; /* thousands of rows: nobody shall wait for them in its batch */
    struct sql_call *c = under_lock(x, SQL_write_hole);
    sql_bind_int(c, (int64_t)from);
    sql_bind_int(c, (int64_t)to);
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
    struct sql_call *hold = under_lock(&x, SQL_write_hold);
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
    struct sql_call *hold = under_lock(&x, SQL_write_hold);
    add_hole(&x, old, size);
    if (size < old) {
        struct sql_call *c = under_lock(&x, SQL_write_cut);
        sql_bind_int(c, (int64_t)size);
        sql_bind_int(c, (int64_t)x.died);
        sql_bind_int(sql_add(&x.unit, SQL_write_died), (int64_t)x.died);
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
    static const int statements[] = {SQL_write_swap, SQL_write_inode};
    struct sql_call *c = NULL;
    for (size_t i = 0; i < 2; i++) {
        c = of_key(&x, statements[i]);
        sql_bind_int(c, (int64_t)inode);
        sql_bind_int(c, out->size);
        sql_bind_text(c, out->etag);
        sql_bind_int(c, out->mtime_ms);
    }
    sql_bind_bytes(c, data);
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
    sql_bind_int(of_key(&x, SQL_unpack_swap), (int64_t)inode);
    sql_bind_int(of_key(&x, SQL_unpack_inode), (int64_t)inode);
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
