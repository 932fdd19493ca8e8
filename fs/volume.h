/*
 * The inside of a volume, shared by the files of fs/ only.
 *
 * Lock ranks, outer first: reservations.lock (fs/memory/reservation.h), holders.lock
 * (fs/memory/pressure.h), a writer's lock, a slice shard's lock (fs/read/fetch.h), the cache's
 * lock, pages.wake_lock, pages.lock; the read-ahead's, the watch's and the slice queue's are
 * leaves. A reader's lock ranks before all of them; a thread with holders.lock only tries it. None
 * is held across SQL or the store but a reader's, for which nothing waits.
 */
#ifndef KISEKI_FS_VOLUME_H
#define KISEKI_FS_VOLUME_H

#include "base/pool.h"
#include "fs/cache/cache.h"
#include "fs/cache/disk_cache.h"
#include "fs/fs.h"
#include "fs/memory/reservation.h"
#include "fs/jobs.h"
#include "fs/memory/pages.h"
#include "fs/read/readahead.h"
#include "fs/memory/pressure.h"
#include "fs/write/slice_queue.h"
#include "meta/names/object.h"
#include "meta/files/record.h"

#include <stdatomic.h>

struct slice_table;

/* Who takes turns at the store: a read does not wait behind all slices of all uploads. */
enum io_owner { IO_READS = 1, IO_WRITES = 2 }; /* deletions count as writes */

struct fs {
    /* immutable after open */
    struct meta *meta;
    struct store *store;
    struct pool *io; /* backing-store requests; its jobs' owners are enum io_owner */
    size_t inline_max;
    bool tool;
    int64_t page_wait_ms; /* how long an upload waits for a page; once whole, for the store */
    /* each guards itself */
    struct pages pages;
    struct holders writers, readers;
    struct reservations reservations;
    struct pressure pressure;
    struct slice_queue storing; /* slices that wait for an I/O thread */
    struct cache *cache;
    struct disk_cache *disk;    /* NULL: none */
    struct slice_table *slices; /* fetches in flight: fs/read/slice_reader.h */
    struct readahead readahead;
    struct jobs *jobs;
    /* atomic */
    atomic_bool cancelled;     /* by fs_cancel() */
    _Atomic uint64_t unfolded; /* range writes since the start: each so many the job is poked */
    _Atomic size_t coming;     /* pages of uploads that are on their way to the store */
};

/* "slices/3f/a2/<id>-<tag>": two levels of fan-out by the low bits of the id. */
#define SLICE_NAME_TEXT 64
void slice_name_text(struct slice_name name, char out[SLICE_NAME_TEXT]);
/* False: not of that form. */
bool slice_name_parse(const char *text, struct slice_name *out);

/* memory.c: pages, cache, readers' and writers' lists; not the watch. */
MUST_USE enum err memory_open(struct fs *fs, uint64_t bytes);
void memory_close(struct fs *fs); /* fine on a zeroed struct */

/* writer.c, reader.c: the holders that are asked by pressure_now(). */
void writers_relieve(struct fs *fs);
void readers_relieve(struct fs *fs);

#endif
