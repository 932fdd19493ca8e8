/*
 * What the files of gateway/http share, and no other file sees.
 *
 *   listen.c      the listening socket; one thread that accepts and runs the watch
 *   admit.c       which newcomer gets in when all connections are taken
 *   watch.c       deadlines, minimum rates; clients that left while their connection is suspended
 *   peer.c        open connections
 *   head.c        the request line and the headers
 *   connection.c  libmicrohttpd's other callbacks: a request's steps up to done()
 *   receive.c     the body: sink, collecting, swallowing, minimum rate, trailers
 *   wait.c        suspending and resuming; jobs on the worker pool
 *   abrupt.c      an answer in the middle of a body
 *   send.c        a reply becomes a libmicrohttpd response; the generator is read
 *   strict.c      what is refused (pure)       target.c  the request target (pure)
 *   tls.c         certificate and key          server.c  start, stop, statistics
 *
 * The exchange is one request as the server sees it. It belongs to the epoll thread of its
 * connection, except while a job runs (then to the worker). The two hand it over through `wait`,
 * the one field that both touch at any time.
 */
#ifndef KISEKI_GATEWAY_HTTP_CONNECTION_H
#define KISEKI_GATEWAY_HTTP_CONNECTION_H

#include "gateway/http/request.h"
#include "gateway/http/server.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/*
 * A connection's memory in libmicrohttpd, mapped on demand: with its bookkeeping it stays below
 * 32 KiB. A head may fill most of it, uploads are handed over in pieces of about half.
 */
#define HTTP_CONNECTION_MEMORY (28 * 1024)

/* After a refusal in the middle of a body, this much is thrown away for the answer to be seen. */
#define HTTP_SWALLOW_BYTES (1024 * 1024)
#define HTTP_SWALLOW_US    (1000 * 1000)

/* A client that is silent for that long after such a refusal has seen it, or never will. */
#define HTTP_LINGER_QUIET_MS 2000

/* A close_notify that GnuTLS has not read yet (TLS 1.2 and 1.3, any cipher). */
#define HTTP_CLOSE_NOTIFY_MAX 64

/* How often the watch looks at deadlines. */
#define HTTP_SWEEP_MS 500

/* An address with connections: see admit.c. All guarded by server->lock. */
struct http_origin_key {
    unsigned char bytes[16];
};
struct http_origin {
    struct http_origin_key key;
    unsigned count;
    struct http_peer *idle_first, *idle_last; /* the oldest first */
    struct http_origin *next;                 /* in its bucket */
};
#define HTTP_ORIGIN_BUCKETS 256

/* Accepted, and not yet let in. */
struct http_waiting {
    int fd;
    struct sockaddr_storage from;
    socklen_t size;
    struct http_origin_key key;
};
#define HTTP_WAITING_MAX 256

/* An open connection (libmicrohttpd's socket context). */
struct http_peer {
    struct http_server *server;
    int fd;
    char remote[64];
    struct str remote_text;
    _Atomic int64_t deadline_ms; /* boot clock: for a head, or for lingering; 0: in flight */
    bool has_spoken;             /* TLS: its first bytes came; the epoll thread's */
    atomic_bool lingers;         /* answered, and only waits for the client to see it */
    int64_t linger_until_ms;     /* not beyond; the epoll thread's */
    atomic_bool half_closed;     /* the client has ended its stream */
    atomic_bool wants_body;      /* all that came of a body was taken, and more must come */

    /* Guarded by server->lock. */
    struct exchange *exchange; /* from its request line to done(); NULL: none */
    struct http_peer *previous, *next;
    int64_t ended_ms; /* boot clock: the client ended its stream, in the list `ended`; 0: not */
    int64_t stuck_since_ms, stuck_missing; /* likewise: since then nothing more was read */
    struct http_peer *ended_previous, *ended_next;
    struct http_origin *origin; /* NULL: no memory for it */
    bool is_idle;               /* in its origin's list */
    bool is_evicted;            /* closed for another, and not gone yet */
    struct http_peer *idle_previous, *idle_next;
    /* The watch over minimum rates: of this exchange and direction ... */
    struct exchange *paced;
    bool paced_answer;
    int64_t paced_ms;    /* ... how long it has been the client's turn in this window ... */
    uint64_t paced_from; /* ... and how many bytes there were when the window began */
};

