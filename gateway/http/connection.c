/*
 * libmicrohttpd's callbacks, in the order of a request's life: on_target (request line), on_access
 * (headers; pieces of the body; end of the body; again after each resume), on_completed.
 *
 * libmicrohttpd 0.9.75 closes the connection when a response is queued at the first on_access, so
 * only a refusal that must keep a body from coming is sent there. Everything else waits for the
 * last on_access (a GET has two calls), which also lets `100 Continue` go out for an empty body.
 *
 * A client may end its stream behind its request (`shutdown(SHUT_WR)`, or a close_notify) and still
 * wait for the answer. libmicrohttpd gives up such a request when it reads the end before the last
 * on_access is over; and after each resume it reads, if it was about to read before. So a
 * connection is not suspended while all that is left to read may be the end:
 *   - work() that a head asks for runs when the body comes, or at the last call, not at the first
 *     (but for `Expect: 100-continue`, where the body waits for it);
 *   - the end of a body that its sink has no room for is kept by us (receive.c), so that the last
 *     call comes, which waits for the sink instead;
 *   - the last call is made twice before it suspends: between the two libmicrohttpd notes that it
 *     reads no more for this request (MHD_EVENT_LOOP_INFO_BLOCK), and remembers it when resumed.
 */
#include "gateway/http/connection.h"
#include "gateway/http/strict.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/socket.h>

static void unlink_exchange(struct exchange *x)
{
    struct http_server *s = x->server;
    pthread_mutex_lock(&s->lock);
    if (x->previous != NULL)
        x->previous->next = x->next;
    else
        s->exchanges = x->next;
    if (x->next != NULL)
        x->next->previous = x->previous;
    x->peer->exchange = NULL;
    http_admit_idle(x->peer);
    pthread_mutex_unlock(&s->lock);
}

/* Stopping the server waits for the requests between these two. */
static void take_off(struct exchange *x)
{
    x->in_flight = true;
    atomic_fetch_add(&x->server->requests, 1);
    atomic_store(&x->peer->deadline_ms, 0);
    pthread_mutex_lock(&x->server->lock);
    http_admit_busy(x->peer);
    pthread_mutex_unlock(&x->server->lock);
}

static void land(struct exchange *x)
{
    if (x->in_flight) {
        x->in_flight = false;
        atomic_fetch_sub(&x->server->requests, 1);
    }
}

void http_request_ref(struct http_request *r)
{
    atomic_fetch_add(&exchange_of(r)->refs, 1);
}

void http_request_unref(struct http_request *r)
{
    if (atomic_fetch_sub(&exchange_of(r)->refs, 1) == 1) {
        buf_fini(&r->body);
        buf_fini(&exchange_of(r)->kept);
        arena_free(r->arena); /* the exchange itself is in it */
    }
}

bool http_request_stopping(const struct http_request *r)
{
    return atomic_load(&((const struct exchange *)r)->server->cutting);
}

void http_request_cut(struct http_request *r)
{
    struct exchange *x = exchange_of(r);
    atomic_fetch_add(&x->server->timeouts_total, 1);
    (void)shutdown(x->peer->fd, SHUT_RDWR); /* libmicrohttpd sees that, and closes */
}

bool http_request_gone(const struct http_request *r)
{
    return atomic_load(&((const struct exchange *)r)->gone);
}

void http_refuse(struct exchange *x, unsigned status, const char *why)
{
    struct http_request *r = &x->r;
    const struct http_handler *h = &x->server->handler;
    log_debug("refused with %u: %s", status, why);
    atomic_fetch_add(&x->server->refused_total, 1);
    http_reply_reset(r);
    r->reply.status = status;
    if (h->refuse != NULL) {
        h->refuse(r, status, why);
    } else {
        struct str text = arena_str(r->arena, str_of(why));
        http_reply_bytes(r, status, text);
        enum err err = http_reply_header(r, "Content-Type", STR("text/plain"));
        (void)err; /* an answer without it will do */
    }
    r->reply.status = status;
}

