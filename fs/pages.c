#include "fs/pages.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Attempts to make room from the cache before a taker is refused. */
#define RECLAIM_TRIES 4

enum err pages_init(struct pages *p, uint64_t limit_bytes)
{
    *p = (struct pages){.limit = (size_t)(limit_bytes / PAGE_BYTES)};
    if (p->limit < 64)
        return err_set(ERR_INVALID, "memory of %llu bytes is too small: give 16M at least",
                       (unsigned long long)limit_bytes);
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->wake_lock, NULL);
    return OK;
}

void pages_fini(struct pages *p)
{
    if (p->limit == 0)
        return;
    while (p->free != NULL) {
        struct page *page = p->free;

        p->free = page->next_free;
        free(page);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->wake_lock);
}

void pages_set_reclaim(struct pages *p, bool (*reclaim)(void *arg), void *arg)
{
    p->reclaim = reclaim;
    p->reclaim_arg = arg;
}

static struct page *try_take(struct pages *p)
{
    struct page *page = NULL;
    bool make = false;

    pthread_mutex_lock(&p->lock);
    if (p->free != NULL) {
        page = p->free;
        p->free = page->next_free;
        p->in_use++;
    } else if (p->made < p->limit) {
        make = true;
        p->made++;
        p->in_use++;
    }
    pthread_mutex_unlock(&p->lock);
    if (!make)
        return page;
    page = malloc(sizeof(*page));
    if (page == NULL) {
        pthread_mutex_lock(&p->lock);
        p->made--;
        p->in_use--;
        pthread_mutex_unlock(&p->lock);
    }
    return page;
}

struct page *pages_take(struct pages *p)
{
    struct page *page = try_take(p);

    for (int i = 0; page == NULL && i < RECLAIM_TRIES; i++) {
        if (p->reclaim == NULL || !p->reclaim(p->reclaim_arg))
            break;
        page = try_take(p);
    }
    if (page != NULL)
        atomic_store_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

struct page *page_ref(struct page *page)
{
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

/* Takes the first waiter off the queue if there is a page for it. */
static struct pages_waiter *next_to_wake(struct pages *p)
{
    struct pages_waiter *w = p->first;

    if (w == NULL || (p->free == NULL && p->made >= p->limit))
        return NULL;
    p->first = w->next;
    if (p->first == NULL)
        p->last = &p->first;
    w->queued = false;
    atomic_fetch_sub(&p->queued, 1);
    return w;
}

static void wake_one(struct pages *p)
{
    struct pages_waiter *w;

    pthread_mutex_lock(&p->wake_lock);
    pthread_mutex_lock(&p->lock);
    w = next_to_wake(p);
    pthread_mutex_unlock(&p->lock);
    if (w != NULL)
        w->wake(w->arg);
    pthread_mutex_unlock(&p->wake_lock);
}

void page_unref(struct pages *p, struct page *page)
{
    bool waiting;
    unsigned before;

    if (page == NULL)
        return;
    before = atomic_fetch_sub(&page->refs, 1);
    /* Only the cache may hold it now: whoever waits must not sleep beside it. Either we see the
     * waiter, or its own reclaim in pages_wait() sees the page unpinned. */
    if (before == 2 && pages_wanted(p) && p->reclaim != NULL)
        (void)p->reclaim(p->reclaim_arg);
    if (before > 1)
        return;
    pthread_mutex_lock(&p->lock);
    page->next_free = p->free;
    p->free = page;
    p->in_use--;
    waiting = p->first != NULL;
    pthread_mutex_unlock(&p->lock);
    if (waiting)
        wake_one(p);
}

void pages_wait(struct pages *p, struct pages_waiter *w)
{
    bool free_now;

    pthread_mutex_lock(&p->lock);
    if (!w->queued) {
        w->queued = true;
        w->next = NULL;
        *p->last = w;
        p->last = &w->next;
        atomic_fetch_add(&p->queued, 1);
    }
    free_now = p->free != NULL || p->made < p->limit;
    pthread_mutex_unlock(&p->lock);
    if (free_now)
        wake_one(p);
    else if (p->reclaim != NULL)
        (void)p->reclaim(p->reclaim_arg); /* what came into the cache before we were in the queue */
}

void pages_forget(struct pages *p, struct pages_waiter *w)
{
    pthread_mutex_lock(&p->wake_lock);
    pthread_mutex_lock(&p->lock);
    if (w->queued) {
        struct pages_waiter **at = &p->first;

        while (*at != w)
            at = &(*at)->next;
        *at = w->next;
        if (p->last == &w->next)
            p->last = at;
        w->queued = false;
        atomic_fetch_sub(&p->queued, 1);
    }
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->wake_lock);
    /* A page that this waiter was woken for, and did not take, is for the next one. */
    wake_one(p);
}

bool pages_wanted(struct pages *p)
{
    return atomic_load(&p->queued) > 0;
}

size_t pages_in_use(struct pages *p)
{
    size_t n;

    pthread_mutex_lock(&p->lock);
    n = p->in_use;
    pthread_mutex_unlock(&p->lock);
    return n;
}

size_t pages_waiting(struct pages *p)
{
    size_t n = 0;

    pthread_mutex_lock(&p->lock);
    for (struct pages_waiter *w = p->first; w != NULL; w = w->next)
        n++;
    pthread_mutex_unlock(&p->lock);
    return n;
}
