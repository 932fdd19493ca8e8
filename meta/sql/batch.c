/*
 * The batching, one for both engines. Contract: meta/sql/sql.h.
 *
 * Units wait in two queues, reads and writes. A *slot* is a connection with a thread:
 *
 *     DOWN --connect, resolve what is in doubt--> IDLE --takes up to 64 units--> BUSY --> IDLE
 *      ^                                                                          |
 *      +------------------------- the connection was lost ------------------------+
 *
 * No unit waits for a batch to fill: a slot takes what is there when it becomes idle. A blocking
 * caller that finds a slot idle and the queue empty borrows the slot and runs its unit itself,
 * which saves two thread switches. At least one slot is kept free of writes, and one of reads, so
 * that neither starves the other.
 *
 * Who may touch what: the queues, counts and slot states under `lock`; everything else of a slot
 * only by the thread that has it BUSY (or, DOWN, the slot's own thread). A unit belongs to one
 * slot or one queue at a time. No lock is held while an engine is asked or `done` is called.
 */
#include "meta/sql/batch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

#include <stdlib.h>
#include <time.h>

#define BATCH_BYTES    (4u << 20)
#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 1000
#define TICK_MS        200 /* how exactly wait_ms is kept */
/*
 * Waiting lets a client sit through a restart or a failover; when the database has been away for
 * LONG_AWAY times wait_ms it only keeps threads from answering others.
 */
#define LONG_AWAY      6
#define AWAY_WAIT_PART 10 /* of wait_ms, from then on */

/* --- time ------------------------------------------------------------------------------------- */

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

/* --- queues (under lock) ---------------------------------------------------------------------- */

static void push_back(struct batcher *b, struct sql_unit *u)
{
    struct queue *q = &b->queues[u->kind];
    u->next = NULL;
    if (q->last != NULL)
        q->last->next = u;
    else
        q->first = u;
    q->last = u;
    q->length++;
    atomic_fetch_add(&b->stats->queued, 1);
}

static void push_front(struct batcher *b, struct sql_unit *u)
{
    struct queue *q = &b->queues[u->kind];
    u->next = q->first;
    q->first = u;
    if (q->last == NULL)
        q->last = u;
    q->length++;
    atomic_fetch_add(&b->stats->queued, 1);
}

static struct sql_unit *pop(struct batcher *b, enum sql_kind kind)
{
    struct queue *q = &b->queues[kind];
    struct sql_unit *u = q->first;
    q->first = u->next;
    if (q->first == NULL)
        q->last = NULL;
    q->length--;
    u->next = NULL;
    atomic_fetch_sub(&b->stats->queued, 1);
    return u;
}

static size_t take(struct batcher *b, enum sql_kind kind, struct sql_unit *units[BATCH_UNITS])
{
    size_t count = 0, bytes = 0;
    while (count < BATCH_UNITS && b->queues[kind].first != NULL) {
        const struct sql_unit *first = b->queues[kind].first;
        bytes += first->bytes;
        if (count > 0 && (bytes > BATCH_BYTES || first->alone))
            break;
        bool alone = first->alone;
        units[count++] = pop(b, kind);
        if (alone)
            break;
    }
    return count;
}

/*
 * When is another batch worth a connection? Reads: whenever one is idle. Writes: at once if none
 * is under way; else when enough have gathered to share its cost (a transaction costs as much as
 * four units: at 16 writers this saves a fifth of all CPU time), or when the oldest has waited for
 * a while, because the batches under way may be stuck in a row lock.
 */
static const struct {
    size_t gather; /* units a batch under way */
    int64_t hold_us;
} patience[SQL_KINDS] = {[SQL_READ] = {0, 0}, [SQL_WRITE] = {8, 1000}};

/* 0: now; INT64_MAX: there is nothing to start; else when, unless more arrive. */
static int64_t start_time(const struct batcher *b, enum sql_kind kind)
{
    const struct queue *q = &b->queues[kind];
    if (q->first == NULL || b->running[kind] >= b->limit[kind])
        return INT64_MAX;
    if (b->running[kind] == 0 || q->length >= patience[kind].gather * b->running[kind])
        return 0;
    return q->first->deadline_us - b->wait_us + patience[kind].hold_us;
}

/* May a caller run its unit itself, as a batch of one? */
static bool may_borrow(const struct batcher *b, enum sql_kind kind)
{
    return b->queues[kind].first == NULL && b->running[kind] < b->limit[kind] &&
           (b->running[kind] == 0 || patience[kind].gather == 0);
}

/* The kind of work to be done now; SQL_KINDS: none, ask again at *out_later (INT64_MAX: no). */
static enum sql_kind next_kind(const struct batcher *b, int64_t *out_later)
{
    int64_t read = start_time(b, SQL_READ), write = start_time(b, SQL_WRITE);
    int64_t first = read < write ? read : write;
    *out_later = first;
    if (first == INT64_MAX || (first > 0 && first > clock_mono_us()))
        return SQL_KINDS;
    if (read != write)
        return read < write ? SQL_READ : SQL_WRITE;
    return b->queues[SQL_WRITE].first->deadline_us < b->queues[SQL_READ].first->deadline_us
               ? SQL_WRITE
               : SQL_READ;
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
    int64_t later = INT64_MAX;
    bool now = next_kind(b, &later) != SQL_KINDS;
    struct slot *s = now || (later != INT64_MAX && !b->holding) ? idle_slot(b) : NULL;
    if (s != NULL)
        (void)pthread_cond_signal(&s->wake);
}

