/*
 * The readers of one slice: which bytes are being fetched, and which are there already.
 *
 * For each slice that is being read there is a set of ranges, each being fetched, ready, or
 * invalid. A read collects what is ready (in the memory cache), joins what is in flight, and
 * requests only the gaps (fs/read/slice_ranges.h); what failed is invalid and simply a gap again:
 *
 *     slice_read: cache? -> fetch in flight? join -> else one request for the gap, verify, cache
 *
 * A thousand readers of one cold slice cost the backing store one request for each byte. A granule
 * is verified against its record's CRC before anybody sees it; a wrong one is logged, fetched once
 * more, then ERR_CORRUPT. A fetch that fails wakes all that joined it: each tries itself once
 * (which again is joined), then gives up with the same error.
 *
 * A fetch is counted, and its pages stay until the last holder lets go, so a reader that keeps its
 * fetch finds the pages even if the cache had no room for them. How much one request asks for
 * follows from the pages that all live fetches hold together: they never get more than half of the
 * budget (and one page a reader).
 *
 * No deadlock with writers: nothing here waits for pages while it holds some. A request takes what
 * pages there are, one at least, and is cut to them; when there is none slice_read() returns, the
 * caller lets go of its page and its fetches, and slice_wait_page() makes others release theirs
 * (fs/memory/pressure.h). Read-ahead never waits: it is for later, and gives up.
 *
 * Threads: any, at once. The shard's lock is held across no request; it ranks before the cache's.
 */
#ifndef KISEKI_FS_READ_SLICE_READER_H
#define KISEKI_FS_READ_SLICE_READER_H

#include "base/err.h"
#include "fs/read/slice_ranges.h"
#include "meta/files/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch; /* bytes of a slice that are under way, or came; counted */
struct fs;
struct meta_read;
struct page;
struct slice_table; /* the slices with a fetch under way */

MUST_USE enum err slice_table_new(struct fs *fs, struct slice_table **out);
void slice_table_free(struct slice_table *t); /* NULL is fine; no reader may be left */

/* Bytes [start, end) of a slice are wanted, in order. */
struct slice_want {
    const struct record *record; /* its name, length and CRCs; borrowed for the call */
    uint32_t start, end;
};

/*
 * The verified granule that has byte w->start, with a reference. A request that must be made asks
 * for as much of [start, end) as may be; `mine` is a fetch that may have the granule (or NULL).
 * *out_fetch is the fetch that was begun or joined, for the caller to hold, or NULL.
 * ERR_AGAIN: would have to wait for the store, and may_block is false; or no page is free.
 * ERR_CORRUPT (also: the slice is not in the store), ERR_BUSY, ERR_DENIED, ERR_IO, ERR_NOMEM.
 */
MUST_USE enum err slice_read(struct fs *fs, const struct slice_want *w, struct fetch *mine,
                             bool may_block, struct page **out, struct fetch **out_fetch);

/*
 * Sees to it that bytes from w->start on will be there: begins or joins a fetch (*out_fetch, to be
 * held) on an I/O thread, or passes over what is cached (NULL). Returns the end of what was seen
 * to, w->start if nothing could be done now. Never blocks.
 */
uint32_t slice_read_ahead(struct fs *fs, const struct slice_want *w, struct fetch **out_fetch);

/*
 * The same for bytes that a later reader may want: they go to the cache, and no reader holds them.
 * `of` is the epoch tag of the file; the fetch has one of its own, as old. Gives up sooner.
 */
uint32_t slice_prefetch(struct fs *fs, const struct slice_want *w, const struct meta_read *of);

/* How many bytes from w->start on, up to w->end, this fetch has or will have. */
uint32_t fetch_has(const struct fetch *f, const struct slice_want *w);
/* NULL is fine. A read-ahead that no reader holds any more is not begun. */
void fetch_unref(struct fetch *f);

/* Blocks until a page may be free: OK, try again; ERR_BUSY after deadline_boot_ms. */
MUST_USE enum err slice_wait_page(struct fs *fs, int64_t deadline_boot_ms);

#endif
