/*
 * Who waits, and whose turn it is: for a page (fs/memory/pages.h), for a thread that stores a slice
 * (fs/write/slice_queue.h).
 *
 * Uploads are in classes by the size that they declare. All classes with a waiter have the same
 * share of what is handed out, however many wait in each: the class that has had the least is next
 * (start-time fair queueing: Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM 1996). So an
 * upload waits for those of about its size, not for every large one before it, nor for an endless
 * stream of small ones. A client gains nothing by declaring too small a size: it cannot send more.
 *
 * Within a class it is first come, first served; and a turn lasts for TURN_COST, over several
 * waits. So a small upload has all that it needs in one turn, and large ones take turns.
 *
 * Each call costs the same however many wait. Not thread-safe: the owner's lock guards them.
 */
#ifndef KISEKI_FS_MEMORY_TURNS_H
#define KISEKI_FS_MEMORY_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One class for each number of pages below 8, then two for each power of two (8 to 11, 12 to 15, 16
 * to 23 ...). The last one has all from 1,536 pages (96 MiB) on.
 */
#define TURN_CLASSES 24
/* In pages, 512 KiB: an upload of up to that size gets all of its pages in one turn. */
#define TURN_COST 8

/* Embedded in what waits; zeroed before the first turns_add(). */
struct turn {
    /* the owner's, set before turns_add() */
    size_t pages; /* of the upload in all */
    size_t cost;  /* of what it waits for, in pages; at least 1 */
    int64_t deadline_ms;
    /* guarded by the lock */
    bool queued;
    size_t left; /* of its turn */
    int class;
    struct turn *next, *prev;
};

struct turn_list {
    struct turn *first, *last;
};

struct turn_class {
    struct turn_list begun, fresh; /* in the middle of a turn, or not */
    size_t count;
    uint64_t served; /* cost, in the time of `clock` */
};

struct turns {
    struct turn_class classes[TURN_CLASSES];
    uint64_t clock; /* `served` of the class that was last */
    size_t count;
};

void turns_add(struct turns *all, struct turn *one);
void turns_remove(struct turns *all, struct turn *one);
/* The one whose turn it is, taken out; NULL when none waits. */
struct turn *turns_next(struct turns *all);
/*
 * The last of the class with the most waiters, taken out: the one to refuse when too many wait. At
 * least one must wait.
 */
struct turn *turns_last(struct turns *all);
/* One whose deadline is over by now, taken out; NULL when there is none. Those that came first have
 * the first deadlines. */
struct turn *turns_expired(struct turns *all, int64_t now_boot_ms);

#endif
