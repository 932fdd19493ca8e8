/*
 * What is seen of a pile of many writes that lie over each other, without holding them all.
 *
 *     links of the file, a page at a time -> pile_add() -> at most `max` runs, the first ones
 *
 * Ordinary files are read by a few extents with their records (fs/read/reader.c). But tens of
 * thousands of writes may begin at one place, each shorter than the one before, so that all are
 * seen; with their records they would not fit into memory. So the links are read without records,
 * page by page, and only what is seen of the first bytes is kept: the runs nearest to where the
 * reader stands. Then the records of just these are asked for.
 */
#ifndef KISEKI_FS_READ_PILE_H
#define KISEKI_FS_READ_PILE_H

#include "meta/names/object.h"

#define PILE_RUNS 256 /* each with a piece of one write: some MiB at most */

/* Bytes [start, end), seen of one link: those of `piece` from piece_off on. */
struct pile_run {
    uint64_t start, end, token;
    uint64_t piece, piece_off;
};

struct pile {
    struct pile_run runs[2 * PILE_RUNS + 2]; /* in order, side by side or with gaps */
    size_t count;                            /* at most `max` */
    size_t max;                              /* at most PILE_RUNS */
    uint64_t from, until; /* what is known; `until` falls when there are more runs */
};

/* Pure. Of two with one token the one that was added later is seen, as in fs/read/overlay.h. */
void pile_add(struct pile *p, const struct object_extent *link);

/*
 * The extents that are seen from byte `from` on, side by side, with their records; *out_until: up
 * to where this is all, at most `to`. Memory does not grow with the number of writes. Blocks.
 */
MUST_USE enum err pile_extents(struct meta *m, struct arena *a, const struct object *o,
                               uint64_t from, uint64_t to, struct object_extent **out,
                               size_t *out_count, uint64_t *out_until);

#endif
