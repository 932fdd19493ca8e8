#include "fs/read/readahead.h"

#include <stdbool.h>

#define BUDGET_SHARE 8   /* of the memory: an eighth */
#define ORDERLY      3   /* reads in order before anything is fetched for them */
#define LIVE_TICKS   512 /* a sequence that was not continued for so many reads has ended */

void readahead_init(struct readahead *ra, uint64_t memory_bytes)
{
    *ra = (struct readahead){.budget = memory_bytes / BUDGET_SHARE};
    pthread_mutex_init(&ra->lock, NULL);
}

void readahead_fini(struct readahead *ra)
{
    if (ra->budget > 0)
        pthread_mutex_destroy(&ra->lock);
}

/* --- one sequence ----------------------------------------------------------------------------- */

/* Only reads that get further: a client that reads one block again and again goes nowhere. */
static bool continues(const struct readahead_stream *s, uint64_t offset, uint64_t end)
{
    return offset + READAHEAD_NEAR >= s->next && offset <= s->next + READAHEAD_NEAR &&
           end > s->next;
}

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t readahead_advance(struct readahead_stream *s, uint64_t offset, uint64_t end, uint64_t size,
                           uint64_t cap)
{
    if (!continues(s, offset, end)) {
        s->window = 0;
        s->reads = 0;
    }
    s->next = end;
    if (s->reads == 0 || s->ahead < end)
        s->ahead = end;
    if (s->reads < ORDERLY)
        s->reads++;
    if (s->reads < ORDERLY || cap < READAHEAD_FIRST) {
        s->window = 0;
        return end;
    }
    if (s->window > 0 && s->ahead - end >= s->window / 2)
        return end; /* enough for now */
    s->window = s->window == 0 ? READAHEAD_FIRST : s->window * 2;
    s->window = min(s->window, min(cap, READAHEAD_MAX));
    s->ahead = s->window < size - end ? end + s->window : size;
    return s->ahead;
}

/* --- the table -------------------------------------------------------------------------------- */

/* The sequence that the read continues; or else the one to forget for it. With the lock held. */
static struct readahead_stream *find(struct readahead *ra, uint64_t inode, uint64_t offset,
                                     uint64_t end)
{
    struct readahead_stream *oldest = &ra->streams[0], *oldest_of_file = NULL;
    size_t of_file = 0;

    for (size_t i = 0; i < READAHEAD_STREAMS; i++) {
        struct readahead_stream *s = &ra->streams[i];

        if (s->used < oldest->used)
            oldest = s;
        if (s->inode != inode)
            continue;
        if (continues(s, offset, end))
            return s;
        of_file++;
        if (oldest_of_file == NULL || s->used < oldest_of_file->used)
            oldest_of_file = s;
    }
    return of_file < READAHEAD_OF_FILE ? oldest : oldest_of_file;
}

/* The largest window, when the budget is shared by all that have one. With the lock held. */
static uint64_t share(const struct readahead *ra, const struct readahead_stream *ours)
{
    uint64_t live = 1;

    for (size_t i = 0; i < READAHEAD_STREAMS; i++) {
        const struct readahead_stream *s = &ra->streams[i];

        if (s != ours && s->window > 0 && ra->tick - s->used < LIVE_TICKS)
            live++;
    }
    return ra->budget / live;
}

uint64_t readahead_until(struct readahead *ra, uint64_t inode, uint64_t offset, uint64_t end,
                         uint64_t size)
{
    struct readahead_stream *s;
    uint64_t until;

    if (offset >= end || end >= size)
        return end;
    pthread_mutex_lock(&ra->lock);
    ra->tick++;
    s = find(ra, inode, offset, end);
    if (s->inode != inode || !continues(s, offset, end))
        *s = (struct readahead_stream){.inode = inode};
    s->used = ra->tick;
    until = readahead_advance(s, offset, end, size, share(ra, s));
    pthread_mutex_unlock(&ra->lock);
    return until;
}
