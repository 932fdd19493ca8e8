#include "fs/read/overlay.h"

#include <stdbool.h>

static bool hides(const struct overlay_item *items, size_t i, size_t other)
{
    if (other == OVERLAY_NONE || items[i].token != items[other].token)
        return other == OVERLAY_NONE || items[i].token > items[other].token;
    return i > other;
}

struct overlay_run overlay_at(const struct overlay_item *items, size_t count, uint64_t at,
                              uint64_t limit)
{
    struct overlay_run run = {.start = at, .end = limit, .item = OVERLAY_NONE};

    for (size_t i = 0; i < count; i++)
        if (items[i].start <= at && at < items[i].end && hides(items, i, run.item))
            run.item = i;
    if (run.item != OVERLAY_NONE && items[run.item].end < run.end)
        run.end = items[run.item].end;
    for (size_t i = 0; i < count; i++)
        if (items[i].start > at && items[i].start < run.end && items[i].end > items[i].start &&
            hides(items, i, run.item))
            run.end = items[i].start;
    return run;
}
