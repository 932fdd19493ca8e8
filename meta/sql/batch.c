/*
 * The batching, one for both engines. Contract: meta/sql/sql.h.
 *
 * Units wait in two queues, reads and writes. A *slot* is a connection with a thread:
 *
 *     DOWN --connect, settle what is in doubt--> IDLE --takes up to 64 units--> BUSY --> IDLE
 *      ^                                                                          |
 *      +------------------------- the connection was lost ------------------------+
 *
 * Nobody waits for a batch to fill: a slot takes what is there when it becomes idle. A blocking
 * caller that finds a slot idle and the queue empty borrows the slot and runs its unit itself,
 * which saves two thread switches. At least one slot is kept free of writes, and one of reads, so
 * that neither starves the other.
 *
 * Who may touch what: the queues, counts and slot states under `lock`; everything else of a slot
 * only by the thread that has it BUSY (or, DOWN, the slot's own thread). A unit belongs to one
 * slot or one queue at a time. No lock is held while an engine is asked or `done` is called.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "meta/sql/driver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_UNITS    64
#define BATCH_BYTES    (4u << 20)
#define ATTEMPTS_MAX   10 /* of one unit, before ERR_CONFLICT or ERR_BUSY */
#define FAILURES_MAX   4  /* of one batch, before its units run one by one */
#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 1000
#define TICK_MS        200 /* how exactly wait_ms is kept */

enum slot_state { SLOT_DOWN, SLOT_IDLE, SLOT_BUSY };

struct slot {
    struct batcher *batcher;
    pthread_t thread;
    bool started;
    pthread_cond_t wake; /* of the slot's thread */

    enum slot_state state; /* guarded by lock */

    /* the owner's */
    struct sql_conn *conn;
    int64_t session, marker; /* of the batch that runs; marker 0: none */
    int64_t previous;        /* a marker whose answer came: the next batch deletes it */
    int64_t previous_session;
    struct sql_call head_calls[2];
    struct sql_unit head;

    /* in doubt: doubt != 0, even after the units were answered */
    int64_t doubt, doubt_session;
    int64_t doubt_until_us;
    struct sql_unit *doubtful; /* a list */
};

struct queue {
    struct sql_unit *first, *last;
};

struct batcher {
    struct sql_driver *driver;
    struct sql_stats *stats;
    int64_t wait_us;

    pthread_mutex_t lock;
    /* guarded by lock */
    struct queue queues[SQL_KINDS];
    size_t running[SQL_KINDS];
    size_t limit[SQL_KINDS];
    bool stopping;
    int64_t session;
    int64_t (*next_id)(void *);
    void *next_id_arg;
    bool (*lease_is_over)(void *);
    void *lease_arg;
    struct err_info away; /* why the last attempt to connect failed */

    _Atomic int64_t counter; /* ids when the caller gives none */
    pthread_t ticker;
    bool ticking;
    pthread_cond_t tick;

    size_t count;    /* guarded by lock while they are started, then immutable */
    size_t capacity; /* of slots; immutable */
    struct slot *slots;
};

/* --- time -------------------------------------------------------------------------------------- */

