/*
 * An answer in the middle of a request's body, or before a long one that is being sent.
 *
 * libmicrohttpd queues responses only before a body or after it. When a long upload has failed,
 * waiting for its end would waste the client's time and line, and closing without a word would
 * hide the reason (S3 clients retry a 503, but give up on a 400). So the answer is written to the
 * socket by ourselves, on the connection's own epoll thread, where nothing else is being sent.
 * Then the connection lingers: what still comes is thrown away for a while, because closing at
 * once would reset it and the client might never see what was sent. Our direction is closed, so
 * that a client which looks for the end of the connection finds it (and libmicrohttpd, should it
 * find fault with the framing of what still comes, cannot answer a second time).
 */
#include "gateway/http/connection.h"

#include "base/clock.h"

#include <gnutls/gnutls.h>
#include <sys/socket.h>

#define ANSWER_MAX ((size_t)64 * 1024)

static void print_answer(const struct exchange *x, struct buf *out)
{
    const struct http_reply *reply = &x->r.reply;
    char date[CLOCK_TEXT_MAX];
    clock_http(clock_wall_ms(), date);
    buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nServer: Kiseki\r\n",
               reply->status, http_reason(reply->status), date);
    for (const struct http_reply_field *f = reply->fields; f != NULL; f = f->next) {
        buf_printf(out, "%s: ", f->name.ptr);
        buf_append_str(out, f->value);
        buf_append_cstr(out, "\r\n");
    }
    buf_printf(out, "Content-Length: %zu\r\n\r\n", reply->bytes.len);
    if (!str_eq(x->r.method, STR("HEAD")))
        buf_append_str(out, reply->bytes);
}

/* What of it the socket's buffer has no room for is lost; an answer is smaller than that. */
static bool write_answer(struct exchange *x, struct str text)
{
    ssize_t sent;
    int room = 2 * (int)text.len;
    (void)setsockopt(x->peer->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (x->r.is_tls) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        size_t at = 0;
        do { /* a record at a time */
            struct str rest = str_sub(text, at, text.len);
            sent = info != NULL ? gnutls_record_send(info->tls_session, rest.ptr, rest.len) : -1;
            at += sent > 0 ? (size_t)sent : 0;
        } while (sent > 0 && at < text.len);
        return at == text.len;
    }
    sent = send(x->peer->fd, text.ptr, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent == (ssize_t)text.len;
}

static void end_our_side(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        x->r.is_tls ? MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    if (info != NULL)
        (void)gnutls_bye(info->tls_session, GNUTLS_SHUT_WR);
    (void)shutdown(x->peer->fd, SHUT_WR);
}

void http_linger(struct exchange *x)
{
    int64_t until = clock_boot_ms() + HTTP_LINGER_QUIET_MS;
    int64_t last = x->peer->linger_until_ms;
    atomic_store(&x->peer->deadline_ms, until < last ? until : last);
}

bool http_send_abruptly(struct exchange *x)
{
    const struct http_reply *reply = &x->r.reply;
    http_check_reply(x);
    if (reply->body != NULL)
        return false;
    struct buf text;
    buf_init(&text, ANSWER_MAX);
    print_answer(x, &text);
    bool ok = buf_check(&text) == OK && write_answer(x, buf_str(&text));
    buf_fini(&text);
    x->r.first_byte_us = clock_mono_us();
    x->abrupt_status = ok ? reply->status : 0;
    x->r.bytes_out = ok ? reply->bytes.len : 0;
    if (ok) {
        x->phase = PHASE_REPLY;
        atomic_store(&x->answers, true);
        end_our_side(x);
        atomic_store(&x->peer->lingers, true);
        x->peer->linger_until_ms = clock_boot_ms() + (int64_t)x->server->options.linger_s * 1000;
        http_linger(x);
    }
    return ok;
}
