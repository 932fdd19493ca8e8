/*
 * Suspending a connection while a worker or a sink is busy, without losing a wake-up.
 *
 * The waker and the epoll thread meet in one atomic, `wait`: the second of them resumes the
 * connection. A job and a sink have states of their own, so that a late http_request_resume_body()
 * cannot wake a connection whose job still runs. Each holds a reference across its wake-up,
 * because the request may be over as soon as the connection is resumed.
 */
#include "gateway/http/connection.h"

#include "base/log.h"

bool http_hold(struct exchange *x)
{
    atomic_fetch_add(&x->server->held, 1);
    if (!atomic_load(&x->server->cutting))
        return true;
    http_unhold(x);
    return false;
}

void http_unhold(struct exchange *x)
{
    atomic_fetch_sub(&x->server->held, 1);
}

bool http_may_suspend(struct exchange *x)
{
    bool may = !x->all_came || x->reads_no_more;
    x->reads_no_more = x->all_came;
    return may;
}

/* Suspends until `woken` is seen; false when it was there already (then nothing was suspended). */
static bool park(struct exchange *x, int parked, int woken)
{
    int state = woken;
    if (atomic_compare_exchange_strong(&x->wait, &state, WAIT_NONE)) {
        http_unhold(x);
        return false;
    }
    MHD_suspend_connection(x->mhd);
    state = atomic_load(&x->wait);
    for (;;) {
        int wanted = state == woken ? WAIT_NONE : parked;
        if (atomic_compare_exchange_weak(&x->wait, &state, wanted))
            break;
    }
    if (state == woken) {
        MHD_resume_connection(x->mhd);
        http_unhold(x);
    }
    return true;
}

static void wake(struct exchange *x, int parked, int woken)
{
    struct http_server *s = x->server;
    struct MHD_Connection *mhd = x->mhd;
    int state = atomic_load(&x->wait);
    for (;;) {
        bool for_sink = woken == WAIT_WOKEN_SINK;
        if (state == WAIT_OVER ||
            (for_sink && (state == WAIT_PARKED_JOB || state == WAIT_WOKEN_JOB))) {
            return;
        }
        int wanted = state == parked ? WAIT_NONE : woken;
        if (atomic_compare_exchange_weak(&x->wait, &state, wanted))
            break;
    }
    if (state == parked) {
        MHD_resume_connection(mhd);
        atomic_fetch_sub(&s->held, 1);
    }
}

bool http_is_parked(struct exchange *x)
{
    int state = atomic_load(&x->wait);
    return state == WAIT_PARKED_JOB || state == WAIT_PARKED_SINK;
}

void http_wait_over(struct exchange *x)
{
    atomic_store(&x->wait, WAIT_OVER);
}

bool http_park_for_sink(struct exchange *x)
{
    return park(x, WAIT_PARKED_SINK, WAIT_WOKEN_SINK);
}

void http_request_resume_body(struct http_request *r)
{
    wake(exchange_of(r), WAIT_PARKED_SINK, WAIT_WOKEN_SINK);
}

/* The pool of the request's lane. */
static struct pool *pool_of(struct exchange *x)
{
    const struct http_options *o = &x->server->options;
    struct pool *pool = x->r.lane == HTTP_LANE_STORE  ? o->store_pool
                        : x->r.lane == HTTP_LANE_LONG ? o->long_pool
                                                      : o->pool;
    x->job.owner = x->r.owner;
    return pool != NULL ? pool : o->pool;
}

/* True when the job is to be queued now: it has been called for already. */
static bool was_called(struct exchange *x)
{
    int state = LATER_NONE;
    if (atomic_compare_exchange_strong(&x->later, &state, LATER_WAITS))
        return false; /* from here on it is its waker's */
    atomic_store(&x->later, LATER_NONE);
    return true;
}

void http_request_resume_work(struct http_request *r)
{
    struct exchange *x = exchange_of(r);
    int state = LATER_NONE;
    if (atomic_compare_exchange_strong(&x->later, &state, LATER_CALLED))
        return;
    atomic_store(&x->later, LATER_NONE);
    pool_submit_always(pool_of(x), &x->job);
}

/* Its time in the lane's queue is over: answers that, and does nothing else. */
static void run_late(struct exchange *x)
{
    if (x->job_is_next) {
        x->fetched = STR_NONE;
        err_save(err_set(ERR_BUSY, "too many reads wait for the store"), &x->fetch_error);
        x->has_fetched = true;
    } else {
        http_refuse(x, 503, "Please reduce your request rate.");
        x->next_step = HTTP_REPLY;
    }
}

/* The client left while the job waited for its turn: the epoll thread closes. */
static void give_up(struct exchange *x)
{
    if (x->job_is_next) {
        err_save(err_set(ERR_CANCELLED, "the client went away"), &x->fetch_error);
        x->has_fetched = true;
    }
}

static void run_in_time(struct exchange *x)
{
    struct http_request *r = &x->r;
    if (x->job_is_next) {
        x->fetched = STR_NONE;
        err_save(r->reply.body->next(r->reply.body, true, &x->fetched), &x->fetch_error);
        x->has_fetched = true;
    } else {
        x->next_step = x->server->handler.work(r);
    }
}

/* Runs on a worker; afterwards the exchange is the epoll thread's again. */
static void run_job(struct pool_job *job)
{
    struct exchange *x = (struct exchange *)((char *)job - offsetof(struct exchange, job));
    struct http_request *r = &x->r;
    log_set_request_id(r->id);
    bool left = atomic_load(&x->gone) && !x->owed;
    x->owed = false;
    if (left)
        give_up(x);
    else if (job->late)
        run_late(x);
    else
        run_in_time(x);
    log_set_request_id("");
    if (!x->job_is_next && x->next_step == HTTP_WAIT) {
        x->owed = true;
        if (!was_called(x))
            return;
        pool_submit_always(pool_of(x), &x->job);
        return;
    }
    if (!x->job_is_next && x->next_step == HTTP_WORK && !atomic_load(&x->gone)) {
        if (pool_submit(pool_of(x), &x->job) == OK)
            return;
        http_refuse(x, 503, "The server is busy.");
        x->next_step = HTTP_REPLY;
    }
    wake(x, WAIT_PARKED_JOB, WAIT_WOKEN_JOB);
    http_request_unref(r);
}

enum err http_run_job(struct exchange *x, bool may_refuse)
{
    struct pool *pool = pool_of(x);
    x->job.run = run_job;
    http_request_ref(&x->r);
    if (may_refuse) {
        enum err err = pool_submit(pool, &x->job);
        if (err != OK) {
            http_request_unref(&x->r);
            http_unhold(x);
            return err;
        }
    } else {
        pool_submit_always(pool, &x->job);
    }
    return park(x, WAIT_PARKED_JOB, WAIT_WOKEN_JOB) ? OK : ERR_EXISTS;
}

enum err http_await_job(struct exchange *x)
{
    x->job.run = run_job;
    x->next_step = HTTP_WORK; /* what is left to do once it was called */
    http_request_ref(&x->r);
    if (was_called(x))
        pool_submit_always(pool_of(x), &x->job);
    return park(x, WAIT_PARKED_JOB, WAIT_WOKEN_JOB) ? OK : ERR_EXISTS;
}
