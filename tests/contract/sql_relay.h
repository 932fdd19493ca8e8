/*
 * A relay between libpq and PostgreSQL that loses things on command: it listens on a Unix socket
 * in a folder of its own and passes bytes on, one thread a connection. What ends with a Sync
 * message is where a transaction commits: the next one of those, on any connection, is treated as
 * `mode` says, then the mode is PASS again (LOSE_ANSWER: after `times`).
 */
#ifndef KISEKI_TESTS_CONTRACT_SQL_RELAY_H
#define KISEKI_TESTS_CONTRACT_SQL_RELAY_H

#include "tests/contract/sql_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

enum relay_mode {
    RELAY_PASS,
    RELAY_LOSE_ANSWER, /* the server gets it and answers; the client sees the connection break */
    RELAY_HOLD,        /* the server does not get it yet; the client's connection breaks */
    RELAY_STALL,       /* the server does not get it; the client's connection stays, silent */
    RELAY_REFUSE       /* no connection lives, until the mode is changed */
};

struct relay {
    char folder[64];
    char path[96];
    int listener;
    pthread_t thread;
    struct sockaddr_storage server;
    socklen_t server_len;
    _Atomic int mode;
    _Atomic int times;
    _Atomic bool stop;
    _Atomic int running;
    _Atomic int held_fd; /* the server's side of the connection held, or -1 */
    char held[1 << 16];
    size_t held_len;
};

struct relayed {
    struct relay *r;
    int client, server;
};

static inline bool relay_send(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* One piece from the client. False: the connection ends. */
static inline bool relay_request(struct relayed *c, bool *lose, bool *stalled, const char *data,
                                 size_t len)
{
    struct relay *r = c->r;
    bool sync = len >= 5 && memcmp(data + len - 5, "S\0\0\0\4", 5) == 0;
    int mode = atomic_load(&r->mode);
    if (!sync || mode == RELAY_PASS)
        return relay_send(c->server, data, len);
    if (mode == RELAY_REFUSE)
        return false;
    if (mode != RELAY_LOSE_ANSWER || atomic_fetch_sub(&r->times, 1) <= 1)
        atomic_store(&r->mode, RELAY_PASS);
    if (mode == RELAY_LOSE_ANSWER) {
        *lose = true;
        return relay_send(c->server, data, len);
    }
    if (mode == RELAY_STALL) {
        *stalled = true;
        return true;
    }
    memcpy(r->held, data, len);
    r->held_len = len;
    atomic_store(&r->held_fd, dup(c->server));
    return false;
}

static inline void *relay_one(void *arg)
{
    struct relayed *c = arg;
    char data[1 << 16];
    bool lose = false, stalled = false;
    while (!atomic_load(&c->r->stop) && atomic_load(&c->r->mode) != RELAY_REFUSE) {
        struct pollfd p[2] = {{.fd = c->client, .events = POLLIN},
                              {.fd = c->server, .events = POLLIN}};
        if (poll(p, 2, 20) <= 0)
            continue;
        if (p[0].revents != 0) {
            ssize_t n = recv(c->client, data, sizeof(data), 0);
            if (n <= 0 || (!stalled && !relay_request(c, &lose, &stalled, data, (size_t)n)))
                break;
        }
        if (p[1].revents != 0) {
            ssize_t n = recv(c->server, data, sizeof(data), 0);
            if (n <= 0 || lose || !relay_send(c->client, data, (size_t)n))
                break;
        }
    }
    close(c->client);
    close(c->server);
    atomic_fetch_sub(&c->r->running, 1);
    free(c);
    return NULL;
}

static inline void *relay_main(void *arg)
{
    struct relay *r = arg;
    while (!atomic_load(&r->stop)) {
        struct pollfd p = {.fd = r->listener, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0)
            continue;
        int client = accept(r->listener, NULL, NULL);
        if (client < 0)
            continue;
        int server = socket(r->server.ss_family, SOCK_STREAM, 0);
        struct relayed *c = calloc(1, sizeof(*c));
        pthread_t t;
        *c = (struct relayed){.r = r, .client = client, .server = server};
        if (atomic_load(&r->mode) == RELAY_REFUSE ||
            connect(server, (struct sockaddr *)&r->server, r->server_len) != 0) {
            close(client);
            close(server);
            free(c);
            continue;
        }
        atomic_fetch_add(&r->running, 1);
        pthread_create(&t, NULL, relay_one, c);
        pthread_detach(t);
    }
    return NULL;
}

static inline void relay_find_server(struct relay *r, struct fixture *f)
{
    struct sql_unit u;
    sql_unit_init(&u, SQL_READ, f->arena);
    struct sql_call *c = sql_add(&u, FX_where);
    assert_ok(sql_read(f->db, &u));
    struct str host = sql_str(c, 0, 0), port = sql_str(c, 0, 1), folder = sql_str(c, 0, 2);
    if (host.len > 0) {
        struct sockaddr_in *in = (struct sockaddr_in *)&r->server;
        uint64_t number = 0;
        assert_ok(str_to_u64(port, &number));
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)number);
        assert_int_equal(inet_pton(AF_INET, host.ptr, &in->sin_addr), 1);
        r->server_len = sizeof(*in);
        return;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)&r->server;
    struct str first = str_sub(folder, 0, str_find(folder, ','));
    un->sun_family = AF_UNIX;
    (void)snprintf(un->sun_path, sizeof(un->sun_path), "%.*s/.s.PGSQL.%s", (int)first.len,
                   first.ptr, port.ptr);
    r->server_len = sizeof(*un);
}

/* The fixture's URL through the relay goes to out_url. */
static inline struct relay *relay_new(struct fixture *f, char *out_url, size_t size)
{
    struct relay *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    relay_find_server(r, f);
    atomic_store(&r->held_fd, -1);
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/kiseki-relay-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof(r->path), "%s/.s.PGSQL.5432", r->folder);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", r->path);
    r->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(r->listener, 16), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, relay_main, r), 0);
    (void)snprintf(out_url, size, "%s%chost=%s&port=5432", f->url,
                   strchr(f->url, '?') != NULL ? '&' : '?', r->folder);
    return r;
}

static inline void relay_set(struct relay *r, enum relay_mode mode, int times)
{
    atomic_store(&r->times, times);
    atomic_store(&r->mode, (int)mode);
}

/* Gives the server what was held, and waits until it has answered or closed. */
static inline void relay_release(struct relay *r)
{
    int fd = atomic_exchange(&r->held_fd, -1);
    assert_true(fd >= 0);
    assert_true(relay_send(fd, r->held, r->held_len));
    char answer[4096];
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    assert_true(n > 0);
    close(fd);
}

static inline void relay_free(struct relay *r)
{
    atomic_store(&r->stop, true);
    pthread_join(r->thread, NULL);
    while (atomic_load(&r->running) > 0)
        nap_ms(5);
    close(r->listener);
    int fd = atomic_load(&r->held_fd);
    if (fd >= 0)
        close(fd);
    (void)unlink(r->path);
    (void)rmdir(r->folder);
    free(r);
}

#endif
