/*
 * The watch over open connections: what libmicrohttpd does not see, or sees too late. It runs in
 * the accepting thread (listen.c).
 *
 *   deadlines   a head that does not end (TLS handshakes too), an idle connection, a lingering one
 *   rates       a body that drips, an answer that is not read
 *   the client  left or ended its stream while the connection is suspended: an epoll set of our
 *               own reports it once (EPOLLRDHUP, edge-triggered; data does not wake it), so that
 *               ten thousand sockets are not polled
 *
 * A reset, or an end in both directions, is a client that has left. An end of its stream alone may
 * be a client that still reads (`shutdown(SHUT_WR)`): such a peer goes into the list `ended`, and
 * stays there until one of the rules of stream_ended() holds.
 * A peer is in the epoll set and in `ended` only while it lives: events are fetched under the
 * server's lock, which a thread that removes a peer takes too.
 */
#include "gateway/http/connection.h"

#include "base/clock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64

/* libmicrohttpd reads what came, and its end, in less; a busy machine included. */
#define STUCK_MS      400
#define IDLE_STUCK_MS 1000 /* between two requests */

/* What libmicrohttpd and GnuTLS (a record) may hold of a body that we have not been given. */
#define BUFFERED_MAX ((int64_t)HTTP_CONNECTION_MEMORY + 16 * 1024)

enum err http_watch_start(struct http_server *s)
{
    s->swept_ms = clock_boot_ms();
    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    return s->watch_fd >= 0 ? OK : err_set(ERR_IO, "cannot make an epoll set: %s", strerror(errno));
}

void http_watch_stop(struct http_server *s)
{
    if (s->watch_fd >= 0) {
        close(s->watch_fd);
        s->watch_fd = -1;
    }
}

void http_watch_add(struct http_peer *peer)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = peer};
    /* Without it (no memory) the peer is served; only its leaving is noticed late. */
    (void)epoll_ctl(peer->server->watch_fd, EPOLL_CTL_ADD, peer->fd, &event);
}

static void leave_ended(struct http_peer *peer)
{
    struct http_server *s = peer->server;
    if (peer->ended_ms == 0)
        return;
    peer->ended_ms = 0;
    if (peer->ended_previous != NULL)
        peer->ended_previous->ended_next = peer->ended_next;
    else
        s->ended = peer->ended_next;
    if (peer->ended_next != NULL)
        peer->ended_next->ended_previous = peer->ended_previous;
    peer->ended_previous = peer->ended_next = NULL;
}

void http_watch_remove(struct http_peer *peer)
{
    leave_ended(peer);
    (void)epoll_ctl(peer->server->watch_fd, EPOLL_CTL_DEL, peer->fd, NULL);
}

size_t http_watch_unread(const struct http_peer *peer)
{
    int count = 0;
    return ioctl(peer->fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

void http_watch_cut(struct http_peer *peer)
{
    atomic_store(&peer->deadline_ms, 0);
    (void)shutdown(peer->fd, SHUT_RDWR);
}

/* Work for this client may stop; a sink's wait ends here. */
static void client_left(struct http_peer *peer)
{
    struct exchange *x = peer->exchange;
    if (x != NULL && !atomic_exchange(&x->gone, true)) {
        atomic_fetch_add(&peer->server->gone_total, 1);
        http_request_resume_body(&x->r);
    }
}

/* Nothing more has been read for a while, of a body or of what comes after a request. */
static bool is_stuck(struct http_peer *peer, struct exchange *x, int64_t now)
{
    bool in_body = x != NULL && atomic_load(&peer->wants_body);
    int64_t missing = in_body ? atomic_load(&x->missing) : 0;
    if (peer->stuck_since_ms == 0 || missing != peer->stuck_missing) {
        peer->stuck_since_ms = now;
        peer->stuck_missing = missing;
    }
    int64_t patience_ms = in_body     ? STUCK_MS
                          : x != NULL ? (int64_t)peer->server->options.gone_after_s * 1000
                                      : IDLE_STUCK_MS;
    return now - peer->stuck_since_ms >= patience_ms;
}

/*
 * The client ended its stream, and the answer has not begun. It has left when more of the body is
 * missing than can still be on its way through the buffers; the rest is not worth reading.
 * Suspended: also when time is up.
 * Not suspended: libmicrohttpd should have read the end. It misses one that comes together with
 * the last bytes it reads: its epoll is edge-triggered and reports the end once, and it takes a
 * read that fills less than its buffer for the last one.
 */
static void stream_ended(struct http_peer *peer, int64_t now)
{
    struct http_server *s = peer->server;
    struct exchange *x = peer->exchange;
    size_t unread = http_watch_unread(peer);
    bool has_request =
        x != NULL && atomic_load(&peer->deadline_ms) == 0 && !atomic_load(&x->answers);
    if (has_request && atomic_load(&x->missing) > (int64_t)unread + BUFFERED_MAX)
        client_left(peer);
    if (has_request && !atomic_load(&peer->wants_body)) { /* it is suspended */
        peer->stuck_since_ms = 0;
        if (now - peer->ended_ms >= (int64_t)s->options.gone_after_s * 1000)
            client_left(peer);
        return;
    }
    bool is_read = unread <= (s->options.tls_cert_path != NULL ? HTTP_CLOSE_NOTIFY_MAX : 0);
    if (is_read && !(x != NULL && atomic_load(&x->answers)) && is_stuck(peer, x, now)) {
        leave_ended(peer);
        http_watch_cut(peer);
    }
}

static void on_event(struct http_peer *peer, uint32_t events, int64_t now)
{
    if (events & (EPOLLERR | EPOLLHUP))
        client_left(peer); /* and stays in the list: libmicrohttpd may miss this end, too */
    if (peer->ended_ms != 0)
        return;
    struct http_server *s = peer->server;
    atomic_store(&peer->half_closed, true);
    peer->ended_ms = now > 0 ? now : 1;
    peer->ended_next = s->ended;
    if (s->ended != NULL)
        s->ended->ended_previous = peer;
    s->ended = peer;
    stream_ended(peer, now);
}

void http_watch_events(struct http_server *s)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t now = clock_boot_ms();
    int count = EVENTS_MAX;
    while (count == EVENTS_MAX) {
        pthread_mutex_lock(&s->lock);
        count = epoll_wait(s->watch_fd, events, EVENTS_MAX, 0);
        for (int i = 0; i < count; i++)
            on_event(events[i].data.ptr, events[i].events, now);
        pthread_mutex_unlock(&s->lock);
    }
}

/*
 * Shuts overdue connections down. When the server stops, also those that are idle, in the middle
 * of a head, or lingering, unless a request has come that libmicrohttpd has not read yet.
 */
static void look_at_deadlines(struct http_server *s, int64_t now)
{
    bool closing = atomic_load(&s->closing);
    for (struct http_peer *peer = s->peers; peer != NULL; peer = peer->next) {
        int64_t deadline = atomic_load(&peer->deadline_ms);
        bool overdue = deadline != 0 && now >= deadline;
        if (overdue || (deadline != 0 && closing && http_watch_unread(peer) == 0)) {
            atomic_fetch_add(&s->timeouts_total, overdue && !atomic_load(&peer->lingers));
            http_watch_cut(peer);
        }
    }
}

/* Bytes that the client's machine has taken of the connection so far; 0: unknown. */
static uint64_t acknowledged(const struct http_peer *peer)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    return getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_acked
                                                                          : 0;
}

