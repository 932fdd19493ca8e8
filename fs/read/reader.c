/*
 * Reading a range of a file: no locks, bounded memory, verified bytes.
 *
 * file_open() is one metadata round trip; it takes an epoch tag first, so that the slices it names
 * stay until file_close() (meta/README.md, Epochs). A reader walks the range: small files from
 * memory, others slice by slice through the caches; it fetches ahead while it is read in order.
 * Every granule that comes from the backing store or the disk cache is verified before a byte of
 * it is given out: a wrong one is logged, fetched again once, then ERR_CORRUPT. Where extents
 * overlap the later write is seen (fs/read/overlay.h). A hole is a record; a byte that neither data
 * nor a record covers is damage, never zeros: ERR_CORRUPT.
 *
 * Memory: a reader pins the granule that it gave out last and up to three fetches ahead of it (see
 * fs/read/slice_reader.h for how they are bounded); while it waits for a page it holds none of
 * them. A reader that rests (reader_rest) for half a second loses them to transfers that need
 * them, and finds or fetches them again when it goes on (fs/memory/pressure.h).
 *
 * No lock: neither a mutex of the write path, nor a row lock, nor a range lock. It is safe because
 * what a reader looks at never changes: its first statement is one state of the database, pieces
 * and slices are immutable, later extents are selected by the view that the first statement
 * returned (meta/README.md, Views), and the epoch tag keeps all of it from being freed.
 *
 * Threads: a file and its readers are used by one thread at a time.
 */
#include "fs/file.h"

#include "base/clock.h"
#include "fs/volume.h"
#include "fs/read/place.h"
#include "meta/names/object.h"

#include <stdlib.h>

#define PAGE_TIMEOUT_MS 30000
#define IDLE_MS         500 /* of a reader that others may take its fetches from */

/* --- files ------------------------------------------------------------------------------------ */

enum err file_open(struct fs *fs, struct arena *a, const struct object_get *q, struct file *out,
                   enum meta_missing *out_missing)
{
    enum err err;

    *out = (struct file){.fs = fs};
    meta_read_begin(fs->meta, &out->read);
    err = object_get(fs->meta, a, q, &out->object, out_missing);
    if (err != OK) {
        meta_read_end(fs->meta, &out->read);
        return err;
    }
    out->open = true;
    if (q->want == OBJECT_DATA) {
        out->from = q->offset;
        out->to = q->len < UINT64_MAX - q->offset ? q->offset + q->len : UINT64_MAX;
    }
    return OK;
}

enum err file_stat(struct fs *fs, struct arena *a, const struct object_get *q, struct object *out,
                   enum meta_missing *out_missing)
{
    struct object_get get = *q;

    get.want = OBJECT_ATTR;
    return object_get(fs->meta, a, &get, out, out_missing);
}

void file_close(struct file *f)
{
    if (f->open)
        meta_read_end(f->fs->meta, &f->read);
    f->open = false;
}

/* --- fetches that are held -------------------------------------------------------------------- */

static void drop_page(struct reader *r)
{
    page_unref(&r->file->fs->pages, r->page);
    r->page = NULL;
}

static void drop_holds(struct reader *r)
{
    for (size_t i = 0; i < r->hold_count; i++)
        fetch_unref(r->holds[i].fetch);
    r->hold_count = 0;
    r->ahead = r->at;
}

static bool wants_more(struct fs *fs)
{
    return pages_short(&fs->pages, PAGE_READ) > 0;
}

static bool relieve(struct fs *fs, struct holder *one, int *out_class)
{
    struct reader *r = (struct reader *)((char *)one - offsetof(struct reader, holder));

    (void)fs;
    if (clock_boot_ms() - r->used_ms < IDLE_MS || pthread_mutex_trylock(&r->lock) != 0) {
        *out_class = 0; /* it does not rest: at the end of the list */
        return true;
    }
    if (!r->lent)
        drop_page(r);
    drop_holds(r);
    pthread_mutex_unlock(&r->lock);
    return true;
}

void readers_relieve(struct fs *fs)
{
    holders_ask(&fs->readers, IDLE_MS, wants_more, fs, relieve);
}

/* Those that lie behind us. */
static void drop_passed_holds(struct reader *r)
{
    size_t passed = 0;

    while (passed < r->hold_count && r->holds[passed].end <= r->at)
        fetch_unref(r->holds[passed++].fetch);
    r->hold_count -= passed;
    for (size_t i = 0; i < r->hold_count; i++)
        r->holds[i] = r->holds[passed + i];
}

