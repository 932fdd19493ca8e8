/*
 * One HTTP request on its way through the server, and the contract of the handler that answers it.
 *
 *              headers are in
 *                    |
 *              head() [epoll thread]          HTTP_WORK: work() [worker], connection suspended;
 *       .------------+-------------.          what it returns is obeyed as head's own would be
 *       |            |             |          (HTTP_WAIT: work() again, when it is called for)
 *   HTTP_REPLY                  HTTP_BODY
 *       |                          |  sink->write() [epoll thread] a piece, or r->body collects
 *       |                     body_end() [epoll thread]  (HTTP_WORK, HTTP_WAIT: work() once more)
 *       |                          |
 *       '-----------> reply is sent: bytes, or body->next() [epoll thread or worker]
 *                                  |
 *                           done() [epoll thread], exactly once whatever happened
 *
 * Ownership: the server owns the request. What was sent (headers, method, trailers) is borrowed
 * from the connection and valid until done() has returned; what the handler allocates in the
 * arena too, or as long as a reference is held.
 * Threads: a request is worked on by one thread at a time; the server orders the steps above (what
 * one wrote, the next one sees). Only http_request_resume_body(), http_request_resume_work(),
 * http_request_cut(), http_request_ref(), http_request_unref(), http_request_stopping() and
 * http_request_gone() may be called by any thread at any time.
 * Lanes: work() runs in the lane that r->lane names, each with threads of its own, so that what
 * waits for the store or takes long cannot keep the rest from being answered. Lanes but
 * HTTP_LANE_WORK have a time limit in their queue: then the answer is 503 and work() is not called;
 * nor is it when the client has left meanwhile. So a handler that has something to undo when it is
 * called again says HTTP_WAIT or stays in HTTP_LANE_WORK, and done() frees what else there is.
 * On an epoll thread nothing may block: no SQL, no store, no lock held across such.
 * An answer that comes before the body: with `Expect: 100-continue` it goes out instead of the 100,
 * and the connection closes. Else a body of up to 1 MiB is thrown away and the connection is kept.
 * A longer one is answered at once, what comes of it is thrown away for up to linger_s so that the
 * client gets to see the answer, and the connection closes. Likewise when a body fails in its
 * middle: if its end comes within 1 MiB and 1 s, the answer is sent as usual, else at once (bytes
 * only, no generator).
 * Limits: request line and headers together must fit in about 24 KiB (414 or 431 by libmicrohttpd);
 * the arena gives out at most http_options.arena_max_bytes.
 */
#ifndef KISEKI_GATEWAY_HTTP_REQUEST_H
#define KISEKI_GATEWAY_HTTP_REQUEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "gateway/http/reply.h"
#include "gateway/http/target.h"

/* A header or trailer field: the name as sent (any case), the value without blanks around it. */
struct http_header {
    struct str name;
    struct str value;
};

/* What a handler's function wants next. */
enum http_next {
    HTTP_REPLY, /* r->reply is filled in: send it */
    HTTP_WORK,  /* call work() on the worker pool, in r->lane */
    HTTP_WAIT,  /* work() and body_end(): call work() after http_request_resume_work(); no thread
                   waits */
    HTTP_BODY   /* head() and the work() after it only: take the body, then call body_end() */
};

/* Whose threads run work() and a generator's blocking next(). */
enum http_lane {
    HTTP_LANE_WORK,  /* short: memory and a few round trips to the database */
    HTTP_LANE_STORE, /* waits for the backing store, which may be away */
    HTTP_LANE_LONG,  /* computes, or sends many statements: a share of the threads, which yield */
    HTTP_LANES
};

/*
 * Where a request's body goes, piece by piece. Embedded in what the layer above keeps.
 *
 * write() is called on an epoll thread and must not block. It takes all of `data` and returns OK,
 * or takes the first *out_taken bytes (also 0) and returns ERR_AGAIN: the connection is suspended,
 * the socket is not read (back-pressure reaches the client), and write() is called with the rest
 * after http_request_resume_body(r). Any other error: write() is not called again, a bounded rest
 * of the body is thrown away, body_end() gets the error. `data` is valid for the call only.
 * After the last write() body_end() follows, always.
 */
struct http_sink {
    enum err (*write)(struct http_sink *sink, struct str data, size_t *out_taken);
};

struct http_request {
    /* What was sent; immutable once head() is called. */
    struct arena *arena;
    char id[17];               /* 16 upper-case hex digits: x-amz-request-id and the log's id */
    struct str method;         /* a token, as sent */
    struct http_target target; /* raw and decoded path and query */
    const struct http_header *headers; /* in the order sent, repeated ones apart */
    size_t header_count;
    struct str host;    /* of an absolute-form target, else the Host field; may be empty */
    struct str version; /* "HTTP/1.1" or "HTTP/1.0" */
    struct str remote;  /* "192.0.2.1:1234" or "[2001:db8::1]:1234" */
    bool is_tls;
    bool is_chunked;        /* Transfer-Encoding: chunked */
    bool wants_100;         /* Expect: 100-continue */
    int64_t content_length; /* -1: none was sent */
    int64_t start_us;       /* clock_mono_us() at the request line */

    /* Valid from body_end() on: fields after a chunked body. */
    const struct http_header *trailers;
    size_t trailer_count;

    /* The handler's. */
    void *ctx;              /* http_handler.ctx */
    void *user;             /* NULL at first; for the layer above */
    enum http_lane lane;    /* of the next work(), or next(); HTTP_LANE_WORK at first */
    uint64_t owner;         /* whose work it is: owners take turns in lanes but HTTP_LANE_WORK */
    struct http_sink *sink; /* HTTP_BODY: where the body goes; or NULL, then: */
    size_t collect_max;     /* the most bytes that `body` collects; more: ERR_TOO_LARGE */
    struct buf body;        /* the collected body; freed with the request */
    struct http_reply reply;

