#include "fs/read/slice_reader.h"

#include "base/clock.h"
#include "fs/read/fetch.h"

#define NAP_MS   100 /* between looks for holders that can release pages */
#define HELD_MAX (2 * META_GRANULES_MAX)

/* No reading ahead, or beyond a reader's range, when fetches hold this part of all memory. */
#define AHEAD_SHARE    4
#define PREFETCH_SHARE 8

/* --- what to request -------------------------------------------------------------------------- */

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
static size_t collect_held(struct fs *fs, struct slice_shard *s, const struct slice_want *w,
                           struct slice_range held[HELD_MAX])
{
    size_t n = 0;
    struct slice_range *last = NULL;

    for (struct fetch *f = s->first; f != NULL && n < META_GRANULES_MAX; f = f->next)
        if (fetch_is_of(f, w->record->slice))
            held[n++] = (struct slice_range){f->first * META_GRANULE, fetch_end(f), RANGE_FETCHING};
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
static struct slice_range first_request(struct fs *fs, struct slice_shard *s,
                                        const struct slice_want *w)
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
static enum err start_fetch(struct fs *fs, struct slice_shard *s, const struct slice_want *w,
                            struct fetch **out)
{
    struct slice_want few = cut(fs, w);
    struct slice_range request = first_request(fs, s, &few);
    uint32_t first = w->start / META_GRANULE;

    if (request.start != first * META_GRANULE || request.end <= w->start)
        return err_set(ERR_BUG, "a request of %u..%u for byte %u of a slice", request.start,
                       request.end, w->start);
    return fetch_new(fs, s, w->record, first, record_granules(request.end) - first, out);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The granule from the cache (*out), or the fetch that has or will have it (*out_fetch). */
static enum err find(struct fs *fs, const struct slice_want *w, bool may_begin, struct page **out,
                     struct fetch **out_fetch)
{
    struct slice_name slice = w->record->slice;
    struct slice_shard *s = slice_shard_of(fs, slice);
    uint32_t granule = w->start / META_GRANULE;
    struct fetch *f;
    enum err err = OK;

    pthread_mutex_lock(&s->lock);
    f = fetch_find(s, slice, granule);
    if (f != NULL) {
        f->refs++;
    } else {
        /* It may have come since the caller looked. */
        *out = cache_peek(fs->cache, slice, granule);
        if (*out == NULL)
            err = may_begin ? start_fetch(fs, s, w, &f) : ERR_AGAIN;
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
    if (mine != NULL && fetch_covers(mine, w->record->slice, granule)) {
        if (!fetch_see_done(mine, may_block, &joined))
            return ERR_AGAIN;
        err = fetch_result(mine, granule, out);
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
        if (!fetch_see_done(f, may_block, &joined)) {
            fetch_unref(f);
            return ERR_AGAIN;
        }
        err = fetch_result(f, granule, out);
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

uint32_t fetch_has(const struct fetch *f, const struct slice_want *w)
{
    uint32_t end = fetch_end(f) < w->end ? fetch_end(f) : w->end;

    return fetch_covers(f, w->record->slice, w->start / META_GRANULE) ? end - w->start : 0;
}

/* --- read-ahead ------------------------------------------------------------------------------- */

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

/*
 * A fetch of what is neither cached nor under way at w->start, queued for an I/O thread; NULL when
 * more than `most` pages are held by fetches already. With the shard's lock held.
 */
static struct fetch *begin_ahead(struct fs *fs, struct slice_shard *s, const struct slice_want *w,
                                 size_t most, const struct meta_read *of)
{
    struct fetch *f;

    if (cache_has(fs->cache, w->record->slice, w->start / META_GRANULE))
        return NULL; /* it has come since */
    if (pages_wanted(&fs->pages) || atomic_load(&fs->slices->pages_held) > most)
        return NULL;
    if (start_fetch(fs, s, w, &f) != OK)
        return NULL;
    fetch_submit(f, of);
    return f;
}

/* What slice_read_ahead() and slice_prefetch() have in common. */
static uint32_t see_to(struct fs *fs, const struct slice_want *w, size_t most,
                       const struct meta_read *of, struct fetch **out_fetch)
{
    struct slice_name slice = w->record->slice;
    struct slice_shard *s = slice_shard_of(fs, slice);
    uint32_t cached = cached_until(fs, w);
    struct fetch *f;

    *out_fetch = NULL;
    if (cached > w->start)
        return cached;
    pthread_mutex_lock(&s->lock);
    f = fetch_find(s, slice, w->start / META_GRANULE);
    if (f != NULL)
        f->refs++;
    else
        f = begin_ahead(fs, s, w, most, of);
    pthread_mutex_unlock(&s->lock);
    if (f == NULL)
        return w->start;
    *out_fetch = f;
    return fetch_end(f) < w->end ? fetch_end(f) : w->end;
}

uint32_t slice_read_ahead(struct fs *fs, const struct slice_want *w, struct fetch **out_fetch)
{
    return see_to(fs, w, fs->pages.limit / AHEAD_SHARE, NULL, out_fetch);
}

uint32_t slice_prefetch(struct fs *fs, const struct slice_want *w, const struct meta_read *of)
{
    struct fetch *f;
    uint32_t end = see_to(fs, w, fs->pages.limit / PREFETCH_SHARE, of, &f);

    fetch_unref(f);
    return end;
}

/* --- waiting for memory ----------------------------------------------------------------------- */

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
    struct timespec until = clock_mono_after(NAP_MS);
    int timed_out = 0;

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
    struct pages_waiter waiter = {.use = PAGE_READ, .wake = wake, .arg = &wait};

    if (atomic_load(&fs->cancelled))
        return err_set(ERR_CANCELLED, "the process stops");
    if (clock_boot_ms() >= deadline_boot_ms)
        return err_set(ERR_BUSY, "no memory came free for a read in time");
    pages_wait(&fs->pages, &waiter, deadline_boot_ms);
    pressure_now(fs);
    nap(&wait);
    pages_forget(&fs->pages, &waiter);
    return OK;
}