static struct timespec after_ms(int64_t ms)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    return t;
}

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* Sleeps between half of `ms` and all of it: competitors must not meet again. */
static void pause_about(int64_t ms)
{
    int64_t us = ms * 500 + (int64_t)(rand_u64() % (uint64_t)(ms * 500 + 1));
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* --- ends of units ----------------------------------------------------------------------------- */

/* The unit is its caller's again once this returns. */
static void finish(struct batcher *b, struct sql_unit *u, const struct err_info *why)
{
    u->error = *why;
    if (why->code != OK)
        atomic_fetch_add(&b->stats->errors, 1);
    u->done(u);
}

static void finish_ok(struct sql_unit *u)
{
    u->error.code = OK; /* the text is not looked at: copying it would cost more than the rest */
    u->done(u);
}

static void finish_text(struct batcher *b, struct sql_unit *u, enum err code, const char *text)
{
    struct err_info why;
    err_save(err_set(code, "%s", text), &why);
    finish(b, u, &why);
}

static void finish_fenced(struct batcher *b, struct sql_unit **units, size_t count)
{
    for (size_t i = 0; i < count; i++)
        finish_text(b, units[i], ERR_FENCED, "this process's session has lost its lease");
}

bool batcher_fenced(struct batcher *b)
{
    (void)pthread_mutex_lock(&b->lock);
    bool (*over)(void *) = b->lease_is_over;
    void *arg = b->lease_arg;
    (void)pthread_mutex_unlock(&b->lock);
    return over != NULL && over(arg);
}

/* --- queues (under lock) ----------------------------------------------------------------------- */

static void push_back(struct batcher *b, struct sql_unit *u)
{
    struct queue *q = &b->queues[u->kind];
    u->next = NULL;
    if (q->last != NULL)
        q->last->next = u;
    else
        q->first = u;
    q->last = u;
    atomic_fetch_add(&b->stats->queued, 1);
}

static void push_front(struct batcher *b, struct sql_unit *u)
{
    struct queue *q = &b->queues[u->kind];
    u->next = q->first;
    q->first = u;
    if (q->last == NULL)
        q->last = u;
    atomic_fetch_add(&b->stats->queued, 1);
}

static struct sql_unit *pop(struct batcher *b, enum sql_kind kind)
{
    struct queue *q = &b->queues[kind];
    struct sql_unit *u = q->first;
    q->first = u->next;
    if (q->first == NULL)
        q->last = NULL;
    u->next = NULL;
    atomic_fetch_sub(&b->stats->queued, 1);
    return u;
}

static size_t take(struct batcher *b, enum sql_kind kind, struct sql_unit *units[BATCH_UNITS])
{
    size_t count = 0, bytes = 0;
    while (count < BATCH_UNITS && b->queues[kind].first != NULL) {
        bytes += b->queues[kind].first->bytes;
        if (count > 0 && bytes > BATCH_BYTES)
            break;
        units[count++] = pop(b, kind);
    }
    return count;
}

static bool may_start(const struct batcher *b, enum sql_kind kind)
{
    return b->running[kind] < b->limit[kind];
}

/* The kind of work that is to be done next; the one that has waited longer. SQL_KINDS: none. */
static enum sql_kind next_kind(const struct batcher *b)
{
    const struct sql_unit *r = may_start(b, SQL_READ) ? b->queues[SQL_READ].first : NULL;
    const struct sql_unit *w = may_start(b, SQL_WRITE) ? b->queues[SQL_WRITE].first : NULL;
    if (r == NULL && w == NULL)
        return SQL_KINDS;
    if (r == NULL || w == NULL)
        return r != NULL ? SQL_READ : SQL_WRITE;
    return w->deadline_us < r->deadline_us ? SQL_WRITE : SQL_READ;
}

static struct slot *idle_slot(struct batcher *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->slots[i].state == SLOT_IDLE)
            return &b->slots[i];
    return NULL;
}

static void wake_for_work(struct batcher *b)
{
    if (next_kind(b) == SQL_KINDS)
        return;
    struct slot *s = idle_slot(b);
    if (s != NULL)
        (void)pthread_cond_signal(&s->wake);
}

/* Puts units back that were not executed; the first stays first. */
static void requeue(struct batcher *b, struct sql_unit **units, size_t count,
                    const struct err_info *why)
{
    int64_t now = clock_mono_us();
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (units[i]->deadline_us <= now || units[i]->attempts >= ATTEMPTS_MAX) {
            struct err_info busy = *why;
            busy.code = ERR_BUSY;
            finish(b, units[i], &busy);
        } else {
            units[kept++] = units[i];
        }
    }
    (void)pthread_mutex_lock(&b->lock);
    while (kept > 0)
        push_front(b, units[--kept]);
    wake_for_work(b);
    (void)pthread_mutex_unlock(&b->lock);
}

/* --- one batch (the slot's owner, no lock) ------------------------------------------------------- */

static int by_order(const void *left, const void *right)
{
    const struct sql_unit *a = *(struct sql_unit *const *)left;
    const struct sql_unit *b = *(struct sql_unit *const *)right;
    int c = str_cmp(a->order_name, b->order_name);
    if (c == 0)
        c = str_cmp(a->order_key, b->order_key);
    if (c == 0) /* in order of arrival */
        c = (a->deadline_us > b->deadline_us) - (a->deadline_us < b->deadline_us);
    return c;
}

