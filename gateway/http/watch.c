/*
 * The watch over open connections: what libmicrohttpd does not see, or sees too late. It runs in
 * the accepting thread (listen.c).
 *
 *   deadlines   a head that does not end, an idle connection, a lingering one
 *   the client  left or ended its stream while the connection is suspended: an epoll set of our
 *               own reports it once (EPOLLRDHUP, edge-triggered; data does not wake it), so that
 *               nobody asks ten thousand sockets
 *
 * A reset, or an end in both directions, is a client that has left. An end of its stream alone may
 * be a client that still reads (`shutdown(SHUT_WR)`): such a peer goes into the list `ended`, and
 * stays there until one of the rules of stream_ended() holds.
 * A peer is in the epoll set and in `ended` only while it lives: events are fetched under the
 * server's lock, which whoever removes a peer takes too.
 */
#include "gateway/http/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 64

/* What libmicrohttpd and GnuTLS (a record) may hold of a body that we have not been given. */
#define BUFFERED_MAX ((int64_t)HTTP_CONNECTION_MEMORY + 16 * 1024)

enum err http_watch_start(struct http_server *s)
{
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
    if (peer->ended_ms == 0) {
        return;
    }
    peer->ended_ms = 0;
    if (peer->ended_previous) {
        peer->ended_previous->ended_next = peer->ended_next;
    } else {
        s->ended = peer->ended_next;
    }
    if (peer->ended_next) {
        peer->ended_next->ended_previous = peer->ended_previous;
    }
    peer->ended_previous = peer->ended_next = NULL;
}

void http_watch_remove(struct http_peer *peer)
{
    leave_ended(peer);
    (void)epoll_ctl(peer->server->watch_fd, EPOLL_CTL_DEL, peer->fd, NULL);
}

static size_t unread_bytes(const struct http_peer *peer)
{
    int count = 0;
    return ioctl(peer->fd, FIONREAD, &count) == 0 && count > 0 ? (size_t)count : 0;
}

/* Shut down: libmicrohttpd sees that, and closes. */
static void cut(struct http_peer *peer)
{
    atomic_store(&peer->deadline_ms, 0);
    (void)shutdown(peer->fd, SHUT_RDWR);
}

/* Whoever works for this client may stop; a sink's wait ends here. */
static void client_left(struct http_peer *peer)
{
    struct exchange *x = peer->exchange;
    if (x && !atomic_exchange(&x->gone, true)) {
        atomic_fetch_add(&peer->server->gone_total, 1);
        http_request_resume_body(&x->r);
    }
}

/*
 * The client ended its stream, and the answer has not begun. Suspended: it has left when more of
 * the body is missing than can still be on its way through the buffers, or when time is up.
 * Not suspended: libmicrohttpd should have read the end. It misses one that comes together with
 * the last bytes it reads: edge-triggered, it is told once, and takes a read that fills less than
 * its buffer for the last one.
 */
static void stream_ended(struct http_peer *peer, int64_t now)
{
    struct http_server *s = peer->server;
    struct exchange *x = peer->exchange;
    int64_t age_ms = now - peer->ended_ms;
    size_t unread = unread_bytes(peer);
    bool is_suspended = x && atomic_load(&peer->deadline_ms) == 0 &&
                        !atomic_load(&peer->wants_body) && !atomic_load(&x->answers);
    if (is_suspended) {
        bool is_cut = atomic_load(&x->missing) > (int64_t)unread + BUFFERED_MAX;
        if (is_cut || age_ms >= (int64_t)s->options.gone_after_s * 1000) {
            client_left(peer);
        }
        return;
    }
    bool is_read = unread <= (s->options.tls_cert_path ? HTTP_CLOSE_NOTIFY_MAX : 0);
    if (is_read && age_ms >= HTTP_SWEEP_MS && !(x && atomic_load(&x->answers))) {
        leave_ended(peer);
        cut(peer);
    }
}

static void on_event(struct http_peer *peer, uint32_t events, int64_t now)
{
    if (events & (EPOLLERR | EPOLLHUP)) {
        client_left(peer); /* and stays in the list: libmicrohttpd may miss this end, too */
    }
    if (peer->ended_ms != 0) {
        return;
    }
    struct http_server *s = peer->server;
    atomic_store(&peer->half_closed, true);
    peer->ended_ms = now > 0 ? now : 1;
    peer->ended_next = s->ended;
    if (s->ended) {
        s->ended->ended_previous = peer;
    }
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
        for (int i = 0; i < count; i++) {
            on_event(events[i].data.ptr, events[i].events, now);
        }
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
    for (struct http_peer *peer = s->peers; peer; peer = peer->next) {
        int64_t deadline = atomic_load(&peer->deadline_ms);
        bool overdue = deadline != 0 && now >= deadline;
        if (overdue || (deadline != 0 && closing && unread_bytes(peer) == 0)) {
            atomic_fetch_add(&s->timeouts_total, overdue && !atomic_load(&peer->lingers));
            cut(peer);
        }
    }
}

void http_watch_sweep(struct http_server *s)
{
    int64_t now = clock_boot_ms();
    pthread_mutex_lock(&s->lock);
    look_at_deadlines(s, now);
    for (struct http_peer *peer = s->ended, *next; peer; peer = next) {
        next = peer->ended_next;
        stream_ended(peer, now);
    }
    pthread_mutex_unlock(&s->lock);
}
