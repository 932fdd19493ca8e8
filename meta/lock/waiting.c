/*
 * Waiters for locks, and the one thread that serves them: it ends waits whose time is over, and
 * polls the rows that wait for other gateways, all in one round trip. The first waiter starts it;
 * it sleeps while there is nothing to do.
 */
#include "base/clock.h"
#include "base/log.h"
#include "meta/core/handle.h"
#include "meta/lock/table.h"

#define LOOKS_MAX 64 /* rows a round trip; those behind have their turn in the next one */

static void unlink_waiting(struct lock_table *t, struct range_lock *l)
{
    *(l->prev != NULL ? &l->prev->next : &t->waiting) = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    l->waiting = false;
    l->next = NULL;
    l->prev = NULL;
}

void waiting_take(struct lock_table *t, struct range_lock *l, struct range_lock **due)
{
    unlink_waiting(t, l);
    l->next = *due;
    *due = l;
}

void waiting_call(struct range_lock *due)
{
    while (due != NULL) {
        struct range_lock *l = due;
        due = l->next;
        l->next = NULL;
        l->on_turn(l->arg); /* it may be gone now */
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

/* What is to be done now, and when next. */
struct round {
    struct range_lock *due;
    struct range_lock *looks[LOOKS_MAX];
    size_t look_count;
    int64_t next_ms;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Under the lock. */
static void plan(struct lock_table *t, int64_t now, struct round *r)
{
    *r = (struct round){.next_ms = INT64_MAX};
    for (struct range_lock *l = t->waiting, *next; l != NULL; l = next) {
        next = l->next;
        if (t->cancelled) {
            l->outcome = ERR_CANCELLED;
            waiting_take(t, l, &r->due);
        } else if (now >= l->deadline_ms) {
            l->outcome = l->stage == LOCK_NAPS ? OK : ERR_TIMEOUT;
            waiting_take(t, l, &r->due);
        } else if (l->stage != LOCK_WAITS || l->look_ms > now) {
            int64_t at =
                l->stage == LOCK_WAITS ? least(l->look_ms, l->deadline_ms) : l->deadline_ms;
            r->next_ms = least(r->next_ms, at);
        } else if (r->look_count < LOOKS_MAX) {
            r->looks[r->look_count++] = l;
        }
    }
}

/*
 * No other thread takes waiting rows off the list, so they stay where they are meanwhile. A
 * database that does not answer is asked again, until their time is over.
 */
static void look(struct meta *m, struct round *r)
{
    struct lock_table *t = m->locks;
    enum lock_row_state states[LOOKS_MAX];
    bool expired = false;
    enum err err = lock_rows_look(m, r->looks, r->look_count, states, &expired);
    if (err == OK && expired) /* it may be one of them that is in the way */
        err = reap_sessions(m);
    if (err != OK && err != ERR_BUSY)
        log_warn("looking at range locks that wait: %s", err_text(err));
    struct range_lock *due = NULL;
    pthread_mutex_lock(&t->lock);
    int64_t now = clock_boot_ms();
    for (size_t i = 0; i < r->look_count; i++) {
        struct range_lock *l = r->looks[i];
        l->pause_ms = least(l->pause_ms * 2, LOCK_POLL_MS);
        l->look_ms = now + (err == OK ? l->pause_ms : LOCK_POLL_MS);
        if (err == ERR_FENCED || (err == OK && states[i] == LOCK_ROW_GONE)) {
            l->outcome = ERR_FENCED;
            waiting_take(t, l, &due);
        } else if (err == OK && states[i] == LOCK_ROW_FREE) {
            l->stage = LOCK_FREE;
            waiting_take(t, l, &due);
        }
    }
    pthread_mutex_unlock(&t->lock);
    waiting_call(due);
}

static void *waiting_main(void *arg)
{
    struct meta *m = arg;
    struct lock_table *t = m->locks;
    struct round r;
    pthread_mutex_lock(&t->lock);
    while (!t->stopping) {
        int64_t now = clock_boot_ms();
        plan(t, now, &r);
        if (r.due != NULL || r.look_count > 0) {
            pthread_mutex_unlock(&t->lock);
            waiting_call(r.due);
            if (r.look_count > 0)
                look(m, &r);
            pthread_mutex_lock(&t->lock);
        } else if (r.next_ms == INT64_MAX) {
            pthread_cond_wait(&t->changed, &t->lock);
        } else {
            struct timespec until = clock_mono_after(r.next_ms - now);
            pthread_cond_clockwait(&t->changed, &t->lock, CLOCK_MONOTONIC, &until);
        }
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

enum err waiting_add(struct meta *m, struct range_lock *l)
{
    struct lock_table *t = m->locks;
    if (!t->running) {
        if (pthread_create(&t->thread, NULL, waiting_main, m) != 0)
            return err_set(ERR_NOMEM, "cannot start a thread for waits for range locks");
        pthread_setname_np(t->thread, "range-locks");
        t->running = true;
    }
    l->outcome = OK;
    l->waiting = true;
    l->prev = NULL;
    l->next = t->waiting;
    if (t->waiting != NULL)
        t->waiting->prev = l;
    t->waiting = l;
    pthread_cond_signal(&t->changed);
    return OK;
}

void locks_cancel(struct meta *m)
{
    struct lock_table *t = m->locks;
    pthread_mutex_lock(&t->lock);
    t->cancelled = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void locks_stop(struct meta *m)
{
    struct lock_table *t = m->locks;
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    bool running = t->running;
    t->stopping = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (running)
        pthread_join(t->thread, NULL);
    t->running = false;
}