static void reset(struct sql_unit *u)
{
    u->error.code = OK;
    u->attempts++;
    for (struct sql_call *c = u->first; c != NULL; c = c->next) {
        c->rows = c->columns = 0;
        c->cells = NULL;
        c->changed = 0;
        c->answered = false;
    }
}

static bool has_results(const struct sql_unit *u)
{
    for (const struct sql_call *c = u->first; c != NULL; c = c->next)
        if (!c->answered)
            return false;
    return true;
}

static struct sql_call *head_call(struct slot *s, int number)
{
    struct sql_call *c = &s->head_calls[s->head.count++];
    *c = (struct sql_call){.statement = number};
    if (s->head.last != NULL)
        s->head.last->next = c;
    else
        s->head.first = c;
    s->head.last = c;
    return c;
}

/* The proof of the session; NULL without one. Draws a new marker. */
static struct sql_unit *make_head(struct slot *s)
{
    struct batcher *b = s->batcher;
    (void)pthread_mutex_lock(&b->lock);
    s->session = b->session;
    int64_t (*next_id)(void *) = b->next_id;
    void *arg = b->next_id_arg;
    (void)pthread_mutex_unlock(&b->lock);
    s->marker = 0;
    if (s->session == 0)
        return NULL;
    s->marker = next_id != NULL ? next_id(arg) : atomic_fetch_add(&b->counter, 1);
    int64_t previous = s->previous_session == s->session ? s->previous : 0;
    s->head = (struct sql_unit){.kind = SQL_WRITE};
    struct sql_call *c = head_call(s, SQL_txn_begin);
    sql_bind_int(c, s->session);
    sql_bind_int(c, s->marker);
    sql_bind_int(c, previous);
    if (b->driver->ops->dialect == SQL_SQLITE && previous != 0) {
        c = head_call(s, SQL_txn_forget);
        sql_bind_int(c, s->session);
        sql_bind_int(c, previous);
    }
    return &s->head;
}

static enum sql_outcome run_once(struct slot *s, struct sql_batch *batch)
{
    struct batcher *b = s->batcher;
    size_t statements = 0;
    for (size_t i = 0; i < batch->count; i++) {
        reset(batch->units[i]);
        statements += batch->units[i]->count;
    }
    batch->head = batch->kind == SQL_WRITE ? make_head(s) : NULL;
    int64_t begun = clock_mono_us();
    enum sql_outcome o = b->driver->ops->run(s->conn, batch);
    atomic_fetch_add(&b->stats->micros[batch->kind], (uint64_t)(clock_mono_us() - begun));
    atomic_fetch_add(&b->stats->batches[batch->kind], 1);
    atomic_fetch_add(&b->stats->statements, statements);
    return o;
}

static void finish_done(struct slot *s, struct sql_batch *batch)
{
    struct batcher *b = s->batcher;
    if (batch->kind == SQL_READ && batcher_fenced(b)) {
        finish_fenced(b, batch->units, batch->count);
        return;
    }
    if (batch->kind == SQL_WRITE && s->marker != 0) {
        s->previous = s->marker;
        s->previous_session = s->session;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->units[i]->error.code == OK) {
            finish_ok(batch->units[i]);
        } else {
            struct err_info why = batch->units[i]->error;
            finish(b, batch->units[i], &why);
        }
    }
}

/* Whose fault is known: it goes last, to run alone. */
static void move_last(struct sql_batch *batch, const struct sql_unit *culprit)
{
    size_t at = 0;
    while (at < batch->count && batch->units[at] != culprit)
        at++;
    if (at == batch->count)
        return;
    struct sql_unit *u = batch->units[at];
    memmove(&batch->units[at], &batch->units[at + 1],
            (batch->count - at - 1) * sizeof(batch->units[0]));
    batch->units[batch->count - 1] = u;
}

/* The batch stays with the slot until settle() has asked. Without a marker nobody can know. */
static void put_in_doubt(struct slot *s, struct sql_batch *batch)
{
    struct batcher *b = s->batcher;
    atomic_fetch_add(&b->stats->in_doubt, 1);
    log_warn("sql: the answer to a commit was lost: %s", batch->error.text);
    if (s->marker == 0) {
        for (size_t i = 0; i < batch->count; i++)
            finish_text(b, batch->units[i], ERR_UNKNOWN, batch->error.text);
        return;
    }
    s->doubt = s->marker;
    s->doubt_session = s->session;
    s->doubt_until_us = clock_mono_us() + b->wait_us;
    for (size_t i = batch->count; i > 0; i--) {
        batch->units[i - 1]->next = s->doubtful;
        s->doubtful = batch->units[i - 1];
    }
}