static bool has_unsent(const struct http_peer *peer)
{
    int count = 0;
    return ioctl(peer->fd, SIOCOUTQ, &count) == 0 && count > 0;
}

/* Is it the client's turn: to send of its body, or to take of its answer? */
static bool is_its_turn(const struct http_peer *peer, const struct exchange *x, bool answers)
{
    if (!answers)
        return atomic_load(&peer->wants_body);
    int wait = atomic_load(&x->wait);
    return !atomic_load(&peer->lingers) && wait != WAIT_PARKED_JOB && has_unsent(peer);
}

/*
 * Bodies and answers have a minimum rate over a window, in which only the time counts that the
 * client makes us wait. A body's is measured by receive.c, too, which can answer; but it is called
 * for payload only: what drips in chunk sizes, extensions or trailers is seen here.
 */
static void look_at_pace(struct http_peer *peer, int64_t elapsed_ms)
{
    const struct http_options *o = &peer->server->options;
    struct exchange *x = peer->exchange;
    if (x == NULL || atomic_load(&peer->deadline_ms) != 0) {
        peer->paced = NULL;
        return;
    }
    bool answers = atomic_load(&x->answers);
    if (peer->paced == x && peer->paced_answer == answers && !is_its_turn(peer, x, answers))
        return;
    int64_t window_ms = (int64_t)o->body_rate_window_s * 1000 + (answers ? 0 : 2 * HTTP_SWEEP_MS);
    bool is_new = peer->paced != x || peer->paced_answer != answers;
    peer->paced_ms += elapsed_ms;
    if (!is_new && peer->paced_ms < window_ms)
        return;
    uint64_t now = answers ? acknowledged(peer) : atomic_load(&x->received);
    uint64_t least =
        (uint64_t)(answers ? o->reply_min_rate : o->body_min_rate) * o->body_rate_window_s;
    if (!is_new && now - peer->paced_from < least) {
        atomic_store(&x->too_slow, true);
        atomic_fetch_add(&peer->server->timeouts_total, 1);
        http_watch_cut(peer);
    }
    peer->paced = x;
    peer->paced_answer = answers;
    peer->paced_from = now;
    peer->paced_ms = 0;
}

void http_watch_sweep(struct http_server *s)
{
    int64_t now = clock_boot_ms();
    pthread_mutex_lock(&s->lock);
    look_at_deadlines(s, now);
    for (struct http_peer *peer = s->peers; peer != NULL; peer = peer->next)
        look_at_pace(peer, now - s->swept_ms);
    s->swept_ms = now;
    pthread_mutex_unlock(&s->lock);
}

/*
 * More often than the sweep: bodies that wait for memory take turns, and that a client is gone is
 * seen only in its turn, when the rest of what it sent has been read.
 */
bool http_watch_ended(struct http_server *s)
{
    int64_t now = clock_boot_ms();
    pthread_mutex_lock(&s->lock);
    for (struct http_peer *peer = s->ended, *next; peer != NULL; peer = next) {
        next = peer->ended_next;
        stream_ended(peer, now);
    }
    bool is_any = s->ended != NULL;
    pthread_mutex_unlock(&s->lock);
    return is_any;
}
