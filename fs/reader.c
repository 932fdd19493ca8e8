#include "fs/reader.h"

#include "base/clock.h"
#include "fs/internal.h"
#include "fs/overlay.h"
#include "fs/pile.h"
#include "fs/slice_reader.h"

#include <stdlib.h>

#define BATCH_EXTENTS   16  /* of a further look-up: up to 1 GiB of a file */
#define BATCH_FRAGMENTS 512 /* at most, where extents turn out to be small: else fs/pile.h */
#define BATCH_ENOUGH    ((uint64_t)META_PIECE_MAX / 4)
#define BATCH_ARENA     ((size_t)64 << 20)
#define UNPACKED_ARENA  ((size_t)4 << 20) /* a piece of 64 MiB in slices of 64 KiB takes 82 KiB */
#define UNPACKED        2
#define HOLDS           3
#define FEW_ITEMS       9 /* extents that come with an object, and its data */
#define PAGE_TIMEOUT_MS 30000
#define IDLE_MS         500 /* of a reader that others may take its fetches from */

/* The records of one extent. */
struct unpacked {
    const struct object_extent *extent; /* NULL: empty */
    struct arena *arena;
    struct record *records;
    size_t count;
};

/* Bytes of the file before `end`, and after the holds before it, are in this fetch. */
struct hold {
    struct fetch *fetch;
    uint64_t end;
};

struct reader {
    /* immutable */
    struct file *file;
    uint64_t end;
    bool has_data;
    /* of the one thread that reads */
    uint64_t at;
    uint64_t known; /* extents below are all that matter for [at, known) */
    const struct object_extent *extents;
    size_t extent_count;
    size_t batch_size;          /* extents to ask for next */
    struct arena *batch;        /* has the extents; NULL: the file's own */
    struct overlay_item *items; /* data first if there is any, then extents */
    size_t item_count;
    struct unpacked unpacked[UNPACKED];
    unsigned unpacked_next;
    struct page *page; /* given out by the last call */
    /* with the lock held: whoever waits for memory may take the holds from a reader that rests */
    pthread_mutex_t lock;
    struct hold holds[HOLDS];
    size_t hold_count;
    uint64_t ahead; /* bytes before it have been seen to */
    /* in fs->readers while there are holds */
    struct holder holder;
    _Atomic int64_t used_ms; /* boot clock */
    /* of the one thread that reads */
    uint64_t until; /* the end of what is worth to be seen to: beyond `end` for later readers */
    struct overlay_item few[FEW_ITEMS];
};

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

void file_close(struct file *f)
{
    if (f->open)
        meta_read_end(f->fs->meta, &f->read);
    f->open = false;
}

/* --- extents ---------------------------------------------------------------------------------- */

static enum err set_items(struct reader *r)
{
    size_t count = r->extent_count + 1, n = 0;
    struct overlay_item *items = count <= FEW_ITEMS ? r->few : malloc(count * sizeof(*items));

    if (r->items != r->few)
        free(r->items);
    r->items = items;
    r->item_count = 0;
    if (items == NULL)
        return err_set(ERR_NOMEM, "out of memory for %zu extents", count);
    if (r->has_data)
        items[n++] = (struct overlay_item){0, r->file->object.data.len, 0};
    for (size_t i = 0; i < r->extent_count; i++) {
        const struct object_extent *e = &r->extents[i];

        items[n++] = (struct overlay_item){e->start, e->start + e->len, e->token};
    }
    r->item_count = n;
    return OK;
}

/*
 * Up to where these extents tell everything, if there may be more after them. They are sorted by
 * (start, token): one that is not here begins no earlier than the last one that is.
 */
static uint64_t known_until(const struct object_extent *extents, size_t count, bool more)
{
    if (!more)
        return UINT64_MAX;
    return count > 0 ? extents[count - 1].start : 0;
}

static void forget_unpacked(struct unpacked *u)
{
    arena_free(u->arena);
    *u = (struct unpacked){0};
}

/* Replaces the batch by `max` extents from r->at on, at most; or by what is seen. Blocks. */
static enum err load_batch(struct reader *r, size_t max)
{
    const struct object *o = &r->file->object;
    struct meta *m = r->file->fs->meta;
    struct arena *a = arena_new(BATCH_ARENA);
    struct object_extent *extents;
    uint64_t known = 0;
    size_t count;
    bool more = false, pile = max > BATCH_FRAGMENTS;
    enum err err;

