/*
 * A client for the tests of gateway/http: it writes bytes to a socket, under TLS or not, and reads
 * one answer at a time.
 */
#ifndef KISEKI_TESTS_UNIT_GATEWAY_HTTP_CLIENT_H
#define KISEKI_TESTS_UNIT_GATEWAY_HTTP_CLIENT_H

#include "tests/unit/gateway/http_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

struct client {
    int fd;
    gnutls_session_t tls; /* NULL: plain */
    char buf[256 * 1024];
    size_t len; /* received and not yet used */
};

struct answer {
    unsigned status;
    char head[20000];
    char *body; /* NUL-terminated, freed by answer_free */
    size_t body_len;
    bool whole; /* false: cut off */
};

/* Trusts any certificate: who we talk to is not what is tested. */
static inline void client_handshake(struct client *c)
{
    static gnutls_certificate_credentials_t nobody;
    if (nobody == NULL)
        assert_int_equal(gnutls_certificate_allocate_credentials(&nobody), 0);
    assert_int_equal(gnutls_init(&c->tls, GNUTLS_CLIENT), 0);
    assert_int_equal(gnutls_set_default_priority(c->tls), 0);
    assert_int_equal(gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, nobody), 0);
    gnutls_transport_set_int(c->tls, c->fd);
    assert_int_equal(gnutls_handshake(c->tls), 0);
}

/* A bare connection, whatever the server speaks. */
static inline struct client *client_connect_from(const struct rig *rig, const char *address)
{
    struct client *c = calloc(1, sizeof(*c));
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(rig->server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    struct sockaddr_in from = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    assert_int_equal(bind(c->fd, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return c;
}

static inline struct client *client_connect_plain(const struct rig *rig)
{
    return client_connect_from(rig, "127.0.0.1");
}

static inline struct client *client_connect(const struct rig *rig)
{
    struct client *c = client_connect_plain(rig);
    if (rig->is_tls)
        client_handshake(c);
    return c;
}

/* Goes without a word to TLS. */
static inline void client_close(struct client *c)
{
    close(c->fd);
    if (c->tls != NULL)
        gnutls_deinit(c->tls);
    free(c);
}

/* Resets the connection. */
static inline void client_reset(struct client *c)
{
    struct linger now = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    client_close(c);
}

/* All is sent; answers are still read. */
static inline void client_end_stream(struct client *c)
{
    if (c->tls != NULL)
        assert_int_equal(gnutls_bye(c->tls, GNUTLS_SHUT_WR), 0);
    if (shutdown(c->fd, SHUT_WR) < 0)
        assert_true(c->tls && errno == ENOTCONN); /* answered and closed at the close_notify */
}

/* False when the server has closed. */
static inline bool client_try_send(struct client *c, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = c->tls != NULL ? gnutls_record_send(c->tls, at, len)
                                   : send(c->fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static inline void client_send(struct client *c, const char *text)
{
    assert_true(client_try_send(c, text, strlen(text)));
}

/* How long a client waits for what must come: no promise, but that of a machine that does more. */
#define CLIENT_PATIENCE_MS 30000

/* More bytes; false at the end of the connection, or of the client's patience. */
static inline bool client_more(struct client *c)
{
    struct pollfd p = {c->fd, POLLIN, 0};
    char *to = c->buf + c->len;
    size_t room = sizeof(c->buf) - 1 - c->len;
    bool has_more = c->tls != NULL && gnutls_record_check_pending(c->tls) > 0;
    if (room == 0 || (!has_more && poll(&p, 1, CLIENT_PATIENCE_MS) <= 0))
        return false;
    ssize_t n;
    do { /* session tickets come between, and are nothing to read */
        n = c->tls != NULL ? gnutls_record_recv(c->tls, to, room) : recv(c->fd, to, room, 0);
    } while (c->tls != NULL && (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED));
    if (n <= 0)
        return false;
    c->len += (size_t)n;
    c->buf[c->len] = '\0';
    return true;
}

static inline void client_used(struct client *c, size_t len)
{
    memmove(c->buf, c->buf + len, c->len - len);
    c->len -= len;
    c->buf[c->len] = '\0';
}

static inline bool client_line(struct client *c, char *out, size_t size)
{
    for (;;) {
        char *end = memmem(c->buf, c->len, "\r\n", 2);
        if (end != NULL) {
            size_t len = (size_t)(end - c->buf);
            assert_true(len < size);
            memcpy(out, c->buf, len);
            out[len] = '\0';
            client_used(c, len + 2);
            return true;
        }
        if (!client_more(c))
            return false;
    }
}

static inline bool client_bytes(struct client *c, struct answer *a, uint64_t len)
{
    while (len > 0) {
        if (c->len == 0 && !client_more(c))
            return false;
        size_t n = c->len < len ? c->len : (size_t)len;
        a->body = realloc(a->body, a->body_len + n + 1);
        memcpy(a->body + a->body_len, c->buf, n);
        a->body_len += n;
        a->body[a->body_len] = '\0';
        client_used(c, n);
        len -= n;
    }
    return true;
}

static inline const char *answer_header(const struct answer *a, const char *name)
{
    static _Thread_local char value[1024];
    size_t name_len = strlen(name);
    for (const char *line = a->head; line != NULL && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *at = line + name_len + 1;
            at += strspn(at, " ");
            size_t len = strcspn(at, "\n");
            snprintf(value, sizeof(value), "%.*s", (int)len, at);
            return value;
        }
    }
    return NULL;
}

/* Reads one answer (100s too); status 0 when there is none. `is_head`: no body follows. */
static inline struct answer client_read_as(struct client *c, bool is_head)
{
    struct answer a = {0};
    char line[4096];
    a.body = calloc(1, 1);
    if (!client_line(c, line, sizeof(line)) || strncmp(line, "HTTP/1.1 ", 9) != 0)
        return a;
    a.status = (unsigned)strtoul(line + 9, NULL, 10);
    size_t used = 0;
    while (client_line(c, line, sizeof(line)) && line[0])
        used += (size_t)snprintf(a.head + used, sizeof(a.head) - used, "%s\n", line);
    const char *length = answer_header(&a, "Content-Length");
    uint64_t len = length != NULL ? strtoull(length, NULL, 10) : 0;
    if (is_head || a.status < 200 || a.status == 204 || a.status == 304) {
        a.whole = true;
    } else if (length != NULL) {
        a.whole = client_bytes(c, &a, len);
    } else if (answer_header(&a, "Transfer-Encoding") != NULL) {
        do {
            if (!client_line(c, line, sizeof(line)))
                return a;
            len = strtoull(line, NULL, 16);
            if (!client_bytes(c, &a, len) || !client_line(c, line, sizeof(line)))
                return a;
        } while (len > 0);
        a.whole = true;
    }
    return a;
}

static inline struct answer client_read(struct client *c)
{
    return client_read_as(c, false);
}

static inline void answer_free(struct answer *a)
{
    free(a->body);
    a->body = NULL;
}

/* True when the server has closed the connection and nothing is left to read. */
static inline bool client_is_closed(struct client *c)
{
    return c->len == 0 && !client_more(c) && c->len == 0;
}

static inline void client_expect(struct client *c, unsigned status, const char *body)
{
    struct answer a = client_read(c);
    if (a.status != status || !a.whole || (body != NULL && strcmp(a.body, body) != 0)) {
        fail_msg("got %u '%s' (%s), not %u '%s'", a.status, a.body, a.whole ? "whole" : "cut",
                 status, body ? body : "");
    }
    answer_free(&a);
}

#endif
