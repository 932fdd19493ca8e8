#include "fs/fs.h"

#include "base/log.h"
#include "fs/volume.h"
#include "fs/marker.h"
#include "fs/read/slice_reader.h"
#include "meta/tools/survey.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MEMORY  ((uint64_t)128 << 20)
#define DEFAULT_THREADS 16
#define QUEUE_MAX       ((size_t)1 << 20)
/* Where processors are short, threads that move the bytes of all clients go before those that store
 * the bytes of some: else each round of theirs waits for all I/O threads. */
#define IO_NICE 5

static enum err open_memory(struct fs *fs, const struct fs_options *o)
{
    struct pool_options io = {.name = "io",
                              .nice = IO_NICE,
                              .threads = o->io_threads > 0 ? o->io_threads : DEFAULT_THREADS,
                              .max_queued = QUEUE_MAX,
                              .fair = true};
    enum err err = memory_open(fs, o->memory_bytes > 0 ? o->memory_bytes : DEFAULT_MEMORY);

    if (err == OK)
        err = pressure_start(fs);
    if (err == OK)
        err = slice_queue_init(&fs->storing, &fs->io, io.threads);
    return err == OK ? pool_open(&io, &fs->io) : err;
}

/* A disk that fails is no reason not to serve; a folder that is another's is a mistake. */
static enum err open_disk_cache(struct fs *fs, const struct fs_options *o)
{
    struct meta_volume volume;
    enum err err;

    if (o->cache_dir == NULL || o->cache_bytes == 0 || o->tool)
        return OK;
    if (strncmp(o->store_url, "s3:", 3) != 0) {
        log_info("no disk cache: the store %s is a disk itself", store_label(fs->store));
        return OK;
    }
    meta_volume(fs->meta, &volume);
    err = disk_cache_open(o->cache_dir, o->cache_bytes, volume.uuid, &fs->pages, &fs->disk);
    if (err != ERR_IO)
        return err;
    log_warn("no disk cache: %s", err_text(err));
    return OK;
}

static enum err open_parts(struct fs *fs, const struct fs_options *o)
{
    struct meta_options meta = o->meta;
    struct store_options store = o->store;
    enum err err;

    meta.must_exist = o->tool;
    store.must_have = o->tool ? MARKER_NAME : NULL;
    err = store_open(o->store_url, &store, &fs->store);
    if (err == OK) {
        if (meta.late_put_ms < store_put_limit_ms(fs->store))
            meta.late_put_ms = store_put_limit_ms(fs->store);
        err = meta_open(&meta, &fs->meta);
    }
    if (err == OK)
        err = marker_check(fs->meta, fs->store, !o->tool);
    if (err == OK)
        err = open_memory(fs, o);
    if (err == OK)
        err = open_disk_cache(fs, o);
    if (err == OK)
        err = meta_session_open(fs->meta, o->tool ? "tool" : "live");
    if (err == OK && !o->tool)
        err = jobs_start(fs, &fs->jobs);
    return err;
}

enum err fs_open(const struct fs_options *o, struct fs **out)
{
    struct fs *fs = calloc(1, sizeof(*fs));
    enum err err;

    *out = NULL;
    if (fs == NULL)
        return err_set(ERR_NOMEM, "out of memory for a volume");
    fs->inline_max = o->inline_max;
    fs->tool = o->tool;
    err = open_parts(fs, o);
    if (err != OK) {
        struct err_info info;

        err_save(err, &info);
        fs_close(fs);
        return err_restore(&info);
    }
    *out = fs;
    return OK;
}

void fs_cancel(struct fs *fs)
{
    atomic_store(&fs->cancelled, true);
    jobs_cancel(fs->jobs);
    store_cancel(fs->store);
    meta_cancel(fs->meta);
}

bool fs_is_cancelled(const struct fs *fs)
{
    return atomic_load(&fs->cancelled);
}

void fs_close(struct fs *fs)
{
    if (fs == NULL)
        return;
    jobs_stop(fs->jobs);
    pressure_stop(fs);
    pool_free(fs->io); /* uploads in flight end, abandoned ones are doomed */
    slice_queue_fini(&fs->storing);
    disk_cache_close(fs->disk);
    memory_close(fs);
    meta_close(fs->meta);
    store_close(fs->store);
    free(fs);
}

struct meta *fs_meta(struct fs *fs)
{
    return fs->meta;
}

void fs_stats(struct fs *fs, struct fs_stats *out)
{
    struct cache_stats cache;
    struct disk_cache_stats disk;
    struct pages_stats pages;

    pages_stats(&fs->pages, &pages);
    cache_stats(fs->cache, &cache);
    disk_cache_stats(fs->disk, &disk);
    *out = (struct fs_stats){
        .memory_bytes = fs->pages.limit * PAGE_BYTES,
        .memory_used = (pages.in_use + pages.reserved) * PAGE_BYTES,
        .memory_uploads = pages.used[PAGE_UPLOAD] * PAGE_BYTES,
        .memory_reads = pages.used[PAGE_READ] * PAGE_BYTES,
        .memory_requests = pages.reserved * PAGE_BYTES,
        .cache_hits = cache.hits,
        .cache_misses = cache.misses,
        .cache_bytes = cache.entries * PAGE_BYTES,
        .disk_hits = disk.hits,
        .disk_misses = disk.misses,
        .disk_bytes = disk.bytes,
        .disk_dropped = disk.dropped,
        .disk_failures = disk.failures,
        .uploads_waiting = pages.waiting[PAGE_UPLOAD],
        .reads_waiting = pages.waiting[PAGE_READ],
        .bodies_waiting = reservations_waiting(fs),
    };
    store_stats(fs->store, &out->store);
    out->job_count = jobs_stats(fs->jobs, out->jobs, JOBS_MAX);
}

enum err fs_add_job(struct fs *fs, const struct job *job, void *owner)
{
    if (fs->jobs == NULL)
        return err_set(ERR_UNSUPPORTED, "a tool has no background jobs");
    return jobs_add(fs->jobs, job, owner);
}

enum err fs_ready(struct fs *fs)
{
    uint64_t size;
    enum err err = meta_ping(fs->meta);

    if (err == OK && meta_lease_left_ms(fs->meta) <= 0)
        err = err_set(ERR_BUSY, "the lease is over and could not be renewed");
    return err == OK ? store_size(fs->store, MARKER_NAME, &size) : err;
}
