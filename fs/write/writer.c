#include "fs/write/writer.h"

#include "base/clock.h"
#include "base/log.h"
#include "fs/volume.h"
#include "fs/write/slice.h"
#include "meta/files/reclaim.h"

#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 4 /* slices of one writer on their way to the store, of 16 I/O threads */
#define OWN_BYTES     WRITER_OWN_BYTES
#define UNKNOWN_PAGES 8 /* an upload of unknown size counts as at least that many */
#define REQUEST_PAGES 4 /* sending that many costs about as much as the request itself */

struct writer {
    /* immutable */
    struct fs *fs;
    struct writer_options options;
    /* in fs->writers while there are pages that could go out */
    struct holder holder;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t idle; /* in_flight went down */
    bool owned;          /* its creator has not freed it */
    bool keep;           /* resolved: the slices are referenced, or must be left alone */
    bool want_room;      /* write() said ERR_AGAIN because of in_flight */
    bool want_stored;    /* end() said false */
    int64_t ended_ms;    /* boot clock: nothing more will be written; 0: not yet */
    bool finished;
    struct content content; /* once finished */
    size_t in_flight;
    struct err_info failure;
    struct slice *first, **last;
    size_t upload_count;
    uint64_t size;
    struct page *pages[SLICE_PAGES]; /* bytes not yet sent */
    size_t page_count, tail_len;     /* tail_len: bytes in the last page */
    uint8_t *own;                    /* bytes not yet sent while there are no pages */
    size_t own_len;
    size_t had; /* pages so far */
    bool waits; /* the writing thread's: in the queue for a page, or woken from it */
    /* its own lock */
    struct pages_waiter waiter;
};

/* Pages in all, which decide its class in turns. */
static size_t size_in_turns(const struct writer *w)
{
    if (w->options.expected >= 0)
        return (size_t)((uint64_t)w->options.expected / PAGE_BYTES) + 1;
    return w->had * 2 > UNKNOWN_PAGES ? w->had * 2 : UNKNOWN_PAGES;
}

/* --- what could go out ------------------------------------------------------------------------ */

/* Pages whose bytes are all there. With the lock held. */
static size_t full_pages(const struct writer *w)
{
    return w->page_count > 0 && w->tail_len < PAGE_BYTES ? w->page_count - 1 : w->page_count;
}

/* Its list in fs->writers: the more full pages, the higher. With the lock held. */
static int class_of(const struct writer *w)
{
    size_t full = full_pages(w);
    int class = 0;

    if (w->page_count == 0)
        return HOLDER_NONE;
    for (; full > 0; full /= 2)
        class ++;
    return class;
}

/* --- the end of a writer ---------------------------------------------------------------------- */

/* What was not sent. With the lock held, or when no other thread has the writer. */
static void drop_pages(struct writer *w)
{
    for (size_t i = 0; i < w->page_count; i++)
        pages_drop(&w->fs->pages, PAGE_UPLOAD, w->pages[i]);
    w->page_count = w->tail_len = w->own_len = 0;
}

