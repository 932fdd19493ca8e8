/*
 * Writing into a file that is there: bytes at an offset, in the middle or past the end; a new size.
 *
 *     writer_new, writer_write ..., writer_finish -> content
 *     file_write(offset, content)      links it over what was there: nothing is read or moved
 *     writer_resolve(result), writer_free
 *
 * The bytes are durable before anything is locked; then the range [offset, offset + size) of the
 * file is locked for as long as the commit takes, through meta/lock/, shared by all gateways:
 * writes of disjoint ranges run in parallel, overlapping ones one after the other. A write under a
 * condition, one that begins behind the end (the gap reads as zeros), and file_resize() lock the
 * whole file. Readers lock nothing, and see a write wholly or not at all. Small files, whose bytes
 * are in the database, are rewritten there.
 *
 * If the key is overwritten meanwhile, the write goes to the new file: its conditions are evaluated
 * again. Each write gives the file a new ETag; its checksum and parts are returned no longer.
 *
 * No thread needs to wait for other writers: file_write_begin() and file_change_go_on() answer
 * ERR_AGAIN and call on_turn() when it is worth going on. file_write() does that and blocks.
 *
 * Threads: any; all block on the database, at most some WRITE_DEADLINE_MS. Errors: ERR_NOT_FOUND
 * with *out_missing; what `check` answered; ERR_UNSUPPORTED: not in a bucket with versions;
 * ERR_TOO_LARGE: the file would end behind FILE_SIZE_MAX, or the gap be over FILE_GAP_MAX;
 * ERR_BUSY: others held the range for too long; and those of meta/core/meta.h. writer_resolve()
 * decides what becomes of the content's slices.
 */
#ifndef KISEKI_FS_WRITE_RANGE_WRITE_H
#define KISEKI_FS_WRITE_RANGE_WRITE_H

#include "fs/fs.h"
#include "meta/files/write.h"

#define FILE_SIZE_MAX     ((uint64_t)50 << 40)
#define FILE_GAP_MAX      ((uint64_t)1 << 40) /* a hole is a row for each 64 MiB: 16,384 of them */
#define WRITE_DEADLINE_MS 20000

struct file_write {
    struct str bucket, key;
    /*
     * NULL: no condition. Else it is asked with the file as it is now, which no other write can
     * change before the answer is carried out; anything but OK refuses the write.
     */
    enum err (*check)(void *arg, const struct object *now);
    void *arg;
    /* Of file_write_begin(): by any thread, must not block; it ends an ERR_AGAIN. */
    void (*on_turn)(void *arg);
    void *turn_arg;
};

/* *out lies in `a`. A content of no bytes changes nothing. */
MUST_USE enum err file_write(struct fs *fs, struct arena *a, const struct file_write *w,
                             uint64_t offset, const struct content *content,
                             struct write_result *out, enum meta_missing *out_missing);

/*
 * The same without blocking for other writers: a change that lies in `a`. file_change_go_on() is
 * called first and after each on_turn(); ERR_AGAIN: on_turn() will be called once, until then the
 * change must not be touched. Any other answer ends it.
 */
struct file_change;
MUST_USE enum err file_write_begin(struct fs *fs, struct arena *a, const struct file_write *w,
                                   uint64_t offset, const struct content *content,
                                   struct file_change **out);
MUST_USE enum err file_change_go_on(struct file_change *x, struct write_result *out,
                                    enum meta_missing *out_missing);
/* Instead of going on: nothing is written. Not between ERR_AGAIN and on_turn(). */
void file_change_give_up(struct file_change *x);

/* Cuts the file, or makes it longer by zeros. */
MUST_USE enum err file_resize(struct fs *fs, struct arena *a, const struct file_write *w,
                              uint64_t size, struct write_result *out,
                              enum meta_missing *out_missing);

#endif
