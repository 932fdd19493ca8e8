/*
 * The listening socket, and the one thread that accepts and runs the watch (watch.c).
 *
 * libmicrohttpd could accept by itself; but quiescing its thread pool under load can abort the
 * process (0.9.75: the thread and MHD_quiesce_daemon both take the socket out of the epoll set),
 * over its limit it would close connections instead of leaving them in the kernel's queue, and
 * it has no time-out for heads that come byte by byte. So we accept, and pass connections to it.
 */
#include "gateway/http/connection.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/http/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSING_MS     20 /* between two sweeps while stopping */
#define ENDED_MS       50 /* between two looks at clients that ended their stream, if any did */
#define BACKOFF_MS     50 /* out of descriptors */
#define ACCEPT_AT_ONCE 64 /* before the watch has its turn */

static enum err of_errno(int number)
{
    switch (number) {
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

static int open_socket(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0) {
        int keep = errno;
        close(fd);
        errno = keep;
        return -1;
    }
    return fd;
}

/* IPv6 first, which takes both where no host is named. */
static int open_first(const struct addrinfo *list)
{
    int families[2] = {AF_INET6, AF_INET};
    errno = EADDRNOTAVAIL;
    for (int f = 0; f < 2; f++) {
        for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
            int fd = a->ai_family == families[f] ? open_socket(a) : -1;
            if (fd >= 0)
                return fd;
        }
    }
    return -1;
}

static void print_address(struct http_server *s)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof(bound);
    char host[80] = "?", port[8] = "0";
    if (getsockname(s->listen_fd, (struct sockaddr *)&bound, &size) == 0) {
        (void)getnameinfo((struct sockaddr *)&bound, size, host, sizeof(host), port, sizeof(port),
                          NI_NUMERICHOST | NI_NUMERICSERV);
    }
    uint64_t number = 0;
    if (str_to_u64(str_of(port), &number) == OK)
        s->port = (uint16_t)number;
    snprintf(s->address, sizeof(s->address), bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
             host, port);
}

enum err http_bind(struct http_server *s)
{
    const char *text = s->options.listen != NULL ? s->options.listen : "";
    struct addrinfo *list;
    enum err err = http_address_resolve(text, &list);
    if (err != OK)
        return err;
    s->listen_fd = open_first(list);
    int number = errno;
    freeaddrinfo(list);
    if (s->listen_fd < 0)
        return err_set(of_errno(number), "cannot listen on %s: %s", text, strerror(number));
    print_address(s);
    return OK;
}

/* A machine that vanished is noticed after 30 s + 6 * 10 s, also while nothing is sent to it. */
static void keep_alive(int fd)
{
    int on = 1, idle_s = 30, interval_s = 10, probes = 6;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Takes some of those that wait in the kernel's queue; false: better pause. */
static bool accept_some(struct http_server *s)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct http_waiting w = {.size = sizeof(w.from)};
        w.fd = accept4(s->listen_fd, (struct sockaddr *)&w.from, &w.size,
                       SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (w.fd < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue;
        if (w.fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                log_warn("cannot accept connections: %s", strerror(errno));
                return false;
            }
            return true;
        }
        keep_alive(w.fd);
        w.key = http_origin_key((const struct sockaddr *)&w.from);
        http_admit(s, &w);
    }
    return true;
}

/* Quiesced: takes what the kernel has taken already, then refuses. */
static void stop_listening(struct http_server *s)
{
    for (int i = 0; i < SOMAXCONN; i += ACCEPT_AT_ONCE)
        (void)accept_some(s);
    (void)shutdown(s->listen_fd, SHUT_RDWR);
    pthread_mutex_lock(&s->lock);
    s->is_deaf = true;
    pthread_cond_broadcast(&s->deaf);
    pthread_mutex_unlock(&s->lock);
}

static int poll_ms(const struct http_server *s, bool pause, bool has_ended)
{
    if (atomic_load(&s->closing))
        return CLOSING_MS;
    if (pause)
        return BACKOFF_MS;
    return has_ended ? ENDED_MS : HTTP_SWEEP_MS;
}

static void *accept_main(void *arg)
{
    struct http_server *s = arg;
    bool pause = false, listening = true, has_ended = false;
    int64_t swept = clock_boot_ms();
    while (!atomic_load(&s->quit)) {
        if (listening && atomic_load(&s->draining)) {
            stop_listening(s);
            listening = false;
        }
        int listen_fd = listening && !pause ? s->listen_fd : -1; /* poll skips -1 */
        struct pollfd fds[3] = {
            {s->wake_fd, POLLIN, 0}, {listen_fd, POLLIN, 0}, {s->watch_fd, POLLIN, 0}};
        int ready = poll(fds, 3, poll_ms(s, pause, has_ended));
        if (ready > 0 && fds[0].revents) {
            eventfd_t count;
            (void)eventfd_read(s->wake_fd, &count);
        }
        http_admit_waiting(s);
        pause = ready > 0 && fds[1].revents && !accept_some(s);
        if (ready > 0 && fds[2].revents)
            http_watch_events(s);
        if (clock_boot_ms() - swept >= HTTP_SWEEP_MS || atomic_load(&s->closing)) {
            http_watch_sweep(s);
            swept = clock_boot_ms();
        }
        has_ended = http_watch_ended(s);
    }
    http_admit_close(s);
    return NULL;
}

void http_accept_wake(struct http_server *s)
{
    (void)eventfd_write(s->wake_fd, 1);
}

enum err http_accept_start(struct http_server *s)
{
    if (listen(s->listen_fd, SOMAXCONN) != 0)
        return err_set(of_errno(errno), "cannot listen on %s: %s", s->address, strerror(errno));
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return err_set(ERR_IO, "cannot make an eventfd: %s", strerror(errno));
    enum err err = http_watch_start(s);
    if (err != OK)
        return err;
    int failed = pthread_create(&s->accept_thread, NULL, accept_main, s);
    if (failed != 0)
        return err_set(ERR_NOMEM, "cannot start a thread: %s", strerror(failed));
    (void)pthread_setname_np(s->accept_thread, "http-accept");
    s->accepts = true;
    return OK;
}

void http_accept_quiesce(struct http_server *s)
{
    atomic_store(&s->draining, true);
    if (!s->accepts)
        return;
    http_accept_wake(s);
    pthread_mutex_lock(&s->lock);
    while (!s->is_deaf)
        pthread_cond_wait(&s->deaf, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void http_accept_stop(struct http_server *s)
{
    if (s->accepts) {
        atomic_store(&s->quit, true);
        http_accept_wake(s);
        (void)pthread_join(s->accept_thread, NULL);
        s->accepts = false;
    }
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
        s->listen_fd = -1;
    }
    if (s->wake_fd >= 0) {
        close(s->wake_fd);
        s->wake_fd = -1;
    }
}
