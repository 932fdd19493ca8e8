/*
 * Packed records, as they stand in a database that may be damaged: what is accepted covers its
 * piece without gaps, stays within its slices, and is packed to the same bytes again.
 */
#include "meta/files/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct record *r, size_t count, struct str packed)
{
    uint64_t at = 0;
    struct buf again;

    for (size_t i = 0; i < count; i++) {
        if (r[i].pos != at || r[i].len == 0 || r[i].len > META_PIECE_MAX)
            abort();
        if (r[i].kind == RECORD_INLINE && r[i].bytes.len != r[i].len)
            abort();
        if (r[i].kind == RECORD_SLICE &&
            (r[i].slice_len > META_SLICE_MAX || r[i].slice_off > r[i].slice_len ||
             r[i].len > r[i].slice_len - r[i].slice_off))
            abort();
        at += r[i].len;
    }
    buf_init(&again, packed.len + 1);
    record_pack(&again, r, count);
    if (buf_check(&again) != OK || !str_eq(buf_str(&again), packed))
        abort();
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str packed = {(const char *)data, size};
    struct arena *arena = arena_new(16 << 20);
    struct record *records;
    size_t count;

    if (arena == NULL)
        return 0;
    if (record_unpack(arena, packed, &records, &count) == OK)
        check(records, count, packed);
    arena_free(arena);
    return 0;
}