static void writer_destroy(struct writer *w)
{
    while (w->first != NULL) {
        struct slice *u = w->first;

        w->first = u->next;
        free(u);
    }
    drop_pages(w);
    free(w->own);
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

    for (struct slice *u = w->first; names != NULL && u != NULL; u = u->next)
        if (u->name.id != 0)
            names[count++] = u->name;
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

/* An error: the slice is no longer needed, or its writer has waited too long; it is not stored. */
static enum err check_wanted(struct writer *w)
{
    enum err err = OK;

    pthread_mutex_lock(&w->lock);
    if (!w->owned && !w->keep)
        err = err_set(ERR_CANCELLED, "the upload was given up");
    else if (w->failure.code != OK)
        err = err_restore(&w->failure);
    else if (w->ended_ms != 0 && clock_boot_ms() - w->ended_ms > w->fs->page_wait_ms)
        err = err_set(ERR_BUSY, "the store had no time for an upload");
    pthread_mutex_unlock(&w->lock);
    return err;
}

/* Makes the calls that were promised. With the lock held: writer_free() waits for that. */
static void call_owner(struct writer *w)
{
    if (w->want_room) {
        w->want_room = false;
        w->options.on_room(w->options.arg);
    }
    if (w->want_stored && w->in_flight == 0) {
        w->want_stored = false;
        w->options.on_stored(w->options.arg);
    }
}

static void run_upload(struct slice_job *job)
{
    struct slice *u = (struct slice *)job;
    struct writer *w = u->writer;
    enum err err = check_wanted(w);
    bool last;

    if (err == OK)
        err = slice_store(w->fs, u);

    slice_release(w->fs, u, err == OK);
    atomic_fetch_sub(&w->fs->coming, u->page_count);
    pthread_mutex_lock(&w->lock);
    if (err != OK && w->failure.code == OK)
        err_save(err, &w->failure);
    w->in_flight--;
    last = !w->owned && w->in_flight == 0;
    if (w->owned)
        call_owner(w);
    pthread_cond_broadcast(&w->idle);
    pthread_mutex_unlock(&w->lock);
    if (last) {
        if (!w->keep)
            doom_slices(w);
        writer_destroy(w);
    }
}

/* With the lock held. */
static void submit(struct writer *w, struct slice *u)
{
    u->job.run = run_upload;
    u->job.turn.pages = size_in_turns(w);
    u->job.turn.cost = REQUEST_PAGES + u->page_count;
    u->writer = w;
    *w->last = u;
    w->last = &u->next;
    w->upload_count++;
    w->in_flight++;
    atomic_fetch_add(&w->fs->coming, u->page_count);
    slice_queue_submit(&w->fs->storing, &u->job);
}

/* Sends the first `count` pages held as one slice. With the lock held. */
static enum err send_slice(struct writer *w, size_t count)
{
    bool whole = count == w->page_count;
    struct slice *u = slice_new(count);

    if (u == NULL)
        return err_set(ERR_NOMEM, "out of memory for a slice of %zu pages", count);
    u->len = (uint32_t)(whole ? (count - 1) * PAGE_BYTES + w->tail_len : count * PAGE_BYTES);
    memcpy(u->pages, w->pages, count * sizeof(u->pages[0]));
    memmove(w->pages, w->pages + count, (w->page_count - count) * sizeof(w->pages[0]));
    w->page_count -= count;
    if (whole)
        w->tail_len = 0;
    submit(w, u);
    return OK;
}

/* Sends what is in no page as a slice. With the lock held. */
static enum err send_own(struct writer *w)
{
    struct slice *u = slice_new(0);

    if (u == NULL)
        return err_set(ERR_NOMEM, "out of memory for a slice");
    u->len = (uint32_t)w->own_len;
    u->own = w->own;
    w->own = NULL;
    w->own_len = 0;
    submit(w, u);
    return OK;
}

/* --- pressure --------------------------------------------------------------------------------- */

static bool wants_more(struct fs *fs)
{
    return pages_short(&fs->pages, PAGE_UPLOAD) > atomic_load(&fs->coming);
}

/*
 * Full pages go out as a shorter slice; the last one, which is being filled, only if it is all
 * there is. It has over OWN_BYTES: a writer that is relieved again and again makes no smaller
 * slices.
 */
static bool relieve(struct fs *fs, struct holder *one, int *out_class)
{
    struct writer *w = (struct writer *)((char *)one - offsetof(struct writer, holder));
    size_t full;

    (void)fs;
    pthread_mutex_lock(&w->lock);
    full = full_pages(w);
    if (w->failure.code != OK)
        drop_pages(w);
    else if (w->page_count > 0 && send_slice(w, full > 0 ? full : 1) == OK)
        *out_class = class_of(w);
    pthread_mutex_unlock(&w->lock);
    return true;
}

void writers_relieve(struct fs *fs)
{
    holders_ask(&fs->writers, 0, wants_more, fs, relieve);
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
    w->waiter = (struct pages_waiter){.use = PAGE_UPLOAD, .wake = wake, .arg = w};
    holder_init(&w->holder);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->idle, NULL);
    return OK;
}

/* ERR_AGAIN: there is none; a writer that waits already keeps its turn. */
static enum err add_page(struct writer *w)
{
    struct pages *pages = &w->fs->pages;
    bool expired = false;
    struct page *page =
        w->waits ? pages_take_given(pages, &w->waiter, &expired) : pages_take(pages, PAGE_UPLOAD);

    if (expired) {
        err_save(err_set(ERR_BUSY, "no memory came free for an upload in time"), &w->failure);
        return err_restore(&w->failure);
    }
    if (page == NULL)
        return ERR_AGAIN;
    w->waits = false;
    w->had++;
    w->pages[w->page_count++] = page;
    w->tail_len = w->own_len;
    if (w->own_len > 0)
        memcpy(page->data, w->own, w->own_len);
    w->own_len = 0;
    free(w->own);
    w->own = NULL;
    return OK;
}

/* Room in the last page, or in the writer's own bytes while it has no page. */
static enum err make_room(struct writer *w, size_t wanted, uint8_t **out, size_t *out_room)
{
    enum err err = OK;

    if (w->page_count == 0 && w->own_len < OWN_BYTES && (w->own_len > 0 || wanted <= OWN_BYTES)) {
        if (w->own == NULL)
            w->own = malloc(OWN_BYTES);
        if (w->own == NULL)
            return err_set(ERR_NOMEM, "out of memory for an upload");
        *out = w->own + w->own_len;
        *out_room = OWN_BYTES - w->own_len;
        return OK;
    }
    if (w->page_count == 0 || w->tail_len == PAGE_BYTES)
        err = add_page(w);
    if (err != OK)
        return err;
    *out = w->pages[w->page_count - 1]->data + w->tail_len;
    *out_room = PAGE_BYTES - w->tail_len;
    return OK;
}

