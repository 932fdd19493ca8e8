/*
 * The memory that transfers and the read cache share: 64 KiB pages out of one budget.
 *
 * A page is a granule of a slice on its way in or out. It is counted: an upload, the cache and the
 * responses that send it each hold a reference, so bytes are never copied between them. When the
 * budget is used up the cache gives pages back first (the reclaim hook); then whoever asks is
 * refused and may wait in a queue, first come first served.
 *
 * Threads: any, at once. The lock is a leaf, but for wakers: they run under `wake_lock` and must
 * not call into fs/.
 */
#ifndef KISEKI_FS_PAGES_H
#define KISEKI_FS_PAGES_H

#include "base/err.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES ((size_t)64 << 10) /* META_GRANULE */

struct page {
    _Atomic unsigned refs;
    struct page *next_free;
    uint8_t data[PAGE_BYTES];
};

struct pages_waiter {
    void (*wake)(void *arg);
    void *arg;
    bool queued; /* guarded by pages.lock */
    struct pages_waiter *next;
};

struct pages {
    /* immutable after init */
    size_t limit;
    bool (*reclaim)(void *arg); /* frees at least one page if it can */
    void *reclaim_arg;
    /* guarded by lock */
    pthread_mutex_t lock;
    struct page *free;
    size_t made, in_use;
    struct pages_waiter *first, **last;
    /* atomic: waiters in the queue; changes under lock */
    _Atomic size_t queued;
    /* held while a waker runs: pages_forget() waits for it */
    pthread_mutex_t wake_lock;
};

MUST_USE enum err pages_init(struct pages *p, uint64_t limit_bytes);
void pages_fini(struct pages *p);
/* The hook that takes pages from the cache; before other threads start. */
void pages_set_reclaim(struct pages *p, bool (*reclaim)(void *arg), void *arg);

/* A page with one reference, its bytes undefined; NULL when there is none. Never blocks. */
struct page *pages_take(struct pages *p);
struct page *page_ref(struct page *page);
void page_unref(struct pages *p, struct page *page); /* NULL is fine */

/* Calls w->wake once, when a page comes free; at once if one is free now. */
void pages_wait(struct pages *p, struct pages_waiter *w);
/* The waiter will not be woken after this has returned. */
void pages_forget(struct pages *p, struct pages_waiter *w);

/* Somebody waits: what is not needed should not be kept. Never blocks. */
bool pages_wanted(struct pages *p);

size_t pages_in_use(struct pages *p);
size_t pages_waiting(struct pages *p);

#endif
