/*
 * Files: what everything above fs/ knows of them. Nothing above sees how bytes are kept (slices,
 * pieces, records), and nothing here calls up but for "go on now".
 *
 *     read      file_open -> file->object (what is known of it) -> reader_new, reader_next ...
 *     make      writer_new, writer_write ... -> file_commit, or file_commit_part -> writer_free
 *     write     writer_new, writer_write ... -> file_write, at an offset of what is there
 *     link      file_copy, file_copy_part, file_complete: no bytes move
 *
 * What a change depends on comes with it as data (struct file_guard), and is evaluated on the key's
 * locked row in the transaction that makes the change. What the caller's own decision rests on (the
 * access key's row, buckets) is data, too: access_begin() gives it to all calls of this thread, and
 * the same transaction requires it; for a file_change around each file_change_go_on(). A refused
 * change did nothing, and the writer has its bytes still: the caller decides anew and calls again.
 *
 *     OK             it is made and durable; the writer's bytes are the file's
 *     ERR_NOT_FOUND  *out_missing: the bucket, the upload, the key that a condition wants
 *     ERR_CONDITION  the guard does not hold
 *     ERR_DENIED     the decision is stale if proof.refused says so (meta/access/access.h)
 *     ERR_CONFLICT   others were faster all the time; of file_complete: a part was replaced
 *     ERR_AGAIN      the guard says that it must not wait, and it would have to
 *     ERR_UNKNOWN    nobody knows whether it is made: the bytes must be left alone, and are
 *     others         of the writer and of meta/core/meta.h: ERR_BUSY, ERR_FULL, ERR_FENCED ...
 *
 * After OK and ERR_UNKNOWN a writer commits nothing more (ERR_BUG).
 *
 * Threads: a file, its readers, and a writer are used by one thread at a time. Whatever asks the
 * database or the store blocks: all but writer_new(), writer_write(), writer_end(), writer_free(),
 * reader_new(), reader_rest(), file_close().
 */
#ifndef KISEKI_FS_FILE_H
#define KISEKI_FS_FILE_H

#include "meta/core/meta.h"
#include "meta/names/key.h"
#include "meta/names/upload.h"

struct fs;

/* --- an open file ----------------------------------------------------------------------------- */

/*
 * All is looked up by one statement under an epoch tag, which keeps the file's bytes from being
 * freed until it is closed: also when somebody overwrites or deletes it.
 */
struct file {
    struct fs *fs;
    struct object object; /* attributes; in the caller's arena */
    struct meta_read read;
    bool open;
    uint64_t from, to; /* object.extents, if asked for, were chosen for these bytes */
};

/* ERR_NOT_FOUND with *out_missing, see struct object_get. Only an opened file needs closing. */
MUST_USE enum err file_open(struct fs *fs, struct arena *a, const struct object_get *q,
                            struct file *out, enum meta_missing *out_missing);
void file_close(struct file *f); /* fine on a zeroed struct and twice */

/* What is known of a key's file now: no bytes (q->want does not count), and nothing to close. */
MUST_USE enum err file_stat(struct fs *fs, struct arena *a, const struct object_get *q,
                            struct object *out, enum meta_missing *out_missing);

/* --- reading ---------------------------------------------------------------------------------- */

struct reader;

/*
 * Bytes [offset, offset + len) of the file, which must lie inside it (ERR_INVALID), and the file
 * must have been opened with OBJECT_DATA.
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
 * database: *out_len zeros. Else 0. Errors are those of reader_next().
 */
MUST_USE enum err reader_skip_hole(struct reader *r, uint64_t *out_len);

void reader_free(struct reader *r); /* before file_close; NULL is fine */

/* --- writing ---------------------------------------------------------------------------------- */

struct writer;

struct writer_options {
    /* Neither may block nor call into fs/; never after writer_free. */
    void (*on_room)(void *arg);
    void (*on_stored)(void *arg); /* of writer_end() */
    void *arg;
    int64_t expected; /* bytes in all, at most; -1: unknown */
};

MUST_USE enum err writer_new(struct fs *fs, const struct writer_options *o, struct writer **out);

/*
 * Takes bytes. ERR_AGAIN: *out_taken < data.len (maybe 0), on_room will be called. Another error is
 * final: ERR_BUSY, ERR_DENIED, ERR_IO (some bytes could not be stored), ERR_FENCED, ERR_NOMEM.
 */
MUST_USE enum err writer_write(struct writer *w, struct str data, size_t *out_taken);

/*
 * Nothing more will be written: what is to be stored and was not sent yet goes to the store. True:
 * a commit will not wait for it. False: on_stored is called once, by any thread, also before this
 * has returned; then a commit will not wait. A commit without this call ends the writer itself.
 */
MUST_USE bool writer_end(struct writer *w);

/* What is stored and was not committed is removed, by other threads. */
void writer_free(struct writer *w);

/* --- commits ---------------------------------------------------------------------------------- */

/* What must be so for a change to be made. */
struct file_guard {
    struct object_cond cond;
};

