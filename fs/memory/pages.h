/*
 * The memory that transfers, the read cache and big requests share: one budget of 64 KiB pages.
 *
 * A page is a granule of a slice on its way in or out. It is counted: an upload, the cache and the
 * responses that send it each hold a reference, so bytes are never copied between them. Memory of
 * another kind that grows with what clients send (a collected body, the block of a response) is
 * reserved as a number of pages, which then do not exist.
 *
 * Shares: uploads have five eighths of the budget at most, reads five eighths, both seven eighths;
 * reservations a quarter. So whatever the others do, uploads find a quarter, reads find a quarter,
 * and reservations an eighth. What is not held is the cache's: it releases pages whenever a
 * transfer needs one, or a reservation needs room (the reclaim hook).
 *
 * Turns: a transfer that finds no page waits in the queue of its use (fs/memory/turns.h). A page
 * that comes free is handed to the upload whose turn it is; a newcomer does not get it. Readers are
 * woken and try again. Reads go first while they hold less than their quarter. A wait has a time
 * limit, which the watch enforces (fs/memory/pressure.h); the watch also makes holders release
 * pages. The queue of uploads is bounded: when more wait than the number of pages plus 1,024, the
 * last one of the size class with the most waiters is refused. The bound is needed because clients
 * that have left wait in the queue, too: a client's leaving is seen only once all that it sent
 * before has been read.
 *
 * The pages are one mapping. A page that was never needed, or that gave way to a reservation, is
 * not resident.
 *
 * Threads: any, at once. The lock is a leaf, but for wakers: they run under `wake_lock` and must
 * not call into fs/.
 */
#ifndef KISEKI_FS_MEMORY_PAGES_H
#define KISEKI_FS_MEMORY_PAGES_H

#include "base/err.h"
#include "fs/memory/turns.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES ((size_t)64 << 10) /* META_GRANULE */

/* What a page is held for, beside the cache. */
enum page_use { PAGE_UPLOAD, PAGE_READ, PAGE_USES };

struct page {
    _Atomic unsigned refs;
    struct page *next_free;
    uint8_t *data; /* PAGE_BYTES */
};

struct pages_waiter {
    /* the owner's, set before pages_wait() */
    enum page_use use;
    void (*wake)(void *arg);
    void *arg;
    struct turn turn; /* `pages` is the owner's */
    /* guarded by pages.lock; the owner reads them after a wake */
    bool expired;      /* its time is over */
    struct page *page; /* PAGE_UPLOAD: given to it; pages_take_given() */
};

struct pages {
    /* immutable after init and the setters */
    size_t limit;
    struct page *all;
    uint8_t *memory;
    bool (*reclaim)(void *arg); /* frees at least one page if it can */
    void *reclaim_arg;
    void (*watch)(void *arg); /* the first waiter came */
    void *watch_arg;
    /* guarded by lock */
    pthread_mutex_t lock;
    struct page *free; /* resident */
    struct page *cold; /* no longer resident */
    size_t made;       /* pages[0..made) were used once */
    size_t resident;   /* in use or free */
    size_t in_use;     /* held or cached */
    size_t used[PAGE_USES];
    size_t reserved;
    struct turns queues[PAGE_USES];
    /* atomic, changed under lock: a waiter whose use may have more finds no page */
    _Atomic bool wanted;
    /* held while a waker runs: pages_forget() waits for it */
    pthread_mutex_t wake_lock;
};

MUST_USE enum err pages_init(struct pages *p, uint64_t limit_bytes);
void pages_fini(struct pages *p); /* fine on a zeroed struct */
/* The hook that takes pages from the cache; before other threads start. */
void pages_set_reclaim(struct pages *p, bool (*reclaim)(void *arg), void *arg);
/* Called when the first waiter begins to wait; must not block, takes no lock of fs/. */
void pages_set_watch(struct pages *p, void (*watch)(void *arg), void *arg);

/*
 * A page with one reference, its bytes undefined, counted for that use; NULL when there is none, or
 * the use has its share, or (PAGE_UPLOAD) others wait. Never blocks.
 */
struct page *pages_take(struct pages *p, enum page_use use);
struct page *page_ref(struct page *page);
void page_unref(struct pages *p, struct page *page); /* NULL is fine */
/* `count` pages that were taken for that use are no longer held for it. */
void pages_uncount(struct pages *p, enum page_use use, size_t count);
/* pages_uncount() and page_unref() of one page that was taken for that use. NULL is fine. */
void pages_drop(struct pages *p, enum page_use use, struct page *page);

/*
 * Reserves `count` pages, or none (false). It is granted only if all reservations together are then
 * at most `most` pages. Never blocks.
 */
bool pages_reserve(struct pages *p, size_t count, size_t most);
void pages_unreserve(struct pages *p, size_t count);
/* The most that can be reserved, in pages: a quarter of the budget. */
size_t pages_reserve_max(const struct pages *p);

/*
 * Queues w, unless it is queued. Then w->wake is called once: when a page comes free (PAGE_UPLOAD:
 * it is w's now), at once if one is free, or with w->expired set: the deadline is over, or too many
 * uploads wait.
 */
void pages_wait(struct pages *p, struct pages_waiter *w, int64_t deadline_boot_ms);
/* The page that w was given, or NULL; *out_expired: it will not get one. Reports each only once. */
struct page *pages_take_given(struct pages *p, struct pages_waiter *w, bool *out_expired);
/* The waiter will not be woken after this has returned; a page given to it goes to the next. */
void pages_forget(struct pages *p, struct pages_waiter *w);
/* Ends the waits whose deadline is over by now, and those that are too many. */
void pages_expire(struct pages *p, int64_t now_boot_ms);

/* A transfer waits for memory: release what is not needed. Never blocks. */
bool pages_wanted(struct pages *p);
/* How many pages held for that use, if they were released, waiters could take. */
size_t pages_short(struct pages *p, enum page_use use);

struct pages_stats {
    size_t in_use; /* held or cached */
    size_t used[PAGE_USES], reserved, waiting[PAGE_USES];
};
void pages_stats(struct pages *p, struct pages_stats *out);
size_t pages_in_use(struct pages *p);

#endif