enum wait_state {
    WAIT_NONE,        /* the epoll thread has it */
    WAIT_PARKED_JOB,  /* suspended until the worker's job has run */
    WAIT_PARKED_SINK, /* suspended until http_request_resume_body() */
    WAIT_WOKEN_JOB,   /* the job ended before the connection was suspended */
    WAIT_WOKEN_SINK,  /* likewise the sink */
    WAIT_OVER         /* done() was called: the connection is no longer ours */
};

/* Of a work() that said HTTP_WAIT: the second of it and its waker queues the job. */
enum later_state {
    LATER_NONE,
    LATER_WAITS, /* work() has said so */
    LATER_CALLED /* http_request_resume_work() came first */
};

enum phase {
    PHASE_NEW,  /* the request line has arrived */
    PHASE_HEAD, /* head() was called; its answer is being obeyed */
    PHASE_BODY, /* the body arrives */
    PHASE_END,  /* the body has ended; the answer is being made */
    PHASE_REPLY /* the answer was queued */
};

struct exchange {
    struct http_request r; /* first: a request is its exchange */
    struct http_server *server;
    struct http_peer *peer;
    struct MHD_Connection *mhd;
    struct exchange *previous, *next; /* guarded by server->lock */
    atomic_int refs;
    atomic_int wait;  /* enum wait_state */
    atomic_int later; /* enum later_state */
    bool owed;        /* HTTP_WAIT was said: work() is to be called once more in any case */

    /* Between the epoll thread and the watch; `gone` for everybody. */
    _Atomic int64_t missing;   /* body bytes that did not come yet; chunked: negative, it changes */
    atomic_bool answers;       /* the answer has begun: from now on libmicrohttpd sees the end */
    atomic_bool gone;          /* the client left */
    _Atomic uint64_t received; /* r.bytes_in, for the watch */
    atomic_bool too_slow;      /* it was cut for that */

    bool in_flight; /* counted in server->requests: from the whole head to the answer's end */

    enum phase phase;
    enum http_next next_step; /* what the handler said last */
    struct str mhd_target;    /* the target in libmicrohttpd's memory */

    struct pool_job job;
    bool job_is_next; /* the job reads the generator, else it is work() */

    bool all_came;      /* libmicrohttpd's last call: the body, if any, has ended */
    bool reads_no_more; /* ... and this is it once more: see connection.c */

    const char *body_start; /* in libmicrohttpd's memory, if it parses in place; else NULL */
    bool bad_framing;       /* of chunks: see strict.h */

    bool takes_body;            /* HTTP_BODY was said: body_end() is owed ... */
    bool body_ended;            /* ... and was called */
    bool discards;              /* the rest of the body is thrown away */
    struct err_info body_error; /* why, if it is for an error */
    bool fed_up;                /* too much or too slow: answer in the middle */
    unsigned abrupt_status;     /* what was answered there */
    uint64_t discarded;
    int64_t discard_since_us;
    uint64_t rate_bytes;   /* minimum rate: taken since ... */
    int64_t rate_since_us; /* ... 0: begins with the next piece */

    struct buf kept;   /* of the body, not given to the handler yet: see http_receive_keep() */
    size_t kept_given; /* how much of it was given */

    struct str piece; /* the generator's, not yet handed on */
    bool has_fetched; /* a job has brought `fetched`, or failed */
    struct str fetched;
    struct err_info fetch_error;
    bool piece_end;     /* the generator has said its end */
    size_t block_bytes; /* of the block that options.block_take() allowed; 0: none */
};

struct tls_keys;

struct http_server {
    /* Immutable after start. */
    struct http_options options; /* defaults filled in; strings are copies */
    struct http_handler handler;
    struct MHD_Daemon *daemon;
    uint16_t port;
    char address[128];
    uint64_t id_key;
    bool parses_in_place; /* libmicrohttpd 0.9: see strict.h. 1.0 can be set to be strict */

