#include "gateway/s3/core/body.h"
#include "gateway/s3/core/reply.h"

#include <string.h>

/* A body that nobody asked for is read and verified up to this size. */
#define IGNORED_MAX ((size_t)64 << 10)

static struct s3_request *request_of(struct http_sink *sink)
{
    return (struct s3_request *)((char *)sink - offsetof(struct s3_request, intake.sink));
}

enum s3_code s3_body_expect(struct s3_request *r)
{
    r->intake.expected = r->identity.auth.framed ? (int64_t)r->identity.auth.decoded_length
                                                 : r->http->content_length;
    if (r->op->body != S3_BODY_FILE)
        return S3_OK;
    if (r->intake.expected < 0 && !r->http->is_chunked)
        return s3_fail(&r->error, S3_MISSING_CONTENT_LENGTH, NULL);
    if (r->intake.expected > S3_PUT_MAX)
        return s3_fail(&r->error, S3_ENTITY_TOO_LARGE, NULL);
    return S3_OK;
}

bool s3_body_expected(const struct s3_request *r)
{
    return r->http->is_chunked || r->http->content_length > 0 || r->op->body == S3_BODY_FILE ||
           (r->op->body == S3_BODY_MEMORY && r->http->content_length == 0);
}

/* A body without a length is too long once its bytes are. */
static bool is_too_long(const struct s3_request *r, size_t more)
{
    return r->op->body == S3_BODY_FILE && r->intake.payload.length + more > (uint64_t)S3_PUT_MAX;
}

/* Nobody looks at it: it is only counted. */
static enum err ignore(struct s3_request *r, struct str piece)
{
    if (r->intake.payload.length + piece.len > IGNORED_MAX)
        return err_set(ERR_TOO_LARGE, "a body that is not looked at of over %zu bytes",
                       IGNORED_MAX);
    return OK;
}

/* A body in memory is charged to the budget as it grows. */
static enum err collect(struct s3_request *r, struct str piece, size_t *out_taken)
{
    enum err err = OK;

    if (piece.len <= r->body.max - r->body.len)
        err = reservation_grow(&r->intake.reservation, r->body.len + piece.len);
    if (err == OK) {
        buf_append_str(&r->body, piece);
        err = buf_check(&r->body);
    }
    if (err != OK)
        *out_taken = 0;
    if (err == OK || err == ERR_AGAIN)
        return err;
    if (err == ERR_TIMEOUT)
        r->intake.failed = s3_fail(&r->error, S3_REQUEST_TIMEOUT, NULL);
    s3_body_release(r);
    reservation_end(&r->intake.reservation); /* others need not wait until the answer is sent */
    return err;
}

/* Payload bytes to where they go; *out_taken of them were taken. */
static enum err deliver(struct s3_request *r, struct str piece, size_t *out_taken)
{
    enum err err = OK;

    if (is_too_long(r, piece.len)) {
        r->intake.failed = s3_fail(&r->error, S3_ENTITY_TOO_LARGE, NULL);
        return err_set(ERR_TOO_LARGE, "the body is longer than 5 GiB");
    }
    *out_taken = piece.len;
    if (r->writer != NULL)
        err = writer_write(r->writer, piece, out_taken);
    else
        err = r->op->body == S3_BODY_MEMORY ? collect(r, piece, out_taken) : ignore(r, piece);
    payload_update(&r->intake.payload, piece.ptr, *out_taken);
    return err;
}

/*
 * aws-chunked: the decoder walks the input, and payload that the writer had no room for stays in
 * front: those bytes come again, and `decoded` says that the decoder has seen them.
 */
static enum err deliver_framed(struct s3_request *r, struct str data, size_t *out_taken)
{
    struct str in = data;
    enum err err = OK;

    while (err == OK && in.len > 0) {
        struct str piece = str_sub(in, 0, r->intake.decoded);
        size_t taken = 0;

        if (r->intake.decoded > 0) {
            in = str_sub(in, piece.len, in.len);
        } else {
            r->intake.failed = chunked_next(&r->intake.chunked, &in, &piece, &r->error);
            if (r->intake.failed != S3_OK)
                return ERR_INVALID;
            r->intake.decoded = piece.len;
        }
        if (piece.len > 0)
            err = deliver(r, piece, &taken);
        r->intake.decoded -= taken;
        *out_taken = (size_t)(in.ptr - data.ptr) - (piece.len - taken);
    }
    return err;
}

static enum err sink_write(struct http_sink *sink, struct str data, size_t *out_taken)
{
    struct s3_request *r = request_of(sink);
    enum err err;

    *out_taken = 0;
    err = r->intake.framed ? deliver_framed(r, data, out_taken) : deliver(r, data, out_taken);
    if (err != OK && err != ERR_AGAIN && r->intake.failed == S3_OK)
        r->intake.failed = err == ERR_TOO_LARGE
                               ? s3_fail(&r->error, S3_MAX_MESSAGE_LENGTH_EXCEEDED, NULL)
                               : s3_fail_err(r, err, "take the body");
    return err;
}

static void on_room(void *arg)
{
    http_request_resume_body(arg);
}

static void on_stored(void *arg)
{
    http_request_resume_work(arg);
}

static void on_cut(void *arg)
{
    http_request_cut(arg);
}

/* The headers without x-amz-checksum-*, where those describe the object and not this body. */
static enum s3_code body_headers(struct s3_request *r, const struct sigv4_header **out,
                                 size_t *out_count)
{
    struct sigv4_header *kept;

    *out = r->headers;
    *out_count = r->header_count;
    if (r->op->integrity != S3_INTEGRITY_OF_OBJECT)
        return S3_OK;
    kept = arena_array(r->arena, r->header_count + 1, sizeof(*kept));
    if (kept == NULL)
        return s3_fail_memory(&r->error);
    *out = kept;
    *out_count = 0;
    for (size_t i = 0; i < r->header_count; i++)
        if (!str_starts_nocase(r->headers[i].name, STR("x-amz-checksum-")))
            kept[(*out_count)++] = r->headers[i];
    return S3_OK;
}

