/*
 * The inside of a writer (fs/file.h): bytes in, slices out, one content at the end.
 *
 *     writer_new -> writer_write ... -> writer_end -> writer_finish -> (commit by meta/)
 *                -> writer_resolve -> free
 *
 * The first WRITER_OWN_BYTES are the writer's own memory, in proportion to what arrived: a small
 * upload, or one that has just begun, costs the budget nothing. Then bytes are copied into 64 KiB
 * pages from the volume's bounded budget. Up to inline_max bytes stay in memory and become the
 * content's `data`. Beyond that, each full slice (4 MiB; shorter at the end, or when memory is
 * short) is handed to an I/O thread, which stores it while more bytes arrive. A granule's CRC64NVME
 * is computed once, here.
 *
 * Back-pressure: when no page is free, writer_write takes what it can and answers ERR_AGAIN; the
 * writer waits in the queue (fs/memory/pages.h), and on_room is called once, by any thread, when it
 * is worth trying again. A wait that takes too long fails the writer: ERR_BUSY.
 *
 * Pressure (fs/memory/pressure.h): while others wait, the writers that hold the most pages for the
 * longest must send them as a shorter slice, whatever their size will be, including what might have
 * become `data` and a page that is not full. So no set of uploads, fast, slow or stalled, can lock
 * up the budget. This does not cause a flood of tiny slices: a page has more than WRITER_OWN_BYTES
 * before any of it can be sent, and after that the writer fills its own memory first again. Records
 * have arbitrary lengths, so slices of any length can follow each other.
 *
 * Turns: uploads of each size have the same share, of pages and at the store (fs/memory/turns.h,
 * fs/write/slice_queue.h); one of unknown size counts as twice what it had, and as 512 KiB at
 * least. Once an upload has ended, it waits for its turn at the store for at most as long as for a
 * page: ERR_BUSY. A slice of an upload that failed or was given up is not stored when its turn
 * comes.
 *
 * Ownership: the writer belongs to its creator, one thread at a time. After a failed or abandoned
 * upload the slices stored so far are doomed; writer_resolve says which case it is.
 */
#ifndef KISEKI_FS_WRITE_WRITER_H
#define KISEKI_FS_WRITE_WRITER_H

#include "fs/file.h"
#include "meta/files/content.h"

#define WRITER_OWN_BYTES ((size_t)16 << 10)

/*
 * Blocks until every slice is durable; writer_end() says when that is. *out is valid until
 * writer_free and borrows from the writer (`arena` holds the packed records). Nothing may be
 * written afterwards; a second call gives the same content. ERR_BUG: it was committed.
 */
MUST_USE enum err writer_finish(struct writer *w, struct arena *a, struct content *out);

/*
 * What became of the commit. OK: the slices are referenced; ERR_UNKNOWN: leave them alone;
 * anything else: doom them. writer_free() without this call dooms them.
 */
void writer_resolve(struct writer *w, enum err commit_result);

/* The volume that it writes to. */
struct fs *writer_fs(const struct writer *w);

#endif
