#include "fs/write/slice.h"

#include "base/hash.h"
#include "fs/volume.h"
#include "meta/files/reclaim.h"

#include <stdlib.h>

#define PACKED_PIECE_MAX  ((size_t)4 << 20)
#define PIECE_RECORDS_MAX (META_PIECE_MAX / META_SLICE_MIN)

struct slice *slice_new(size_t page_count)
{
    size_t crcs = page_count > 0 ? page_count : 1;
    struct slice *u =
        calloc(1, sizeof(*u) + crcs * sizeof(u->crcs[0]) + page_count * sizeof(u->pages[0]));

    if (u == NULL)
        return NULL;
    u->page_count = page_count;
    u->pages = (struct page **)&u->crcs[crcs];
    return u;
}

enum err slice_store(struct fs *fs, struct slice *u)
{
    char name[SLICE_NAME_TEXT];
    struct iovec iov[SLICE_PAGES];
    uint32_t left = u->len;
    enum err err = slice_name_next(fs->meta, &u->name);

    if (err != OK)
        return err;
    slice_name_text(u->name, name);
    if (u->own != NULL) {
        iov[0] = (struct iovec){u->own, u->len};
        u->crcs[0] = crc64nvme(0, u->own, u->len);
        return store_put(fs->store, name, iov, 1, u->len);
    }
    for (size_t i = 0; i < u->page_count; i++) {
        size_t len = left < PAGE_BYTES ? left : PAGE_BYTES;

        iov[i] = (struct iovec){u->pages[i]->data, len};
        u->crcs[i] = crc64nvme(0, u->pages[i]->data, len);
        left -= (uint32_t)len;
    }
    return store_put(fs->store, name, iov, (int)u->page_count, u->len);
}

void slice_release(struct fs *fs, struct slice *u, bool to_cache)
{
    for (size_t i = 0; i < u->page_count; i++) {
        uint32_t left = u->len - (uint32_t)(i * PAGE_BYTES);

        if (to_cache) {
            cache_put(fs->cache, u->name, (uint32_t)i, u->pages[i]);
            disk_cache_put(fs->disk, u->name, (uint32_t)i, u->pages[i],
                           left < PAGE_BYTES ? left : (uint32_t)PAGE_BYTES);
        }
        pages_drop(&fs->pages, PAGE_UPLOAD, u->pages[i]);
    }
    free(u->own);
    u->own = NULL;
}

/* Packs slices from *at on into one piece, as many as fit. */
static enum err make_piece(struct fs *fs, struct arena *a, struct slice **at, uint64_t start,
                           struct content_piece *out)
{
    struct record *records = arena_array(a, PIECE_RECORDS_MAX, sizeof(*records));
    struct slice_name *names = arena_array(a, PIECE_RECORDS_MAX, sizeof(*names));
    struct buf packed;
    size_t count = 0;
    enum err err;

    if (records == NULL || names == NULL)
        return err_set(ERR_NOMEM, "out of memory for a piece");
    *out = (struct content_piece){.start = start, .slices = names};
    for (; *at != NULL && count < PIECE_RECORDS_MAX && out->len + (*at)->len <= META_PIECE_MAX;
         *at = (*at)->next) {
        struct slice *u = *at;

        records[count] = (struct record){.kind = RECORD_SLICE,
                                         .pos = out->len,
                                         .len = u->len,
                                         .slice = u->name,
                                         .slice_len = u->len,
                                         .granule_crcs = u->crcs};
        names[count++] = u->name;
        out->len += u->len;
    }
    out->slice_count = count;
    buf_init(&packed, PACKED_PIECE_MAX);
    record_pack(&packed, records, count);
    err = buf_check(&packed);
    if (err == OK) {
        out->records = arena_str(a, buf_str(&packed));
        err = out->records.ptr != NULL ? meta_next_id(fs->meta, &out->id)
                                       : err_set(ERR_NOMEM, "out of memory for a piece");
    }
    buf_fini(&packed);
    return err;
}

/* How many pieces at most: each but the last of a file has enough bytes or enough records. */
static size_t pieces_max(uint64_t size, size_t slices)
{
    return (size_t)(size / (META_PIECE_MAX - META_SLICE_MAX)) + slices / PIECE_RECORDS_MAX + 2;
}

enum err slices_to_pieces(struct fs *fs, struct arena *a, struct slice *first, size_t count,
                          struct content *out)
{
    struct content_piece *pieces = arena_array(a, pieces_max(out->size, count), sizeof(*pieces));
    struct slice *at = first;
    uint64_t start = 0;
    enum err err = pieces != NULL ? OK : err_set(ERR_NOMEM, "out of memory for pieces");

    while (err == OK && at != NULL) {
        struct content_piece *piece = &pieces[out->piece_count++];

        err = make_piece(fs, a, &at, start, piece);
        start += piece->len;
    }
    out->pieces = pieces;
    return err;
}