    /* The accepting thread's while it runs. */
    int listen_fd;
    int wake_fd;      /* written to have it look at `draining` and `quit` */
    int64_t swept_ms; /* when the watch looked last */
    int watch_fd;     /* epoll set of the peers: see watch.c; until the server is freed */
    struct http_waiting waiting[HTTP_WAITING_MAX]; /* in order of arrival */
    size_t waiting_len;
    _Atomic size_t waiting_count; /* the same, for others */
    pthread_t accept_thread;
    bool accepts; /* the thread runs; main's */
    atomic_bool quit;

    pthread_mutex_t lock;
    pthread_cond_t deaf;
    bool is_deaf;            /* guarded by lock: connections are no longer accepted */
    struct http_peer *peers; /* guarded by lock */
    struct http_peer *ended; /* guarded by lock: clients that ended their stream */
    struct http_origin *origins[HTTP_ORIGIN_BUCKETS]; /* guarded by lock */
    uint64_t evicted;           /* guarded by lock: closed for others, and not gone yet */
    struct exchange *exchanges; /* guarded by lock */
    struct tls_keys *tls;       /* guarded by lock: the current one, then retired ones */

    atomic_uint max_connections; /* as far as the system has descriptors for them */
    atomic_bool draining;        /* quiesced: answers close their connections */
    atomic_bool closing;         /* stopping: connections without a request in flight are closed */
    atomic_bool cutting;         /* stopping: no more connections are suspended */
    /*
     * Connections suspended or about to be. http_hold() counts up before it looks at `cutting`;
     * stop sets `cutting` and then waits for zero. So none is suspended when the daemon stops
     * (libmicrohttpd would abort the process).
     */
    _Atomic uint64_t held;
    _Atomic uint64_t next_id;
    _Atomic uint64_t connections, connections_total, requests, requests_total;
    _Atomic uint64_t refused_total, timeouts_total, gone_total, evicted_total;
};

static inline struct exchange *exchange_of(struct http_request *r)
{
    return (struct exchange *)r;
}

/* listen.c */
MUST_USE enum err http_bind(struct http_server *s);
MUST_USE enum err http_accept_start(struct http_server *s);
void http_accept_quiesce(struct http_server *s); /* returns when new connections are refused */
void http_accept_stop(struct http_server *s);    /* joins, closes the socket; twice is fine */

void http_accept_wake(struct http_server *s);

/* admit.c; server->lock is held for those of a peer */
struct http_origin_key http_origin_key(const struct sockaddr *address);
void http_admit_add(struct http_peer *peer, const struct sockaddr *address);
void http_admit_remove(struct http_peer *peer);
void http_admit_idle(struct http_peer *peer); /* its request is over */
void http_admit_busy(struct http_peer *peer);
/* The accepting thread's: lets it in, or has it wait; those that wait; closes them. */
void http_admit(struct http_server *s, const struct http_waiting *newcomer);
void http_admit_waiting(struct http_server *s);
void http_admit_close(struct http_server *s);

/* watch.c */
MUST_USE enum err http_watch_start(struct http_server *s);
void http_watch_stop(struct http_server *s);
void http_watch_events(struct http_server *s); /* the accepting thread: watch_fd is readable */
void http_watch_sweep(struct http_server *s);  /* likewise, each HTTP_SWEEP_MS */
/* Looks again at clients that ended their stream; whether there are any. */
bool http_watch_ended(struct http_server *s);
/* server->lock is held. */
void http_watch_add(struct http_peer *peer);
void http_watch_remove(struct http_peer *peer);
size_t http_watch_unread(const struct http_peer *peer); /* bytes in its socket */
void http_watch_cut(struct http_peer *peer);            /* libmicrohttpd sees it, and closes */

/* libmicrohttpd's callbacks; cls is the server. */
void http_on_connection(void *cls, struct MHD_Connection *mhd, void **peer,
                        enum MHD_ConnectionNotificationCode what);               /* peer.c */
