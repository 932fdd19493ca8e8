#include "meta/lock/lock.h"

#include "base/clock.h"
#include "base/log.h"
#include "meta/core/handle.h"
#include "meta/lock/table.h"

#include <errno.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdlib.h>

/* Inodes are positive as SQL counts: turns have numbers of their own. */
#define TURN_BIT (UINT64_C(1) << 63)

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
    pthread_cond_init(&t->changed, NULL);
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
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t);
    m->locks = NULL;
}

/* With the lock held; NULL: no memory. */
static struct locked_file *file_of(struct lock_table *t, uint64_t inode)
{
    struct locked_file **at = &t->buckets[inode % LOCK_BUCKETS];
    while (*at != NULL && (*at)->inode != inode)
        at = &(*at)->next;
    if (*at != NULL)
        return *at;
    struct locked_file *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->inode = inode;
    *at = f;
    return f;
}

/* With the lock held. */
static void forget_file(struct lock_table *t, struct locked_file *f)
{
    struct locked_file **at = &t->buckets[f->inode % LOCK_BUCKETS];
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    free(f);
}

/* With the lock held. Adds whose turn it is now to `due`. */
static void remove_request(struct lock_table *t, struct range_lock *l, struct range_lock **due)
{
    struct locked_file *f = l->file;
    struct byte_range *next;
    l->file = NULL;
    byte_ranges_remove(&f->ranges, &l->range);
    while ((next = byte_ranges_next(&f->ranges)) != NULL) {
        struct range_lock *granted =
            (struct range_lock *)((char *)next - offsetof(struct range_lock, range));
        if (!granted->waiting) /* its time is over: it is about to leave */
            continue;
        granted->stage = LOCK_TURN;
        waiting_take(t, granted, due);
    }
    if (--f->requests == 0)
        forget_file(t, f);
}

static void leave(struct lock_table *t, struct range_lock *l)
{
    struct range_lock *due = NULL;
    pthread_mutex_lock(&t->lock);
    remove_request(t, l, &due);
    pthread_mutex_unlock(&t->lock);
    waiting_call(due);
}

/* With the lock held: OK: our turn; ERR_AGAIN: waits. */
static enum err queue_up(struct meta *m, struct range_lock *l, struct range_lock **due)
{
    struct lock_table *t = m->locks;
    l->file = file_of(t, l->inode);
    if (l->file == NULL)
        return err_set(ERR_NOMEM, "no memory for a range lock");
    if (l->file->requests >= LOCK_WAITERS_MAX) {
        l->file = NULL;
        return err_set(ERR_BUSY, "%d requests wait already for a range of this file",
                       LOCK_WAITERS_MAX);
    }
    l->file->requests++;
    byte_ranges_add(&l->file->ranges, &l->range);
    if (l->range.granted) {
        l->stage = LOCK_TURN;
        return OK;
    }
    l->stage = LOCK_QUEUED;
    enum err err = clock_boot_ms() < l->deadline_ms
                       ? waiting_add(m, l)
                       : err_set(ERR_TIMEOUT, "another request here has the range locked");
    if (err == OK)
        return ERR_AGAIN;
    remove_request(t, l, due);
    return err;
}

static enum err enter(struct meta *m, struct range_lock *l)
{
    struct range_lock *due = NULL;
    pthread_mutex_lock(&m->locks->lock);
    enum err err = queue_up(m, l, &due); /* ERR_AGAIN: from here on l is not ours */
    pthread_mutex_unlock(&m->locks->lock);
    waiting_call(due);
    return err;
}

/* --- rows ------------------------------------------------------------------------------------- */

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

/* Gives up what there is of it, and keeps the error's text. */
static enum err fail(struct meta *m, struct range_lock *l, enum err err)
{
    struct err_info why;
    err_save(err, &why);
    lock_release(m, l, false);
    return err_restore(&why);
}

static enum err wait_for_row(struct meta *m, struct range_lock *l)
{
    enum err err = OK;
    int64_t now = clock_boot_ms();
    if (now >= l->deadline_ms)
        return fail(m, l, err_set(ERR_TIMEOUT, "another gateway has the range locked"));
    pthread_mutex_lock(&m->locks->lock);
    l->stage = LOCK_WAITS;
    l->look_ms = now + l->pause_ms;
    err = waiting_add(m, l); /* OK: from here on l is not ours */
    pthread_mutex_unlock(&m->locks->lock);
    return err == OK ? ERR_AGAIN : fail(m, l, err);
}