/* First call with a head: checks it and asks the handler. */
static void begin_request(struct exchange *x, const char *method, const char *version)
{
    take_off(x);
    x->phase = PHASE_HEAD;
    enum err err = http_read_head(x, method, version);
    http_receive_waits(x, false);
    if (err == OK) {
        x->next_step = x->server->handler.head(&x->r);
        return;
    }
    unsigned status = err == ERR_INVALID ? 400 : err == ERR_UNSUPPORTED ? 417 : 500;
    char why[ERR_TEXT_MAX];
    snprintf(why, sizeof(why), "%s", status == 500 ? "Internal error." : err_text(err));
    http_refuse(x, status, why);
    x->r.reply.close = true;
    x->next_step = HTTP_REPLY;
}

enum outcome { GO_ON, SUSPENDED /* on_access will be called again */, CLOSE };

/* While the handler wants work: runs it, suspended on the pool or in place when there is none. */
static enum outcome do_work(struct exchange *x)
{
    while (x->next_step == HTTP_WORK || x->next_step == HTTP_WAIT) {
        if (x->server->options.pool == NULL) {
            x->next_step = x->server->handler.work(&x->r);
            continue;
        }
        if (!http_may_suspend(x))
            return SUSPENDED;
        if (atomic_load(&x->gone) || !http_hold(x))
            return CLOSE;
        enum err err = x->next_step == HTTP_WAIT ? http_await_job(x) : http_run_job(x, true);
        if (err == OK)
            return SUSPENDED;
        if (err != ERR_EXISTS) {
            http_refuse(x, 503, "The server is busy.");
            x->next_step = HTTP_REPLY;
        }
    }
    return GO_ON;
}

/* An answer made before the body has come: send it now, or let a little body pass first? */
static bool must_send_early(const struct exchange *x)
{
    const struct http_request *r = &x->r;
    if (r->wants_100) {
        /* Instead of `100 Continue`; but a good answer to an empty body comes after it. */
        return r->content_length != 0 || r->reply.status >= 300;
    }
    return r->reply.close || r->content_length > HTTP_SWALLOW_BYTES;
}

/* A client that is sending already would be reset by libmicrohttpd's close: linger for it. */
static enum MHD_Result send_early(struct exchange *x)
{
    bool is_sending = !x->r.wants_100 && x->r.content_length > 0;
    if (is_sending && x->r.reply.body == NULL)
        return http_send_abruptly(x) ? MHD_YES : MHD_NO;
    return http_send(x);
}

static void end_body(struct exchange *x, enum err result)
{
    x->body_ended = true;
    x->next_step = x->server->handler.body_end(&x->r, result);
}

/* Until the handler says what is to become of the body: it is taken, or an answer is there. */
static enum outcome obey_head(struct exchange *x)
{
    for (;;) {
        enum outcome outcome = do_work(x);
        if (outcome != GO_ON || x->next_step != HTTP_BODY || x->takes_body)
            return outcome;
        x->takes_body = true;
        enum err err = http_receive_begin(x);
        if (err == OK)
            return GO_ON;
        end_body(x, err); /* too large by its own word: say so before it comes */
    }
}

static bool wants_body(const struct exchange *x)
{
    return x->takes_body && !x->body_ended;
}

/* Broken framing is answered by us, whatever the handler says to it, and nothing more is read. */
static void refuse_framing(struct exchange *x)
{
    char why[ERR_TEXT_MAX];
    snprintf(why, sizeof(why), "%s", err_text(ERR_INVALID));
    http_refuse(x, 400, why);
    x->r.reply.close = true;
    x->next_step = HTTP_REPLY;
}

