/*
 * One slice of an upload: from pages to the store, then to a record of a piece.
 *
 * The writer (fs/write/writer.c) owns it, in its list, until the writer goes. The pages, or the
 * bytes that are in no page, are the slice's until slice_release().
 */
#ifndef KISEKI_FS_WRITE_SLICE_H
#define KISEKI_FS_WRITE_SLICE_H

#include "fs/fs.h"
#include "fs/memory/pages.h"
#include "fs/write/slice_queue.h"
#include "meta/files/record.h"
#include "meta/names/object.h"

#define SLICE_PAGES (META_SLICE_MAX / PAGE_BYTES)

struct writer;

struct slice {
    struct slice_job job; /* first */
    struct writer *writer;
    struct slice *next;
    struct slice_name name; /* id 0 until it is drawn */
    uint32_t len;
    size_t page_count;
    uint8_t *own;        /* the bytes, if they are in no page; released once stored */
    struct page **pages; /* behind the CRCs; released once stored */
    uint64_t crcs[];     /* one a page: a short slice costs little, however many there are */
};

/* NULL: out of memory. Freed by free(). */
struct slice *slice_new(size_t page_count);
/* Draws its name, computes its CRCs, stores it. Blocks. */
MUST_USE enum err slice_store(struct fs *fs, struct slice *u);
/* Releases its bytes. to_cache: it was stored, and its pages may be read. */
void slice_release(struct fs *fs, struct slice *u, bool to_cache);
/* Packs the records of all slices from `first` on into pieces of *out, whose size is set. */
MUST_USE enum err slices_to_pieces(struct fs *fs, struct arena *a, struct slice *first,
                                   size_t count, struct content *out);

#endif
