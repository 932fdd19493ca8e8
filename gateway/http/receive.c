/* The body of a request, piece by piece. */
#include "gateway/http/connection.h"
#include "gateway/http/strict.h"

#include "base/clock.h"

#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static void fail(struct exchange *x, enum err err)
{
    err_save(err, &x->body_error);
    x->discards = true;
}

void http_receive_waits(struct exchange *x, bool waits)
{
    const struct http_request *r = &x->r;
    bool is_whole =
        !r->is_chunked && (r->content_length <= 0 || r->bytes_in >= (uint64_t)r->content_length);
    atomic_store(&x->missing, r->is_chunked ? -1 - (int64_t)r->bytes_in
                              : is_whole    ? 0
                                            : r->content_length - (int64_t)r->bytes_in);
    atomic_store(&x->received, r->bytes_in);
    atomic_store(&x->peer->wants_body, waits && !is_whole);
}

enum err http_receive_begin(struct exchange *x)
{
    struct http_request *r = &x->r;
    if (r->sink != NULL)
        return OK;
    r->body.max = r->collect_max;
    if (r->content_length > 0 && (uint64_t)r->content_length > r->collect_max) {
        return err_set(ERR_TOO_LARGE, "a body of %lld bytes, at most %zu are taken",
                       (long long)r->content_length, r->collect_max);
    }
    return OK;
}

/* Throws the piece away, or leaves it when it has been enough. */
static void discard(struct exchange *x, size_t *size)
{
    int64_t now = clock_mono_us();
    if (x->discard_since_us == 0)
        x->discard_since_us = now;
    if (x->discarded + *size > HTTP_SWALLOW_BYTES || now - x->discard_since_us > HTTP_SWALLOW_US) {
        x->fed_up = true;
        return;
    }
    x->discarded += *size;
    *size = 0;
}

/* More has come. False when it was slower than the minimum rate for a whole window. */
static bool keeps_pace(struct exchange *x, size_t more)
{
    const struct http_options *o = &x->server->options;
    int64_t now = clock_mono_us();
    if (x->rate_since_us == 0) {
        x->rate_since_us = now;
        x->rate_bytes = 0;
    }
    x->rate_bytes += more;
    if (now - x->rate_since_us < (int64_t)o->body_rate_window_s * 1000000)
        return true;
    bool fast = x->rate_bytes >= (uint64_t)o->body_min_rate * o->body_rate_window_s;
    x->rate_since_us = now;
    x->rate_bytes = 0;
    return fast;
}

