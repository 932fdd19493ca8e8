/* The body of a request, piece by piece. */
#include "gateway/http/internal.h"
#include "gateway/http/strict.h"

#include "base/clock.h"

static void fail(struct exchange *x, enum err e)
{
    err_save(e, &x->body_error);
    x->discards = true;
}

void http_receive_waits(struct exchange *x, bool waits)
{
    const struct http_request *r = &x->r;
    bool is_whole =
        !r->is_chunked && (r->content_length <= 0 || r->bytes_in >= (uint64_t)r->content_length);
    atomic_store(&x->missing, r->is_chunked ? -1
                              : is_whole    ? 0
                                            : r->content_length - (int64_t)r->bytes_in);
    atomic_store(&x->peer->wants_body, waits && !is_whole);
}

enum err http_receive_begin(struct exchange *x)
{
    struct http_request *r = &x->r;
    if (r->sink) {
        return OK;
    }
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
    if (x->discard_since_us == 0) {
        x->discard_since_us = now;
    }
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
    if (now - x->rate_since_us < (int64_t)o->body_rate_window_s * 1000000) {
        return true;
    }
    bool fast = x->rate_bytes >= (uint64_t)o->body_min_rate * o->body_rate_window_s;
    x->rate_since_us = now;
    x->rate_bytes = 0;
    return fast;
}

/* Gives the piece to the sink; ERR_AGAIN: suspended with *size bytes left; ERR_CANCELLED: stop. */
static enum err to_sink(struct exchange *x, const char *data, size_t *size)
{
    while (*size > 0) {
        size_t taken = 0;
        struct http_sink *sink = x->r.sink;
        enum err e = sink->write(sink, (struct str){data, *size}, &taken);
        if (e == OK) {
            taken = *size;
        } else if (e != ERR_AGAIN) {
            return e;
        }
        taken = taken < *size ? taken : *size;
        data += taken;
        *size -= taken;
        if (e == OK) {
            return OK;
        }
        if (atomic_load(&x->gone)) {
            return err_set(ERR_CANCELLED, "the client went away");
        }
        if (!http_hold(x)) {
            return err_set(ERR_CANCELLED, "the server is stopping");
        }
        x->rate_since_us = 0; /* this wait is not the client's fault */
        if (http_park_for_sink(x)) {
            return ERR_AGAIN;
        }
    }
    return OK;
}

static enum err collect(struct exchange *x, const char *data, size_t *size)
{
    struct http_request *r = &x->r;
    if (*size > r->collect_max - r->body.len) {
        return err_set(ERR_TOO_LARGE, "a body of more than %zu bytes", r->collect_max);
    }
    buf_append(&r->body, data, *size);
    *size = 0;
    return buf_check(&r->body);
}

enum MHD_Result http_receive_piece(struct exchange *x, const char *data, size_t *size)
{
    size_t offered = *size;
    http_receive_waits(x, false);
    if (!x->discards && !keeps_pace(x, offered)) {
        atomic_fetch_add(&x->server->timeouts_total, 1);
        fail(x, err_set(ERR_TIMEOUT, "the client was too slow"));
        x->fed_up = true;
        return MHD_YES;
    }
    if (!x->discards) {
        enum err e = x->r.sink ? to_sink(x, data, size) : collect(x, data, size);
        if (e != OK && e != ERR_AGAIN) {
            fail(x, e);
        }
        if (e == ERR_CANCELLED) {
            return MHD_NO;
        }
    }
    if (x->discards) {
        discard(x, size);
    }
    x->r.bytes_in += offered - *size;
    http_receive_waits(x, *size == 0 && !x->fed_up);
    return MHD_YES;
}

enum err http_receive_end(struct exchange *x)
{
    struct http_request *r = &x->r;
    if (x->body_error.code != OK) {
        return err_restore(&x->body_error);
    }
    if (!r->is_chunked) {
        return OK;
    }
    enum err e = http_collect_fields(x, MHD_FOOTER_KIND, &r->trailers, &r->trailer_count);
    struct http_header *fields = (struct http_header *)r->trailers;
    for (size_t i = 0; i < r->trailer_count; i++) {
        fields[i].value = str_trim(fields[i].value);
    }
    return e == OK ? http_strict_fields(r->trailers, r->trailer_count) : e;
}
