/*
 * Records and pieces: which bytes of which slice make up a run of a file. Pure: packs, unpacks.
 *
 * A piece is up to META_PIECE_MAX bytes of a file: records sorted by position, not overlapping,
 * covering the piece without gaps (a gap is a hole record). Packed form (little-endian):
 *     u8 version, u32 count, then per record: u8 kind, u64 pos, u64 len, and
 *     slice:  u64 id, u64 tag, u32 slice_off, u32 slice_len, u64 crc[granules of slice_len]
 *     inline: u32 length and bytes
 * Positions are relative to the piece, so that a piece can be linked anywhere.
 */
#ifndef KISEKI_META_FILES_RECORD_H
#define KISEKI_META_FILES_RECORD_H

#include "base/arena.h"
#include "base/buf.h"

#define META_PIECE_MAX    (64u << 20)
#define META_SLICE_MIN    (64u << 10)
#define META_SLICE_MAX    (4u << 20)
#define META_GRANULE      (64u << 10)
#define META_GRANULES_MAX (META_SLICE_MAX / META_GRANULE)

/* The name of a slice: unique for ever, also across restored databases. */
struct slice_name {
    uint64_t id;
    uint64_t tag; /* of the session that wrote it */
};

enum record_kind { RECORD_HOLE = 0, RECORD_SLICE = 1, RECORD_INLINE = 2 };

struct record {
    enum record_kind kind;
    uint64_t pos; /* in the piece */
    uint64_t len;
    /* RECORD_SLICE: bytes slice_off..slice_off+len of a slice of slice_len bytes */
    struct slice_name slice;
    uint32_t slice_off;
    uint32_t slice_len;
    const uint64_t *granule_crcs; /* CRC64NVME of each granule of the whole slice */
    /* RECORD_INLINE: len bytes */
    struct str bytes;
};

/* Granules of a slice of this length: the last may be short. */
static inline uint32_t record_granules(uint32_t slice_len)
{
    return (slice_len + META_GRANULE - 1) / META_GRANULE;
}

/* Appends the packed piece to out (whose max bounds it). */
void record_pack(struct buf *out, const struct record *records, size_t count);

/*
 * Unpacks into the arena; inline bytes are borrowed from `packed`. ERR_CORRUPT for anything that
 * record_pack could not have written: bad lengths, overlaps, gaps, slice ranges out of bounds.
 */
MUST_USE enum err record_unpack(struct arena *a, struct str packed, struct record **out,
                                size_t *out_count);

#endif