/*
 * Fetches for later requests what comes after our range. By the extents that we have: some of what
 * lies there may be missing or hidden by a later write, and is then fetched in vain.
 */
static void prefetch(struct reader *r)
{
    while (r->ahead < r->until) {
        struct place place;
        struct slice_want want;
        uint64_t len;

        if (place_locate(r, r->ahead, r->until, &place) != OK)
            break;
        len = place.len;
        if (place_is_in_slice(&place)) {
            want = place_want(&place);
            len = slice_prefetch(r->file->fs, &want, &r->file->read) - want.start;
        }
        if (len == 0)
            break;
        r->ahead += len;
    }
    r->until = r->end; /* once */
}

/* Sees to the bytes after those that are held, as far as extents are known and memory allows. */
static void read_ahead(struct reader *r)
{
    uint64_t limit = place_known_end(r);

    if (r->ahead < r->at)
        r->ahead = r->at;
    while (r->hold_count < HOLDS && r->ahead < limit) {
        struct place place;
        struct slice_want want;
        struct fetch *fetch = NULL;
        uint64_t len;

        if (place_locate(r, r->ahead, limit, &place) != OK)
            return; /* reported when it is reached */
        if (!place_is_in_slice(&place)) {
            r->ahead += place.len;
            continue;
        }
        want = place_want(&place);
        len = slice_read_ahead(r->file->fs, &want, &fetch) - want.start;
        if (len == 0)
            return;
        r->ahead += len;
        if (fetch != NULL)
            r->holds[r->hold_count++] = (struct held_fetch){fetch, r->ahead};
    }
    if (r->ahead >= r->end && r->ahead < r->until)
        prefetch(r);
}

/* --- reading ---------------------------------------------------------------------------------- */

enum err reader_new(struct file *f, uint64_t offset, uint64_t len, struct reader **out)
{
    uint64_t size = (uint64_t)f->object.attr.size;
    struct reader *r;
    enum err err;

    *out = NULL;
    if (offset > size || len > size - offset)
        return err_set(ERR_INVALID, "a range outside of the file");
    r = calloc(1, sizeof(*r));
    if (r == NULL)
        return err_set(ERR_NOMEM, "out of memory for a reader");
    r->file = f;
    r->at = r->ahead = offset;
    r->end = offset + len;
    r->until = readahead_until(&f->fs->readahead, f->object.attr.inode, offset, r->end, size);
    pthread_mutex_init(&r->lock, NULL);
    holder_init(&r->holder);
    r->items = r->few;
    r->batch_size = PLACE_BATCH;
    r->has_data = f->object.data.ptr != NULL;
    r->extents = f->object.extents;
    r->extent_count = f->object.extent_count;
    if (f->from <= offset) {
        r->known = place_known_until(r->extents, r->extent_count, f->object.more_extents);
        r->known = r->known < f->to ? r->known : f->to;
    }
    err = place_set_items(r);
    if (err != OK) {
        reader_free(r);
        return err;
    }
    *out = r;
    return OK;
}

/* The granule at r->at; waits for memory with nothing held. */
static enum err read_slice(struct reader *r, const struct slice_want *want, bool may_block,
                           struct fetch **out_fetch)
{
    struct fs *fs = r->file->fs;
    int64_t deadline = 0;

    for (;;) {
        struct fetch *mine = r->hold_count > 0 ? r->holds[0].fetch : NULL;
        enum err err = slice_read(fs, want, mine, may_block, &r->page, out_fetch);

        if (err != ERR_AGAIN || !may_block)
            return err;
        drop_holds(r);
        if (deadline == 0)
            deadline = clock_boot_ms() + PAGE_TIMEOUT_MS;
        err = slice_wait_page(fs, deadline);
        if (err != OK)
            return err;
    }
}

static enum err next_of_slice(struct reader *r, const struct place *p, bool may_block,
                              struct str *out)
{
    struct slice_want want = place_want(p);
    uint32_t in_granule = want.start % META_GRANULE;
    uint64_t len = META_GRANULE - in_granule;
    struct fetch *fetch;
    enum err err = read_slice(r, &want, may_block, &fetch);