/* "crc32" of "x-amz-checksum-crc32". */
static const char *algo_text(enum checksum_algo algo)
{
    return checksum_header_name(algo) + strlen("x-amz-checksum-");
}

/* A part's checksum has the upload's algorithm: otherwise the object's could not be made of it. */
static enum s3_code check_algo(struct s3_request *r)
{
    if (!r->algo_is_fixed || !r->intake.payload.check_sum ||
        r->intake.payload.algo == r->default_algo)
        return S3_OK;
    return s3_fail(&r->error, S3_INVALID_REQUEST,
                   arena_printf(r->arena,
                                "Checksum Type mismatch occurred, expected checksum Type: %s, "
                                "actual checksum Type: %s",
                                algo_text(r->default_algo), algo_text(r->intake.payload.algo)));
}

static enum s3_code open_payload(struct s3_request *r)
{
    struct payload_spec spec = {
        .has_trailer = r->identity.auth.payload == AUTH_PAYLOAD_CHUNKED_TRAILER ||
                       r->identity.auth.payload == AUTH_PAYLOAD_UNSIGNED_TRAILER,
        .sha256 = r->identity.auth.payload == AUTH_PAYLOAD_SHA256 ? r->identity.auth.payload_sha256
                                                                  : NULL,
        .default_algo = r->op->keeps_sums ? r->default_algo : CHECKSUM_NONE,
        .want_md5 = r->op->keeps_sums,
        .need_integrity = r->op->integrity == S3_INTEGRITY_REQUIRED,
    };
    enum s3_code code = body_headers(r, &spec.headers, &spec.header_count);

    if (code == S3_OK)
        code = payload_init(&r->intake.payload, &spec, &r->error);
    r->intake.has_payload = code == S3_OK;
    return code == S3_OK ? check_algo(r) : code;
}

static enum s3_code open_framing(struct s3_request *r)
{
    if (!r->identity.auth.framed)
        return S3_OK;
    if (chunked_init(&r->intake.chunked, &r->identity.auth, s3_header(r, "x-amz-trailer")) != OK)
        return s3_fail_memory(&r->error);
    r->intake.framed = true;
    return S3_OK;
}

static enum s3_code open_writer(struct s3_request *r)
{
    struct writer_options options = {
        .on_room = on_room, .on_stored = on_stored, .arg = r->http, .expected = r->intake.expected};
    enum err err = writer_new(r->s3->fs, &options, &r->writer);

    return err == OK ? S3_OK : s3_fail_err(r, err, "begin to write");
}

enum s3_code s3_body_begin(struct s3_request *r)
{
    enum s3_code code = open_payload(r);

    if (code == S3_OK)
        code = open_framing(r);
    if (code == S3_OK && r->op->body == S3_BODY_FILE)
        code = open_writer(r);
    if (code == S3_OK && r->op->body == S3_BODY_MEMORY)
        buf_init(&r->body, r->op->body_max);
    if (code == S3_OK && !s3_body_expected(r))
        return s3_body_end(r, OK); /* a signed hash must be that of nothing */
    r->intake.sink.write = sink_write;
    r->http->sink = &r->intake.sink;
    return code;
}

static enum s3_code verify(struct s3_request *r)
{
    struct sigv4_header trailers[CHUNKED_TRAILERS_MAX];
    size_t count = 0;
    enum s3_code code = S3_OK;

    /* An upload without even the last chunk was cut off on its way. */
    if (r->intake.framed && (r->op->body == S3_BODY_FILE || s3_body_expected(r))) {
        code = chunked_finish(&r->intake.chunked, &r->error);
        for (count = 0; count < r->intake.chunked.trailer_count; count++) {
            trailers[count].name = r->intake.chunked.trailers[count].name;
            trailers[count].value = r->intake.chunked.trailers[count].value;
        }
    }
    if (code == S3_OK)
        code = payload_finish(&r->intake.payload, trailers, count, &r->digest, &r->error);
    return code;
}

enum s3_code s3_body_end(struct s3_request *r, enum err result)
{
    if (r->intake.failed != S3_OK)
        return r->intake.failed;
    if (result == ERR_TIMEOUT)
        return S3_REQUEST_TIMEOUT;
    if (result != OK)
        return s3_fail_err(r, result, "read the body");
    reservation_work(&r->intake.reservation);
    return verify(r);
}

void s3_reserve_begin(struct s3_request *r)
{
    reservation_init(&r->intake.reservation, r->s3->fs, r->http->content_length, on_room, on_cut,
                     r->http);
}

void s3_body_release(struct s3_request *r)
{
    buf_fini(&r->body);
    buf_init(&r->body, 0);
}

enum s3_code s3_reserve_answer(struct s3_request *r)
{
    const struct http_reply *reply = &r->http->reply;
    uint64_t bytes = arena_used(r->arena) + (reply->bytes_free != NULL ? reply->bytes.len : 0);
    enum err err;

    s3_body_release(r);
    err = reservation_answer(&r->intake.reservation, bytes, reply->body != NULL);
    return err == OK || !s3_op_reads(r->op) ? S3_OK : s3_fail_err(r, err, "keep the answer");
}

void s3_body_free(struct s3_request *r)
{
    if (r->writer != NULL)
        writer_free(r->writer);
    if (r->intake.framed)
        chunked_fini(&r->intake.chunked);
    if (r->intake.has_payload)
        payload_fini(&r->intake.payload);
    buf_fini(&r->body);
    reservation_end(&r->intake.reservation);
}
