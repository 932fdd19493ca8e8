#include "fs/memory/pages.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

/* 4 MiB; --memory-size, which takes 16 MiB at least, never gets here with less. */
#define PAGES_MIN ((size_t)64)

/* Uploads that may wait, beside one for each page: so that a small budget still has a queue. */
#define WAITING_MIN ((size_t)1024)

/* Attempts to make room from the cache before a taker is refused: another may be faster. */
#define RECLAIM_TRIES 4

static struct pages_waiter *waiter_of(struct turn *turn)
{
    return turn != NULL
               ? (struct pages_waiter *)((char *)turn - offsetof(struct pages_waiter, turn))
               : NULL;
}

/* --- making ----------------------------------------------------------------------------------- */

enum err pages_init(struct pages *p, uint64_t limit_bytes)
{
    *p = (struct pages){.limit = (size_t)(limit_bytes / PAGE_BYTES)};
    if (p->limit < PAGES_MIN) {
        p->limit = 0;
        return err_set(ERR_INVALID, "memory of %llu bytes is too small: give 16M at least",
                       (unsigned long long)limit_bytes);
    }
    p->all = calloc(p->limit, sizeof(*p->all));
    p->memory = mmap(NULL, p->limit * PAGE_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->all == NULL || p->memory == MAP_FAILED) {
        if (p->memory != MAP_FAILED)
            (void)munmap(p->memory, p->limit * PAGE_BYTES);
        free(p->all);
        *p = (struct pages){0};
        return err_set(ERR_NOMEM, "out of memory for a budget of %llu bytes",
                       (unsigned long long)limit_bytes);
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->wake_lock, NULL);
    return OK;
}

void pages_fini(struct pages *p)
{
    if (p->limit == 0)
        return;
    (void)munmap(p->memory, p->limit * PAGE_BYTES);
    free(p->all);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->wake_lock);
    p->limit = 0;
}

void pages_set_reclaim(struct pages *p, bool (*reclaim)(void *arg), void *arg)
{
    p->reclaim = reclaim;
    p->reclaim_arg = arg;
}

void pages_set_watch(struct pages *p, void (*watch)(void *arg), void *arg)
{
    p->watch = watch;
    p->watch_arg = arg;
}

/* --- shares; all with the lock held ----------------------------------------------------------- */

static size_t quarter(const struct pages *p)
{
    return p->limit / 4;
}

/* What transfers leave to reservations: an eighth at least. */
static size_t left_alone(const struct pages *p)
{
    size_t first = quarter(p) / 2;

    return p->reserved > first ? p->reserved : first;
}

static bool may_take(const struct pages *p, enum page_use use)
{
    return p->used[use] + left_alone(p) < p->limit - quarter(p) &&
           p->used[PAGE_UPLOAD] + p->used[PAGE_READ] + left_alone(p) < p->limit;
}

static bool has_room(const struct pages *p)
{
    return p->in_use + p->reserved < p->limit;
}

static bool is_owed(const struct pages *p, enum page_use use)
{
    return p->queues[use].count > 0 && may_take(p, use);
}

/* Call it when anything that the functions above read has changed. */
static void note_wanted(struct pages *p)
{
    bool wanted = !has_room(p) && (is_owed(p, PAGE_UPLOAD) || is_owed(p, PAGE_READ));

    atomic_store_explicit(&p->wanted, wanted, memory_order_seq_cst);
}

/* --- pages; all with the lock held ------------------------------------------------------------ */

static struct page *pop(struct page **list)
{
    struct page *page = *list;

    *list = page->next_free;
    return page;
}

static void push(struct page **list, struct page *page)
{
    page->next_free = *list;
    *list = page;
}

static struct page *get(struct pages *p, enum page_use use)
{
    struct page *page;

    if (!has_room(p))
        return NULL;
    if (p->free != NULL) {
        page = pop(&p->free);
    } else {
        page = p->cold != NULL ? pop(&p->cold) : &p->all[p->made++];
        page->data = p->memory + (size_t)(page - p->all) * PAGE_BYTES;
        p->resident++;
    }
    p->in_use++;
    p->used[use]++;
    atomic_store_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

/* Returns free pages to the system until resident pages and reservations fit the budget. */
static void trim(struct pages *p)
{
    while (p->free != NULL && p->resident + p->reserved > p->limit) {
        struct page *page = pop(&p->free);

        (void)madvise(page->data, PAGE_BYTES, MADV_DONTNEED);
        push(&p->cold, page);
        p->resident--;
    }
}

/* --- waking ----------------------------------------------------------------------------------- */

/* Takes the next waiter off its queue if there is a page for it. With the lock held. */
static struct pages_waiter *next_to_wake(struct pages *p)
{
    bool reads_first = p->used[PAGE_READ] < quarter(p);
    enum page_use use = reads_first ? PAGE_READ : PAGE_UPLOAD;
    struct pages_waiter *w;

