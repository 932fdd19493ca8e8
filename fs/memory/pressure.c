#include "fs/memory/pressure.h"

#include "base/clock.h"
#include "fs/volume.h"

#define WATCH_MS 200 /* how late a wait may end: little beside waits of 5 s and 30 s */

/* --- holders ---------------------------------------------------------------------------------- */

void holders_init(struct holders *h)
{
    *h = (struct holders){0};
    pthread_mutex_init(&h->lock, NULL);
}

void holders_fini(struct holders *h)
{
    pthread_mutex_destroy(&h->lock);
}

void holder_init(struct holder *one)
{
    *one = (struct holder){.class = HOLDER_NONE};
}

/* With the lock held. */
static void take_out(struct holders *h, struct holder *one)
{
    int class = one->class;

    if (class == HOLDER_NONE)
        return;
    *(one->prev != NULL ? &one->prev->next : &h->lists[class].first) = one->next;
    *(one->next != NULL ? &one->next->prev : &h->lists[class].last) = one->prev;
    one->class = HOLDER_NONE;
}

/* With the lock held. */
static void file(struct holders *h, struct holder *one, int class)
{
    take_out(h, one);
    if (class == HOLDER_NONE)
        return;
    one->filed_ms = clock_boot_ms();
    one->next = NULL;
    one->prev = h->lists[class].last;
    *(one->prev != NULL ? &one->prev->next : &h->lists[class].first) = one;
    h->lists[class].last = one;
    one->class = class;
}

void holders_file(struct holders *h, struct holder *one, int class)
{
    if (one->class == class)
        return;
    pthread_mutex_lock(&h->lock);
    file(h, one, class);
    pthread_mutex_unlock(&h->lock);
}

void holders_remove(struct holders *h, struct holder *one)
{
    pthread_mutex_lock(&h->lock);
    take_out(h, one);
    pthread_mutex_unlock(&h->lock);
}

/* With the lock held. */
static struct holder *pick(struct holders *h, int64_t filed_before_ms)
{
    for (int class = HOLDER_CLASSES - 1; class >= 0; class --) {
        struct holder *one = h->lists[class].first;

        if (one != NULL && one->filed_ms <= filed_before_ms)
            return one;
    }
    return NULL;
}

void holders_ask(struct holders *h, int64_t idle_ms, bool (*more)(struct fs *fs), struct fs *fs,
                 bool (*ask)(struct fs *fs, struct holder *one, int *out_class))
{
    bool go_on = true;

    while (go_on && more(fs)) {
        struct holder *one;
        int class = HOLDER_NONE;

        pthread_mutex_lock(&h->lock);
        one = pick(h, clock_boot_ms() - idle_ms);
        if (one != NULL)
            take_out(h, one); /* a change meanwhile files it behind us */
        go_on = one != NULL && ask(fs, one, &class);
        if (one != NULL)
            file(h, one, class);
        pthread_mutex_unlock(&h->lock);
    }
}

/* --- the watch -------------------------------------------------------------------------------- */

void pressure_now(struct fs *fs)
{
    readers_relieve(fs);
    writers_relieve(fs);
}

/* False: no waiter is left. */
static bool look(struct fs *fs)
{
    struct pages_stats s;
    bool holds_wait = reservations_look(fs);

    pressure_now(fs);
    pages_expire(&fs->pages, clock_boot_ms());
    pages_stats(&fs->pages, &s);
    return holds_wait || s.waiting[PAGE_UPLOAD] + s.waiting[PAGE_READ] > 0;
}

/* With the lock held. */
static void nap(struct pressure *r)
{
    struct timespec until = clock_mono_after(WATCH_MS);
    int timed_out = 0;

    while (!r->quit && timed_out == 0)
        timed_out = pthread_cond_clockwait(&r->cond, &r->lock, CLOCK_MONOTONIC, &until);
}

static void *watch(void *arg)
{
    struct fs *fs = arg;
    struct pressure *r = &fs->pressure;

    pthread_mutex_lock(&r->lock);
    while (!r->quit) {
        bool go_on;

        while (!r->awake && !r->quit)
            pthread_cond_wait(&r->cond, &r->lock);
        r->awake = false; /* a wait that begins from here on sets it again */
        nap(r);
        pthread_mutex_unlock(&r->lock);
        go_on = look(fs);
        pthread_mutex_lock(&r->lock);
        r->awake = r->awake || go_on;
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

void pressure_wake(struct fs *fs)
{
    struct pressure *r = &fs->pressure;

    pthread_mutex_lock(&r->lock);
    r->awake = true;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

static void on_wait(void *arg)
{
    pressure_wake(arg);
}

enum err pressure_start(struct fs *fs)
{
    struct pressure *r = &fs->pressure;

    *r = (struct pressure){0};
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->cond, NULL);
    pages_set_watch(&fs->pages, on_wait, fs);
    r->runs = pthread_create(&r->thread, NULL, watch, fs) == 0;
    if (!r->runs)
        return err_set(ERR_NOMEM, "cannot start a thread");
    (void)pthread_setname_np(r->thread, "memory");
    return OK;
}

void pressure_stop(struct fs *fs)
{
    struct pressure *r = &fs->pressure;

    if (!r->runs)
        return;
    pthread_mutex_lock(&r->lock);
    r->quit = true;
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->cond);
    r->runs = false;
}
