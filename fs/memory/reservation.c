#include "fs/memory/reservation.h"

#include "base/clock.h"
#include "fs/volume.h"

#define WAIT_MS     5000 /* of one reservation, all its waits together */
#define SILENCE_MS  1000 /* between being found too slow and the end */
#define SMALL_PAGES 8    /* charged: a body of at most 144 KiB, of which 16 KiB are free */

/* Shares of what can be reserved. */
#define LARGE_SHARE(max) ((max)*3 / 4)
#define BLOCK_SHARE(max) ((max)*3 / 8)

enum { QUEUE_SMALL, QUEUE_LARGE };

void reservations_init(struct reservations *all)
{
    *all = (struct reservations){.wait_ms = WAIT_MS, .grace_ms = RESERVATION_GRACE_MS};
    pthread_mutex_init(&all->lock, NULL);
}

void reservations_fini(struct reservations *all)
{
    pthread_mutex_destroy(&all->lock);
}

/* Pages for what is beyond the first bytes, which are free. */
static size_t pages_of(uint64_t bytes)
{
    return bytes > RESERVATION_FREE_BYTES
               ? (size_t)((bytes - RESERVATION_FREE_BYTES - 1) / PAGE_BYTES) + 1
               : 0;
}

static bool is_large(size_t pages)
{
    return pages > SMALL_PAGES;
}

void reservation_init(struct reservation *h, struct fs *fs, int64_t expected,
                      void (*wake)(void *arg), void (*cut)(void *arg), void *arg)
{
    *h = (struct reservation){.fs = fs, .wake = wake, .cut = cut, .arg = arg};
    h->large = expected > 0 && is_large(pages_of((uint64_t)expected) * RESERVATION_BODY_CHARGE);
    h->since_ms = h->came_ms = clock_boot_ms();
}

/* --- lists; all with the lock held ------------------------------------------------------------ */

static struct reservation_queue *queue_of(struct reservations *all, const struct reservation *h)
{
    return &all->waiting[h->large ? QUEUE_LARGE : QUEUE_SMALL];
}

static void begin_wait(struct reservation *h, size_t wants)
{
    struct reservations *all = &h->fs->reservations;
    struct reservation_queue *q;

    h->wants = wants;
    h->waits_since_ms = clock_boot_ms();
    q = queue_of(all, h);
    h->next_waiting = NULL;
    h->prev_waiting = q->last;
    *(q->last != NULL ? &q->last->next_waiting : &q->first) = h;
    q->last = h;
    all->waiting_count++;
}

static void end_wait(struct reservation *h)
{
    struct reservations *all = &h->fs->reservations;
    struct reservation_queue *q = queue_of(all, h);
    int64_t waited_ms;

    if (h->wants == 0)
        return;
    *(h->prev_waiting != NULL ? &h->prev_waiting->next_waiting : &q->first) = h->next_waiting;
    *(h->next_waiting != NULL ? &h->next_waiting->prev_waiting : &q->last) = h->prev_waiting;
    all->waiting_count--;
    h->wants = 0;
    h->came_ms = clock_boot_ms();
    waited_ms = h->came_ms - h->waits_since_ms;
    h->since_ms += waited_ms;
    h->waited_ms += waited_ms;
}

static void link_holder(struct reservation *h)
{
    struct reservations *all = &h->fs->reservations;

    h->next = NULL;
    h->prev = all->last;
    *(all->last != NULL ? &all->last->next : &all->first) = h;
    all->last = h;
}

static void unlink_holder(struct reservation *h)
{
    struct reservations *all = &h->fs->reservations;

    *(h->prev != NULL ? &h->prev->next : &all->first) = h->next;
    *(h->next != NULL ? &h->next->prev : &all->last) = h->prev;
    h->next = h->prev = NULL;
}

/* --- room; with the lock held ----------------------------------------------------------------- */

static void set_pages(struct reservation *h, size_t pages, size_t beyond)
{
    bool held = h->pages > 0;

    h->pages = pages;
    h->beyond = beyond;
    if (!held && pages > 0)
        link_holder(h);
    else if (held && pages == 0)
        unlink_holder(h);
}

static bool reserve(struct reservation *h, size_t pages, bool large)
{
    size_t max = pages_reserve_max(&h->fs->pages);

    if (!pages_reserve(&h->fs->pages, pages - h->pages, large ? LARGE_SHARE(max) : max))
        return false;
    set_pages(h, pages, h->beyond);
    return true;
}

static bool make_room(struct reservation *h, size_t pages)
{
    struct reservations *all = &h->fs->reservations;

    if (reserve(h, pages, h->large))
        return true;
    if (all->first != NULL && all->first != h)
        return false;
    set_pages(h, pages, h->beyond + pages - h->pages); /* the oldest */
    return true;
}

static void give_back(struct reservation *h, size_t pages)
{
    size_t less = h->pages - pages, beyond = less < h->beyond ? less : h->beyond;

    set_pages(h, pages, h->beyond - beyond);
    pages_unreserve(&h->fs->pages, less - beyond);
}

static bool try_serve(struct reservation *h)
{
    if (!make_room(h, h->wants))
        return false;
    end_wait(h);
    h->wake(h->arg);
    return true;
}

/* Those whose turn it is, as long as there is room; the oldest one even without room. */
static void serve(struct reservations *all)
{
    if (all->first != NULL && all->first->wants > 0)
        (void)try_serve(all->first);
    for (int i = 0; i < 2; i++)
        while (all->waiting[i].first != NULL && try_serve(all->waiting[i].first))
            ;
}

/* --- slow clients ----------------------------------------------------------------------------- */