static enum MHD_Result at_end(struct exchange *x)
{
    if (x->phase == PHASE_BODY) {
        if (wants_body(x)) {
            enum err err = http_receive_rest(x);
            if (err != OK)
                return err == ERR_AGAIN ? MHD_YES : MHD_NO;
        }
        x->phase = PHASE_END;
        http_receive_waits(x, false);
        if (wants_body(x)) {
            enum err err = http_receive_end(x);
            struct err_info why;
            err_save(err, &why);
            end_body(x, err);
            if (x->bad_framing) {
                (void)err_restore(&why);
                refuse_framing(x);
            }
        }
    }
    switch (do_work(x)) {
    case SUSPENDED:
        return MHD_YES;
    case CLOSE:
        return MHD_NO;
    case GO_ON:
        break;
    }
    return http_send(x);
}

static enum MHD_Result after_head(struct exchange *x)
{
    enum outcome outcome = obey_head(x);
    if (outcome != GO_ON)
        return outcome == SUSPENDED ? MHD_YES : MHD_NO;
    if (!wants_body(x)) {
        if (!x->all_came && must_send_early(x))
            return send_early(x);
        x->discards = true;
    }
    x->phase = PHASE_BODY;
    http_receive_waits(x, true);
    return x->all_came ? at_end(x) : MHD_YES;
}

/* In the middle of a body that is not wanted any more: answers, then lingers. */
static enum MHD_Result answer_abruptly(struct exchange *x, size_t *size)
{
    if (x->phase == PHASE_BODY) {
        x->phase = PHASE_END;
        http_receive_waits(x, false);
        if (wants_body(x))
            end_body(x, err_restore(&x->body_error));
        if (x->bad_framing) {
            (void)err_restore(&x->body_error);
            refuse_framing(x);
        }
    }
    if (x->phase == PHASE_END) {
        enum outcome outcome = do_work(x);
        if (outcome == SUSPENDED)
            return MHD_YES; /* the piece that is left makes libmicrohttpd call again */
        if (outcome == CLOSE || !http_send_abruptly(x))
            return MHD_NO;
    }
    http_linger(x);
    x->r.bytes_in += *size;
    *size = 0;
    return MHD_YES;
}

static enum MHD_Result take_piece(struct exchange *x, const char *data, size_t *size)
{
    if (!x->fed_up && x->phase == PHASE_BODY) {
        enum MHD_Result result = http_receive_piece(x, data, size);
        if (!x->fed_up)
            return result;
    }
    return answer_abruptly(x, size);
}

/* The body comes while the handler has not yet said what it wants with it. */
static enum MHD_Result take_early_piece(struct exchange *x, const char *data, size_t *size)
{
    if (x->next_step == HTTP_WORK && http_receive_keep(x, data, size))
        return MHD_YES; /* the last call will ask */
    http_receive_waits(x, false);
    enum outcome outcome = obey_head(x);
    if (outcome != GO_ON)
        return outcome == SUSPENDED ? MHD_YES : MHD_NO;
    if (!wants_body(x)) {
        x->discards = true;
        x->fed_up = must_send_early(x);
    }
    x->phase = PHASE_BODY;
    return take_piece(x, data, size);
}

/* What is to be done can wait until the body comes, or the last call. */
static bool is_in_time_later(const struct exchange *x)
{
    return x->next_step == HTTP_WORK && !x->r.wants_100;
}

/* False when the chunk's line is broken. */
static bool look_at_framing(struct exchange *x, const char *data)
{
    bool may_look = x->r.is_chunked && x->body_start != NULL && !x->fed_up;
    enum err err = may_look ? http_strict_chunk(x->body_start, data) : OK;
    if (err == OK)
        return true;
    err_save(err, &x->body_error);
    x->bad_framing = x->fed_up = x->discards = true;
    x->next_step = HTTP_REPLY;
    x->phase = x->phase == PHASE_HEAD ? PHASE_BODY : x->phase;
    return false;
}