/* A key's new file: what is kept with its bytes, which fs/ passes on unread. */
struct file_new {
    struct str bucket, key;
    struct object_attr attr; /* etag, mtime_ms, owner, storage_class, checksum */
    struct pairs headers, tags;
    struct str checksum, parts; /* opaque; empty: none */
    struct file_guard guard;
};

/* `w` becomes the file of the key. `a` must live until the writer is freed. */
MUST_USE enum err file_commit(struct writer *w, struct arena *a, const struct file_new *f,
                              enum meta_missing *out_missing);

/*
 * The key's file gets the bytes of `source`, which stays open. Attributes are all from `f`. Has a
 * row for each 64 MiB to make.
 */
MUST_USE enum err file_copy(const struct file *source, const struct file_new *f,
                            enum meta_missing *out_missing);

/* A part of an upload. */
struct file_part {
    struct str bucket, key, upload;
    struct part part; /* number, etag, mtime_ms, checksum */
};

/* `w` becomes the part, or replaces the one of that number. */
MUST_USE enum err file_commit_part(struct writer *w, struct arena *a, const struct file_part *p,
                                   enum meta_missing *out_missing);

/* Bytes [offset, offset + len) of `source` become the part. */
MUST_USE enum err file_copy_part(const struct file *source, uint64_t offset, uint64_t len,
                                 const struct file_part *p, enum meta_missing *out_missing);

/* An upload to complete. */
struct file_upload {
    struct str upload;
    const struct part *parts; /* in ascending order, as part_list() gave them */
    size_t count;
    struct str result; /* is kept with the upload, for who completes it again */
};

/*
 * The key's file gets the bytes of all these parts. ERR_CONFLICT: one was replaced, or the upload
 * was completed: list again.
 */
MUST_USE enum err file_complete(struct fs *fs, const struct file_new *f,
                                const struct file_upload *u, enum meta_missing *out_missing);

/* --- writing into a file that is there -------------------------------------------------------- */

#define FILE_SIZE_MAX     ((uint64_t)50 << 40)
#define FILE_GAP_MAX      ((uint64_t)1 << 40) /* a hole is a row for each 64 MiB: 16,384 of them */
#define WRITE_DEADLINE_MS 20000

/*
 * Bytes at an offset, in the middle or past the end (the gap reads as zeros). They are durable
 * before anything is locked; then the range of the file is locked for as long as the commit takes,
 * shared by all gateways (meta/lock/): writes of disjoint ranges run in parallel, overlapping ones
 * one after the other. A write with a guard, an append, one behind the end, and file_resize() lock
 * the whole file. Readers lock nothing, and see a write wholly or not at all. If the key is
 * overwritten meanwhile, the write goes to the new file: the guard is evaluated again. Each write
 * gives the file a new ETag; its checksum and parts are returned no longer.
 */
struct file_write {
    struct str bucket, key;
    uint64_t offset;
    struct file_guard guard;
    /* An append: `offset` must be the file's size; 0 without a file makes this one (no guard). */
    const struct file_new *append;
    /* Of file_write_begin(): by any thread, must not block; it ends an ERR_AGAIN. */
    void (*on_turn)(void *arg);
    void *turn_arg;
};

/* What the file is after a write; after ERR_CONDITION: what it was when the guard did not hold. */
struct file_written {
    int64_t size;
    struct str etag; /* in the caller's arena */
    int64_t mtime_ms;
    bool made; /* by this append */
};

/*
 * Links what `w` has. No bytes: nothing is changed. ERR_NOT_FOUND of an append: there is no such
 * key, and the offset is not 0 or the guard wants a file. ERR_UNSUPPORTED: not in a bucket with
 * versions; ERR_TOO_LARGE: the file would end behind FILE_SIZE_MAX, or the gap be over
 * FILE_GAP_MAX; ERR_BUSY: others held the range for too long. Blocks at most some
 * WRITE_DEADLINE_MS.
 */
MUST_USE enum err file_write(struct writer *w, struct arena *a, const struct file_write *where,
                             struct file_written *out, enum meta_missing *out_missing);

/*
 * The same without blocking for other writers: a change that lies in `a`. file_change_go_on() is
 * called first and after each on_turn(); ERR_AGAIN: on_turn() will be called once, until then the
 * change must not be touched. Any other answer ends it.
 */
struct file_change;
MUST_USE enum err file_write_begin(struct writer *w, struct arena *a,
                                   const struct file_write *where, struct file_change **out);
MUST_USE enum err file_change_go_on(struct file_change *x, struct file_written *out,
                                    enum meta_missing *out_missing);
/* Instead of going on: nothing is written. Not between ERR_AGAIN and on_turn(). */
void file_change_give_up(struct file_change *x);

/* Cuts the file to `where->offset`, or makes it longer by zeros. */
MUST_USE enum err file_resize(struct fs *fs, struct arena *a, const struct file_write *where,
                              struct file_written *out, enum meta_missing *out_missing);

/* --- removing --------------------------------------------------------------------------------- */

/* Each key on its own merits, all in as few round trips as batching gives. */
void file_remove(struct fs *fs, struct object_delete *items, size_t count);

#endif
