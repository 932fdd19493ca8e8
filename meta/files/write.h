/*
 * Writing at a range of a file that is there (meta/README.md, "Writing at a range", has the idea).
 * fs/write/range_write.h calls this; nothing else writes at ranges. See meta/core/meta.h for
 * errors and threads.
 *
 *     state = object_get(..., OBJECT_DATA)     under an epoch tag, held until the end
 *     bytes in the key's row: write_small() or write_unpack(), which make a new inode
 *     else lock_take([lo, hi)), write_plain()  by far the most
 *     or   lock_take(whole), object_get() again, check, write_whole() or write_cut()
 *
 * All but write_small() and write_unpack() need the lock, and release it in their transaction when
 * they answer OK with *out_done. *out_done false: the key does not point to that inode any more, or
 * the file has become too short for a plain write, or the lock was lost: nothing was written; begin
 * anew. Slices and errors as in object_put(): after ERR_UNKNOWN the content must be left alone.
 */
#ifndef KISEKI_META_FILES_WRITE_H
#define KISEKI_META_FILES_WRITE_H

#include "meta/jobs/job.h"
#include "meta/lock/lock.h"
#include "meta/names/object.h"

/* What the file is after the write. */
struct write_result {
    int64_t size;
    struct str etag; /* in the caller's arena */
    int64_t mtime_ms;
};

struct range_write {
    struct str bucket, key;
    const struct object *now; /* as the key was found; not written at a range by write_small() */
    uint64_t offset;
    struct content content; /* pieces, relative to offset; bytes in memory are inline records */
    int64_t mtime_ms;
    const struct range_lock *lock;
};

/* [offset, offset + size) under its lock; offset <= the file's size, or *out_done is false. */
MUST_USE enum err write_plain(struct meta *m, struct arena *a, const struct range_write *w,
                              struct write_result *out, bool *out_done);

/*
 * The same under the whole file's lock, `now` being its state under that lock. A gap between the
 * old end and offset becomes a hole.
 */
MUST_USE enum err write_whole(struct meta *m, struct arena *a, const struct range_write *w,
                              struct write_result *out, bool *out_done);

/* The file's new size, under the whole file's lock. Content and offset are not used. */
MUST_USE enum err write_cut(struct meta *m, struct arena *a, const struct range_write *w,
                            uint64_t size, struct write_result *out, bool *out_done);

/*
 * A file that has its bytes in its row: a new inode with `data`, all of them, and a new ETag; no
 * lock. Content and offset are not used.
 */
MUST_USE enum err write_small(struct meta *m, struct arena *a, const struct range_write *w,
                              struct str data, struct write_result *out, bool *out_done);

/* The same file with its bytes in a piece: nothing that a client sees changes. */
MUST_USE enum err write_unpack(struct meta *m, struct arena *a, const struct range_write *w,
                               bool *out_done);

/*
 * Merged: the content is what the file had at [offset, offset + size) by a view taken after
 * `token`, that of a lock on the range which was released since; `lock` is another one, on
 * [offset, hi). Links inside that are below the token die. Nothing that a client sees changes.
 */
MUST_USE enum err write_merged(struct meta *m, struct arena *a, const struct range_write *w,
                               uint64_t token, uint64_t hi, bool *out_done);

/*
 * A round of the job "fold" (meta/jobs/job.h): range writes into the rows of their keys, files in
 * turns; files that were written at ranges are noted for merging.
 */
MUST_USE enum err fold_round(struct meta *m, struct job_round *r);

#endif