static bool run_group(struct slot *s, enum sql_kind kind, struct sql_unit **units, size_t count,
                      size_t failures);

/* Rolled back. Ends what can be ended, runs the rest again; false: the connection is down. */
static bool after_failure(struct slot *s, struct sql_batch *batch, size_t failures)
{
    struct batcher *b = s->batcher;
    struct err_info why = batch->error;
    bool for_all = why.code == ERR_BUSY || why.code == ERR_NOMEM || why.code == ERR_CORRUPT;
    if (batch->culprit == batch->head && batch->head != NULL) {
        if (why.code == ERR_CONFLICT)
            err_save(err_set(ERR_FENCED, "this process's session was removed: %s", why.text), &why);
        for_all = true;
    } else if (batch->culprit != NULL) {
        for_all = false;
    }
    if (for_all || batch->count == 1) {
        for (size_t i = 0; i < batch->count; i++)
            finish(b, batch->units[i], &why);
        return true;
    }
    atomic_fetch_add(&b->stats->retries, 1);
    bool up = true;
    if (batch->culprit != NULL && why.code == ERR_BUSY) { /* it has waited for its lock already */
        move_last(batch, batch->culprit);
        finish(b, batch->units[batch->count - 1], &why);
        return run_group(s, batch->kind, batch->units, batch->count - 1, failures + 1);
    }
    if (batch->culprit == NULL || failures >= FAILURES_MAX) {
        size_t at = 0;
        for (; up && at < batch->count; at++)
            up = run_group(s, batch->kind, &batch->units[at], 1, failures);
        if (!up && at < batch->count)
            requeue(b, &batch->units[at], batch->count - at, &why);
        return up;
    }
    move_last(batch, batch->culprit);
    up = run_group(s, batch->kind, batch->units, batch->count - 1, failures + 1);
    if (!up) {
        requeue(b, &batch->units[batch->count - 1], 1, &why);
        return false;
    }
    return run_group(s, batch->kind, &batch->units[batch->count - 1], 1, failures + 1);
}

/* Sees the units through; they are no longer the slot's afterwards. False: connection down. */
static bool run_group(struct slot *s, enum sql_kind kind, struct sql_unit **units, size_t count,
                      size_t failures)
{
    struct batcher *b = s->batcher;
    struct sql_batch batch = {.kind = kind, .units = units, .count = count};
    for (int64_t pause = 2;; pause *= 2) {
        if (batcher_fenced(b)) {
            finish_fenced(b, units, count);
            return true;
        }
        batch.culprit = NULL;
        enum sql_outcome o = run_once(s, &batch);
        if (o == SQL_DONE) {
            finish_done(s, &batch);
            return true;
        }
        if (o == SQL_FAILED)
            return after_failure(s, &batch, failures);
        if (o == SQL_LOST) {
            atomic_fetch_add(&b->stats->retries, 1);
            requeue(b, units, count, &batch.error);
            return false;
        }
        if (o == SQL_IN_DOUBT) {
            put_in_doubt(s, &batch);
            return false;
        }
        /* SQL_RETRY: a deadlock or serialization failure */
        if (units[0]->attempts >= ATTEMPTS_MAX) {
            batch.error.code = ERR_CONFLICT;
            batch.culprit = NULL;
            return after_failure(s, &batch, failures);
        }
        atomic_fetch_add(&b->stats->retries, 1);
        pause_about(pause);
    }
}

static bool run_batch(struct slot *s, enum sql_kind kind, struct sql_unit **units, size_t count)
{
    atomic_fetch_add(&s->batcher->stats->units[kind], count);
    if (kind == SQL_WRITE && count > 1)
        qsort(units, count, sizeof(units[0]), by_order);
    return run_group(s, kind, units, count, 0);
}

/* --- settling what is in doubt (the slot's thread, DOWN but connected) --------------------------- */