static bool is_slow(const struct reservation *h, int64_t now)
{
    int64_t grace = h->fs->reservations.grace_ms, age = now - h->since_ms;

    switch (h->state) {
    case RESERVATION_RECEIVES:
        return h->wants == 0 && (now - h->came_ms > grace ||
                                 age > grace + (int64_t)(h->bytes * 1000 / RESERVATION_RATE));
    case RESERVATION_ANSWERS:
        return age > grace + (int64_t)(h->bytes * 1000 / RESERVATION_ANSWER_RATE);
    default:
        return false;
    }
}

/* With the lock held. */
static void press(struct reservations *all)
{
    int64_t now = clock_boot_ms();

    for (struct reservation *h = all->first; h != NULL; h = h->next) {
        int64_t found = atomic_load(&h->slow_ms);

        if (!is_slow(h, now))
            continue;
        if (found == 0)
            atomic_store(&h->slow_ms, now);
        if (h->state == RESERVATION_ANSWERS ? found == 0 : found != 0 && now - found >= SILENCE_MS)
            h->cut(h->arg);
    }
}

/* --- a request -------------------------------------------------------------------------------- */

/* It would overtake others that wait. */
static bool must_queue(const struct reservation *h)
{
    const struct reservations *all = &h->fs->reservations;

    return all->first != h && (all->waiting[QUEUE_SMALL].first != NULL ||
                               (h->large && all->waiting[QUEUE_LARGE].first != NULL));
}

enum err reservation_grow(struct reservation *h, uint64_t bytes)
{
    struct reservations *all;
    size_t pages = pages_of(bytes) * RESERVATION_BODY_CHARGE;
    enum err err = OK;
    bool wait = false;

    if (h->fs == NULL)
        return OK;
    if (atomic_load(&h->slow_ms) != 0)
        return err_set(ERR_TIMEOUT, "a body that came too slowly while others waited for memory");
    all = &h->fs->reservations;
    pthread_mutex_lock(&all->lock);
    h->bytes = bytes;
    h->came_ms = clock_boot_ms();
    h->large = h->large || (h->wants == 0 && is_large(pages));
    if (h->expired) {
        err = err_set(ERR_BUSY, "no memory came free for a body in time");
    } else if (pages > h->pages && h->wants > 0) {
        err = ERR_AGAIN;
    } else if (pages > h->pages && (must_queue(h) || !make_room(h, pages))) {
        begin_wait(h, pages);
        err = ERR_AGAIN;
        wait = true;
    }
    pthread_mutex_unlock(&all->lock);
    if (wait)
        pressure_wake(h->fs);
    return err;
}

void reservation_work(struct reservation *h)
{
    if (h->pages == 0)
        return; /* it is in no list, so no other thread reads its state */
    pthread_mutex_lock(&h->fs->reservations.lock);
    h->state = RESERVATION_WORKS;
    pthread_mutex_unlock(&h->fs->reservations.lock);
}

enum err reservation_answer(struct reservation *h, uint64_t bytes, bool streams)
{
    struct reservations *all;
    size_t pages = pages_of(bytes);
    enum err err = OK;

    if (h->fs == NULL || (pages == 0 && h->pages == 0))
        return OK;
    all = &h->fs->reservations;
    pthread_mutex_lock(&all->lock);
    h->state = streams ? RESERVATION_STREAMS : RESERVATION_ANSWERS;
    h->bytes = bytes;
    h->since_ms = clock_boot_ms();
    if (pages < h->pages)
        give_back(h, pages);
    else if (pages > h->pages && !reserve(h, pages, true) && bytes > RESERVATION_ANSWER_BYTES)
        err = err_set(ERR_BUSY, "no memory for an answer of %llu bytes", (unsigned long long)bytes);
    if (err != OK)
        press(all);
    serve(all);
    pthread_mutex_unlock(&all->lock);
    return err;
}

void reservation_end(struct reservation *h)
{
    struct reservations *all;

    if (h->fs == NULL)
        return;
    all = &h->fs->reservations;
    pthread_mutex_lock(&all->lock);
    end_wait(h);
    give_back(h, 0);
    serve(all);
    pthread_mutex_unlock(&all->lock);
    h->fs = NULL;
}

/* --- blocks ----------------------------------------------------------------------------------- */

static size_t block_pages(size_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

bool reservation_block_take(struct fs *fs, size_t bytes)
{
    size_t pages = block_pages(bytes), most = BLOCK_SHARE(pages_reserve_max(&fs->pages));

    return pages_reserve(&fs->pages, pages, pages > 1 ? LARGE_SHARE(most) : most);
}

void reservation_block_give(struct fs *fs, size_t bytes)
{
    pages_unreserve(&fs->pages, block_pages(bytes));
}

/* --- the watch -------------------------------------------------------------------------------- */

/* With the lock held. */
static void expire(struct reservations *all, int64_t now)
{
    for (int i = 0; i < 2; i++) {
        struct reservation *next;

        for (struct reservation *h = all->waiting[i].first; h != NULL; h = next) {
            next = h->next_waiting;
            if (h->waited_ms + now - h->waits_since_ms <= all->wait_ms)
                continue;
            end_wait(h);
            h->expired = true;
            h->wake(h->arg);
        }
    }
}

bool reservations_look(struct fs *fs)
{
    struct reservations *all = &fs->reservations;
    int64_t now = clock_boot_ms();
    bool waits;

    pthread_mutex_lock(&all->lock);
    serve(all);
    expire(all, now);
    waits = all->waiting_count > 0;
    if (waits)
        press(all);
    pthread_mutex_unlock(&all->lock);
    return waits;
}

size_t reservations_waiting(struct fs *fs)
{
    size_t n;

    pthread_mutex_lock(&fs->reservations.lock);
    n = fs->reservations.waiting_count;
    pthread_mutex_unlock(&fs->reservations.lock);
    return n;
}
