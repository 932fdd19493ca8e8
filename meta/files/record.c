#include "meta/files/record.h"

#define VERSION 1

/* kind, pos, len: what every record has at least. */
#define RECORD_MIN_BYTES (1 + 8 + 8)

/* --- packing --------------------------------------------------------------------------------- */

static void pack_slice(struct buf *out, const struct record *r)
{
    buf_put_u64(out, r->slice.id);
    buf_put_u64(out, r->slice.tag);
    buf_put_u32(out, r->slice_off);
    buf_put_u32(out, r->slice_len);
    for (uint32_t i = 0; i < record_granules(r->slice_len); i++)
        buf_put_u64(out, r->granule_crcs[i]);
}

void record_pack(struct buf *out, const struct record *records, size_t count)
{
    buf_put_u8(out, VERSION);
    buf_put_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        buf_put_u8(out, (uint8_t)r->kind);
        buf_put_u64(out, r->pos);
        buf_put_u64(out, r->len);
        if (r->kind == RECORD_SLICE)
            pack_slice(out, r);
        else if (r->kind == RECORD_INLINE)
            buf_put_bytes(out, r->bytes);
    }
}

/* --- unpacking ------------------------------------------------------------------------------- */

static enum err corrupt(size_t index, const char *what)
{
    return err_set(ERR_CORRUPT, "a piece's record %zu: %s", index, what);
}

static enum err unpack_slice(struct arena *a, struct unpack *u, size_t index, struct record *r)
{
    r->slice.id = unpack_u64(u);
    r->slice.tag = unpack_u64(u);
    r->slice_off = unpack_u32(u);
    r->slice_len = unpack_u32(u);
    if (u->failed || r->slice_len == 0 || r->slice_len > META_SLICE_MAX)
        return corrupt(index, "a slice of impossible length");
    if (r->slice_off >= r->slice_len || r->len > r->slice_len - r->slice_off)
        return corrupt(index, "bytes outside of its slice");
    uint32_t granules = record_granules(r->slice_len);
    if (u->left / sizeof(uint64_t) < granules)
        return corrupt(index, "checksums are missing");
    uint64_t *crcs = arena_array(a, granules, sizeof(*crcs));
    if (crcs == NULL)
        return err_set(ERR_NOMEM, "no memory for the checksums of a slice");
    for (uint32_t i = 0; i < granules; i++)
        crcs[i] = unpack_u64(u);
    r->granule_crcs = crcs;
    return OK;
}

static enum err unpack_record(struct arena *a, struct unpack *u, size_t index, uint64_t pos,
                              struct record *r)
{
    uint8_t kind = unpack_u8(u);
    r->pos = unpack_u64(u);
    r->len = unpack_u64(u);
    if (u->failed)
        return corrupt(index, "it is cut off");
    if (r->pos != pos)
        return corrupt(index, "it does not begin where the one before ends");
    if (r->len == 0 || r->len > META_PIECE_MAX - pos)
        return corrupt(index, "an impossible length");
    switch (kind) {
    case RECORD_HOLE:
        r->kind = RECORD_HOLE;
        return OK;
    case RECORD_SLICE:
        r->kind = RECORD_SLICE;
        return unpack_slice(a, u, index, r);
    case RECORD_INLINE:
        r->kind = RECORD_INLINE;
        r->bytes = unpack_bytes(u);
        return u->failed || r->bytes.len != r->len ? corrupt(index, "its bytes are cut off") : OK;
    default:
        return corrupt(index, "of an unknown kind");
    }
}

enum err record_unpack(struct arena *a, struct str packed, struct record **out, size_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    struct unpack u = unpack_of(packed);
    uint8_t version = unpack_u8(&u);
    uint32_t count = unpack_u32(&u);
    if (u.failed || version != VERSION)
        return err_set(ERR_CORRUPT, "a piece's records are not of version %d", VERSION);
    if (count > u.left / RECORD_MIN_BYTES)
        return err_set(ERR_CORRUPT, "a piece says that it has more records than fit in it");
    struct record *records = arena_array(a, count, sizeof(*records));
    if (records == NULL)
        return err_set(ERR_NOMEM, "no memory for a piece's %u records", count);
    uint64_t pos = 0;
    for (size_t i = 0; i < count; i++) {
        enum err err = unpack_record(a, &u, i, pos, &records[i]);
        if (err != OK)
            return err;
        pos += records[i].len;
    }
    if (u.left != 0)
        return err_set(ERR_CORRUPT, "a piece has %zu bytes after its last record", u.left);
    *out = records;
    *out_count = count;
    return OK;
}
