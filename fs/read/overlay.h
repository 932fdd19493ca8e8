/*
 * Which of several overlapping writes a byte of a file comes from. Pure.
 *
 *     token 3            [====)
 *     token 2      [=========)
 *     token 0   [==================)
 *     seen      000[22222[3333)00000
 *
 * A file is a pile of extents; where they overlap the higher token hides the lower one, and of two
 * with the same token the later in the array (files written whole have no such pair). Nothing is
 * built or allocated: the run that begins at a position is found by one pass over the extents.
 */
#ifndef KISEKI_FS_READ_OVERLAY_H
#define KISEKI_FS_READ_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#define OVERLAY_NONE SIZE_MAX

/* Bytes [start, end) of the file; empty ones are passed over. */
struct overlay_item {
    uint64_t start, end;
    uint64_t token;
};

/* Bytes [start, end) come from items[item], or from nothing (OVERLAY_NONE). */
struct overlay_run {
    uint64_t start, end;
    size_t item;
};

/* The longest run that begins at `at` and ends at `limit` or before; at < limit. O(count). */
struct overlay_run overlay_at(const struct overlay_item *items, size_t count, uint64_t at,
                              uint64_t limit);

#endif
