/* One batch from its first try to the end of its last unit. See batch.h and sql.h. */
#include "meta/sql/batch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "meta/sql/calls.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FAILURES_MAX 4 /* of one batch, before its units run one by one */

/* Sleeps between half of `ms` and all of it: competitors must not meet again. */
static void pause_about(int64_t ms)
{
    int64_t us = ms * 500 + (int64_t)(rand_u64() % (uint64_t)(ms * 500 + 1));
    struct timespec t = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* --- ends of units ---------------------------------------------------------------------------- */

/* The unit is its caller's again once this returns. */
void batch_finish(struct batcher *b, struct sql_unit *u, const struct err_info *why)
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

void batch_finish_text(struct batcher *b, struct sql_unit *u, enum err code, const char *text)
{
    struct err_info why;
    err_save(err_set(code, "%s", text), &why);
    batch_finish(b, u, &why);
}

static void finish_fenced(struct batcher *b, struct sql_unit **units, size_t count)
{
    for (size_t i = 0; i < count; i++)
        batch_finish_text(b, units[i], ERR_FENCED, "this process's session has lost its lease");
}

/* --- one batch (the slot's owner, no lock) ---------------------------------------------------- */

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

/* --- locks of a batch ------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right; /* as SQL counts */
    return (a > b) - (a < b);
}

/* Those of all units, ascending, each once. */
static size_t gather_locks(const struct sql_batch *batch, uint64_t out[BATCH_LOCKS])
{
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const struct sql_unit *u = batch->units[i];
        for (size_t n = 0; n < u->share_count; n++)
            out[count++] = (uint64_t)u->shares[n];
        if (u->excludes)
            out[count++] = (uint64_t)u->excluded;
    }
    qsort(out, count, sizeof(out[0]), by_number);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || out[kept - 1] != out[i])
            out[kept++] = out[i];
    return kept;
}

/* A unit that excludes others is a batch of its own. */
static void add_locks(struct slot *s, const struct sql_batch *batch)
{
    uint64_t locks[BATCH_LOCKS];
    const struct sql_unit *first = batch->units[0];
    size_t count = gather_locks(batch, locks);
    if (count == 0)
        return;
    bool one_is_shared = count == 1 && !first->excludes;
    struct sql_call *c = head_call(s, one_is_shared ? SQL_lock_share : SQL_locks_take);
    if (one_is_shared) {
        sql_bind_int(c, (int64_t)locks[0]);
        return;
    }
    sql_bind_text(c, sql_json_array_in(s->locks_text, locks, count));
    if (first->excludes)
        sql_bind_int(c, first->excluded);
    else
        sql_bind_null(c);
}

/* The proof of the session: a new marker. */
static void add_marker(struct slot *s, int64_t (*next_id)(void *), void *arg)
{
    struct batcher *b = s->batcher;
    s->marker = next_id != NULL ? next_id(arg) : atomic_fetch_add(&b->counter, 1);
    int64_t previous = s->previous_session == s->session ? s->previous : 0;
    struct sql_call *c = head_call(s, SQL_txn_begin);
    sql_bind_int(c, s->session);
    sql_bind_int(c, s->marker);
    sql_bind_int(c, previous);
    if (b->driver->ops->dialect == SQL_SQLITE && previous != 0) {
        c = head_call(s, SQL_txn_forget);
        sql_bind_int(c, s->session);
        sql_bind_int(c, previous);
    }
}

/* What a batch begins with; NULL: nothing. */
static struct sql_unit *make_head(struct slot *s, const struct sql_batch *batch)
{
    struct batcher *b = s->batcher;
    (void)pthread_mutex_lock(&b->lock);
    s->session = b->session;
    int64_t (*next_id)(void *) = b->next_id;
    void *arg = b->next_id_arg;
    (void)pthread_mutex_unlock(&b->lock);
    s->marker = 0;
    s->head = (struct sql_unit){.kind = SQL_WRITE};
    if (s->session != 0)
        add_marker(s, next_id, arg);
    if (b->driver->ops->dialect == SQL_POSTGRES)
        add_locks(s, batch);
    return s->head.count > 0 ? &s->head : NULL;
}