/* Our turn has come in this process: the row is asked for, or granted. */
static enum err take_row(struct meta *m, struct range_lock *l)
{
    bool granted = l->local, asks = l->stage == LOCK_TURN;
    enum err err = OK;
    l->stage = asks ? LOCK_WAITS : l->stage; /* there may be a row from now on */
    if (!granted && asks)
        err = lock_row_ask(m, l, &granted);
    else if (!granted)
        err = lock_row_grant(m, l, &granted);
    if (err != OK)
        return fail(m, l, err);
    if (!granted)
        return wait_for_row(m, l);
    l->stage = LOCK_HELD;
    return OK;
}

/* --- interface -------------------------------------------------------------------------------- */

static enum err acquire(struct meta *m, struct range_lock *l)
{
    enum err err = enter(m, l);
    return err == OK ? take_row(m, l) : err;
}

enum err lock_begin(struct meta *m, uint64_t inode, uint64_t lo, uint64_t hi, enum lock_mode mode,
                    int64_t deadline_boot_ms, void (*on_turn)(void *arg), void *arg,
                    struct range_lock *out)
{
    bool exclusive = mode == LOCK_EXCLUSIVE;
    *out = (struct range_lock){.inode = inode,
                               .lo = lo,
                               .hi = hi,
                               .mode = mode,
                               .deadline_ms = deadline_boot_ms,
                               .pause_ms = 1,
                               .on_turn = on_turn,
                               .arg = arg};
    out->range = (struct byte_range){.lo = lo, .hi = hi, .exclusive = exclusive};
    if (lo >= hi || hi > LOCK_TO_END)
        return err_set(ERR_BUG, "a lock on an empty or invalid range");
    out->session = session_id(m);
    if (out->session == 0)
        return err_set(ERR_FENCED, "no session is open: nothing may be locked");
    enum err err = meta_next_id(m, &out->id);
    return err == OK ? acquire(m, out) : err;
}

enum err lock_turn_begin(struct meta *m, uint64_t number, int64_t deadline_boot_ms,
                         void (*on_turn)(void *arg), void *arg, struct range_lock *out)
{
    *out = (struct range_lock){.inode = number | TURN_BIT,
                               .hi = 1,
                               .mode = LOCK_EXCLUSIVE,
                               .local = true,
                               .deadline_ms = deadline_boot_ms,
                               .on_turn = on_turn,
                               .arg = arg,
                               .range = {.hi = 1, .exclusive = true}};
    return acquire(m, out);
}

enum err lock_nap_begin(struct meta *m, int64_t ms, void (*on_turn)(void *arg), void *arg,
                        struct range_lock *out)
{
    *out = (struct range_lock){.stage = LOCK_NAPS,
                               .local = true,
                               .deadline_ms = clock_boot_ms() + ms,
                               .on_turn = on_turn,
                               .arg = arg};
    pthread_mutex_lock(&m->locks->lock);
    enum err err = waiting_add(m, out);
    pthread_mutex_unlock(&m->locks->lock);
    return err == OK ? ERR_AGAIN : err;
}

static enum err outcome_of(const struct range_lock *l)
{
    switch (l->outcome) {
    case OK:
        return OK;
    case ERR_TIMEOUT:
        return err_set(ERR_TIMEOUT, l->stage == LOCK_QUEUED
                                        ? "another request here has the range locked"
                                        : "another gateway has the range locked");
    case ERR_CANCELLED:
        return err_set(ERR_CANCELLED, "the process stops: nothing waits for a range lock");
    default:
        return err_set(l->outcome, "the session that waited for a range lock is over");
    }
}

enum err lock_go_on(struct meta *m, struct range_lock *l)
{
    enum err err = outcome_of(l);
    if (err != OK)
        return fail(m, l, err);
    if (l->stage != LOCK_NAPS)
        return take_row(m, l);
    l->stage = LOCK_NONE;
    return OK;
}

static void post(void *arg)
{
    (void)sem_post(arg);
}

enum err lock_take(struct meta *m, uint64_t inode, uint64_t lo, uint64_t hi, enum lock_mode mode,
                   int64_t deadline_boot_ms, struct range_lock *out)
{
    sem_t turn;
    (void)sem_init(&turn, 0, 0);
    enum err err = lock_begin(m, inode, lo, hi, mode, deadline_boot_ms, post, &turn, out);
    while (err == ERR_AGAIN) {
        while (sem_wait(&turn) != 0 && errno == EINTR)
            continue;
        err = lock_go_on(m, out);
    }
    (void)sem_destroy(&turn);
    return err;
}

void lock_release(struct meta *m, struct range_lock *l, bool committed)
{
    bool has_row =
        !l->local && (l->stage == LOCK_WAITS || l->stage == LOCK_FREE || l->stage == LOCK_HELD);
    if (has_row && !committed)
        drop_row(m, l->inode, l->id);
    if (l->file != NULL)
        leave(m->locks, l); /* only now: the next one must not find our row */
    l->stage = LOCK_NONE;
}