void *http_on_target(void *cls, const char *target, struct MHD_Connection *mhd); /* head.c */
enum MHD_Result http_on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *size, void **exchange);
void http_on_completed(void *cls, struct MHD_Connection *mhd, void **exchange,
                       enum MHD_RequestTerminationCode why);

/* head.c */
/*
 * Fills in the request from the head and checks it: ERR_INVALID, ERR_UNSUPPORTED (417) with a text
 * for the client. Its strings stay in libmicrohttpd's memory until done().
 */
MUST_USE enum err http_read_head(struct exchange *x, const char *method, const char *version);
/* Header or trailer fields as libmicrohttpd has them, likewise borrowed. */
MUST_USE enum err http_collect_fields(struct exchange *x, enum MHD_ValueKind kind,
                                      const struct http_header **out, size_t *out_count);

/* connection.c: fills in the reply of a refusal by the server itself */
void http_refuse(struct exchange *x, unsigned status, const char *why);

/* receive.c */
/* For the watch (watch.c): whether more of the body must come. */
void http_receive_waits(struct exchange *x, bool waits);
/* ERR_TOO_LARGE when Content-Length already says so. */
MUST_USE enum err http_receive_begin(struct exchange *x);
/* Sets fed_up, leaving the piece, when no more is to be taken or thrown away. */
enum MHD_Result http_receive_piece(struct exchange *x, const char *data, size_t *size);
/*
 * Keeps a piece that the sink cannot take now, when it may be all that the client still sends:
 * left in libmicrohttpd's buffer, the request would be lost if the client ended its stream
 * meanwhile. False: it is left where it is, and the connection is to be suspended.
 */
bool http_receive_keep(struct exchange *x, const char *data, size_t *size);
/* At the last call: gives away what was kept. ERR_AGAIN: be called again; ERR_CANCELLED: close. */
MUST_USE enum err http_receive_rest(struct exchange *x);
/* Trailers, and the error to give to body_end() with its text set in this thread. */
enum err http_receive_end(struct exchange *x);

/* wait.c */
/* At the last call: false the first time, when on_access has to return and be called again. */
bool http_may_suspend(struct exchange *x);
/* Announces that the connection may be suspended; false: stopping, close it instead. */
bool http_hold(struct exchange *x);
void http_unhold(struct exchange *x);
/*
 * Runs the job on the pool, the connection suspended; http_hold() was true. OK: suspended, the
 * callback returns. ERR_EXISTS: it has run already, go on. ERR_BUSY: refused, no longer held.
 */
MUST_USE enum err http_run_job(struct exchange *x, bool may_refuse);
/* The same once http_request_resume_work() has been called; it is never refused. */
MUST_USE enum err http_await_job(struct exchange *x);
/* Suspends for the sink; http_hold() was true. False: resumed already, no longer held. */
bool http_park_for_sink(struct exchange *x);
bool http_is_parked(struct exchange *x);
/* From now on http_request_resume_body() does nothing. */
void http_wait_over(struct exchange *x);

/* send.c */
/* Whatever a handler did: afterwards there is a reply, a 500 if need be. */
void http_check_reply(struct exchange *x);
enum MHD_Result http_send(struct exchange *x);
void http_send_end(struct exchange *x); /* nothing more is sent */

/* abrupt.c: writes the reply to the socket and lingers; false: nothing was sent, close. */
bool http_send_abruptly(struct exchange *x);
/* More came from a client that is lingered for. */
void http_linger(struct exchange *x);

/* tls.c */
MUST_USE enum err http_tls_load(struct http_server *s, const char *cert_path, const char *key_path);
void http_tls_free(struct http_server *s);
/* A client of a new connection that speaks plain http is answered so. */
void http_tls_watch(struct http_peer *peer, struct MHD_Connection *mhd);
/* gnutls_certificate_retrieve_function2, as a pointer that libmicrohttpd's option takes. */
void *http_tls_callback(void);

#endif
