/*
 * The readers of one slice: who is fetching which bytes, and what is there already.
 *
 * For each slice that somebody reads there is a set of ranges, each being fetched, ready, or
 * invalid. A read collects what is ready, joins what is in flight, and requests only the gaps.
 * Two pure steps, kept apart:
 *   - the gap finder is exact: it names the bytes that no fetching or ready range holds;
 *   - the shaper widens those gaps to granules, only into bytes that no fetching or ready range
 *     holds, and merges what touches.
 * The worked example of DESIGN.md section 5 is a unit test with the same numbers.
 *
 * Fetched granules are verified against the record's CRCs and go to the memory cache; a thousand
 * readers of one cold slice cost the backing store one request for each byte.
 */
#ifndef KISEKI_FS_SLICE_READER_H
#define KISEKI_FS_SLICE_READER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum slice_range_state { RANGE_FETCHING, RANGE_READY, RANGE_INVALID };

struct fs;
struct slice_table; /* the slices that somebody fetches now */

MUST_USE enum err slice_table_new(struct fs *fs, struct slice_table **out);
void slice_table_free(struct slice_table *t); /* NULL is fine; no reader may be left */

/* [start, end) of a slice. */
struct slice_range {
    uint32_t start, end;
    enum slice_range_state state;
};

#endif
