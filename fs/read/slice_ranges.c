#include "fs/read/slice_ranges.h"

#include <stdbool.h>

/* --- the gap finder --------------------------------------------------------------------------- */

static int rank(enum slice_range_state state)
{
    switch (state) {
    case RANGE_READY:
        return 3;
    case RANGE_FETCHING:
        return 2;
    case RANGE_INVALID:
        return 1;
    default:
        return 0;
    }
}

/* The part that begins at `at`: of the best range there, up to the next border of a better one. */
static struct slice_range part_at(const struct slice_range *held, size_t count, uint32_t at,
                                  uint32_t end)
{
    struct slice_range part = {at, end, RANGE_GAP};

    for (size_t i = 0; i < count; i++) {
        if (held[i].start <= at && at < held[i].end && rank(held[i].state) > rank(part.state)) {
            part.state = held[i].state;
            part.end = held[i].end < end ? held[i].end : end;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (held[i].start > at && held[i].start < part.end && held[i].end > held[i].start &&
            rank(held[i].state) > rank(part.state))
            part.end = held[i].start;
    return part;
}

size_t ranges_find(const struct slice_range *held, size_t count, uint32_t start, uint32_t end,
                   struct slice_range *out)
{
    size_t n = 0;

    for (uint32_t at = start; at < end; at = out[n - 1].end) {
        out[n] = part_at(held, count, at, end);
        n++;
    }
    return n;
}

/* --- requests --------------------------------------------------------------------------------- */

/* Sorted by start; those that touch or overlap become one. */
static size_t merge(struct slice_range *requests, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (n > 0 && requests[i].start <= requests[n - 1].end) {
            if (requests[i].end > requests[n - 1].end)
                requests[n - 1].end = requests[i].end;
        } else {
            requests[n++] = requests[i];
        }
    }
    return n;
}

size_t ranges_requests(const struct slice_range *parts, size_t count, struct slice_range *out)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (parts[i].state == RANGE_GAP || parts[i].state == RANGE_INVALID)
            out[n++] = (struct slice_range){parts[i].start, parts[i].end, RANGE_GAP};
    return merge(out, n);
}

static bool is_held(const struct slice_range *r)
{
    return r->end > r->start && (r->state == RANGE_FETCHING || r->state == RANGE_READY);
}

size_t ranges_shape(const struct slice_range *held, size_t count, uint32_t granule, uint32_t limit,
                    struct slice_range *requests, size_t request_count)
{
    for (size_t i = 0; i < request_count; i++) {
        struct slice_range *r = &requests[i];
        uint64_t up = ((uint64_t)r->end + granule - 1) / granule * granule;
        uint32_t low = r->start / granule * granule;
        uint32_t high = up < limit ? (uint32_t)up : limit;

        for (size_t k = 0; k < count; k++) {
            if (!is_held(&held[k]))
                continue;
            if (held[k].end <= r->start && held[k].end > low)
                low = held[k].end;
            if (held[k].start >= r->end && held[k].start < high)
                high = held[k].start;
        }
        r->start = low;
        r->end = high > r->end ? high : r->end;
    }
    return merge(requests, request_count);
}
