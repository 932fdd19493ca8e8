/*
 * A volume: metadata, a backing store, the memory that transfers share, and background jobs.
 *
 * fs/ speaks files: it turns a stream of bytes into slices and a content that meta/ links
 * (fs/write/writer.h), and a file's range back into bytes (fs/file.h). It knows nothing of
 * HTTP.
 *
 * Opening checks that the store belongs to the database: a marker object named "volume" holds the
 * volume's UUID and generation (fs/marker.h). A new volume writes it into a store that has none;
 * any other difference refuses to open. A tool makes neither a volume nor a store: ERR_NOT_FOUND.
 *
 * Threads: functions may be called by any thread; those that ask the database or the store block
 * and say so. One struct fs a process.
 */
#ifndef KISEKI_FS_FS_H
#define KISEKI_FS_FS_H

#include "fs/jobs.h"
#include "fs/store/store.h"
#include "meta/core/meta.h"

struct fs;

struct fs_options {
    struct meta_options meta;
    const char *store_url;
    struct store_options store;
    const char *cache_dir; /* NULL: no disk cache */
    uint64_t cache_bytes;  /* of the disk cache */
    uint64_t memory_bytes; /* read cache and transfer pages together; default 128 MiB */
    size_t inline_max;     /* files up to this size live in metadata; default 64 KiB */
    size_t io_threads;     /* backing-store requests at once; default 16 */
    bool tool;             /* a command-line tool: session "tool", no background jobs; creates
                              nothing */
};

/* Blocks. The text of an error is one line that says what to do. */
MUST_USE enum err fs_open(const struct fs_options *o, struct fs **out);
/*
 * The process is about to stop, and what waits should not: requests to the store end with
 * ERR_CANCELLED, also those that begin later, as do waits for range locks and for memory; nothing
 * waits for a database that is away; background work ends soon. Never blocks. fs_close() is to
 * follow. Any thread.
 */
void fs_cancel(struct fs *fs);
/* Waits for background work, ends the session, closes everything. NULL is fine. Blocks. */
void fs_close(struct fs *fs);

struct meta *fs_meta(struct fs *fs);
/* True after fs_cancel(). */
bool fs_is_cancelled(const struct fs *fs);

/* Gauges and counters for metrics and `kiseki status`. Never blocks. */
struct fs_stats {
    uint64_t memory_bytes, memory_used;             /* the whole budget, and what is taken now */
    uint64_t memory_uploads, memory_reads;          /* of it, held by uploads, and by reads */
    uint64_t memory_requests;                       /* of it, reserved: bodies, answers */
    uint64_t cache_hits, cache_misses, cache_bytes; /* memory cache, in granules */
    uint64_t disk_hits, disk_misses, disk_bytes;    /* disk cache, in granules */
    uint64_t disk_dropped, disk_failures;           /* wrong entries; errors of the disk */
    uint64_t uploads_waiting, reads_waiting;        /* for pages */
    uint64_t bodies_waiting;                        /* collected ones, for memory */
    struct store_stats store;
    struct job_stats jobs[JOBS_MAX]; /* background jobs (fs/jobs.h) */
    size_t job_count;
};
void fs_stats(struct fs *fs, struct fs_stats *out);

/*
 * One more background job, of a layer above: see jobs_add() in fs/jobs.h. `owner` must live until
 * fs_close() has returned. Not for tools, which have no jobs: ERR_UNSUPPORTED.
 */
MUST_USE enum err fs_add_job(struct fs *fs, const struct job *job, void *owner);

/* Database and store answer, and the lease is held? For /ready and `kiseki health`. Blocks. */
MUST_USE enum err fs_ready(struct fs *fs);

#endif
