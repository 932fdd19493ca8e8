/*
 * The disk cache of granules: what the memory cache has no room for, kept on a local disk, so that
 * a gateway need not fetch it again from a remote store; also after a restart.
 *
 *     FOLDER/lock     held by the one process that uses the folder
 *     FOLDER/data     slots of 64 KiB, one granule each
 *     FOLDER/index    a header (volume, number of slots), then 40 bytes a slot: the granule in it
 *
 * The files never grow beyond what --cache-size allows, and are filled as needed. A slice is
 * immutable and its name is never used again, so nothing is ever stale; but a disk may lie, and
 * after a crash the index and the data may not belong together. So a reader must compare the
 * bytes with the CRC in the slice's record, and drop what is wrong (fs/read/fetch.c): an entry is
 * never trusted.
 *
 * What to keep: CLOCK with small counters. A granule that comes again is passed over by the hand
 * as often as it was hit, three times at most; what was read once goes first. So one pass over
 * much data does not push out what is read again and again.
 *
 * Writing never slows a reader down: pages wait in a short queue for one thread, and are dropped
 * when it is full or when transfers want the memory. A disk that is full or fails makes the cache
 * useless for a while, never wrong: it is said once a minute in the log, and reads go on to the
 * store.
 *
 * Threads: any; get and the queue's thread read and write files, the lock is not held meanwhile.
 */
#ifndef KISEKI_FS_CACHE_DISK_CACHE_H
#define KISEKI_FS_CACHE_DISK_CACHE_H

#include "fs/memory/pages.h"
#include "meta/files/record.h"

struct disk_cache;

/*
 * Opens or makes the folder's cache of at most `bytes`. What another volume, another size or a
 * broken index left there is forgotten. ERR_DENIED: another process uses the folder. ERR_INVALID:
 * `bytes` is too small to be of use. ERR_IO, ERR_BUSY: the folder cannot be used.
 */
MUST_USE enum err disk_cache_open(const char *folder, uint64_t bytes, const char *volume_uuid,
                                  struct pages *pages, struct disk_cache **out);
/* Writes what is queued, closes. NULL is fine, here and in all functions below. */
void disk_cache_close(struct disk_cache *c);

/*
 * `len` bytes of the granule, unverified, into `data`. Counts a hit or a miss. Blocks on the disk.
 */
bool disk_cache_get(struct disk_cache *c, struct slice_name slice, uint32_t granule, uint32_t len,
                    void *data);
/* The bytes were wrong: forgets the entry. */
void disk_cache_drop(struct disk_cache *c, struct slice_name slice, uint32_t granule);
/* All granules of a slice that is deleted. */
void disk_cache_forget(struct disk_cache *c, struct slice_name slice);
/* Queues a verified granule of `len` bytes, if it is not there; takes a reference of its own. */
void disk_cache_put(struct disk_cache *c, struct slice_name slice, uint32_t granule,
                    struct page *page, uint32_t len);

struct disk_cache_stats {
    uint64_t hits, misses, bytes, dropped, failures;
};
void disk_cache_stats(struct disk_cache *c, struct disk_cache_stats *out);
/* Waits until nothing is queued; for tests. */
void disk_cache_flush(struct disk_cache *c);

#endif
