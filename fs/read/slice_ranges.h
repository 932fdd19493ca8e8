/*
 * Gaps between the ranges that readers of one slice hold. Pure.
 *
 * A read of [start, end) asks three questions, one function each:
 *   1. ranges_find: which bytes are held or being fetched, which were held but became invalid,
 *      which are missing? Exact to the byte; nothing is rounded.
 *   2. ranges_requests: which runs must be fetched? Gaps and invalid parts, merged where they
 *      touch.
 *   3. ranges_shape: a store request for a few bytes is a waste, and only whole granules can be
 *      verified: requests grow to granules, but only into bytes that no fetching or ready range
 *      holds, and are merged again.
 * Ranges are half open. Empty ones are passed over. Everything is O(ranges^2), for some dozens.
 */
#ifndef KISEKI_FS_READ_SLICE_RANGES_H
#define KISEKI_FS_READ_SLICE_RANGES_H

#include <stddef.h>
#include <stdint.h>

/* RANGE_GAP is an answer only: these bytes are missing. */
enum slice_range_state { RANGE_FETCHING, RANGE_READY, RANGE_INVALID, RANGE_GAP };

/* [start, end) of a slice. */
struct slice_range {
    uint32_t start, end;
    enum slice_range_state state;
};

/* Room that ranges_find() needs for its answer. */
#define RANGES_FOUND_MAX(count) (2 * (count) + 1)

/*
 * Cuts [start, end) at the borders of `held` (any order, overlaps allowed: ready before fetching
 * before invalid): parts in order and without gaps, neighbours of different ranges kept apart.
 */
size_t ranges_find(const struct slice_range *held, size_t count, uint32_t start, uint32_t end,
                   struct slice_range *out);

/* Gaps and invalid parts as gaps, merged where they touch; `out` may be `parts`. */
size_t ranges_requests(const struct slice_range *parts, size_t count, struct slice_range *out);

/*
 * Widens sorted requests in place to multiples of `granule`, not past `limit` (the slice's length)
 * and only into bytes that no fetching or ready range holds; merges. Returns how many are left.
 */
size_t ranges_shape(const struct slice_range *held, size_t count, uint32_t granule, uint32_t limit,
                    struct slice_range *requests, size_t request_count);

#endif