static void end_doubtful(struct slot *s, enum err code, const char *text)
{
    while (s->doubtful != NULL) {
        struct sql_unit *u = s->doubtful;
        s->doubtful = u->next;
        if (code == OK && (u->results_optional || has_results(u)))
            finish_ok(u);
        else
            finish_text(s->batcher, u, code == OK ? ERR_UNKNOWN : code, text);
    }
}

static void retry_doubtful(struct slot *s)
{
    struct sql_unit *units[BATCH_UNITS];
    size_t count = 0;
    while (s->doubtful != NULL && count < BATCH_UNITS) {
        units[count++] = s->doubtful;
        s->doubtful = s->doubtful->next;
    }
    struct err_info why = {.code = ERR_BUSY, .text = "the connection was lost; nothing was done"};
    requeue(s->batcher, units, count, &why);
}

/* Asks for the batch's fate. True when it is known. */
static bool settle(struct slot *s)
{
    struct batcher *b = s->batcher;
    struct arena *a = arena_new(64u << 10);
    if (a == NULL)
        return false;
    struct sql_unit ask, *units[1] = {&ask};
    sql_unit_init(&ask, SQL_WRITE, a);
    struct sql_call *c = sql_add(&ask, SQL_txn_settle);
    sql_bind_int(c, s->doubt_session);
    sql_bind_int(c, s->doubt);
    struct sql_batch batch = {.kind = SQL_WRITE, .units = units, .count = 1};
    enum sql_outcome o = c != NULL ? b->driver->ops->run(s->conn, &batch) : SQL_FAILED;
    bool settled = true;
    if (o == SQL_DONE && c->rows == 1 && sql_int(c, 0, 0) == 0) {
        log_warn("sql: settled: the transaction in doubt did commit");
        s->previous = s->doubt;
        s->previous_session = s->doubt_session;
        end_doubtful(s, OK, "the transaction did commit, but its answers were lost");
    } else if (o == SQL_DONE && c->rows == 1) {
        log_warn("sql: settled: the transaction in doubt never committed");
        retry_doubtful(s);
    } else if (o == SQL_FAILED && batch.error.code == ERR_CONFLICT) {
        log_error("sql: the session was removed while a commit was in doubt");
        end_doubtful(s, ERR_UNKNOWN, "the session was removed while the commit was in doubt");
    } else {
        settled = false;
    }
    if (settled)
        s->doubt = 0;
    arena_free(a);
    return settled;
}

/* Brings a DOWN slot up. True when it may take work. */
static bool bring_up(struct slot *s)
{
    struct batcher *b = s->batcher;
    enum err e = b->driver->ops->connect(s->conn);
    if (e != OK) {
        struct err_info why;
        err_save(e, &why);
        (void)pthread_mutex_lock(&b->lock);
        bool news = b->away.code != why.code;
        b->away = why;
        (void)pthread_mutex_unlock(&b->lock);
        if (news)
            log_warn("sql: the database is away: %s", why.text);
    }
    bool up = e == OK && (s->doubt == 0 || settle(s));
    if (!up && s->doubt != 0 && clock_mono_us() > s->doubt_until_us)
        end_doubtful(s, ERR_UNKNOWN, "the answer to the commit was lost and the database is away");
    return up;
}

/* --- the slot's thread ------------------------------------------------------------------------- */

static bool queues_empty(const struct batcher *b)
{
    return b->queues[SQL_READ].first == NULL && b->queues[SQL_WRITE].first == NULL;
}

static void set_state(struct slot *s, enum slot_state state)
{
    struct sql_stats *stats = s->batcher->stats;
    if (s->state == SLOT_DOWN && state != SLOT_DOWN) {
        atomic_fetch_add(&stats->connected, 1);
        if (s->batcher->away.code != OK)
            log_info("sql: the database is back");
        s->batcher->away.code = OK;
    }
    if (s->state != SLOT_DOWN && state == SLOT_DOWN)
        atomic_fetch_sub(&stats->connected, 1);
    s->state = state;
}

/* The end of a batch, under lock: whoever had the slot BUSY gives it back. */
static void give_back(struct slot *s, enum sql_kind kind, bool up)
{
    s->batcher->running[kind]--;
    set_state(s, up ? SLOT_IDLE : SLOT_DOWN);
}

