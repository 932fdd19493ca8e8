#include "fs/slice_reader.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "fs/internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHARDS   16
#define NAP_MS   100 /* between looks for a writer that can be relieved */
#define HELD_MAX (2 * META_GRANULES_MAX)

enum fetch_state { FETCH_QUEUED, FETCH_RUNNING, FETCH_DONE };

struct shard {
    pthread_mutex_t lock;
    struct fetch *first; /* guarded by lock: not done yet */
};

struct slice_table {
    struct fs *fs;               /* immutable */
    _Atomic size_t pages_held;   /* atomic: of fetches that somebody holds */
    struct shard shards[SHARDS]; /* by slice id */
};

struct fetch {
    struct pool_job job; /* of a read-ahead */
    /* immutable */
    struct fs *fs;
    struct shard *shard;
    struct slice_name slice;
    uint32_t slice_len;
    uint32_t first, count; /* granules */
    uint64_t crcs[META_GRANULES_MAX];
    /* guarded by the shard's lock; all but refs immutable once done */
    struct fetch *next;
    unsigned refs;
    enum fetch_state state;
    struct err_info failure; /* of all of it */
    uint64_t bad;            /* bit i: granule first + i is not what its CRC says */
    pthread_cond_t done;
    /* the runner's until done, then immutable */
    struct page *pages[META_GRANULES_MAX];
};

/* --- the table ------------------------------------------------------------------------------------- */

enum err slice_table_new(struct fs *fs, struct slice_table **out)
{
    struct slice_table *t = calloc(1, sizeof(*t));

    *out = t;
    if (t == NULL)
        return err_set(ERR_NOMEM, "out of memory for the table of slices");
    t->fs = fs;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&t->shards[i].lock, NULL);
    return OK;
}

void slice_table_free(struct slice_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&t->shards[i].lock);
    free(t);
}

static struct shard *shard_of(struct fs *fs, struct slice_name slice)
{
    return &fs->slices->shards[slice.id % SHARDS];
}

static bool is_of(const struct fetch *f, struct slice_name slice)
{
    return f->slice.id == slice.id && f->slice.tag == slice.tag;
}

static bool covers(const struct fetch *f, struct slice_name slice, uint32_t granule)
{
    return is_of(f, slice) && granule >= f->first && granule - f->first < f->count;
}

/* The end of its bytes in the slice. */
static uint32_t fetch_end(const struct fetch *f)
{
    uint64_t end = (uint64_t)(f->first + f->count) * META_GRANULE;

    return end < f->slice_len ? (uint32_t)end : f->slice_len;
}

uint32_t fetch_has(const struct fetch *f, const struct slice_want *w)
{
    uint32_t end = fetch_end(f) < w->end ? fetch_end(f) : w->end;

    return covers(f, w->record->slice, w->start / META_GRANULE) ? end - w->start : 0;
}

/* With the shard's lock held. */
static struct fetch *find_in_flight(struct shard *s, struct slice_name slice, uint32_t granule)
{
    struct fetch *f = s->first;

    while (f != NULL && !covers(f, slice, granule))
        f = f->next;
    return f;
}

/* With the shard's lock held. */
static void unlink_fetch(struct fetch *f)
{
    struct fetch **at = &f->shard->first;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
}

/* A queued one becomes this thread's to run. With the shard's lock held. */
static bool claim(struct fetch *f)
{
    bool ours = f->state == FETCH_QUEUED;

    if (ours)
        f->state = FETCH_RUNNING;
    return ours;
}

static void fetch_free(struct fetch *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        page_unref(&f->fs->pages, f->pages[i]);
    atomic_fetch_sub(&f->fs->slices->pages_held, f->count);
    pthread_cond_destroy(&f->done);
    free(f);
}

void fetch_unref(struct fetch *f)
{
    bool last;

    if (f == NULL)
        return;
    pthread_mutex_lock(&f->shard->lock);
    last = --f->refs == 0;
    if (last && f->state == FETCH_QUEUED)
        unlink_fetch(f);
    pthread_mutex_unlock(&f->shard->lock);
    if (last)
        fetch_free(f);
}

/* --- what to request -------------------------------------------------------------------------------- */

/* Granules that one request may ask for now: a quarter of what is left of half the budget. */
static uint32_t window(struct fs *fs)
{
    size_t held = atomic_load(&fs->slices->pages_held), most = fs->pages.limit / 2;
    size_t granules = held < most ? (most - held) / 4 : 0;

    if (granules < 1)
        return 1;
    return granules < META_GRANULES_MAX ? (uint32_t)granules : META_GRANULES_MAX;
}