/* Until when a unit may wait. Under lock. (Shorter ones behind longer ones end a little later.) */
static int64_t deadline(const struct batcher *b)
{
    int64_t now = clock_mono_us();
    bool away = b->away.code != OK && atomic_load(&b->stats->connected) == 0;
    if (away && atomic_load(&b->hurried))
        return now;
    bool long_away = away && now - b->away_since_us > LONG_AWAY * b->wait_us;
    return now + (long_away ? b->wait_us / AWAY_WAIT_PART : b->wait_us);
}

/* Puts units back that were not executed; the first stays first. */
void batch_requeue(struct batcher *b, struct sql_unit **units, size_t count,
                   const struct err_info *why)
{
    int64_t now = clock_mono_us();
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (units[i]->deadline_us <= now || units[i]->attempts >= ATTEMPTS_MAX) {
            struct err_info busy = *why;
            busy.code = ERR_BUSY;
            batch_finish(b, units[i], &busy);
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

/* --- the slot's thread ------------------------------------------------------------------------ */

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

/* The end of a batch, under lock: the thread that had the slot BUSY releases it. */
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
        bool up = batch_bring_up(s);
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

/* Until woken, or until `later` if no thread waits for that already. Under lock. */
static void wait_for_work(struct slot *s, int64_t later)
{
    struct batcher *b = s->batcher;
    if (later == INT64_MAX || b->holding) {
        (void)pthread_cond_wait(&s->wake, &b->lock);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(later / 1000000),
                             .tv_nsec = (long)(later % 1000000) * 1000};
    b->holding = true;
    (void)pthread_cond_timedwait(&s->wake, &b->lock, &until);
    b->holding = false;
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
        int64_t later = INT64_MAX;
        enum sql_kind kind = s->state == SLOT_IDLE ? next_kind(b, &later) : SQL_KINDS;
        if (kind == SQL_KINDS) {
            if (b->stopping && (queues_empty(b) || s->state == SLOT_DOWN))
                break;
            if (s->state == SLOT_BUSY) /* a caller borrowed us after we were woken */
                wake_for_work(b);
            wait_for_work(s, later);
            continue;
        }
        size_t count = take(b, kind, units);
        set_state(s, SLOT_BUSY);
        b->running[kind]++;
        wake_for_work(b); /* another slot for what is left */
        (void)pthread_mutex_unlock(&b->lock);
        bool up = batch_run(s, kind, units, count);
        (void)pthread_mutex_lock(&b->lock);
        give_back(s, kind, up);
    }
    for (size_t i = 0; i < b->count; i++) /* the others may end, too */
        (void)pthread_cond_signal(&b->slots[i].wake);
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* --- waiting no longer than wait_ms ----------------------------------------------------------- */

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
        batch_finish_text(b, u, ERR_BUSY,
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
        bool away = atomic_load(&b->stats->connected) == 0;
        end_expired(b, away && atomic_load(&b->hurried));
    }
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* --- interface -------------------------------------------------------------------------------- */

void batcher_submit(struct batcher *b, struct sql_unit *u)
{
    u->attempts = 0;
    (void)pthread_mutex_lock(&b->lock);
    u->deadline_us = deadline(b);
    push_back(b, u);
    wake_for_work(b);
    (void)pthread_mutex_unlock(&b->lock);
}

void batcher_submit_here(struct batcher *b, struct sql_unit *u)
{
    enum sql_kind kind = u->kind;
    u->attempts = 0;
    (void)pthread_mutex_lock(&b->lock);
    u->deadline_us = deadline(b);
    struct slot *s = idle_slot(b);
    if (s == NULL || !may_borrow(b, kind)) {
        push_back(b, u);
        wake_for_work(b);
        (void)pthread_mutex_unlock(&b->lock);
        return;
    }
    set_state(s, SLOT_BUSY);
    b->running[kind]++;
    (void)pthread_mutex_unlock(&b->lock);
    bool up = batch_run(s, kind, &u, 1); /* u may be gone afterwards */
    (void)pthread_mutex_lock(&b->lock);
    give_back(s, kind, up);
    if (!up || b->stopping || !queues_empty(b))
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

bool batcher_fenced(struct batcher *b)
{
    (void)pthread_mutex_lock(&b->lock);
    bool (*over)(void *) = b->lease_is_over;
    void *arg = b->lease_arg;
    (void)pthread_mutex_unlock(&b->lock);
    return over != NULL && over(arg);
}

void batcher_hurry(struct batcher *b)
{
    atomic_store(&b->hurried, true);
    (void)pthread_mutex_lock(&b->lock);
    (void)pthread_cond_signal(&b->tick);
    (void)pthread_mutex_unlock(&b->lock);
}

static enum err start_slot(struct batcher *b, struct slot *s)
{
    s->batcher = b;
    init_cond(&s->wake);
    enum err err = b->driver->ops->conn_new(b->driver, &s->conn);
    if (err != OK)
        return err;
    if (s == &b->slots[0]) { /* the first tells whether the URL is any good */
        err = b->driver->ops->connect(s->conn);
        if (err != OK)
            return err;
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
        enum err err = start_slot(b, &b->slots[i]);
        if (err != OK)
            return err;
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