/* Something has come that libmicrohttpd and GnuTLS have not read yet, but for a mere end. */
static bool has_more_to_read(const struct exchange *x)
{
    char byte;
    if (!x->r.is_tls)
        return recv(x->peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    int unread = 0;
    (void)ioctl(x->peer->fd, FIONREAD, &unread);
    return unread > HTTP_CLOSE_NOTIFY_MAX ||
           (info != NULL && gnutls_record_check_pending(info->tls_session) > 0);
}

/*
 * Is what libmicrohttpd offers now, and may hold behind it, all that will come? With a length it is
 * known. With chunks it may be as long as nothing else is there to be read: then it is better kept
 * than left, but only so much of it.
 */
static bool may_be_the_end(const struct exchange *x, size_t offered)
{
    const struct http_request *r = &x->r;
    if (!r->is_chunked)
        return r->bytes_in + offered >= (uint64_t)r->content_length;
    size_t left = x->kept.len - x->kept_given;
    return left + offered <= HTTP_CONNECTION_MEMORY && !has_more_to_read(x);
}

bool http_receive_keep(struct exchange *x, const char *data, size_t *size)
{
    if (!may_be_the_end(x, *size))
        return false;
    if (x->kept_given > 0) {
        x->kept.len -= x->kept_given;
        memmove(x->kept.data, x->kept.data + x->kept_given, x->kept.len);
        x->kept_given = 0;
    }
    char *room = buf_reserve(&x->kept, *size);
    if (room == NULL) {
        x->kept.failed = OK; /* suspending will do */
        return false;
    }
    memcpy(room, data, *size);
    buf_added(&x->kept, *size);
    x->r.bytes_in += *size;
    *size = 0;
    http_receive_waits(x, true);
    return true;
}

static enum err collect(struct exchange *x, struct str data)
{
    struct http_request *r = &x->r;
    if (data.len > r->collect_max - r->body.len)
        return err_set(ERR_TOO_LARGE, "a body of more than %zu bytes", r->collect_max);
    buf_append_str(&r->body, data);
    return buf_check(&r->body);
}

/* Takes bytes from the front of *data; ERR_AGAIN: the sink has no room for the rest. */
static enum err consume(struct exchange *x, struct str *data)
{
    struct http_sink *sink = x->r.sink;
    size_t taken = 0;
    enum err err;
    if (data->len == 0)
        return OK;
    err = sink != NULL ? sink->write(sink, *data, &taken) : collect(x, *data);
    if (err == OK)
        taken = data->len;
    if (err == OK || err == ERR_AGAIN)
        *data = str_sub(*data, taken < data->len ? taken : data->len, data->len);
    return err;
}

/* First what was kept, then *data. */
static enum err consume_all(struct exchange *x, struct str *data)
{
    struct str kept = str_sub(buf_str(&x->kept), x->kept_given, x->kept.len);
    enum err err = consume(x, &kept);
    x->kept_given = x->kept.len - kept.len;
    if (err == OK && x->kept.len > 0) {
        buf_fini(&x->kept);
        x->kept_given = 0;
    }
    return err == OK ? consume(x, data) : err;
}

/* The sink has no room. OK: it has again; ERR_AGAIN: suspended; ERR_CANCELLED: give up. */
static enum err wait_for_sink(struct exchange *x)
{
    if (atomic_load(&x->gone))
        return err_set(ERR_CANCELLED, "the client went away");
    if (!http_hold(x))
        return err_set(ERR_CANCELLED, "the server is stopping");
    x->rate_since_us = 0; /* this wait is not the client's fault */
    return http_park_for_sink(x) ? ERR_AGAIN : OK;
}

/* As consume_all; ERR_AGAIN: suspended with *size bytes left. */
static enum err take(struct exchange *x, const char *data, size_t *size)
{
    struct str left = {data, *size};
    enum err err;
    do {
        err = consume_all(x, &left);
        x->r.bytes_in += *size - left.len;
        *size = left.len;
        if (err == ERR_AGAIN && *size == 0)
            return OK; /* the next piece will wait, or the last call */
        if (err == ERR_AGAIN)
            err = http_receive_keep(x, left.ptr, size) ? OK : wait_for_sink(x);
    } while (err == OK && *size > 0);
    return err;
}

enum MHD_Result http_receive_piece(struct exchange *x, const char *data, size_t *size)
{
    http_receive_waits(x, false);
    if (atomic_load(&x->gone))
        return MHD_NO; /* what has come of a body that stays incomplete costs memory and writes */
    if (!x->discards && !keeps_pace(x, *size)) {
        atomic_fetch_add(&x->server->timeouts_total, 1);
        fail(x, err_set(ERR_TIMEOUT, "the client was too slow"));
        x->fed_up = true;
        return MHD_YES;
    }
    if (!x->discards) {
        enum err err = take(x, data, size);
        if (err != OK && err != ERR_AGAIN)
            fail(x, err);
        if (err == ERR_CANCELLED)
            return MHD_NO;
    }
    if (x->discards) {
        size_t offered = *size;
        discard(x, size);
        x->r.bytes_in += offered - *size;
    }
    http_receive_waits(x, *size == 0 && !x->fed_up);
    return MHD_YES;
}

enum err http_receive_rest(struct exchange *x)
{
    while (!x->discards && x->kept.len > 0) {
        struct str nothing = STR_NONE;
        enum err err = consume_all(x, &nothing);
        if (err == ERR_AGAIN) {
            err = http_may_suspend(x) ? wait_for_sink(x) : ERR_AGAIN;
            if (err != OK)
                return err;
        } else if (err != OK) {
            fail(x, err);
        }
    }
    return OK;
}

enum err http_receive_end(struct exchange *x)
{
    struct http_request *r = &x->r;
    if (x->body_error.code != OK)
        return err_restore(&x->body_error);
    if (!r->is_chunked)
        return OK;
    enum err err = http_collect_fields(x, MHD_FOOTER_KIND, &r->trailers, &r->trailer_count);
    if (err == OK && x->body_start != NULL) {
        err = http_strict_trailers(r->trailers, r->trailer_count);
        x->bad_framing = err != OK;
    }
    struct http_header *fields = (struct http_header *)r->trailers;
    for (size_t i = 0; i < r->trailer_count; i++)
        fields[i].value = str_trim(fields[i].value);
    return err == OK ? http_strict_fields(r->trailers, r->trailer_count) : err;
}