    if (a == NULL)
        return err_set(ERR_NOMEM, "out of memory for extents");
    if (pile)
        err = pile_extents(m, a, o, r->at, r->end, &extents, &count, &known);
    else
        err = object_extents(m, a, o, r->at, r->end - r->at, max, &extents, &count, &more);
    if (err != OK) {
        arena_free(a);
        return err;
    }
    for (size_t i = 0; i < UNPACKED; i++)
        forget_unpacked(&r->unpacked[i]);
    arena_free(r->batch);
    r->batch = a;
    r->extents = extents;
    r->extent_count = count;
    r->known = pile ? known : known_until(extents, count, more);
    return set_items(r);
}

/* More writes than max may lie over each other at one place: then ask for more at a time. */
static enum err load_more(struct reader *r)
{
    enum err err = OK;

    for (size_t max = r->batch_size; err == OK && r->known <= r->at; max *= 2)
        err = load_batch(r, max);
    if (err == OK && r->known - r->at < BATCH_ENOUGH && r->batch_size < BATCH_FRAGMENTS)
        r->batch_size *= 2;
    return err;
}

/* --- from a position to a record -------------------------------------------------------------- */

/* A run of the file and where its bytes are: in `data`, or in a record. */
struct place {
    uint64_t len;
    bool data;
    const struct record *record; /* NULL: a hole of any length */
    uint64_t skip;               /* bytes of the record before the run */
    uint64_t reach;              /* bytes of the record from there on, under later writes, too */
};

static enum err unpack(struct reader *r, const struct object_extent *e, struct unpacked **out)
{
    struct unpacked *u;
    enum err err;

    for (size_t i = 0; i < UNPACKED; i++) {
        if (r->unpacked[i].extent == e) {
            *out = &r->unpacked[i];
            return OK;
        }
    }
    u = &r->unpacked[r->unpacked_next++ % UNPACKED];
    forget_unpacked(u);
    u->arena = arena_new(UNPACKED_ARENA);
    if (u->arena == NULL)
        return err_set(ERR_NOMEM, "out of memory for a piece");
    err = record_unpack(u->arena, e->records, &u->records, &u->count);
    if (err != OK) {
        forget_unpacked(u);
        return err_prefix(err, "piece %llu", (unsigned long long)e->piece);
    }
    u->extent = e;
    *out = u;
    return OK;
}

