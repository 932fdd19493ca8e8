#include "fs/writer.h"

#include "base/hash.h"
#include "base/log.h"
#include "fs/internal.h"
#include "meta/reclaim.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_PAGES       (META_SLICE_MAX / PAGE_BYTES)
#define IN_FLIGHT_MAX     4 /* slices of one writer on their way to the store */
#define PACKED_PIECE_MAX  ((size_t)4 << 20)
#define PIECE_RECORDS_MAX (META_PIECE_MAX / META_SLICE_MIN)

/* One slice: from full pages to a record. Owned by the writer's list until the writer goes. */
struct upload {
    struct pool_job job;
    struct writer *writer;
    struct upload *next;
    struct slice_name name; /* id 0 until it is drawn */
    uint32_t len;
    size_t page_count;
    struct page **pages; /* behind the CRCs; let go of once stored */
    uint64_t crcs[];     /* one a page: a short slice costs little, however many there are */
};

struct writer {
    /* immutable */
    struct fs *fs;
    struct writer_options options;
    /* guarded by fs->writers_lock */
    struct writer *next, *prev;
    bool listed;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t idle; /* in_flight went down */
    bool owned;          /* its creator has not freed it */
    bool keep;           /* settled: the slices are referenced, or must be left alone */
    bool want_room;      /* write() said ERR_AGAIN because of in_flight */
    size_t in_flight;
    struct err_info failure;
    struct upload *first, **last;
    size_t upload_count;
    uint64_t size;
    struct page *pages[SLICE_PAGES]; /* bytes not yet sent */
    size_t page_count, tail_len;     /* tail_len: bytes in the last page */
    /* its own lock */
    struct pages_waiter waiter;
};

/* --- the list of writers that hold bytes, for writers_relieve() ------------------------------- */

static void list_add(struct writer *w)
{
    struct fs *fs = w->fs;

    pthread_mutex_lock(&fs->writers_lock);
    w->listed = true;
    w->prev = fs->last_writer;
    w->next = NULL;
    if (fs->last_writer != NULL)
        fs->last_writer->next = w;
    else
        fs->first_writer = w;
    fs->last_writer = w;
    pthread_mutex_unlock(&fs->writers_lock);
}

static void list_remove(struct writer *w)
{
    struct fs *fs = w->fs;

    pthread_mutex_lock(&fs->writers_lock);
    if (w->listed) {
        *(w->prev != NULL ? &w->prev->next : &fs->first_writer) = w->next;
        *(w->next != NULL ? &w->next->prev : &fs->last_writer) = w->prev;
        w->listed = false;
    }
    pthread_mutex_unlock(&fs->writers_lock);
}

/* --- the end of a writer ---------------------------------------------------------------------- */

static void writer_destroy(struct writer *w)
{
    while (w->first != NULL) {
        struct upload *u = w->first;

        w->first = u->next;
        for (size_t i = 0; i < u->page_count; i++)
            page_unref(&w->fs->pages, u->pages[i]);
        free(u);
    }
    for (size_t i = 0; i < w->page_count; i++)
        page_unref(&w->fs->pages, w->pages[i]);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->idle);
    free(w);
}

/* Runs on an I/O thread once nothing is in flight. Slices that are not queued here are found from
 * the session's rows when the session ends. */
static void doom_slices(struct writer *w)
{
    struct slice_name *names = calloc(w->upload_count + 1, sizeof(*names));
    size_t count = 0;
    enum err err;

    for (struct upload *u = w->first; names != NULL && u != NULL; u = u->next) {
        if (u->name.id != 0)
            names[count++] = u->name;
    }
    err = names == NULL ? ERR_NOMEM : count == 0 ? OK : slices_doom(w->fs->meta, names, count);
    if (err != OK)
        log_warn("%zu slices of a failed upload stay until the session ends: %s", count,
                 err_text(err));
    else if (count > 0)
        jobs_poke(w->fs->jobs);
    free(names);
}

struct last_job {
    struct pool_job job;
    struct writer *writer;
};

