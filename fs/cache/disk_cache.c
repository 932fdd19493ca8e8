#include "fs/cache/disk_cache.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "fs/cache/disk_cache_index.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HITS_MAX   3
#define QUEUE_MAX  256
#define BACKOFF_MS 60000

struct queued {
    struct slice_name slice;
    uint32_t granule, len;
    struct page *page;
};

struct disk_cache {
    /* immutable */
    struct pages *pages;
    struct disk_files files;
    size_t queue_max;
    pthread_t thread;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct disk_index index;
    struct queued queue[QUEUE_MAX];
    size_t first, count;
    bool stopping, writing;
    int64_t quiet_until_ms; /* the disk failed: nothing is written before */
    /* atomic */
    _Atomic uint64_t hits, misses, dropped, failures;
};

/* --- a disk that fails ------------------------------------------------------------------------ */

static void failed(struct disk_cache *c, const char *what)
{
    int number = errno;
    int64_t now = clock_boot_ms();
    bool tell;

    atomic_fetch_add(&c->failures, 1);
    pthread_mutex_lock(&c->lock);
    tell = now >= c->quiet_until_ms;
    c->quiet_until_ms = now + BACKOFF_MS;
    pthread_mutex_unlock(&c->lock);
    if (tell)
        log_warn("disk cache: cannot %s: %s; nothing is written to it for a minute", what,
                 strerror(number));
}

/* --- reading ---------------------------------------------------------------------------------- */

bool disk_cache_get(struct disk_cache *c, struct slice_name slice, uint32_t granule, uint32_t len,
                    void *data)
{
    struct disk_slot want = {.slice = slice, .granule = granule, .len = len};
    uint32_t slot;
    bool found;

    if (c == NULL)
        return false;
    pthread_mutex_lock(&c->lock);
    found = disk_index_find(&c->index, &want, &slot);
    if (found)
        disk_index_hit(&c->index, slot, HITS_MAX);
    pthread_mutex_unlock(&c->lock);
    if (found && !disk_files_read(&c->files, slot, data, len)) {
        failed(c, "read");
        found = false;
    }
    if (found) { /* the slot may have been given to another granule meanwhile */
        uint32_t again;

        pthread_mutex_lock(&c->lock);
        found = disk_index_find(&c->index, &want, &again) && again == slot;
        pthread_mutex_unlock(&c->lock);
    }
    atomic_fetch_add_explicit(found ? &c->hits : &c->misses, 1, memory_order_relaxed);
    return found;
}

void disk_cache_drop(struct disk_cache *c, struct slice_name slice, uint32_t granule)
{
    struct disk_slot want = {.slice = slice, .granule = granule};
    uint32_t slot;

    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    if (disk_index_find_any(&c->index, &want, &slot)) {
        disk_index_remove(&c->index, slot);
        atomic_fetch_add(&c->dropped, 1);
    }
    pthread_mutex_unlock(&c->lock);
}

void disk_cache_forget(struct disk_cache *c, struct slice_name slice)
{
    uint32_t slot;

    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    for (uint32_t g = 0; g < META_GRANULES_MAX; g++) {
        struct disk_slot want = {.slice = slice, .granule = g};

        if (disk_index_find_any(&c->index, &want, &slot))
            disk_index_remove(&c->index, slot);
    }
    pthread_mutex_unlock(&c->lock);
}

/* --- writing ---------------------------------------------------------------------------------- */

void disk_cache_put(struct disk_cache *c, struct slice_name slice, uint32_t granule,
                    struct page *page, uint32_t len)
{
    struct disk_slot want = {.slice = slice, .granule = granule, .len = len};
    uint32_t slot;

    if (c == NULL || pages_wanted(c->pages))
        return;
    pthread_mutex_lock(&c->lock);
    if (!c->stopping && c->count < c->queue_max && clock_boot_ms() >= c->quiet_until_ms &&
        !disk_index_find(&c->index, &want, &slot)) {
        c->queue[(c->first + c->count++) % QUEUE_MAX] =
            (struct queued){slice, granule, len, page_ref(page)};
        pthread_cond_signal(&c->work);
    }
    pthread_mutex_unlock(&c->lock);
}

