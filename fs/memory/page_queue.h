/*
 * Who waits for a page (fs/memory/pages.h), and whose turn it is.
 *
 * The one that was given the least so far goes first, by classes of 0, 1, 2, 4, 8 and 16 pages,
 * first come, first served within a class. So a small upload waits for other small ones, not for
 * all pages of every large one before it. Every TURN_OF_OLDEST-th page goes to the one that has
 * waited the longest, whatever it was given: small uploads without end do not stop a large one.
 *
 * Each call costs the same however many wait. Not thread-safe: pages.lock guards a queue.
 */
#ifndef KISEKI_FS_MEMORY_PAGE_QUEUE_H
#define KISEKI_FS_MEMORY_PAGE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page;

/* What a page is held for, beside the cache. */
enum page_use { PAGE_UPLOAD, PAGE_READ, PAGE_USES };

#define PAGE_CLASSES   6
#define TURN_OF_OLDEST 4

struct pages_waiter {
    /* the owner's, set before pages_wait() */
    enum page_use use;
    size_t had; /* pages that it was given so far */
    void (*wake)(void *arg);
    void *arg;
    /* guarded by pages.lock; the owner reads them after a wake */
    bool queued;
    bool expired; /* its time is over */
    int class;
    uint64_t number; /* counts the waits of this queue */
    int64_t deadline_ms;
    struct page *page; /* PAGE_UPLOAD: given to it; pages_take_given() */
    struct pages_waiter *next, *prev;
};

struct page_queue {
    struct {
        struct pages_waiter *first, *last;
    } classes[PAGE_CLASSES];
    size_t count;
    uint64_t waits, turns;
};

void page_queue_add(struct page_queue *q, struct pages_waiter *w);
void page_queue_remove(struct page_queue *q, struct pages_waiter *w);
/* Whose turn it is, taken out; NULL when nobody waits. */
struct pages_waiter *page_queue_next(struct page_queue *q);
/* One whose deadline is over by now, taken out; NULL when there is none. Within a class those that
 * came first have the first deadlines. */
struct pages_waiter *page_queue_expired(struct page_queue *q, int64_t now_boot_ms);

#endif