static void run_last(struct pool_job *job)
{
    struct last_job *last = (struct last_job *)job;

    doom_slices(last->writer);
    writer_destroy(last->writer);
    free(last);
}

/* --- sending slices --------------------------------------------------------------------------- */

static enum err store_slice(struct fs *fs, struct upload *u)
{
    char name[SLICE_NAME_TEXT];
    struct iovec iov[SLICE_PAGES];
    uint32_t left = u->len;
    enum err err = slice_name_next(fs->meta, &u->name);

    if (err != OK)
        return err;
    for (size_t i = 0; i < u->page_count; i++) {
        size_t len = left < PAGE_BYTES ? left : PAGE_BYTES;

        iov[i] = (struct iovec){u->pages[i]->data, len};
        u->crcs[i] = crc64nvme(0, u->pages[i]->data, len);
        left -= (uint32_t)len;
    }
    slice_name_text(u->name, name);
    return store_put(fs->store, name, iov, (int)u->page_count, u->len);
}

static void release_pages(struct fs *fs, struct upload *u, bool to_cache)
{
    for (size_t i = 0; i < u->page_count; i++) {
        uint32_t left = u->len - (uint32_t)(i * PAGE_BYTES);

        if (to_cache) {
            cache_put(fs->cache, u->name, (uint32_t)i, u->pages[i]);
            disk_cache_put(fs->disk, u->name, (uint32_t)i, u->pages[i],
                           left < PAGE_BYTES ? left : (uint32_t)PAGE_BYTES);
        }
        page_unref(&fs->pages, u->pages[i]);
    }
    u->page_count = 0;
}

static void run_upload(struct pool_job *job)
{
    struct upload *u = (struct upload *)job;
    struct writer *w = u->writer;
    enum err err = store_slice(w->fs, u);
    bool last;

    release_pages(w->fs, u, err == OK);
    pthread_mutex_lock(&w->lock);
    if (err != OK && w->failure.code == OK)
        err_save(err, &w->failure);
    w->in_flight--;
    last = !w->owned && w->in_flight == 0;
    if (w->owned && w->want_room) {
        w->want_room = false;
        w->options.on_room(w->options.arg); /* under the lock: writer_free() waits for it */
    }
    pthread_cond_broadcast(&w->idle);
    pthread_mutex_unlock(&w->lock);
    if (last) {
        if (!w->keep)
            doom_slices(w);
        writer_destroy(w);
    }
}

/* Sends the first `count` pages held as one slice. With the lock held. */
static enum err send_slice(struct writer *w, size_t count)
{
    bool whole = count == w->page_count;
    struct upload *u = calloc(1, sizeof(*u) + count * (sizeof(u->crcs[0]) + sizeof(u->pages[0])));

    if (u == NULL)
        return err_set(ERR_NOMEM, "out of memory for a slice of %zu pages", count);
    u->job.run = run_upload;
    u->writer = w;
    u->page_count = count;
    u->len = (uint32_t)(whole ? (count - 1) * PAGE_BYTES + w->tail_len : count * PAGE_BYTES);
    u->pages = (struct page **)&u->crcs[count];
    memcpy(u->pages, w->pages, count * sizeof(u->pages[0]));
    memmove(w->pages, w->pages + count, (w->page_count - count) * sizeof(w->pages[0]));
    w->page_count -= count;
    if (whole)
        w->tail_len = 0;
    *w->last = u;
    w->last = &u->next;
    w->upload_count++;
    w->in_flight++;
    pool_submit_always(w->fs->io, &u->job);
    return OK;
}

/* Whole pages that could go out now as a shorter slice. With the lock held. */
static size_t pages_to_spare(const struct writer *w)
{
    size_t whole = w->page_count;

    if (whole > 0 && w->tail_len < PAGE_BYTES)
        whole--;
    if (w->failure.code != OK || (w->first == NULL && w->size <= w->fs->inline_max))
        return 0;
    return whole;
}