/* The record that has byte `pos` of the piece; NULL when the piece ends before. */
static const struct record *record_at(const struct unpacked *u, uint64_t pos)
{
    size_t low = 0, high = u->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (u->records[mid].pos + u->records[mid].len <= pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low < u->count ? &u->records[low] : NULL;
}

/* What is at byte `at`, up to `limit`. The record lives until other extents are asked for. */
static enum err locate(struct reader *r, uint64_t at, uint64_t limit, struct place *out)
{
    struct overlay_run run = overlay_at(r->items, r->item_count, at, limit);
    const struct object_extent *e;
    struct unpacked *u = NULL;
    uint64_t pos, bound;
    enum err err;

    *out = (struct place){.len = run.end - at};
    if (run.item == OVERLAY_NONE)
        return err_set(ERR_CORRUPT, "nothing covers bytes %llu..%llu of inode %llu",
                       (unsigned long long)at, (unsigned long long)run.end,
                       (unsigned long long)r->file->object.attr.inode);
    out->data = r->has_data && run.item == 0;
    if (out->data)
        return OK;
    e = &r->extents[run.item - (r->has_data ? 1 : 0)];
    if (e->piece == 0)
        return OK;
    err = unpack(r, e, &u);
    if (err != OK)
        return err;
    pos = e->piece_off + (at - e->start);
    out->record = record_at(u, pos);
    if (out->record == NULL)
        return err_set(ERR_CORRUPT, "piece %llu ends before byte %llu",
                       (unsigned long long)e->piece, (unsigned long long)pos);
    out->skip = pos - out->record->pos;
    bound = limit > r->end ? limit : r->end;
    out->reach = (e->start + e->len < bound ? e->start + e->len : bound) - at;
    if (out->record->len - out->skip < out->reach)
        out->reach = out->record->len - out->skip;
    if (out->reach < out->len)
        out->len = out->reach;
    return OK;
}

static bool is_in_slice(const struct place *p)
{
    return !p->data && p->record != NULL && p->record->kind == RECORD_SLICE;
}

/*
 * The place's bytes as a part of its slice, and those of the same record behind them: small writes
 * over a file must not make small requests of it. Records are checked when unpacked.
 */
static struct slice_want want_of(const struct place *p)
{
    uint32_t start = p->record->slice_off + (uint32_t)p->skip;

    return (struct slice_want){p->record, start, start + (uint32_t)p->reach};
}

/* Where the range ends, or what is known of it. */
static uint64_t known_end(const struct reader *r)
{
    return r->end < r->known ? r->end : r->known;
}

/* --- fetches that are held -------------------------------------------------------------------- */

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

        if (locate(r, r->ahead, r->until, &place) != OK)
            break;
        len = place.len;
        if (is_in_slice(&place)) {
            want = want_of(&place);
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
    uint64_t limit = known_end(r);

    if (r->ahead < r->at)
        r->ahead = r->at;
    while (r->hold_count < HOLDS && r->ahead < limit) {
        struct place place;
        struct slice_want want;
        struct fetch *fetch = NULL;
        uint64_t len;

        if (locate(r, r->ahead, limit, &place) != OK)
            return; /* told when it is reached */
        if (!is_in_slice(&place)) {
            r->ahead += place.len;
            continue;
        }
        want = want_of(&place);
        len = slice_read_ahead(r->file->fs, &want, &fetch) - want.start;
        if (len == 0)
            return;
        r->ahead += len;
        if (fetch != NULL)
            r->holds[r->hold_count++] = (struct hold){fetch, r->ahead};
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
    r->batch_size = BATCH_EXTENTS;
    r->has_data = f->object.data.ptr != NULL;
    r->extents = f->object.extents;
    r->extent_count = f->object.extent_count;
    if (f->from <= offset) {
        r->known = known_until(r->extents, r->extent_count, f->object.more_extents);
        r->known = r->known < f->to ? r->known : f->to;
    }
    err = set_items(r);
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
    struct slice_want want = want_of(p);
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
            r->holds[0] = (struct hold){fetch, r->at + fetch_has(fetch, &want)};
            if (r->ahead < r->holds[0].end)
                r->ahead = r->holds[0].end;
        } else {
            fetch_unref(fetch);
        }
    }
    len = len < p->len ? len : p->len;
    *out = (struct str){(const char *)r->page->data + in_granule, (size_t)len};
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

/* What comes next; r->at < r->end. What was given out before is given back. */
static enum err next_place(struct reader *r, bool may_block, struct place *out)
{
    struct fs *fs = r->file->fs;
    enum err err = OK;

    page_unref(&fs->pages, r->page);
    r->page = NULL;
    drop_passed_holds(r);
    if (!meta_session_alive(fs->meta))
        return err_set(ERR_FENCED, "the lease of this gateway's session is over");
    if (r->known <= r->at) {
        if (!may_block)
            return ERR_AGAIN;
        err = load_more(r);
    }
    return err == OK ? locate(r, r->at, known_end(r), out) : err;
}

static enum err next(struct reader *r, bool may_block, struct str *out)
{
    struct fs *fs = r->file->fs;
    struct place place;
    enum err err;

    *out = STR_NONE;
    if (r->at >= r->end) {
        page_unref(&fs->pages, r->page);
        r->page = NULL;
        drop_passed_holds(r);
        return OK;
    }
    err = next_place(r, may_block, &place);
    if (err != OK)
        return err;
    if (!is_in_slice(&place))
        next_in_memory(r, &place, out);
    else
        err = next_of_slice(r, &place, may_block, out);
    if (err == OK)
        read_ahead(r);
    return err;
}

/* Takes the reader from those who wait for memory. */
static void begin(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    r->used_ms = clock_boot_ms();
}

static void end(struct reader *r)
{
    holders_file(&r->file->fs->readers, &r->holder, r->hold_count > 0 ? 0 : HOLDER_NONE);
    pthread_mutex_unlock(&r->lock);
}

enum err reader_skip_hole(struct reader *r, uint64_t *out_len)
{
    struct place place;
    enum err err;

    *out_len = 0;
    if (r->at >= r->end)
        return OK;
    begin(r);
    err = next_place(r, true, &place);
    if (err == OK && !place.data && place.record == NULL) {
        *out_len = place.len;
        r->at += place.len;
    }
    end(r);
    return err;
}

enum err reader_next(struct reader *r, bool may_block, struct str *out)
{
    enum err err;

    begin(r);
    err = next(r, may_block, out);
    end(r);
    return err;
}

void reader_free(struct reader *r)
{
    if (r == NULL)
        return;
    holders_remove(&r->file->fs->readers, &r->holder);
    page_unref(&r->file->fs->pages, r->page);
    drop_holds(r);
    for (size_t i = 0; i < UNPACKED; i++)
        forget_unpacked(&r->unpacked[i]);
    arena_free(r->batch);
    if (r->items != r->few)
        free(r->items);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
