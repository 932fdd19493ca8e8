/*
 * Reading a range of a file: no locks, bounded memory, verified bytes.
 *
 * file_open() is one metadata round trip; it takes an epoch tag first, so that the slices it names
 * stay until file_close() (meta/README.md, Epochs). A reader walks the range: small files from
 * memory, others slice by slice through the caches; it fetches ahead while it is read in order.
 * Every granule that comes from the backing store or the disk cache is verified before a byte of
 * it is given out: a wrong one is logged, fetched again once, then ERR_CORRUPT. Where extents
 * overlap the later write is seen (fs/read/overlay.h). A hole is a record; a byte that neither data
 * nor a record covers is damage, never zeros: ERR_CORRUPT.
 *
 * Memory: a reader pins the granule that it gave out last and up to three fetches ahead of it (see
 * fs/read/slice_reader.h for how they are bounded); while it waits for a page it holds none of
 * them. A reader that rests (reader_rest) for half a second loses them to transfers that need
 * them, and finds or fetches them again when it goes on (fs/memory/pressure.h).
 *
 * No lock: neither a mutex of the write path, nor a row lock, nor a range lock. It is safe because
 * what a reader looks at never changes: its first statement is one state of the database, pieces
 * and slices are immutable, later extents are selected by the view that the first statement
 * returned (meta/README.md, Views), and the epoch tag keeps all of it from being freed.
 *
 * Threads: a file and its readers are used by one thread at a time.
 */
#ifndef KISEKI_FS_READ_READER_H
#define KISEKI_FS_READ_READER_H

#include "fs/fs.h"
#include "meta/names/object.h"

struct file {
    struct fs *fs;
    struct object object; /* attributes; in the caller's arena */
    struct meta_read read;
    bool open;
    uint64_t from, to; /* object.extents, if asked for, were chosen for these bytes */
};

/* Blocks. ERR_NOT_FOUND with *out_missing, see object_get(). Only an opened file needs closing. */
MUST_USE enum err file_open(struct fs *fs, struct arena *a, const struct object_get *q,
                            struct file *out, enum meta_missing *out_missing);
void file_close(struct file *f); /* fine on a zeroed struct and twice; never blocks */

struct reader;

/*
 * Bytes [offset, offset + len) of the file, which must lie inside it (ERR_INVALID), and the file
 * must have been opened with OBJECT_DATA. Never blocks.
 */
MUST_USE enum err reader_new(struct file *f, uint64_t offset, uint64_t len, struct reader **out);

/*
 * The next run of bytes, borrowed until the next call; empty at the end. With may_block false:
 * ERR_AGAIN when it would have to wait; ask again with true. Any other error is final: ERR_BUSY,
 * ERR_DENIED, ERR_IO, ERR_CORRUPT, ERR_FENCED (the lease of our session is over), ERR_NOMEM.
 */
MUST_USE enum err reader_next(struct reader *r, bool may_block, struct str *out);

/*
 * What was given out is not used any more; its last `unread` bytes come again with reader_next().
 */
void reader_rest(struct reader *r, size_t unread);

/*
 * If the next byte lies in a hole, passes over the hole, or as much of it as is known without the
 * database: *out_len zeros. Else 0. Blocks on the database as reader_next() does; same errors.
 */
MUST_USE enum err reader_skip_hole(struct reader *r, uint64_t *out_len);

void reader_free(struct reader *r); /* before file_close; NULL is fine */

#endif
