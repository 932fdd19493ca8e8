/*
 * The HTTP server: libmicrohttpd with a few epoll threads that move bytes, and a worker pool for
 * whatever may block. The only folder that knows libmicrohttpd (and GnuTLS, for certificates).
 *
 * The same type serves S3 and, as a second instance with one thread, the metrics.
 * Threads: start, reload, limit, quiesce, stop and free are called by one thread at a time (main);
 * the statistics by any.
 *
 * What it refuses by itself, with 400 and the connection closed (RFC 9112; request smuggling):
 * Content-Length twice, not a number, or beside Transfer-Encoding; any Transfer-Encoding but
 * `chunked`, or in HTTP/1.0; no or two Host fields in HTTP/1.1; field names that are not tokens
 * (a blank before the colon); control bytes in values; folded fields; a NUL or a bare LF as the
 * end of a header line; blanks, control bytes and broken escapes in the target; of chunks what
 * strict.h can see of bare LFs and CRs. After a chunked body the connection is closed.
 * Over TLS a client that speaks plain http is answered 400 in plain text, and closed.
 * What libmicrohttpd answers before we see it keeps its own answer: 400 (no colon, no version),
 * 400 and 413 (Content-Length that is no number, or beyond 64 bits; 0.9.75 sends the head of this
 * answer twice), 414, 431 (head over about 24 KiB), 505; 400 for broken chunks.
 *
 * Slow clients: an idle connection, or one whose body or answer stands still, is closed after
 * idle_timeout_s, and a head that is not complete after head_timeout_s; a body slower than
 * body_min_rate over body_rate_window_s ends with ERR_TIMEOUT and the handler's answer to it. Time
 * that a sink or a worker makes the client wait does not count. An answer is taken by the client's
 * machine at reply_min_rate at least, over the same window, or the connection is cut.
 * Connections: a connection without a request costs at most 32 KiB (plus GnuTLS's own state) and
 * no thread, one that a generator's answer is sent to 16 KiB more. When
 * max_connections are open, the oldest idle one of the address that has the most is closed for a
 * new one; see admit.c for what happens when none is idle.
 */
#ifndef KISEKI_GATEWAY_HTTP_SERVER_H
#define KISEKI_GATEWAY_HTTP_SERVER_H

#include "base/err.h"
#include "base/pool.h"
#include "gateway/http/request.h"

struct http_server;

/* Zero means the default in brackets. Strings are copied. */
struct http_options {
    const char *listen;          /* "127.0.0.1:9000", "[::1]:9000", "host:0", ":9000" (any) */
    unsigned threads;            /* epoll threads [2] */
    unsigned max_connections;    /* [10000] */
    unsigned idle_timeout_s;     /* [60] */
    unsigned head_timeout_s;     /* from connect or the first byte to the end of the head [60] */
    unsigned gone_after_s;       /* see http_request_gone() [5] */
    unsigned linger_s;           /* after an answer in the middle of a body, at most [10] */
    unsigned body_min_rate;      /* bytes/s, averaged over the window [1024] */
    unsigned reply_min_rate;     /* likewise what the client takes of an answer [1024] */
    unsigned body_rate_window_s; /* for both [30] */
    size_t arena_max_bytes;      /* a request's arena [64 MiB] */
    const char *tls_cert_path;   /* PEM chain; both or neither */
    const char *tls_key_path;    /* PEM key */
    struct pool *pool;           /* runs work() and blocking next(); not owned; NULL: in place */
    struct pool *store_pool;     /* of HTTP_LANE_STORE; NULL: pool */
    struct pool *long_pool;      /* of HTTP_LANE_LONG; NULL: pool */
    /*
     * Optional: may an answer have a block of `bytes` (up to 256 KiB)? If not, it has a smaller
     * one, or 16 KiB, which every connection may have. block_give is called once for each true. Any
     * thread; must not block.
     */
    bool (*block_take)(void *arg, size_t bytes);
    void (*block_give)(void *arg, size_t bytes);
    void *block_arg;
};

/*
 * Reads the certificate and binds the address, so that what is wrong with them shows before
 * anything else is made; clients are refused until http_server_begin(). The handler is copied.
 * ERR_INVALID: a bad address, certificate or key; ERR_EXISTS: the address is in use; ERR_DENIED: no
 * permission; ERR_NOMEM, ERR_IO. The text names the address or the file.
 */
MUST_USE enum err http_server_prepare(const struct http_options *options,
                                      const struct http_handler *handler, struct http_server **out);
/* Listens and serves. After a failure stop and free it. */
MUST_USE enum err http_server_begin(struct http_server *s);
/* Both; *out is NULL after a failure. */
MUST_USE enum err http_server_start(const struct http_options *options,
                                    const struct http_handler *handler, struct http_server **out);

/* The bound port, and the address as text with the port filled in ("127.0.0.1:43210"). */
uint16_t http_server_port(const struct http_server *s);
const char *http_server_address(const struct http_server *s);

/*
 * Reads certificate and key (the same files or others); new handshakes get them, running
 * connections go on. On failure the old ones stay in use and the log says why. OK at once without
 * TLS.
 */
MUST_USE enum err http_server_reload_tls(struct http_server *s, const char *cert_path,
                                         const char *key_path);

/*
 * Limits connections from now on: to max_connections, or to fewer, with a line in the log, if the
 * system lacks descriptors for them. Open ones stay. After http_server_begin().
 */
void http_server_limit(struct http_server *s, unsigned max_connections);

/* When the certificate in use expires, in seconds since 1970; 0 without TLS. Never blocks. */
int64_t http_server_certificate_expiry(struct http_server *s);

/* No new connections; what runs goes on, answers say `Connection: close`. Twice is fine. */
void http_server_quiesce(struct http_server *s);

/*
 * Quiesces, closes connections without a request in flight (idle, half a head, lingering) at once,
 * waits for the others until the deadline, then cuts off the rest (each request still gets its
 * body_end(ERR_CANCELLED) and done()), calls handler.cut(), and waits for work() that runs, which
 * can see http_request_stopping(). The pools must still run. NULL is fine.
 */
void http_server_stop(struct http_server *s, unsigned deadline_ms);

/* The server must be stopped, and its statistics no longer be asked for. NULL is fine. */
void http_server_free(struct http_server *s);

/* Gauges and counters for metrics. */
struct http_server_stats {
    uint64_t connections;       /* open now */
    uint64_t connections_total; /* accepted since the start */
    uint64_t requests;          /* in flight now: from the whole head to the end of the answer */
    uint64_t requests_total;
    uint64_t suspended;      /* of those in flight: waiting for a worker or a sink */
    uint64_t refused_total;  /* refused by the server itself */
    uint64_t timeouts_total; /* cut for being idle or slow */
    uint64_t evicted_total;  /* closed for another's connection */
    uint64_t gone_total;     /* their client left while they were worked on */
};
void http_server_stats(const struct http_server *s, struct http_server_stats *out);

#endif