/* With the lock held. */
static enum err take_some(struct writer *w, struct str data, size_t *out_taken)
{
    uint8_t *to = NULL;
    size_t room = 0, len;
    enum err err = OK;

    *out_taken = 0;
    if (w->failure.code != OK)
        return err_restore(&w->failure);
    if (w->page_count == SLICE_PAGES && w->tail_len == PAGE_BYTES) {
        if (w->in_flight >= IN_FLIGHT_MAX) {
            w->want_room = true;
            return ERR_AGAIN;
        }
        err = send_slice(w, w->page_count);
    }
    if (err == OK)
        err = make_room(w, data.len, &to, &room);
    if (err != OK)
        return err;
    len = data.len < room ? data.len : room;
    memcpy(to, data.ptr, len);
    *(w->page_count > 0 ? &w->tail_len : &w->own_len) += len;
    w->size += len;
    *out_taken = len;
    return OK;
}

enum err writer_write(struct writer *w, struct str data, size_t *out_taken)
{
    enum err err = OK;
    bool no_page = false;
    int class;

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
    w->waits = w->waits || no_page;
    if (err != OK && err != ERR_AGAIN)
        drop_pages(w); /* others need not wait until the client has seen the answer */
    class = class_of(w);
    pthread_mutex_unlock(&w->lock);
    holders_file(&w->fs->writers, &w->holder, class);
    if (no_page) {
        w->waiter.turn.pages = size_in_turns(w);
        pages_wait(&w->fs->pages, &w->waiter, clock_boot_ms() + w->fs->page_wait_ms);
        pressure_now(w->fs);
    }
    return err;
}

/* --- finishing -------------------------------------------------------------------------------- */

static enum err make_data(struct writer *w, struct arena *a, struct content *out)
{
    char *data = arena_alloc(a, (size_t)w->size + 1);
    size_t at = w->own_len;

    if (data == NULL)
        return err_set(ERR_NOMEM, "out of memory for %llu bytes", (unsigned long long)w->size);
    if (w->own_len > 0)
        memcpy(data, w->own, w->own_len);
    for (size_t i = 0; i < w->page_count; i++) {
        size_t len = i + 1 == w->page_count ? w->tail_len : PAGE_BYTES;

        memcpy(data + at, w->pages[i]->data, len);
        at += len;
    }
    drop_pages(w);
    out->data = (struct str){data, at};
    return OK;
}

/* The last bytes go into a page, for the cache, if there is one. With the lock held. */
static enum err send_rest(struct writer *w)
{
    if (w->own_len > 0 && add_page(w) != OK)
        return send_own(w);
    return w->page_count > 0 ? send_slice(w, w->page_count) : OK;
}

static bool is_in_memory(const struct writer *w)
{
    return w->first == NULL && w->size <= w->fs->inline_max;
}

/* With the lock held. */
static void end(struct writer *w)
{
    enum err err = OK;

    if (w->ended_ms != 0)
        return;
    w->ended_ms = clock_boot_ms();
    if (!is_in_memory(w) && w->failure.code == OK)
        err = send_rest(w);
    if (err != OK)
        err_save(err, &w->failure);
}

bool writer_end(struct writer *w)
{
    bool stored;

    holders_remove(&w->fs->writers, &w->holder);
    pthread_mutex_lock(&w->lock);
    end(w);
    stored = w->in_flight == 0;
    w->want_stored = !stored;
    pthread_mutex_unlock(&w->lock);
    return stored;
}

static enum err finish(struct writer *w, struct arena *a, struct content *out)
{
    enum err err = OK;
    bool in_memory;

    *out = (struct content){.size = w->size};
    holders_remove(&w->fs->writers, &w->holder);
    pthread_mutex_lock(&w->lock);
    end(w);
    while (w->in_flight > 0)
        pthread_cond_wait(&w->idle, &w->lock);
    in_memory = is_in_memory(w);
    if (w->failure.code != OK)
        err = err_restore(&w->failure);
    else if (in_memory)
        err = make_data(w, a, out);
    pthread_mutex_unlock(&w->lock);
    return err == OK && !in_memory ? slices_to_pieces(w->fs, a, w->first, w->upload_count, out)
                                   : err;
}

enum err writer_finish(struct writer *w, struct arena *a, struct content *out)
{
    enum err err = OK;

    if (w->keep)
        return err_set(ERR_BUG, "a writer is committed twice");
    if (!w->finished)
        err = finish(w, a, &w->content);
    w->finished = err == OK;
    *out = w->content;
    return err;
}

struct fs *writer_fs(const struct writer *w)
{
    return w->fs;
}

void writer_resolve(struct writer *w, enum err commit_result)
{
    if (commit_result == OK || commit_result == ERR_UNKNOWN)
        w->keep = true;
}

void writer_free(struct writer *w)
{
    struct last_job *last;
    bool busy, doom;

    holders_remove(&w->fs->writers, &w->holder);
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
    *last = (struct last_job){.job = {.run = run_last, .owner = IO_WRITES}, .writer = w};
    pool_submit_always(w->fs->io, &last->job);
}