static enum sql_outcome run_once(struct slot *s, struct sql_batch *batch)
{
    struct batcher *b = s->batcher;
    size_t statements = 0;
    for (size_t i = 0; i < batch->count; i++) {
        reset(batch->units[i]);
        statements += batch->units[i]->count;
    }
    batch->head = batch->kind == SQL_WRITE ? make_head(s, batch) : NULL;
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
            batch_finish(b, batch->units[i], &why);
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

/* The batch stays with the slot until resolve() has asked. Without a marker it cannot be known. */
static void put_in_doubt(struct slot *s, struct sql_batch *batch)
{
    struct batcher *b = s->batcher;
    atomic_fetch_add(&b->stats->in_doubt, 1);
    log_warn("sql: the answer to a commit was lost: %s", batch->error.text);
    if (s->marker == 0) {
        for (size_t i = 0; i < batch->count; i++)
            batch_finish_text(b, batch->units[i], ERR_UNKNOWN, batch->error.text);
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

/* Would all of the batch fail as the culprit did? *why gets the reason for its units. */
static bool fails_all(const struct sql_batch *batch, struct err_info *why)
{
    *why = batch->error;
    if (batch->culprit != NULL && batch->culprit != batch->head)
        return false;
    if (batch->culprit != NULL) {
        if (why->code == ERR_CONFLICT)
            err_save(err_set(ERR_FENCED, "this process's session was removed: %s", why->text), why);
        return true;
    }
    return why->code == ERR_BUSY || why->code == ERR_FULL || why->code == ERR_NOMEM ||
           why->code == ERR_CORRUPT;
}

/* A batch for each unit; false: the connection is down. */
static bool run_singly(struct slot *s, struct sql_batch *batch, size_t failures,
                       const struct err_info *why)
{
    bool up = true;
    size_t at = 0;
    for (; up && at < batch->count; at++)
        up = run_group(s, batch->kind, &batch->units[at], 1, failures);
    if (!up && at < batch->count)
        batch_requeue(s->batcher, &batch->units[at], batch->count - at, why);
    return up;
}

/* Rolled back. Ends what can be ended, runs the rest again; false: the connection is down. */
static bool after_failure(struct slot *s, struct sql_batch *batch, size_t failures)
{
    struct batcher *b = s->batcher;
    struct err_info why;
    if (fails_all(batch, &why) || batch->count == 1) {
        for (size_t i = 0; i < batch->count; i++)
            batch_finish(b, batch->units[i], &why);
        return true;
    }
    atomic_fetch_add(&b->stats->retries, 1);
    if (batch->culprit != NULL && why.code == ERR_BUSY) { /* it has waited for its lock already */
        move_last(batch, batch->culprit);
        batch_finish(b, batch->units[batch->count - 1], &why);
        return run_group(s, batch->kind, batch->units, batch->count - 1, failures + 1);
    }
    if (batch->culprit == NULL || failures >= FAILURES_MAX)
        return run_singly(s, batch, failures, &why);
    move_last(batch, batch->culprit);
    bool up = run_group(s, batch->kind, batch->units, batch->count - 1, failures + 1);
    if (!up) {
        batch_requeue(b, &batch->units[batch->count - 1], 1, &why);
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
            batch_requeue(b, units, count, &batch.error);
            return false;
        }
        if (o == SQL_IN_DOUBT) {
            put_in_doubt(s, &batch);
            return false;
        }
        /* SQL_RETRY: a deadlock or serialization failure */
        if (units[0]->attempts >= ATTEMPTS_MAX || atomic_load(&b->hurried)) {
            batch.error.code = ERR_CONFLICT;
            batch.culprit = NULL;
            return after_failure(s, &batch, failures);
        }
        atomic_fetch_add(&b->stats->retries, 1);
        pause_about(pause);
    }
}

bool batch_run(struct slot *s, enum sql_kind kind, struct sql_unit **units, size_t count)
{
    atomic_fetch_add(&s->batcher->stats->units[kind], count);
    if (kind == SQL_WRITE && count > 1)
        qsort(units, count, sizeof(units[0]), by_order);
    return run_group(s, kind, units, count, 0);
}

/* --- settling what is in doubt (the slot's thread, DOWN but connected) ------------------------ */

static void end_doubtful(struct slot *s, enum err code, const char *text)
{
    while (s->doubtful != NULL) {
        struct sql_unit *u = s->doubtful;
        s->doubtful = u->next;
        if (code == OK && (u->results_optional || has_results(u)))
            finish_ok(u);
        else
            batch_finish_text(s->batcher, u, code == OK ? ERR_UNKNOWN : code, text);
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
    batch_requeue(s->batcher, units, count, &why);
}

/* Asks for the batch's fate. True when it is known. */
static bool resolve(struct slot *s)
{
    struct batcher *b = s->batcher;
    struct arena *a = arena_new(64u << 10);
    if (a == NULL)
        return false;
    struct sql_unit ask, *units[1] = {&ask};
    sql_unit_init(&ask, SQL_WRITE, a);
    struct sql_call *c = sql_add_txn_resolve(&ask, p_session(s->doubt_session), p_txn(s->doubt));
    struct sql_batch batch = {.kind = SQL_WRITE, .units = units, .count = 1};
    enum sql_outcome o = c != NULL ? b->driver->ops->run(s->conn, &batch) : SQL_FAILED;
    bool resolved = true;
    if (o == SQL_DONE && c->rows == 1 && sql_int(c, 0, 0) == 0) {
        log_warn("sql: the transaction in doubt did commit");
        s->previous = s->doubt;
        s->previous_session = s->doubt_session;
        end_doubtful(s, OK, "the transaction did commit, but its answers were lost");
    } else if (o == SQL_DONE && c->rows == 1) {
        log_warn("sql: the transaction in doubt never committed");
        retry_doubtful(s);
    } else if (o == SQL_FAILED && batch.error.code == ERR_CONFLICT) {
        log_error("sql: the session was removed while a commit was in doubt");
        end_doubtful(s, ERR_UNKNOWN, "the session was removed while the commit was in doubt");
    } else {
        resolved = false;
    }
    if (resolved)
        s->doubt = 0;
    arena_free(a);
    return resolved;
}

/* Brings a DOWN slot up. True when it may take work. */
bool batch_bring_up(struct slot *s)
{
    struct batcher *b = s->batcher;
    enum err err = b->driver->ops->connect(s->conn);
    if (err != OK) {
        struct err_info why;
        err_save(err, &why);
        (void)pthread_mutex_lock(&b->lock);
        bool news = b->away.code != why.code;
        if (b->away.code == OK)
            b->away_since_us = clock_mono_us();
        b->away = why;
        (void)pthread_mutex_unlock(&b->lock);
        if (news)
            log_warn("sql: the database is away: %s", why.text);
    }
    bool up = err == OK && (s->doubt == 0 || resolve(s));
    if (!up && s->doubt != 0 && clock_mono_us() > s->doubt_until_us)
        end_doubtful(s, ERR_UNKNOWN, "the answer to the commit was lost and the database is away");
    return up;
}