/* What others fetch of the slice and what is cached of [start, end). With the shard's lock held. */
static size_t collect_held(struct fs *fs, struct shard *s, const struct slice_want *w,
                           struct slice_range held[HELD_MAX])
{
    size_t n = 0;
    struct slice_range *last = NULL;

    for (struct fetch *f = s->first; f != NULL && n < META_GRANULES_MAX; f = f->next) {
        if (is_of(f, w->record->slice))
            held[n++] = (struct slice_range){f->first * META_GRANULE, fetch_end(f), RANGE_FETCHING};
    }
    for (uint32_t g = w->start / META_GRANULE; (uint64_t)g * META_GRANULE < w->end; g++) {
        uint32_t start = g * META_GRANULE;

        if (!cache_has(fs->cache, w->record->slice, g))
            continue;
        if (last != NULL && last->end == start) {
            last->end += META_GRANULE;
        } else {
            last = &held[n++];
            *last = (struct slice_range){start, start + META_GRANULE, RANGE_READY};
        }
    }
    return n;
}

/*
 * The first request for what is missing of w; it begins at w->start's granule, which the caller has
 * looked for in vain. Later gaps are requested when their turn comes. With the shard's lock held.
 */
static struct slice_range first_request(struct fs *fs, struct shard *s, const struct slice_want *w)
{
    struct slice_range held[HELD_MAX], parts[RANGES_FOUND_MAX(HELD_MAX)];
    size_t held_count = collect_held(fs, s, w, held);
    size_t count = ranges_find(held, held_count, w->start, w->end, parts);

    count = ranges_requests(parts, count, parts);
    count = ranges_shape(held, held_count, META_GRANULE, w->record->slice_len, parts, count);
    return count > 0 ? parts[0] : (struct slice_range){w->start, w->start, RANGE_GAP};
}

static struct slice_want cut(struct fs *fs, const struct slice_want *w)
{
    uint64_t end = (uint64_t)(w->start / META_GRANULE + window(fs)) * META_GRANULE;
    struct slice_want cut = *w;

    if (end < cut.end)
        cut.end = (uint32_t)end;
    return cut;
}

/* Begins a fetch with one reference; ERR_AGAIN when no page is free. With the shard's lock held. */
static enum err begin(struct fs *fs, struct shard *s, const struct slice_want *w,
                      enum fetch_state state, struct fetch **out)
{
    struct slice_want few = cut(fs, w);
    struct slice_range request = first_request(fs, s, &few);
    uint32_t first = w->start / META_GRANULE;
    struct fetch *f;

    if (request.start != first * META_GRANULE || request.end <= w->start)
        return err_set(ERR_BUG, "a request of %u..%u for byte %u of a slice", request.start,
                       request.end, w->start);
    f = calloc(1, sizeof(*f));
    if (f == NULL)
        return err_set(ERR_NOMEM, "out of memory for a fetch");
    while (f->count < record_granules(request.end) - first) {
        struct page *page = pages_take(&fs->pages);

        if (page == NULL)
            break;
        f->crcs[f->count] = w->record->granule_crcs[first + f->count];
        f->pages[f->count++] = page;
    }
    if (f->count == 0) {
        free(f);
        return ERR_AGAIN;
    }
    f->fs = fs;
    f->shard = s;
    f->slice = w->record->slice;
    f->slice_len = w->record->slice_len;
    f->first = first;
    f->refs = 1;
    f->state = state;
    pthread_cond_init(&f->done, NULL);
    f->next = s->first;
    s->first = f;
    atomic_fetch_add(&fs->slices->pages_held, f->count);
    *out = f;
    return OK;
}

/* --- fetching ---------------------------------------------------------------------------------------- */

static uint32_t granule_len(const struct fetch *f, uint32_t i)
{
    uint32_t left = f->slice_len - (f->first + i) * META_GRANULE;

    return left < META_GRANULE ? left : META_GRANULE;
}

static enum err get_granule(struct fetch *f, uint32_t i)
{
    char name[SLICE_NAME_TEXT];

    slice_name_text(f->slice, name);
    return store_get(f->fs->store, name, (uint64_t)(f->first + i) * META_GRANULE, granule_len(f, i),
                     f->pages[i]->data);
}

/* One request for all granules. */
static enum err get_all(struct fetch *f)
{
    char name[SLICE_NAME_TEXT];
    uint32_t start = f->first * META_GRANULE, len = fetch_end(f) - start;
    uint8_t *bytes;
    enum err err;

    if (f->count == 1)
        return get_granule(f, 0);
    bytes = malloc(len);
    if (bytes == NULL)
        return err_set(ERR_NOMEM, "out of memory for %u bytes of a slice", len);
    slice_name_text(f->slice, name);
    err = store_get(f->fs->store, name, start, len, bytes);
    for (uint32_t i = 0; err == OK && i < f->count; i++)
        memcpy(f->pages[i]->data, bytes + (size_t)i * META_GRANULE, granule_len(f, i));
    free(bytes);
    return err;
}

