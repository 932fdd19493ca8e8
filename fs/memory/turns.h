/*
 * Who waits, and whose turn it is: for a page (fs/memory/pages.h), for a thread that stores a slice
 * (fs/write/slice_queue.h).
 *
 * Uploads are in classes by the size that they declare. All classes of which one waits have the
 * same share of what is handed out, however many wait in each: the class is next that has had the
 * least (start-time fair queueing: Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM 1996). So
 * an upload waits for those of about its size, not for every large one before it, nor for small
 * ones that come without end. What it says of its size binds a client: it cannot get more.
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

/* Up to 8 pages each number is a class, then there are two for each power of two, up to 64 MiB. */
#define TURN_CLASSES 24
#define TURN_COST    8

/* Embedded in what waits; zeroed before the first turns_add(). */
struct turn {
    /* the owner's, set before turns_add() */
    size_t pages; /* that the upload has in all */
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
/* Whose turn it is, taken out; NULL when nobody waits. */
struct turn *turns_next(struct turns *all);
/* The last of the largest class, taken out: whom to refuse when too many wait. There is one. */
struct turn *turns_last(struct turns *all);
/* One whose deadline is over by now, taken out; NULL when there is none. Those that came first have
 * the first deadlines. */
struct turn *turns_expired(struct turns *all, int64_t now_boot_ms);

#endif
