/*
 * The memory cache of granules: (slice, granule number) -> page.
 *
 * Bounded by the budget it shares with transfers (fs/memory/pages.h), from which it takes nothing
 * by force: pages come in with their reference and leave when transfers need room. Scan-resistant:
 * S3-FIFO (small queue, main queue, ghosts), so that one pass over much data does not push out what
 * is read again and again. An entry whose page a response still sends may be evicted; the page
 * lives on until that reference goes.
 *
 * Only verified granules may be put. Slices are immutable, so nothing is ever stale.
 * Threads: any, at once; one lock a shard.
 */
#ifndef KISEKI_FS_CACHE_CACHE_H
#define KISEKI_FS_CACHE_CACHE_H

#include "fs/memory/pages.h"
#include "meta/files/record.h"

struct cache;

MUST_USE enum err cache_new(struct pages *pages, struct cache **out);
void cache_free(struct cache *c);

/* A new reference to the page, or NULL. Counts a hit or a miss. */
struct page *cache_get(struct cache *c, struct slice_name slice, uint32_t granule);
/* The same for the inside of a fetch: counts nothing, and is no sign of popularity. */
struct page *cache_peek(struct cache *c, struct slice_name slice, uint32_t granule);
bool cache_has(struct cache *c, struct slice_name slice, uint32_t granule);
/* Takes a reference of its own; does nothing if the granule is there or somebody waits for
 * memory. */
void cache_put(struct cache *c, struct slice_name slice, uint32_t granule, struct page *page);
/* Lets go of one page: the hook of fs/memory/pages.h. False when the cache is empty. */
bool cache_evict_one(void *cache);

struct cache_stats {
    uint64_t hits, misses, entries;
};
void cache_stats(struct cache *c, struct cache_stats *out);

#endif