static bool is_good(const struct fetch *f, uint32_t i)
{
    return crc64nvme(0, f->pages[i]->data, granule_len(f, i)) == f->crcs[i];
}

/* Wrong bytes may have been damaged under way: one more fetch tells. */
static bool verify(struct fetch *f, uint32_t i)
{
    char name[SLICE_NAME_TEXT];
    bool good = is_good(f, i);

    if (good)
        return true;
    slice_name_text(f->slice, name);
    log_error("%s: granule %u has a wrong checksum, it is fetched again", name, f->first + i);
    good = get_granule(f, i) == OK && is_good(f, i);
    if (!good)
        log_error("%s: granule %u is corrupt", name, f->first + i);
    return good;
}

/* Records name this object, so that it is missing or short is damage, not the client's mistake. */
static enum err explain(struct fetch *f, enum err err)
{
    char name[SLICE_NAME_TEXT];

    if (err != ERR_NOT_FOUND && err != ERR_CORRUPT)
        return err;
    slice_name_text(f->slice, name);
    log_error("%s: %s", name, err_text(err));
    return err_set(ERR_CORRUPT, "%s is missing from the backing store, or cut off", name);
}

/* Fetches what is in FETCH_RUNNING by this thread, and wakes all that wait for it. */
static void run(struct fetch *f)
{
    uint64_t bad = 0;
    enum err err = get_all(f);

    if (err == ERR_CORRUPT)
        err = get_all(f);
    if (err != OK)
        err = explain(f, err);
    for (uint32_t i = 0; err == OK && i < f->count; i++) {
        if (verify(f, i))
            cache_put(f->fs->cache, f->slice, f->first + i, f->pages[i]);
        else
            bad |= UINT64_C(1) << i;
    }
    /* Into the cache first: at no time are the bytes in neither place. */
    pthread_mutex_lock(&f->shard->lock);
    f->state = FETCH_DONE;
    f->bad = bad;
    if (err != OK)
        err_save(err, &f->failure);
    unlink_fetch(f);
    pthread_cond_broadcast(&f->done);
    pthread_mutex_unlock(&f->shard->lock);
}

static void run_ahead(struct pool_job *job)
{
    struct fetch *f = (struct fetch *)job;
    bool ours;

    pthread_mutex_lock(&f->shard->lock);
    ours = f->refs > 1 && claim(f);
    pthread_mutex_unlock(&f->shard->lock);
    if (ours)
        run(f);
    fetch_unref(f);
}

/* Waits until f is done, or runs it. *out_joined: somebody else ran it. False: would have to wait. */
static bool see_done(struct fetch *f, bool may_block, bool *out_joined)
{
    bool done, ours;

    pthread_mutex_lock(&f->shard->lock);
    ours = may_block && claim(f);
    while (may_block && !ours && f->state != FETCH_DONE)
        pthread_cond_wait(&f->done, &f->shard->lock);
    done = f->state == FETCH_DONE;
    pthread_mutex_unlock(&f->shard->lock);
    *out_joined = !ours;
    if (ours)
        run(f);
    return done || ours;
}

/* --- reading ----------------------------------------------------------------------------------------- */

/* The granule of a fetch that is done. */
static enum err result(struct fetch *f, uint32_t granule, struct page **out)
{
    char name[SLICE_NAME_TEXT];
    uint32_t i = granule - f->first;

    if (f->failure.code != OK)
        return err_restore(&f->failure);
    if (f->bad >> i & 1) {
        slice_name_text(f->slice, name);
        return err_set(ERR_CORRUPT, "%s: granule %u is corrupt", name, granule);
    }
    *out = page_ref(f->pages[i]);
    return OK;
}

/* The granule from the cache (*out), or the fetch that will have it, joined or begun (*out_fetch). */
static enum err find(struct fs *fs, const struct slice_want *w, bool may_begin, struct page **out,
                     struct fetch **out_fetch)
{
    struct slice_name slice = w->record->slice;
    struct shard *s = shard_of(fs, slice);
    uint32_t granule = w->start / META_GRANULE;
    struct fetch *f;
    enum err err = OK;

    pthread_mutex_lock(&s->lock);
    f = find_in_flight(s, slice, granule);
    if (f != NULL) {
        f->refs++;
    } else {
        /* It may have come since the caller looked. */
        *out = cache_peek(fs->cache, slice, granule);
        if (*out == NULL)
            err = may_begin ? begin(fs, s, w, FETCH_QUEUED, &f) : ERR_AGAIN;
    }
    pthread_mutex_unlock(&s->lock);
    *out_fetch = f;
    return err;
}