bool writers_relieve(struct fs *fs)
{
    bool sent = false;

    pthread_mutex_lock(&fs->writers_lock);
    for (struct writer *w = fs->first_writer; w != NULL && !sent; w = w->next) {
        size_t spare;

        if (pthread_mutex_trylock(&w->lock) != 0)
            continue; /* it is being written to: not the slowest */
        spare = w->in_flight == 0 ? pages_to_spare(w) : 0;
        sent = spare > 0 && send_slice(w, spare) == OK;
        pthread_mutex_unlock(&w->lock);
    }
    pthread_mutex_unlock(&fs->writers_lock);
    return sent;
}

/* --- taking bytes ----------------------------------------------------------------------------- */

static void wake(void *arg)
{
    struct writer *w = arg;

    w->options.on_room(w->options.arg);
}

enum err writer_new(struct fs *fs, const struct writer_options *o, struct writer **out)
{
    struct writer *w = calloc(1, sizeof(*w));

    *out = w;
    if (w == NULL)
        return err_set(ERR_NOMEM, "out of memory for a writer");
    w->fs = fs;
    w->options = *o;
    w->owned = true;
    w->last = &w->first;
    w->waiter = (struct pages_waiter){.wake = wake, .arg = w};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->idle, NULL);
    list_add(w);
    return OK;
}

static enum err add_page(struct writer *w)
{
    struct page *page = pages_take(&w->fs->pages);

    if (page == NULL)
        return ERR_AGAIN;
    w->pages[w->page_count++] = page;
    w->tail_len = 0;
    return OK;
}

/* Copies into the last page; with the lock held. */
static enum err take_some(struct writer *w, struct str data, size_t *out_taken)
{
    size_t room, len;

    *out_taken = 0;
    if (w->failure.code != OK)
        return err_restore(&w->failure);
    if (w->page_count == SLICE_PAGES && w->tail_len == PAGE_BYTES) {
        enum err err;

        if (w->in_flight >= IN_FLIGHT_MAX) {
            w->want_room = true;
            return ERR_AGAIN;
        }
        err = send_slice(w, w->page_count);
        if (err != OK)
            return err;
    }
    if (w->page_count == 0 || w->tail_len == PAGE_BYTES) {
        enum err err = add_page(w);

        if (err != OK)
            return err;
    }
    room = PAGE_BYTES - w->tail_len;
    len = data.len < room ? data.len : room;
    memcpy(w->pages[w->page_count - 1]->data + w->tail_len, data.ptr, len);
    w->tail_len += len;
    w->size += len;
    *out_taken = len;
    return OK;
}

/* No page is free: what this writer, or the slowest one, holds goes out; then it waits its turn. */
static void wait_for_room(struct writer *w)
{
    size_t spare;

    pthread_mutex_lock(&w->lock);
    spare = pages_to_spare(w);
    if (spare > 0 && w->in_flight == 0 && send_slice(w, spare) != OK)
        spare = 0;
    pthread_mutex_unlock(&w->lock);
    if (spare == 0)
        (void)writers_relieve(w->fs);
    pages_wait(&w->fs->pages, &w->waiter);
}

enum err writer_write(struct writer *w, struct str data, size_t *out_taken)
{
    enum err err = OK;
    bool no_page = false;

    *out_taken = 0;
    if (!meta_session_alive(w->fs->meta))
        return err_set(ERR_FENCED, "the lease of this gateway's session is over");
    pthread_mutex_lock(&w->lock);
    while (err == OK && *out_taken < data.len) {
        size_t taken;

        err = take_some(w, str_sub(data, *out_taken, data.len), &taken);
        *out_taken += taken;
    }
    no_page = err == ERR_AGAIN && !w->want_room;
    pthread_mutex_unlock(&w->lock);
    if (no_page)
        wait_for_room(w);
    return err;
}

/* --- finishing -------------------------------------------------------------------------------- */

static enum err make_data(struct writer *w, struct arena *a, struct content *out)
{
    char *data = arena_alloc(a, (size_t)w->size + 1);
    size_t at = 0;

    if (data == NULL)
        return err_set(ERR_NOMEM, "out of memory for %llu bytes", (unsigned long long)w->size);
    for (size_t i = 0; i < w->page_count; i++) {
        size_t len = i + 1 == w->page_count ? w->tail_len : PAGE_BYTES;

        memcpy(data + at, w->pages[i]->data, len);
        at += len;
    }
    out->data = (struct str){data, at};
    return OK;
}