    /* The server's counters; final in done(). */
    uint64_t bytes_in;     /* of the body, as received */
    uint64_t bytes_out;    /* of the body, as handed to the socket layer */
    int64_t first_byte_us; /* clock_mono_us() when the answer's head was ready; 0 if never */
    int64_t end_us;        /* clock_mono_us() at done() */
    bool is_complete;      /* the whole answer was handed to the kernel */
};

/*
 * The layer above. Every function is called with r->ctx set; log lines of the calling thread carry
 * r->id meanwhile. All must be given but `refuse`.
 */
struct http_handler {
    /* The headers are in. Epoll thread. */
    enum http_next (*head)(struct http_request *r);

    /*
     * Worker thread. Called after HTTP_WORK; may itself return HTTP_WORK to queue up again, or
     * HTTP_WAIT once http_request_resume_work() is sure to be called, which may happen at
     * once. After HTTP_WAIT it is called in any case, also when the server stops.
     */
    enum http_next (*work)(struct http_request *r);

    /*
     * The body has ended. Epoll thread. `result`:
     *   OK             all of it arrived and was taken; trailers are there
     *   ERR_TOO_LARGE  more than collect_max
     *   ERR_TIMEOUT    below the minimum rate; or stalled          } the latter three: no answer
     *   ERR_CANCELLED  the client went away, or the server stops   } is possible any more, what is
     *   ERR_INVALID    broken chunk framing (already answered 400) } returned is ignored
     *   others         what the sink's write() failed with, and its text (err_text)
     * r->sink is not used after this call has begun. Returns HTTP_REPLY, HTTP_WORK, or HTTP_WAIT as
     * work() does; but then work() is not called when the client leaves before, and whoever has
     * promised http_request_resume_work() must not call it once done() has returned.
     */
    enum http_next (*body_end)(struct http_request *r, enum err result);

    /*
     * The end, exactly once for every request whose request line arrived: sent whole, client gone,
     * server stopping, refused by the server (then r->user is NULL and head() was never called;
     * fields may be empty). The reply's generator is closed already. reply.status is what was
     * answered, by whom ever; 0 when nothing was. Epoll thread.
     */
    void (*done)(struct http_request *r);

    /*
     * Optional. The server refuses by itself: 400 (malformed, smuggling), 417, 503 (pool is full),
     * 500 (a bug above). Fills in r->reply's headers and body; its status is set already, and
     * `why` is one line for people. Without it the answer is `why` as text/plain. It may be called
     * before head() (r->user is NULL) or after. Epoll or worker thread, must not block.
     */
    void (*refuse)(struct http_request *r, unsigned status, const char *why);

    /*
     * Optional. The server gives up waiting for requests in flight: whatever work() waits for
     * should end at once, and http_request_stopping() is true from now on. Called once, by the
     * thread that stops the server.
     */
    void (*cut)(void *ctx);

    void *ctx;
};

/* The first header of that name (any case), or an empty string with ptr NULL when there is none. */
struct str http_header(const struct http_request *r, const char *name);
bool http_has_header(const struct http_request *r, const char *name);

/*
 * The next header of that name from index *at on, which moves past it; start with 0. False at the
 * end. `for (size_t i = 0; http_header_next(r, "x-amz-meta-a", &i, &value);)`
 */
bool http_header_next(const struct http_request *r, const char *name, size_t *at,
                      struct str *out_value);

/* As http_header, among the trailers. */
struct str http_trailer(const struct http_request *r, const char *name);

/*
 * Goes on with a body whose sink said ERR_AGAIN. Any thread; also before write() has returned, and
 * without need (write() is then simply called again). The caller holds a reference, or knows that
 * done() has not been called yet. Does nothing once the request is over.
 */
void http_request_resume_body(struct http_request *r);

/* Ends an HTTP_WAIT: exactly once for each. Any thread; never blocks. */
void http_request_resume_work(struct http_request *r);

/*
 * Ends the connection of a client that is too slow, as if it had left: body_end() and done()
 * follow. Any thread, before done() has returned.
 */
void http_request_cut(struct http_request *r);

/* True once the server gives up waiting for requests in flight: long work should end soon. */
bool http_request_stopping(const struct http_request *r);

/*
 * True once the client has left: what is done for it is in vain. Any thread, one atomic load; the
 * caller holds a reference, or knows that done() has not been called yet. It never goes back.
 * A reset, or a connection closed in both directions, is noticed at once. A client that only ended
 * its stream (close() looks like shutdown(SHUT_WR) from here) may still wait for its answer: it
 * has left at once when more of its body is missing than the buffers can hold, else when its answer
 * has not begun http_options.gone_after_s (5 s) later. An end that stands behind more unread bytes
 * than the socket's buffer holds arrives only when the body is read on: a sink that delays uploads
 * must go on with each of them some time. TCP keep-alive finds machines that vanished, in a minute
 * and a half.
 * What the server does by itself then: a sink's wait ends (the connection is resumed, write() is
 * not called again, body_end(ERR_CANCELLED) and done() follow); work() that has not begun is not
 * called any more. What the handler has to do: long work() asks between two steps, together with
 * http_request_stopping(), and returns early; what it returns is sent if anybody is there to see.
 */
bool http_request_gone(const struct http_request *r);

/* Keeps the memory of r (and its arena) after done(): for threads that may resume it late. */
void http_request_ref(struct http_request *r);
void http_request_unref(struct http_request *r);

#endif