enum err slice_read(struct fs *fs, const struct slice_want *w, struct fetch *mine, bool may_block,
                    struct page **out, struct fetch **out_fetch)
{
    uint32_t granule = w->start / META_GRANULE;
    bool joined = false, may_join_failure = true;
    enum err err = OK;

    *out = NULL;
    *out_fetch = NULL;
    if (mine != NULL && covers(mine, w->record->slice, granule)) {
        if (!see_done(mine, may_block, &joined))
            return ERR_AGAIN;
        err = result(mine, granule, out);
        if (err == OK || !joined)
            return err;
        may_join_failure = false;
    }
    *out = cache_get(fs->cache, w->record->slice, granule);
    while (*out == NULL) {
        struct fetch *f;

        err = find(fs, w, may_block, out, &f);
        if (err != OK || f == NULL)
            return err;
        if (!see_done(f, may_block, &joined)) {
            fetch_unref(f);
            return ERR_AGAIN;
        }
        err = result(f, granule, out);
        if (err == OK) {
            *out_fetch = f;
            return OK;
        }
        fetch_unref(f);
        if (!joined || !may_join_failure)
            return err;
        may_join_failure = false;
    }
    return OK;
}

/* --- read-ahead -------------------------------------------------------------------------------------- */

/* The end of what is cached from `start` on; at most `end`. */
static uint32_t cached_until(struct fs *fs, const struct slice_want *w)
{
    uint32_t granule = w->start / META_GRANULE;
    uint64_t at;

    while ((uint64_t)granule * META_GRANULE < w->end &&
           cache_has(fs->cache, w->record->slice, granule))
        granule++;
    at = (uint64_t)granule * META_GRANULE;
    if (at > w->end)
        return w->end;
    return at > w->start ? (uint32_t)at : w->start;
}

/* With the shard's lock held. */
static struct fetch *begin_ahead(struct fs *fs, struct shard *s, const struct slice_want *w)
{
    struct fetch *f;

    if (pages_wanted(&fs->pages) || atomic_load(&fs->slices->pages_held) > fs->pages.limit / 4)
        return NULL;
    if (begin(fs, s, w, FETCH_QUEUED, &f) != OK)
        return NULL;
    f->job.run = run_ahead;
    f->refs++; /* the job's */
    if (pool_submit(fs->io, &f->job) != OK)
        f->refs--; /* nobody runs it until its holder wants it */
    return f;
}

uint32_t slice_read_ahead(struct fs *fs, const struct slice_want *w, struct fetch **out_fetch)
{
    struct slice_name slice = w->record->slice;
    struct shard *s = shard_of(fs, slice);
    struct slice_want rest = *w;
    struct fetch *f;

    *out_fetch = NULL;
    rest.start = cached_until(fs, w);
    if (rest.start > w->start)
        return rest.start;
    pthread_mutex_lock(&s->lock);
    f = find_in_flight(s, slice, rest.start / META_GRANULE);
    if (f != NULL)
        f->refs++;
    else if (!cache_has(fs->cache, slice, rest.start / META_GRANULE))
        f = begin_ahead(fs, s, &rest);
    pthread_mutex_unlock(&s->lock);
    if (f == NULL)
        return w->start;
    *out_fetch = f;
    return fetch_end(f) < w->end ? fetch_end(f) : w->end;
}

/* --- waiting for memory ------------------------------------------------------------------------------ */

struct page_wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken; /* guarded by lock */
};

static void wake(void *arg)
{
    struct page_wait *wait = arg;

    pthread_mutex_lock(&wait->lock);
    wait->woken = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->lock);
}

static void nap(struct page_wait *wait)
{
    struct timespec until;
    int timed_out = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += NAP_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&wait->lock);
    while (!wait->woken && timed_out == 0)
        timed_out = pthread_cond_clockwait(&wait->cond, &wait->lock, CLOCK_MONOTONIC, &until);
    pthread_mutex_unlock(&wait->lock);
}

/*
 * Returns after each nap, woken or not: pages may also have come free in ways that wake nobody, and
 * a look costs little.
 */
enum err slice_wait_page(struct fs *fs, int64_t deadline_boot_ms)
{
    struct page_wait wait = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct pages_waiter waiter = {.wake = wake, .arg = &wait};

    if (clock_boot_ms() >= deadline_boot_ms)
        return err_set(ERR_BUSY, "no memory came free for a read in time");
    (void)writers_relieve(fs);
    pages_wait(&fs->pages, &waiter);
    nap(&wait);
    pages_forget(&fs->pages, &waiter);
    return OK;
}