    if (err != OK)
        return err;
    if (fetch != NULL) { /* not one of ours: those ahead of us may be left as they are */
        if (r->hold_count == 0)
            r->ahead = r->at;
        if (r->hold_count < HOLDS) {
            for (size_t i = r->hold_count++; i > 0; i--)
                r->holds[i] = r->holds[i - 1];
            r->holds[0] = (struct held_fetch){fetch, r->at + fetch_has(fetch, &want)};
            if (r->ahead < r->holds[0].end)
                r->ahead = r->holds[0].end;
        } else {
            fetch_unref(fetch);
        }
    }
    len = len < p->len ? len : p->len;
    *out = (struct str){(const char *)r->page->data + in_granule, (size_t)len};
    r->run_at = r->at;
    r->run = *out;
    r->at += len;
    return OK;
}

/* Bytes that need no store. */
static void next_in_memory(struct reader *r, const struct place *p, struct str *out)
{
    static const char zeros[PAGE_BYTES];

    if (p->data)
        *out = (struct str){r->file->object.data.ptr + r->at, (size_t)p->len};
    else if (p->record != NULL && p->record->kind == RECORD_INLINE)
        *out = (struct str){p->record->bytes.ptr + p->skip, (size_t)p->len};
    else
        *out = (struct str){zeros, (size_t)(p->len < sizeof(zeros) ? p->len : sizeof(zeros))};
    r->at += out->len;
}

static enum err fenced(void)
{
    return err_set(ERR_FENCED, "the lease of this gateway's session is over");
}

/* What comes next; r->at < r->end. What was given out before is released. */
static enum err next_place(struct reader *r, bool may_block, struct place *out)
{
    struct fs *fs = r->file->fs;
    enum err err = OK;

    drop_page(r);
    drop_passed_holds(r);
    if (!meta_session_alive(fs->meta))
        return fenced();
    if (r->known <= r->at) {
        if (!may_block)
            return ERR_AGAIN;
        err = place_load_more(r);
    }
    return err == OK ? place_locate(r, r->at, place_known_end(r), out) : err;
}

/* What reader_rest() left, unless memory pressure took it meanwhile. */
static bool again(struct reader *r, struct str *out)
{
    uint64_t skip = r->at - r->run_at;

    if (r->page == NULL || r->lent || r->at < r->run_at || skip >= r->run.len)
        return false;
    *out = str_sub(r->run, (size_t)skip, r->run.len);
    r->at += out->len;
    return true;
}

static enum err next(struct reader *r, bool may_block, struct str *out)
{
    struct fs *fs = r->file->fs;
    struct place place;
    enum err err;

    *out = STR_NONE;
    if (r->at >= r->end) {
        drop_page(r);
        drop_passed_holds(r);
        return OK;
    }
    if (again(r, out))
        return meta_session_alive(fs->meta) ? OK : fenced();
    err = next_place(r, may_block, &place);
    if (err != OK)
        return err;
    if (!place_is_in_slice(&place))
        next_in_memory(r, &place, out);
    else
        err = next_of_slice(r, &place, may_block, out);
    if (err == OK)
        read_ahead(r);
    return err;
}

/* Takes the reader from those who wait for memory. */
static void lock_reader(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->used_ms = clock_boot_ms();
}

static void unlock_reader(struct reader *r)
{
    bool holds = r->page != NULL || r->hold_count > 0;

    holders_file(&r->file->fs->readers, &r->holder, holds ? 0 : HOLDER_NONE);
    pthread_mutex_unlock(&r->lock);
}

enum err reader_skip_hole(struct reader *r, uint64_t *out_len)
{
    struct place place;
    enum err err;

    *out_len = 0;
    if (r->at >= r->end)
        return OK;
    lock_reader(r);
    err = next_place(r, true, &place);
    if (err == OK && !place.data && place.record == NULL) {
        *out_len = place.len;
        r->at += place.len;
    }
    unlock_reader(r);
    return err;
}

enum err reader_next(struct reader *r, bool may_block, struct str *out)
{
    enum err err;

    lock_reader(r);
    err = next(r, may_block, out);
    r->lent = true;
    unlock_reader(r);
    return err;
}

void reader_rest(struct reader *r, size_t unread)
{
    lock_reader(r);
    r->at -= unread;
    r->lent = false;
    unlock_reader(r);
}

void reader_free(struct reader *r)
{
    if (r == NULL)
        return;
    holders_remove(&r->file->fs->readers, &r->holder);
    drop_page(r);
    drop_holds(r);
    place_free(r);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
