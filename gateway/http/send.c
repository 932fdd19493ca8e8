/* The way out: a reply becomes a libmicrohttpd response; generators are read piece by piece. */
#include "gateway/http/connection.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>
#include <sys/socket.h>

/*
 * A generator's bytes are copied through a block. It has the first of these sizes for which there
 * is memory, among those whose `beyond` the body exceeds. Large blocks, because libmicrohttpd sends
 * one each time that it comes round to the connection, which takes long when thousands send.
 */
static const struct {
    size_t bytes, beyond;
} block_sizes[] = {{(size_t)256 << 10, (size_t)64 << 10}, {(size_t)64 << 10, (size_t)16 << 10}};
#define BLOCK_SIZES      (sizeof(block_sizes) / sizeof(block_sizes[0]))
#define BLOCK_FREE_BYTES ((size_t)16 << 10) /* what each connection may have: see server.h */

const char *http_reason(unsigned status)
{
    const char *reason = MHD_get_reason_phrase_for(status);
    return reason != NULL ? reason : "Unknown";
}

/*
 * Brings the next piece. OK (an empty piece: the end), ERR_AGAIN: it would have to wait, and when
 * can_suspend is set the connection is suspended for it; or the failure.
 */
static enum err fetch_piece(struct exchange *x, bool can_suspend)
{
    struct http_body *body = x->r.reply.body;
    if (!x->has_fetched) {
        x->piece = STR_NONE;
        enum err err = body->next(body, false, &x->piece);
        if (err != ERR_AGAIN || !can_suspend)
            return err;
        if (x->server->options.pool == NULL)
            return body->next(body, true, &x->piece);
        if (!http_hold(x))
            return err_set(ERR_CANCELLED, "the server is stopping");
        x->job_is_next = true;
        if (http_run_job(x, false) == OK)
            return ERR_AGAIN;
    }
    x->has_fetched = false;
    x->piece = x->fetched;
    return x->fetch_error.code == OK ? OK : err_restore(&x->fetch_error);
}

static bool is_short(const struct exchange *x)
{
    const struct http_reply *reply = &x->r.reply;
    return reply->content_length != HTTP_LENGTH_UNKNOWN && x->r.bytes_out < reply->content_length;
}

/* The client may take long now: nothing stays borrowed meanwhile. */
static void rest(struct exchange *x)
{
    struct http_body *body = x->r.reply.body;
    if (body->rest == NULL || x->piece.ptr == NULL)
        return;
    body->rest(body, x->piece.len);
    x->piece = STR_NONE;
}

