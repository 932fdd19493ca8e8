/*
 * Who waits, and whose turn it is: for a page (fs/memory/pages.h), for a thread that stores a slice
 * (fs/write/slice_queue.h).
 *
 * The smallest goes first, by classes of 0, 1, 2, 4 ... 64 pages, first come, first served within a
 * class. So a small upload waits for other small ones, not for every large one before it. What it
 * says of its size binds a client: it cannot get more. Every TURN_OF_OLDEST-th turn is that of the
 * one that has waited the longest, whatever its size: small uploads without end do not stop a large
 * one.
 *
 * Each call costs the same however many wait. Not thread-safe: the owner's lock guards them.
 */
#ifndef KISEKI_FS_MEMORY_TURNS_H
#define KISEKI_FS_MEMORY_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TURN_CLASSES   8
#define TURN_OF_OLDEST 4

/* Embedded in what waits. */
struct turn {
    /* the owner's, set before turns_add() */
    size_t pages; /* that it takes in all */
    int64_t deadline_ms;
    /* guarded by the lock */
    bool queued;
    int class;
    uint64_t number; /* counts the waits */
    struct turn *next, *prev;
};

struct turns {
    struct {
        struct turn *first, *last;
    } classes[TURN_CLASSES];
    size_t count;
    uint64_t waits, taken;
};

void turns_add(struct turns *all, struct turn *one);
void turns_remove(struct turns *all, struct turn *one);
/* Whose turn it is, taken out; NULL when nobody waits. */
struct turn *turns_next(struct turns *all);
/* One whose deadline is over by now, taken out; NULL when there is none. Within a class those that
 * came first have the first deadlines. */
struct turn *turns_expired(struct turns *all, int64_t now_boot_ms);

#endif