static enum MHD_Result take_step(struct exchange *x, const char *method, const char *version,
                                 const char *data, size_t *size)
{
    if (atomic_load(&x->server->cutting))
        return MHD_NO;
    if (*size > 0 && http_is_parked(x))
        return MHD_YES; /* the next chunk, offered although we are suspended: later */
    if (x->phase == PHASE_NEW) {
        begin_request(x, method, version);
        if (!is_in_time_later(x))
            return after_head(x);
        http_receive_waits(x, true);
        return MHD_YES;
    }
    /* Asked again at the first call, if it was suspended there; else this is the last. */
    x->all_came = *size == 0 && !(x->phase == PHASE_HEAD && x->r.wants_100);
    if (*size > 0 && !look_at_framing(x, data))
        return take_piece(x, data, size);
    if (x->phase == PHASE_HEAD)
        return *size > 0 ? take_early_piece(x, data, size) : after_head(x);
    if (*size > 0)
        return take_piece(x, data, size);
    if (x->phase == PHASE_REPLY)
        return MHD_NO; /* answered in the middle already */
    return at_end(x);
}

enum MHD_Result http_on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *size, void **exchange)
{
    (void)cls;
    (void)mhd;
    (void)url;
    struct exchange *x = *exchange;
    if (x == NULL)
        return MHD_NO;
    log_set_request_id(x->r.id);
    enum MHD_Result result = take_step(x, method, version, data, size);
    if (x->abrupt_status && x->in_flight) { /* it only lingers */
        land(x);
        pthread_mutex_lock(&x->server->lock);
        http_admit_idle(x->peer);
        pthread_mutex_unlock(&x->server->lock);
    }
    log_set_request_id("");
    return result;
}

/* Why a body did not end well. */
static enum err broken_body(const struct exchange *x, enum MHD_RequestTerminationCode why,
                            unsigned answered)
{
    if (x->body_error.code != OK)
        return err_restore(&x->body_error);
    if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED || atomic_load(&x->too_slow))
        return err_set(ERR_TIMEOUT, "the client was too slow");
    if (answered != 0)
        return err_set(ERR_INVALID, "the body's framing is broken");
    return err_set(ERR_CANCELLED, why == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN
                                      ? "the server is stopping"
                                      : "the client went away");
}

static void finish(struct exchange *x, struct MHD_Connection *mhd,
                   enum MHD_RequestTerminationCode why)
{
    struct http_request *r = &x->r;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);
    unsigned answered = info != NULL ? info->http_status : 0;
    if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
        atomic_fetch_add(&x->server->timeouts_total, 1);
    /* A worker may have said HTTP_BODY and the connection ended before that was obeyed. */
    bool owed = x->takes_body || (x->phase == PHASE_HEAD && x->next_step == HTTP_BODY);
    if (owed && !x->body_ended) {
        x->body_ended = true;
        (void)x->server->handler.body_end(r, broken_body(x, why, answered));
    }
    http_wait_over(x);
    http_reply_reset(r);
    http_send_end(x);
    r->reply.status = x->abrupt_status ? x->abrupt_status : answered;
    r->is_complete =
        x->abrupt_status || (why == MHD_REQUEST_TERMINATED_COMPLETED_OK && answered != 0);
    r->end_us = clock_mono_us();
    x->server->handler.done(r);
}

void http_on_completed(void *cls, struct MHD_Connection *mhd, void **exchange,
                       enum MHD_RequestTerminationCode why)
{
    struct http_server *s = cls;
    struct exchange *x = *exchange;
    *exchange = NULL;
    if (x == NULL)
        return;
    unlink_exchange(x);
    land(x);
    log_set_request_id(x->r.id);
    finish(x, mhd, why);
    log_set_request_id("");
    int64_t wait_s = (int64_t)s->options.idle_timeout_s + s->options.head_timeout_s;
    atomic_store(&x->peer->deadline_ms, clock_boot_ms() + wait_s * 1000);
    http_request_unref(&x->r);
}