    if (!has_room(p))
        return NULL;
    if (!is_owed(p, use))
        use = reads_first ? PAGE_UPLOAD : PAGE_READ;
    if (!is_owed(p, use))
        return NULL;
    w = waiter_of(turns_next(&p->queues[use]));
    if (use == PAGE_UPLOAD)
        w->page = get(p, use);
    return w;
}

/* Hands out what is free to the waiters. */
static void serve(struct pages *p)
{
    enum page_use use = PAGE_UPLOAD;

    pthread_mutex_lock(&p->wake_lock);
    while (use == PAGE_UPLOAD) { /* a reader takes its page itself: one is enough for now */
        struct pages_waiter *w;

        pthread_mutex_lock(&p->lock);
        w = next_to_wake(p);
        note_wanted(p);
        pthread_mutex_unlock(&p->lock);
        if (w == NULL)
            break;
        use = w->use;
        w->wake(w->arg);
    }
    pthread_mutex_unlock(&p->wake_lock);
}

/* Something came free. Unlocks. */
static void unlock_and_serve(struct pages *p)
{
    bool waiting = p->queues[PAGE_UPLOAD].count + p->queues[PAGE_READ].count > 0;

    note_wanted(p);
    pthread_mutex_unlock(&p->lock);
    if (waiting)
        serve(p);
}

/* --- taking and releasing --------------------------------------------------------------------- */

static struct page *try_take(struct pages *p, enum page_use use, bool *out_more)
{
    struct page *page = NULL;

    pthread_mutex_lock(&p->lock);
    *out_more = may_take(p, use) && (use != PAGE_UPLOAD || p->queues[use].count == 0);
    if (*out_more)
        page = get(p, use);
    note_wanted(p);
    pthread_mutex_unlock(&p->lock);
    return page;
}

struct page *pages_take(struct pages *p, enum page_use use)
{
    bool more;
    struct page *page = try_take(p, use, &more);