static ssize_t fill_block(struct exchange *x, char *block, size_t room)
{
    size_t filled = 0;
    while (filled < room && !x->piece_end) {
        if (x->piece.len == 0) {
            enum err err = fetch_piece(x, filled == 0);
            if (err == ERR_AGAIN)
                break; /* first send what there is */
            if (err != OK) {
                log_warn("the answer is cut off: %s", err_text(err));
                return MHD_CONTENT_READER_END_WITH_ERROR;
            }
            x->piece_end = x->piece.len == 0;
        }
        size_t len = x->piece.len < room - filled ? x->piece.len : room - filled;
        if (len > 0)
            memcpy(block + filled, x->piece.ptr, len);
        x->piece = str_sub(x->piece, len, x->piece.len);
        filled += len;
    }
    x->r.bytes_out += filled;
    rest(x);
    if (filled > 0 || !x->piece_end)
        return (ssize_t)filled;
    if (is_short(x)) {
        log_warn("the answer's body ended after %llu of %llu bytes",
                 (unsigned long long)x->r.bytes_out, (unsigned long long)x->r.reply.content_length);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t read_generator(void *cls, uint64_t position, char *block, size_t room)
{
    (void)position;
    struct exchange *x = cls;
    if (atomic_load(&x->server->cutting))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    log_set_request_id(x->r.id);
    ssize_t filled = fill_block(x, block, room);
    log_set_request_id("");
    return filled;
}

static ssize_t read_nothing(void *cls, uint64_t position, char *block, size_t room)
{
    (void)cls;
    (void)position;
    (void)block;
    (void)room;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* A head that announces a body which is not sent (HEAD, 304). */
static struct MHD_Response *make_bodyless(const struct http_reply *reply)
{
    uint64_t length =
        reply->body != NULL || reply->has_length ? reply->content_length : reply->bytes.len;
    if (length == 0)
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    bool is_known = length != HTTP_LENGTH_UNKNOWN;
    struct MHD_Response *response = MHD_create_response_from_callback(
        is_known ? length : MHD_SIZE_UNKNOWN, 1, read_nothing, NULL, NULL);
    if (response != NULL && !is_known) {
        /* Else 0.9.75 sends the last chunk of a body that a HEAD must not have. */
        (void)MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
    return response;
}

/* The size of the block for a body of `length` bytes. At least 1. */
static size_t block_bytes(struct exchange *x, uint64_t length)
{
    const struct http_options *o = &x->server->options;
    for (size_t i = 0; o->block_take != NULL && i < BLOCK_SIZES; i++) {
        size_t bytes = length < block_sizes[i].bytes ? (size_t)length : block_sizes[i].bytes;
        if (length > block_sizes[i].beyond && o->block_take(o->block_arg, bytes)) {
            x->block_bytes = bytes;
            return bytes;
        }
    }
    return length == 0 ? 1 : length < BLOCK_FREE_BYTES ? (size_t)length : BLOCK_FREE_BYTES;
}

void http_send_end(struct exchange *x)
{
    if (x->block_bytes > 0)
        x->server->options.block_give(x->server->options.block_arg, x->block_bytes);
    x->block_bytes = 0;
}

static struct MHD_Response *make_response(struct exchange *x)
{
    const struct http_reply *reply = &x->r.reply;
    if (str_eq(x->r.method, STR("HEAD")) || reply->status == 304)
        return make_bodyless(reply);
    if (reply->body != NULL && reply->status != 204) {
        uint64_t length = reply->content_length;
        bool is_known = length != HTTP_LENGTH_UNKNOWN;
        size_t block = block_bytes(x, is_known ? length : BLOCK_FREE_BYTES + 1);
        return MHD_create_response_from_callback(is_known ? length : MHD_SIZE_UNKNOWN, block,
                                                 read_generator, x, NULL);
    }
    struct str bytes = reply->status == 204 || reply->body != NULL ? STR_NONE : reply->bytes;
    x->r.bytes_out = bytes.len;
    return MHD_create_response_from_buffer(
        bytes.len, (void *)(uintptr_t)(bytes.len ? bytes.ptr : ""), MHD_RESPMEM_PERSISTENT);
}

/*
 * What came behind the last request of a connection (a close_notify, mostly) is never read. Left
 * in the socket, it would make the kernel answer the close with a reset, which may overtake the
 * answer.
 */
static void drop_input(const struct exchange *x)
{
    enum { TIMES = 16 };
    char bytes[4096];
    for (int i = 0; i < TIMES && recv(x->peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0; i++) {
    }
}

static bool add_fields(struct exchange *x, struct MHD_Response *response)
{
    bool ok = MHD_add_response_header(response, "Server", "Kiseki") == MHD_YES;
    const struct http_reply_field *f = x->r.reply.fields;
    for (; ok && f != NULL; f = f->next) {
        /* libmicrohttpd takes no empty value; a blank is the same to whoever reads it. */
        ok = MHD_add_response_header(response, f->name.ptr, f->value.len ? f->value.ptr : " ") ==
             MHD_YES;
        if (!ok)
            log_error("libmicrohttpd does not take the answer's header %s", f->name.ptr);
    }
    bool close = x->r.reply.close || atomic_load(&x->server->draining) ||
                 atomic_load(&x->peer->half_closed) || (x->r.is_chunked && x->body_start != NULL);
    if (close && x->all_came)
        drop_input(x);
    if (ok && close)
        ok = MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return ok;
}

void http_check_reply(struct exchange *x)
{
    const struct http_reply *reply = &x->r.reply;
    if (x->next_step == HTTP_REPLY && reply->status >= 200 && reply->status <= 599)
        return;
    log_error("a handler gave no reply (step %d, status %u)", (int)x->next_step, reply->status);
    http_refuse(x, 500, "Internal error.");
    x->next_step = HTTP_REPLY;
}

/*
 * libmicrohttpd prints the head of an answer into what the request has left of the connection's
 * memory, and closes the connection without a word when it has no room. Both are counted a little
 * too high here.
 */
static size_t head_size(const struct exchange *x)
{
    enum { OWN_FIELDS = 400 }; /* status line, Date, Server, lengths, Connection */
    size_t size = OWN_FIELDS;
    for (const struct http_reply_field *f = x->r.reply.fields; f != NULL; f = f->next)
        size += f->name.len + f->value.len + sizeof(":  \r\n");
    return size;
}

static size_t room_for_head(const struct exchange *x)
{
    enum { RECORD = 96 }; /* what it keeps of a field, and rounding */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t used = info != NULL ? info->header_size : 0;
    used += RECORD * (x->r.header_count + x->r.trailer_count + 4);
    return used < HTTP_CONNECTION_MEMORY ? HTTP_CONNECTION_MEMORY - used : 0;
}

/* Whose fault is it? A long head of the request, or what it asked for in its target: 400. */
static void refuse_long_head(struct exchange *x)
{
    size_t size = head_size(x), room = room_for_head(x);
    bool is_clients = room < HTTP_CONNECTION_MEMORY / 2 || x->r.target.raw.len > size / 2;
    if (!is_clients)
        log_error("an answer's header of %zu bytes cannot be sent, %zu fit", size, room);
    http_refuse(x, is_clients ? 400 : 500, "The header of the answer is too long.");
}

static enum MHD_Result queue(struct exchange *x)
{
    struct MHD_Response *response = make_response(x);
    enum MHD_Result result = MHD_NO;
    if (response != NULL && add_fields(x, response)) {
        x->phase = PHASE_REPLY;
        atomic_store(&x->answers, true);
        x->r.first_byte_us = clock_mono_us();
        result = MHD_queue_response(x->mhd, x->r.reply.status, response);
    }
    if (response != NULL)
        MHD_destroy_response(response);
    return result;
}

enum MHD_Result http_send(struct exchange *x)
{
    http_check_reply(x);
    if (head_size(x) > room_for_head(x))
        refuse_long_head(x);
    if (head_size(x) > room_for_head(x))
        return http_send_abruptly(x) ? MHD_YES : MHD_NO; /* by ourselves: no limit but a buffer's */
    enum MHD_Result result = queue(x);
    if (result == MHD_NO && x->phase != PHASE_REPLY) {
        log_error("libmicrohttpd does not take an answer of status %u", x->r.reply.status);
        http_refuse(x, 500, "Internal error.");
        result = queue(x);
    }
    return result;
}
