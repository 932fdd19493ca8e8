#include "fs/read/fetch.h"

#include "base/hash.h"
#include "base/log.h"

#include <stdlib.h>

/* --- the table -------------------------------------------------------------------------------- */

enum err slice_table_new(struct fs *fs, struct slice_table **out)
{
    struct slice_table *t = calloc(1, sizeof(*t));

    *out = t;
    if (t == NULL)
        return err_set(ERR_NOMEM, "out of memory for the table of slices");
    t->fs = fs;
    for (size_t i = 0; i < SLICE_SHARDS; i++)
        pthread_mutex_init(&t->shards[i].lock, NULL);
    return OK;
}

void slice_table_free(struct slice_table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < SLICE_SHARDS; i++)
        pthread_mutex_destroy(&t->shards[i].lock);
    free(t);
}

struct slice_shard *slice_shard_of(struct fs *fs, struct slice_name slice)
{
    return &fs->slices->shards[slice.id % SLICE_SHARDS];
}

bool fetch_is_of(const struct fetch *f, struct slice_name slice)
{
    return f->slice.id == slice.id && f->slice.tag == slice.tag;
}

bool fetch_covers(const struct fetch *f, struct slice_name slice, uint32_t granule)
{
    return fetch_is_of(f, slice) && granule >= f->first && granule - f->first < f->count;
}

uint32_t fetch_end(const struct fetch *f)
{
    uint64_t end = (uint64_t)(f->first + f->count) * META_GRANULE;

    return end < f->slice_len ? (uint32_t)end : f->slice_len;
}

struct fetch *fetch_find(struct slice_shard *s, struct slice_name slice, uint32_t granule)
{
    struct fetch *f = s->first;

    while (f != NULL && !fetch_covers(f, slice, granule))
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
    if (f->unheld && f->state == FETCH_QUEUED)
        meta_read_end(f->fs->meta, &f->read);
    for (uint32_t i = 0; i < f->count; i++)
        pages_drop(&f->fs->pages, PAGE_READ, f->pages[i]);
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

enum err fetch_new(struct fs *fs, struct slice_shard *s, const struct record *record,
                   uint32_t first, uint32_t count, struct fetch **out)
{
    struct fetch *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return err_set(ERR_NOMEM, "out of memory for a fetch");
    while (f->count < count) {
        struct page *page = pages_take(&fs->pages, PAGE_READ);

        if (page == NULL)
            break;
        f->crcs[f->count] = record->granule_crcs[first + f->count];
        f->pages[f->count++] = page;
    }
    if (f->count == 0) {
        free(f);
        return ERR_AGAIN;
    }
    f->fs = fs;
    f->shard = s;
    f->slice = record->slice;
    f->slice_len = record->slice_len;
    f->first = first;
    f->refs = 1;
    f->state = FETCH_QUEUED;
    pthread_cond_init(&f->done, NULL);
    f->next = s->first;
    s->first = f;
    atomic_fetch_add(&fs->slices->pages_held, f->count);
    *out = f;
    return OK;
}

/* --- fetching --------------------------------------------------------------------------------- */

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

/* One request for granules [from, to). */
static enum err get_some(struct fetch *f, uint32_t from, uint32_t to)
{
    char name[SLICE_NAME_TEXT];
    struct iovec iov[META_GRANULES_MAX];
    size_t len = 0;

    for (uint32_t i = from; i < to; i++) {
        iov[i - from] = (struct iovec){f->pages[i]->data, granule_len(f, i)};
        len += granule_len(f, i);
    }
    slice_name_text(f->slice, name);
    return store_getv(f->fs->store, name, (uint64_t)(f->first + from) * META_GRANULE, iov,
                      (int)(to - from), len);
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

/*
 * What the disk cache has of them, verified: a bit each. A wrong one is forgotten there, and
 * fetched like one that it never had.
 */
static uint64_t get_cached(struct fetch *f)
{
    uint64_t have = 0;

    for (uint32_t i = 0; f->fs->disk != NULL && i < f->count; i++) {
        char name[SLICE_NAME_TEXT];

        if (!disk_cache_get(f->fs->disk, f->slice, f->first + i, granule_len(f, i),
                            f->pages[i]->data))
            continue;
        if (is_good(f, i)) {
            have |= UINT64_C(1) << i;
            continue;
        }
        slice_name_text(f->slice, name);
        log_error("%s: granule %u has a wrong checksum in the disk cache, it is fetched", name,
                  f->first + i);
        disk_cache_drop(f->fs->disk, f->slice, f->first + i);
    }
    return have;
}

/*
 * From the first to the last that is missing, in one request: small gaps cost less than requests.
 */
static enum err get_missing(struct fetch *f, uint64_t have, uint32_t *out_from, uint32_t *out_to)
{
    uint32_t from = 0, to = f->count;
    enum err err;

    while (from < to && (have >> from & 1))
        from++;
    while (to > from && (have >> (to - 1) & 1))
        to--;
    *out_from = from;
    *out_to = to;
    if (from == to)
        return OK;
    err = get_some(f, from, to);
    if (err == ERR_CORRUPT)
        err = get_some(f, from, to);
    return err == OK ? OK : explain(f, err);
}

/* Fetches what is in FETCH_RUNNING by this thread, and wakes all that wait for it. */
static void run(struct fetch *f)
{
    uint64_t bad = 0;
    uint32_t from, to;
    enum err err = get_missing(f, get_cached(f), &from, &to);

    for (uint32_t i = 0; err == OK && i < f->count; i++) {
        bool fetched = i >= from && i < to;

        if (fetched && !verify(f, i)) {
            bad |= UINT64_C(1) << i;
            continue;
        }
        cache_put(f->fs->cache, f->slice, f->first + i, f->pages[i]);
        if (fetched)
            disk_cache_put(f->fs->disk, f->slice, f->first + i, f->pages[i], granule_len(f, i));
    }
    if (f->unheld)
        meta_read_end(f->fs->meta, &f->read);
    /* Into the cache first: the bytes are always in one of the two. */
    pthread_mutex_lock(&f->shard->lock);
    f->state = FETCH_DONE;
    f->bad = bad;
    if (err != OK)
        err_save(err, &f->failure);
    unlink_fetch(f);
    pthread_cond_broadcast(&f->done);
    pthread_mutex_unlock(&f->shard->lock);
}

static void run_job(struct pool_job *job)
{
    struct fetch *f = (struct fetch *)job;
    bool wanted, ours;

    pthread_mutex_lock(&f->shard->lock);
    wanted = f->refs > 1 || (f->unheld && !pages_wanted(&f->fs->pages));
    ours = wanted && claim(f);
    pthread_mutex_unlock(&f->shard->lock);
    if (ours)
        run(f);
    fetch_unref(f);
}

void fetch_submit(struct fetch *f, const struct meta_read *of)
{
    f->job.run = run_job;
    f->job.owner = IO_READS;
    f->refs++; /* the job's */
    f->unheld = of != NULL;
    if (of != NULL)
        meta_read_share(f->fs->meta, of, &f->read);
    if (pool_submit(f->fs->io, &f->job) != OK)
        f->refs--; /* its reader runs it */
}

bool fetch_see_done(struct fetch *f, bool may_block, bool *out_joined)
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

enum err fetch_result(struct fetch *f, uint32_t granule, struct page **out)
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