/* Connects until it works or the process stops; under lock, which it leaves meanwhile. */
static void stay_down(struct slot *s)
{
    struct batcher *b = s->batcher;
    int64_t backoff = BACKOFF_MIN_MS;
    while (!b->stopping || s->doubtful != NULL) {
        (void)pthread_mutex_unlock(&b->lock);
        bool up = bring_up(s);
        (void)pthread_mutex_lock(&b->lock);
        if (up) {
            set_state(s, SLOT_IDLE);
            return;
        }
        struct timespec until = after_ms(backoff / 2 + (int64_t)(rand_u64() % (uint64_t)backoff));
        if (!b->stopping || s->doubtful != NULL)
            (void)pthread_cond_timedwait(&s->wake, &b->lock, &until);
        backoff = backoff * 2 < BACKOFF_MAX_MS ? backoff * 2 : BACKOFF_MAX_MS;
    }
}

static void *slot_main(void *arg)
{
    struct slot *s = arg;
    struct batcher *b = s->batcher;
    struct sql_unit *units[BATCH_UNITS];
    (void)pthread_mutex_lock(&b->lock);
    for (;;) {
        if (s->state == SLOT_DOWN)
            stay_down(s);
        enum sql_kind kind = s->state == SLOT_IDLE ? next_kind(b) : SQL_KINDS;
        if (kind == SQL_KINDS) {
            if (b->stopping && (queues_empty(b) || s->state == SLOT_DOWN))
                break;
            if (s->state == SLOT_BUSY) /* a caller borrowed us after we were woken */
                wake_for_work(b);
            (void)pthread_cond_wait(&s->wake, &b->lock);
            continue;
        }
        size_t count = take(b, kind, units);
        set_state(s, SLOT_BUSY);
        b->running[kind]++;
        wake_for_work(b); /* another slot for what is left */
        (void)pthread_mutex_unlock(&b->lock);
        bool up = run_batch(s, kind, units, count);
        (void)pthread_mutex_lock(&b->lock);
        give_back(s, kind, up);
    }
    for (size_t i = 0; i < b->count; i++) /* the others may end, too */
        (void)pthread_cond_signal(&b->slots[i].wake);
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* --- waiting no longer than wait_ms -------------------------------------------------------------- */

/* Takes out what has waited too long; the queues are in order of deadline. Under lock. */
static struct sql_unit *take_expired(struct batcher *b, bool all)
{
    struct sql_unit *expired = NULL;
    int64_t now = clock_mono_us();
    for (int kind = 0; kind < SQL_KINDS; kind++) {
        while (b->queues[kind].first != NULL &&
               (all || b->queues[kind].first->deadline_us <= now)) {
            struct sql_unit *u = pop(b, (enum sql_kind)kind);
            u->next = expired;
            expired = u;
        }
    }
    return expired;
}

/* Called under lock, which it leaves meanwhile. */
static void end_expired(struct batcher *b, bool all)
{
    struct sql_unit *expired = take_expired(b, all);
    if (expired == NULL)
        return;
    struct err_info why = b->away;
    (void)pthread_mutex_unlock(&b->lock);
    while (expired != NULL) {
        struct sql_unit *u = expired;
        expired = u->next;
        finish_text(b, u, ERR_BUSY,
                    why.code != OK ? why.text : "the database is too slow: waited in vain");
    }
    (void)pthread_mutex_lock(&b->lock);
}

static void *ticker_main(void *arg)
{
    struct batcher *b = arg;
    (void)pthread_mutex_lock(&b->lock);
    while (!b->stopping) {
        struct timespec until = after_ms(TICK_MS);
        (void)pthread_cond_timedwait(&b->tick, &b->lock, &until);
        end_expired(b, false);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* --- interface --------------------------------------------------------------------------------- */

void batcher_submit(struct batcher *b, struct sql_unit *u)
{
    u->deadline_us = clock_mono_us() + b->wait_us;
    u->attempts = 0;
    (void)pthread_mutex_lock(&b->lock);
    push_back(b, u);
    wake_for_work(b);
    (void)pthread_mutex_unlock(&b->lock);
}

void batcher_submit_here(struct batcher *b, struct sql_unit *u)
{
    enum sql_kind kind = u->kind;
    u->deadline_us = clock_mono_us() + b->wait_us;
    u->attempts = 0;
    (void)pthread_mutex_lock(&b->lock);
    struct slot *s = idle_slot(b);
    if (s == NULL || b->queues[kind].first != NULL || !may_start(b, kind)) {
        push_back(b, u);
        wake_for_work(b);
        (void)pthread_mutex_unlock(&b->lock);
        return;
    }
    set_state(s, SLOT_BUSY);
    b->running[kind]++;
    (void)pthread_mutex_unlock(&b->lock);
    bool up = run_batch(s, kind, &u, 1); /* u may be gone afterwards */
    (void)pthread_mutex_lock(&b->lock);
    give_back(s, kind, up);
    if (!up || b->stopping || next_kind(b) != SQL_KINDS)
        (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&b->lock);
}

void batcher_set_session(struct batcher *b, int64_t session, int64_t (*next_id)(void *), void *arg)
{
    (void)pthread_mutex_lock(&b->lock);
    b->session = session;
    b->next_id = next_id;
    b->next_id_arg = arg;
    (void)pthread_mutex_unlock(&b->lock);
}

void batcher_set_fence(struct batcher *b, bool (*over)(void *), void *arg)
{
    (void)pthread_mutex_lock(&b->lock);
    b->lease_is_over = over;
    b->lease_arg = arg;
    (void)pthread_mutex_unlock(&b->lock);
}

static enum err start_slot(struct batcher *b, struct slot *s)
{
    s->batcher = b;
    init_cond(&s->wake);
    enum err e = b->driver->ops->conn_new(b->driver, &s->conn);
    if (e != OK)
        return e;
    if (s == &b->slots[0]) { /* the first tells whether the URL is any good */
        e = b->driver->ops->connect(s->conn);
        if (e != OK)
            return e;
        set_state(s, SLOT_IDLE);
    }
    if (pthread_create(&s->thread, NULL, slot_main, s) != 0)
        return err_set(ERR_NOMEM, "SQL: cannot start a thread");
    s->started = true;
    return OK;
}

enum err batcher_new(struct sql_driver *d, size_t connections, struct batcher **out)
{
    struct batcher *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return err_set(ERR_NOMEM, "SQL: no memory");
    *out = b; /* freed by sql_close if this fails */
    b->driver = d;
    b->stats = d->stats;
    b->wait_us = d->options.wait_ms * 1000;
    b->counter = 1;
    (void)pthread_mutex_init(&b->lock, NULL);
    init_cond(&b->tick);
    b->limit[SQL_READ] = b->limit[SQL_WRITE] = connections > 1 ? connections - 1 : 1;
    b->capacity = connections;
    b->slots = calloc(connections, sizeof(*b->slots));
    if (b->slots == NULL)
        return err_set(ERR_NOMEM, "SQL: no memory");
    for (size_t i = 0; i < connections; i++) {
        enum err e = start_slot(b, &b->slots[i]);
        if (e != OK)
            return e;
        (void)pthread_mutex_lock(&b->lock);
        b->count++;
        (void)pthread_mutex_unlock(&b->lock);
    }
    if (pthread_create(&b->ticker, NULL, ticker_main, b) != 0)
        return err_set(ERR_NOMEM, "SQL: cannot start a thread");
    b->ticking = true;
    return OK;
}

void batcher_free(struct batcher *b)
{
    if (b == NULL)
        return;
    (void)pthread_mutex_lock(&b->lock);
    b->stopping = true;
    (void)pthread_cond_signal(&b->tick);
    for (size_t i = 0; i < b->count; i++)
        (void)pthread_cond_signal(&b->slots[i].wake);
    (void)pthread_mutex_unlock(&b->lock);
    if (b->ticking)
        (void)pthread_join(b->ticker, NULL);
    for (size_t i = 0; i < b->count; i++)
        if (b->slots[i].started)
            (void)pthread_join(b->slots[i].thread, NULL);
    (void)pthread_mutex_lock(&b->lock);
    end_expired(b, true);
    (void)pthread_mutex_unlock(&b->lock);
    for (size_t i = 0; b->slots != NULL && i < b->capacity; i++) {
        if (b->slots[i].batcher == NULL)
            break; /* never started */
        b->driver->ops->conn_free(b->slots[i].conn);
        (void)pthread_cond_destroy(&b->slots[i].wake);
    }
    (void)pthread_cond_destroy(&b->tick);
    (void)pthread_mutex_destroy(&b->lock);
    free(b->slots);
    free(b);
}