    for (int i = 0; page == NULL && more && i < RECLAIM_TRIES; i++) {
        if (p->reclaim == NULL || !p->reclaim(p->reclaim_arg))
            break;
        page = try_take(p, use, &more);
    }
    return page;
}

struct page *page_ref(struct page *page)
{
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

void page_unref(struct pages *p, struct page *page)
{
    unsigned before;

    if (page == NULL)
        return;
    before = atomic_fetch_sub(&page->refs, 1);
    /* Perhaps only the cache holds it now: a waiter must not sleep while it could be evicted.
     * Either we see the waiter, or its own reclaim in pages_wait() sees the page unpinned. */
    if (before == 2 && pages_wanted(p) && p->reclaim != NULL)
        (void)p->reclaim(p->reclaim_arg);
    if (before > 1)
        return;
    pthread_mutex_lock(&p->lock);
    push(&p->free, page);
    p->in_use--;
    trim(p);
    unlock_and_serve(p);
}

void pages_uncount(struct pages *p, enum page_use use, size_t count)
{
    if (count == 0)
        return;
    pthread_mutex_lock(&p->lock);
    p->used[use] -= count;
    unlock_and_serve(p);
}

void pages_drop(struct pages *p, enum page_use use, struct page *page)
{
    if (page == NULL)
        return;
    pages_uncount(p, use, 1);
    page_unref(p, page);
}

/* --- reservations ----------------------------------------------------------------------------- */

size_t pages_reserve_max(const struct pages *p)
{
    return quarter(p);
}

bool pages_reserve(struct pages *p, size_t count, size_t most)
{
    bool may, done = false;

    do {
        size_t reserved;

        pthread_mutex_lock(&p->lock);
        reserved = p->reserved + count;
        may = reserved <= most && reserved <= quarter(p) &&
              p->used[PAGE_UPLOAD] + reserved <= p->limit - quarter(p) &&
              p->used[PAGE_READ] + reserved <= p->limit - quarter(p);
        done = may && p->in_use + reserved <= p->limit;
        if (done) {
            p->reserved = reserved;
            trim(p);
        }
        note_wanted(p);
        pthread_mutex_unlock(&p->lock);
    } while (!done && may && p->reclaim != NULL && p->reclaim(p->reclaim_arg));
    return done;
}

void pages_unreserve(struct pages *p, size_t count)
{
    if (count == 0)
        return;
    pthread_mutex_lock(&p->lock);
    p->reserved -= count;
    unlock_and_serve(p);
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* With the lock held. */
static bool is_full(const struct pages *p)
{
    return p->queues[PAGE_UPLOAD].count > p->limit + WAITING_MIN;
}

void pages_wait(struct pages *p, struct pages_waiter *w, int64_t deadline_boot_ms)
{
    bool first, wanted, full;

    pthread_mutex_lock(&p->lock);
    first = p->queues[PAGE_UPLOAD].count + p->queues[PAGE_READ].count == 0;
    if (!w->turn.queued && w->page == NULL) {
        w->expired = false;
        w->turn.cost = 1;
        w->turn.deadline_ms = deadline_boot_ms;
        turns_add(&p->queues[w->use], &w->turn);
    }
    note_wanted(p);
    wanted = pages_wanted(p);
    full = is_full(p);
    pthread_mutex_unlock(&p->lock);
    if (first && p->watch != NULL)
        p->watch(p->watch_arg);
    if (full)
        pages_expire(p, INT64_MIN); /* one too many is refused now, not at its deadline */
    serve(p);
    if (wanted && p->reclaim != NULL)
        (void)p->reclaim(p->reclaim_arg); /* what came into the cache before we were in the queue */
}

struct page *pages_take_given(struct pages *p, struct pages_waiter *w, bool *out_expired)
{
    struct page *page;

    pthread_mutex_lock(&p->lock);
    page = w->page;
    w->page = NULL;
    *out_expired = w->expired;
    w->expired = false;
    pthread_mutex_unlock(&p->lock);
    return page;
}

void pages_forget(struct pages *p, struct pages_waiter *w)
{
    struct page *given;

    pthread_mutex_lock(&p->wake_lock);
    pthread_mutex_lock(&p->lock);
    if (w->turn.queued)
        turns_remove(&p->queues[w->use], &w->turn);
    given = w->page;
    w->page = NULL;
    note_wanted(p);
    pthread_mutex_unlock(&p->lock);
    pthread_mutex_unlock(&p->wake_lock);
    pages_drop(p, PAGE_UPLOAD, given);
    /* A page that this reader was woken for, and did not take, is for the next one. */
    if (w->use == PAGE_READ)
        serve(p);
}

/* One whose time is over, or one too many, taken off its queue. With the lock held. */
static struct pages_waiter *next_expired(struct pages *p, int64_t now_boot_ms)
{
    struct turn *turn = is_full(p) ? turns_last(&p->queues[PAGE_UPLOAD])
                                   : turns_expired(&p->queues[PAGE_UPLOAD], now_boot_ms);
    struct pages_waiter *w;

    if (turn == NULL)
        turn = turns_expired(&p->queues[PAGE_READ], now_boot_ms);
    w = waiter_of(turn);
    if (w != NULL)
        w->expired = true;
    return w;
}

void pages_expire(struct pages *p, int64_t now_boot_ms)
{
    struct pages_waiter *w;

    pthread_mutex_lock(&p->wake_lock);
    do {
        pthread_mutex_lock(&p->lock);
        w = next_expired(p, now_boot_ms);
        note_wanted(p);
        pthread_mutex_unlock(&p->lock);
        if (w != NULL)
            w->wake(w->arg);
    } while (w != NULL);
    pthread_mutex_unlock(&p->wake_lock);
}

/* --- looking ---------------------------------------------------------------------------------- */

bool pages_wanted(struct pages *p)
{
    return atomic_load(&p->wanted);
}

size_t pages_short(struct pages *p, enum page_use use)
{
    size_t n = 0;

    pthread_mutex_lock(&p->lock);
    for (int other = 0; other < PAGE_USES; other++)
        if (other == (int)use || may_take(p, (enum page_use)other))
            n += p->queues[other].count;
    pthread_mutex_unlock(&p->lock);
    return n;
}

void pages_stats(struct pages *p, struct pages_stats *out)
{
    pthread_mutex_lock(&p->lock);
    *out = (struct pages_stats){.in_use = p->in_use, .reserved = p->reserved};
    for (int use = 0; use < PAGE_USES; use++) {
        out->used[use] = p->used[use];
        out->waiting[use] = p->queues[use].count;
    }
    pthread_mutex_unlock(&p->lock);
}

size_t pages_in_use(struct pages *p)
{
    struct pages_stats s;

    pages_stats(p, &s);
    return s.in_use;
}