/* The slot has no name while its bytes change. */
static void write_one(struct disk_cache *c, const struct queued *q)
{
    struct disk_slot entry = {.slice = q->slice, .granule = q->granule, .len = q->len};
    uint32_t slot;
    bool there;

    pthread_mutex_lock(&c->lock);
    there = disk_index_find(&c->index, &entry, &slot);
    if (!there)
        slot = disk_index_take(&c->index);
    pthread_mutex_unlock(&c->lock);
    if (there)
        return;
    if (!disk_files_write(&c->files, slot, q->page->data, q->len) ||
        !disk_files_write_entry(&c->files, slot, &entry)) {
        failed(c, "write");
        return;
    }
    pthread_mutex_lock(&c->lock);
    disk_index_add(&c->index, slot, &entry);
    pthread_mutex_unlock(&c->lock);
}

static void *writer_main(void *arg)
{
    struct disk_cache *c = arg;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct queued q;

        while (c->count == 0 && !c->stopping)
            pthread_cond_wait(&c->work, &c->lock);
        if (c->count == 0)
            break;
        q = c->queue[c->first];
        c->first = (c->first + 1) % QUEUE_MAX;
        c->count--;
        c->writing = true;
        pthread_mutex_unlock(&c->lock);
        write_one(c, &q);
        page_unref(c->pages, q.page);
        pthread_mutex_lock(&c->lock);
        c->writing = false;
        if (c->count == 0)
            pthread_cond_broadcast(&c->idle);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void disk_cache_flush(struct disk_cache *c)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    while (c->count > 0 || c->writing)
        pthread_cond_wait(&c->idle, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static enum err start(struct disk_cache *c)
{
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    pthread_cond_init(&c->idle, NULL);
    if (pthread_create(&c->thread, NULL, writer_main, c) != 0) {
        pthread_mutex_destroy(&c->lock);
        pthread_cond_destroy(&c->work);
        pthread_cond_destroy(&c->idle);
        return err_set(ERR_NOMEM, "cannot start the thread of the disk cache");
    }
    pthread_setname_np(c->thread, "disk-cache");
    return OK;
}

enum err disk_cache_open(const char *folder, uint64_t bytes, const char *volume_uuid,
                         struct pages *pages, struct disk_cache **out)
{
    struct disk_cache *c = calloc(1, sizeof(*c));
    enum err err;

    *out = NULL;
    if (c == NULL)
        return err_set(ERR_NOMEM, "out of memory for the disk cache");
    c->pages = pages;
    /* What waits for the disk must not take the memory of reads that wait for bytes. */
    c->queue_max = pages->limit / 8 < QUEUE_MAX ? pages->limit / 8 : QUEUE_MAX;
    err = disk_files_open(folder, bytes, volume_uuid, &c->files, &c->index);
    if (err == OK)
        err = start(c);
    if (err != OK) {
        disk_index_fini(&c->index);
        disk_files_close(&c->files);
        free(c);
        return err;
    }
    *out = c;
    return OK;
}

void disk_cache_close(struct disk_cache *c)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->idle);
    disk_index_fini(&c->index);
    disk_files_close(&c->files);
    free(c);
}

void disk_cache_stats(struct disk_cache *c, struct disk_cache_stats *out)
{
    *out = (struct disk_cache_stats){0};
    if (c == NULL)
        return;
    out->hits = atomic_load(&c->hits);
    out->misses = atomic_load(&c->misses);
    out->dropped = atomic_load(&c->dropped);
    out->failures = atomic_load(&c->failures);
    pthread_mutex_lock(&c->lock);
    out->bytes = c->index.used * PAGE_BYTES;
    pthread_mutex_unlock(&c->lock);
}