/* Packs slices from *at on into one piece, as many as fit. */
static enum err make_piece(struct writer *w, struct arena *a, struct upload **at, uint64_t start,
                           struct content_piece *out)
{
    struct record *records = arena_array(a, PIECE_RECORDS_MAX, sizeof(*records));
    struct slice_name *names = arena_array(a, PIECE_RECORDS_MAX, sizeof(*names));
    struct buf packed;
    size_t count = 0;
    enum err err;

    if (records == NULL || names == NULL)
        return err_set(ERR_NOMEM, "out of memory for a piece");
    *out = (struct content_piece){.start = start, .slices = names};
    for (; *at != NULL && count < PIECE_RECORDS_MAX && out->len + (*at)->len <= META_PIECE_MAX;
         *at = (*at)->next) {
        struct upload *u = *at;

        records[count] = (struct record){.kind = RECORD_SLICE,
                                         .pos = out->len,
                                         .len = u->len,
                                         .slice = u->name,
                                         .slice_len = u->len,
                                         .granule_crcs = u->crcs};
        names[count++] = u->name;
        out->len += u->len;
    }
    out->slice_count = count;
    buf_init(&packed, PACKED_PIECE_MAX);
    record_pack(&packed, records, count);
    err = buf_check(&packed);
    if (err == OK) {
        out->records = arena_str(a, buf_str(&packed));
        err = out->records.ptr != NULL ? meta_next_id(w->fs->meta, &out->id)
                                       : err_set(ERR_NOMEM, "out of memory for a piece");
    }
    buf_fini(&packed);
    return err;
}

static enum err make_pieces(struct writer *w, struct arena *a, struct content *out)
{
    size_t most = (size_t)(w->size / (META_PIECE_MAX - META_SLICE_MAX)) + 2;
    struct content_piece *pieces = arena_array(a, most, sizeof(*pieces));
    struct upload *at = w->first;
    uint64_t start = 0;
    enum err err = pieces != NULL ? OK : err_set(ERR_NOMEM, "out of memory for pieces");

    while (err == OK && at != NULL) {
        struct content_piece *piece = &pieces[out->piece_count++];

        err = make_piece(w, a, &at, start, piece);
        start += piece->len;
    }
    out->pieces = pieces;
    return err;
}

bool writer_waits(const struct writer *w)
{
    return w->first != NULL || w->size > w->fs->inline_max;
}

enum err writer_finish(struct writer *w, struct arena *a, struct content *out)
{
    enum err err = OK;

    *out = (struct content){.size = w->size};
    list_remove(w);
    if (!writer_waits(w))
        return make_data(w, a, out);
    pthread_mutex_lock(&w->lock);
    if (w->page_count > 0)
        err = send_slice(w, w->page_count);
    while (w->in_flight > 0)
        pthread_cond_wait(&w->idle, &w->lock);
    pthread_mutex_unlock(&w->lock);
    if (err == OK && w->failure.code != OK)
        err = err_restore(&w->failure);
    return err == OK ? make_pieces(w, a, out) : err;
}

void writer_settle(struct writer *w, enum err commit_result)
{
    if (commit_result == OK || commit_result == ERR_UNKNOWN)
        w->keep = true;
}

void writer_free(struct writer *w)
{
    struct last_job *last;
    bool busy, doom;

    list_remove(w);
    pages_forget(&w->fs->pages, &w->waiter);
    pthread_mutex_lock(&w->lock);
    w->owned = false;
    busy = w->in_flight > 0;
    doom = !w->keep && w->first != NULL;
    pthread_mutex_unlock(&w->lock);
    if (busy)
        return; /* the last upload ends it */
    last = doom ? malloc(sizeof(*last)) : NULL;
    if (last == NULL) {
        writer_destroy(w);
        return;
    }
    *last = (struct last_job){.job.run = run_last, .writer = w};
    pool_submit_always(w->fs->io, &last->job);
}
