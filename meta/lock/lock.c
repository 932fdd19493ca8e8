#include "meta/lock/lock.h"

#include "base/clock.h"
#include "base/log.h"
#include "meta/internal.h"
#include "meta/lock/internal.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS 256

/* A file that somebody here has locked, or waits for. */
struct locked_file {
    struct locked_file *next;
    uint64_t inode;
    struct byte_ranges ranges;
    size_t requests;
    pthread_cond_t changed; /* a request of this file was granted */
};

struct lock_table {
    pthread_mutex_t lock;
    /* guarded by lock */
    struct locked_file *buckets[BUCKETS];
    struct leftover *leftovers;
};

/* A row that could not be deleted. */
struct leftover {
    struct leftover *next;
    uint64_t inode, id;
};

/* --- the queue in this process ---------------------------------------------------------------- */

enum err locks_init(struct meta *m)
{
    struct lock_table *t = calloc(1, sizeof(*t));
    m->locks = t;
    if (t == NULL || pthread_mutex_init(&t->lock, NULL) != 0) {
        free(t);
        m->locks = NULL;
        return err_set(ERR_NOMEM, "no memory for range locks");
    }
    return OK;
}

void locks_fini(struct meta *m)
{
    struct lock_table *t = m->locks;
    if (t == NULL)
        return;
    while (t->leftovers != NULL) {
        struct leftover *l = t->leftovers;
        t->leftovers = l->next;
        free(l);
    }
    pthread_mutex_destroy(&t->lock);
    free(t);
    m->locks = NULL;
}

/* With the lock held; NULL: no memory. */
static struct locked_file *file_of(struct lock_table *t, uint64_t inode)
{
    struct locked_file **at = &t->buckets[inode % BUCKETS];
    while (*at != NULL && (*at)->inode != inode)
        at = &(*at)->next;
    if (*at != NULL)
        return *at;
    struct locked_file *f = calloc(1, sizeof(*f));
    if (f == NULL || pthread_cond_init(&f->changed, NULL) != 0) {
        free(f);
        return NULL;
    }
    f->inode = inode;
    *at = f;
    return f;
}

/* With the lock held. */
static void forget_file(struct lock_table *t, struct locked_file *f)
{
    struct locked_file **at = &t->buckets[f->inode % BUCKETS];
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    pthread_cond_destroy(&f->changed);
    free(f);
}

static void leave(struct lock_table *t, struct range_lock *l)
{
    struct locked_file *f = l->file;
    bool granted = false;
    pthread_mutex_lock(&t->lock);
    byte_ranges_remove(&f->ranges, &l->range);
    while (byte_ranges_next(&f->ranges) != NULL)
        granted = true;
    if (granted)
        pthread_cond_broadcast(&f->changed);
    if (--f->requests == 0)
        forget_file(t, f);
    pthread_mutex_unlock(&t->lock);
    l->file = NULL;
}

/* Waits for our turn in this process. */
static enum err enter(struct lock_table *t, struct range_lock *l, int64_t deadline_boot_ms)
{
    int64_t left = deadline_boot_ms - clock_boot_ms();
    struct timespec until = clock_mono_after(left > 0 ? left : 0);
    int got = 0;
    pthread_mutex_lock(&t->lock);
    l->file = file_of(t, l->inode);
    if (l->file == NULL) {
        pthread_mutex_unlock(&t->lock);
        return err_set(ERR_NOMEM, "no memory for a range lock");
    }
    l->file->requests++;
    byte_ranges_add(&l->file->ranges, &l->range);
    while (!l->range.granted && got != ETIMEDOUT)
        got = pthread_cond_clockwait(&l->file->changed, &t->lock, CLOCK_MONOTONIC, &until);
    bool granted = l->range.granted;
    pthread_mutex_unlock(&t->lock);
    if (granted)
        return OK;
    leave(t, l);
    return err_set(ERR_TIMEOUT, "another request here has the range locked");
}

/* --- taking and giving back ------------------------------------------------------------------- */

/* Looks again and again until the row is granted. */
static enum err wait_for_grant(struct meta *m, struct range_lock *l, int64_t deadline_boot_ms)
{
    int64_t pause = 1;
    bool granted = false;
    enum err e = OK;
    while (e == OK && !granted) {
        if (clock_boot_ms() >= deadline_boot_ms)
            return err_set(ERR_TIMEOUT, "another gateway has the range locked");
        clock_nap(pause);
        pause = pause * 2 < LOCK_POLL_MS ? pause * 2 : LOCK_POLL_MS;
        e = lock_row_try(m, l, &granted);
    }
    return e;
}

/* The row that we do not want any more is deleted now, or when the database answers again. */
static void drop_row(struct meta *m, uint64_t inode, uint64_t id)
{
    if (lock_row_drop(m, inode, id) == OK)
        return;
    struct leftover *left = malloc(sizeof(*left));
    if (left == NULL)
        return; /* the session's end does it */
    *left = (struct leftover){.inode = inode, .id = id};
    pthread_mutex_lock(&m->locks->lock);
    left->next = m->locks->leftovers;
    m->locks->leftovers = left;
    pthread_mutex_unlock(&m->locks->lock);
}

void locks_sweep(struct meta *m)
{
    pthread_mutex_lock(&m->locks->lock);
    struct leftover *list = m->locks->leftovers;
    m->locks->leftovers = NULL;
    pthread_mutex_unlock(&m->locks->lock);
    while (list != NULL) {
        struct leftover *l = list;
        list = l->next;
        drop_row(m, l->inode, l->id);
        free(l);
    }
}

void locks_cancel(struct meta *m)
{
    (void)m;
}

enum err lock_take(struct meta *m, uint64_t inode, uint64_t lo, uint64_t hi, enum lock_mode mode,
                   int64_t deadline_boot_ms, struct range_lock *out)
{
    bool exclusive = mode == LOCK_EXCLUSIVE;
    *out = (struct range_lock){.inode = inode, .lo = lo, .hi = hi, .mode = mode};
    out->range = (struct byte_range){.lo = lo, .hi = hi, .exclusive = exclusive};
    if (lo >= hi || hi > LOCK_TO_END)
        return err_set(ERR_BUG, "a lock on a range that is none");
    out->session = session_id(m);
    if (out->session == 0)
        return err_set(ERR_FENCED, "no session is open: nothing may be locked");
    enum err e = meta_next_id(m, &out->id);
    if (e == OK)
        e = enter(m->locks, out, deadline_boot_ms);
    if (e != OK)
        return e;
    bool granted = false;
    e = lock_row_ask(m, out, &granted);
    if (e == OK && !granted)
        e = wait_for_grant(m, out, deadline_boot_ms);
    if (e == OK)
        return OK;
    struct err_info why;
    err_save(e, &why);
    drop_row(m, out->inode, out->id);
    leave(m->locks, out);
    return err_restore(&why);
}

void lock_release(struct meta *m, struct range_lock *l, bool committed)
{
    if (l->file == NULL)
        return;
    if (!committed)
        drop_row(m, l->inode, l->id);
    leave(m->locks, l); /* only now: who comes next must not find our row */
}
