/*
 * A fetch: consecutive granules of one slice on their way from the backing store, and the table of
 * those that are under way. The inside of fs/read/slice_reader.h, which has the idea.
 *
 *     QUEUED --claim, by an I/O thread or by the first reader that needs it--> RUNNING --> DONE
 *
 * In the table from its making until it is done, so a reader that looks for its bytes finds it;
 * counted: its pages stay until the last reference goes. Verified granules are in the cache
 * before the fetch leaves the table, so the bytes are always in one of the two.
 *
 * A thread that runs a fetch has an epoch tag, so that the slice is not deleted meanwhile: a
 * reader has its file's, a prefetch, which may outlive its reader, one of its own.
 *
 * Threads: any. The shard's lock guards the table and what is marked so; it ranks before the
 * cache's lock and is held across no request.
 */
#ifndef KISEKI_FS_READ_FETCH_H
#define KISEKI_FS_READ_FETCH_H

#include "base/pool.h"
#include "fs/volume.h"
#include "fs/read/slice_reader.h"

#include <stdatomic.h>

#define SLICE_SHARDS 16

enum fetch_state { FETCH_QUEUED, FETCH_RUNNING, FETCH_DONE };

struct slice_shard {
    pthread_mutex_t lock;
    struct fetch *first; /* guarded by lock: not done yet */
};

struct slice_table {
    struct fs *fs;                           /* immutable */
    _Atomic size_t pages_held;               /* atomic: of all fetches that live */
    struct slice_shard shards[SLICE_SHARDS]; /* by slice id */
};

struct fetch {
    struct pool_job job; /* of a read-ahead */
    /* immutable */
    struct fs *fs;
    struct slice_shard *shard;
    struct slice_name slice;
    uint32_t slice_len;
    uint32_t first, count; /* granules */
    uint64_t crcs[META_GRANULES_MAX];
    bool unheld; /* to be run without a reader: then `read` is its epoch tag until it has run */
    struct meta_read read;
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

struct slice_shard *slice_shard_of(struct fs *fs, struct slice_name slice);

/*
 * A queued fetch of granules first.. of the record's slice: as many as there are pages for, at most
 * `count`; one reference. ERR_AGAIN when no page is free. With the shard's lock held.
 */
MUST_USE enum err fetch_new(struct fs *fs, struct slice_shard *s, const struct record *record,
                            uint32_t first, uint32_t count, struct fetch **out);
/* The fetch under way that has this granule, or NULL. With the shard's lock held. */
struct fetch *fetch_find(struct slice_shard *s, struct slice_name slice, uint32_t granule);

bool fetch_is_of(const struct fetch *f, struct slice_name slice);
bool fetch_covers(const struct fetch *f, struct slice_name slice, uint32_t granule);
/* The end of its bytes in the slice. */
uint32_t fetch_end(const struct fetch *f);

/* Waits until f is done, or runs it (then not *out_joined). False: would have to wait. */
bool fetch_see_done(struct fetch *f, bool may_block, bool *out_joined);
/* A reference to the granule of a fetch that is done. */
MUST_USE enum err fetch_result(struct fetch *f, uint32_t granule, struct page **out);

/*
 * Queues a job that runs f on an I/O thread, unless another thread does before, or no reader holds
 * it by then. With `of` (the epoch tag of the file, which is shared) it runs without a reader, too,
 * unless a transfer waits for memory. With the shard's lock held.
 */
void fetch_submit(struct fetch *f, const struct meta_read *of);

#endif
