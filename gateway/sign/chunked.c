#include "gateway/sign/chunked.h"

#include "base/codec.h"

#include <string.h>

/*
 *   HEADER --size > 0--> DATA --all of it--> DATA_END --CRLF--> HEADER
 *     |
 *   size = 0 --no trailer kind--> LAST --CRLF--> DONE
 *     '------ trailer kind ---> TRAILER --blank line--> DONE      FAILED: from anywhere
 */
enum state { HEADER, DATA, DATA_END, LAST, TRAILER, DONE, FAILED };

#define CHUNK_SIZE_DIGITS 16

static const char broken_framing[] = "The body is not in valid aws-chunked framing.";

static bool is_signed(const struct chunked *c)
{
    return c->kind != AUTH_PAYLOAD_UNSIGNED_TRAILER;
}

static bool has_trailer(const struct chunked *c)
{
    return c->kind != AUTH_PAYLOAD_CHUNKED;
}

static enum s3_code fail(struct chunked *c, enum s3_code code, const char *message,
                         struct s3_error *error)
{
    c->state = FAILED;
    c->failed = code;
    c->failed_message = message;
    return s3_fail(error, code, message);
}

static enum s3_code framing(struct chunked *c, struct s3_error *error)
{
    return fail(c, S3_INVALID_REQUEST, broken_framing, error);
}

enum err chunked_init(struct chunked *c, const struct auth *auth, struct str announced)
{
    *c = (struct chunked){.kind = auth->payload,
                          .auth = auth,
                          .announced = announced,
                          .expected = auth->decoded_length,
                          .state = HEADER};
    buf_init(&c->trailer_bytes, CHUNKED_TRAILER_MAX);
    if (!is_signed(c))
        return OK;
    if (auth->signature.len != SIGV4_SIGNATURE_HEX)
        return err_set(ERR_INVALID, "a chunked body without a seed signature");
    memcpy(c->previous, auth->signature.ptr, SIGV4_SIGNATURE_HEX);
    return hash_init(&c->hash, HASH_SHA256);
}

void chunked_fini(struct chunked *c)
{
    hash_fini(&c->hash);
    buf_fini(&c->trailer_bytes);
}

/* --- lines ------------------------------------------------------------------------------------ */

enum line_result { LINE_MORE, LINE_READY, LINE_BROKEN };

/*
 * A line ends in CR LF and holds neither of them elsewhere, nor another control byte: a proxy that
 * reads the framing less strictly would see other chunks (RFC 9112 7.1). A trailer may end in LF
 * alone: AWS's own examples and some clients end one with "\n\r\n", and no payload follows.
 */
static bool is_sound(const struct chunked *c, bool has_cr)
{
    struct str line = {c->line, c->line_len};

    return (has_cr || (c->state == TRAILER && line.len > 0)) && !str_has_control(line);
}

/* Collects a line up to its end in c->line. */
static enum line_result take_line(struct chunked *c, struct str *in)
{
    size_t end = str_find(*in, '\n');
    size_t room = sizeof(c->line) - c->line_len;

    if (end >= room)
        return LINE_BROKEN;
    memcpy(c->line + c->line_len, in->ptr, end);
    c->line_len += end;
    bool ready = end < in->len;
    *in = str_sub(*in, end + ready, in->len);
    if (!ready)
        return LINE_MORE;
    bool has_cr = c->line_len > 0 && c->line[c->line_len - 1] == '\r';
    c->line_len -= has_cr;
    return is_sound(c, has_cr) ? LINE_READY : LINE_BROKEN;
}

static struct str line_of(struct chunked *c)
{
    struct str line = {c->line, c->line_len};

    c->line_len = 0; /* for the next one; the bytes stay until then */
    return line;
}

/* --- chunks ----------------------------------------------------------------------------------- */

static bool hex_number(struct str s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0 || s.len > CHUNK_SIZE_DIGITS)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    *out = value;
    return true;
}

/* The extensions after the size: the signature, once, of the signed kinds. */
static bool take_claim(struct chunked *c, struct str extensions)
{
    struct str one, prefix = STR("chunk-signature=");
    bool found = false;

    while (str_split(&extensions, ';', &one)) {
        one = str_trim(one);
        if (!str_starts(one, prefix))
            continue;
        one = str_sub(one, prefix.len, one.len);
        if (found || one.len != SIGV4_SIGNATURE_HEX)
            return false;
        memcpy(c->claimed, one.ptr, SIGV4_SIGNATURE_HEX);
        found = true;
    }
    return found;
}

/* Compares the claimed signature of what c->hash has seen and goes on from it. */
static enum s3_code prove(struct chunked *c, bool is_trailer, struct s3_error *error)
{
    uint8_t digest[32];
    char hex[2 * sizeof(digest) + 1], signature[SIGV4_SIGNATURE_HEX + 1];
    const struct auth *a = c->auth;
    struct str previous = {c->previous, SIGV4_SIGNATURE_HEX};

    hash_final(&c->hash, digest);
    hex_encode(digest, sizeof(digest), hex);
    enum err err = (is_trailer ? sigv4_sign_trailer : sigv4_sign_chunk)(
        a->signing_key, a->timestamp, &a->scope, previous, str_of(hex), signature);
    hash_fini(&c->hash);
    if (err == OK)
        err = hash_init(&c->hash, HASH_SHA256);
    if (err != OK)
        return fail(c, S3_SLOW_DOWN, S3_NO_MEMORY, error);
    if (!bytes_equal_secret(signature, c->claimed, SIGV4_SIGNATURE_HEX))
        return fail(c, S3_SIGNATURE_DOES_NOT_MATCH, NULL, error);
    memcpy(c->previous, signature, SIGV4_SIGNATURE_HEX);
    return S3_OK;
}

/* The chunk of no bytes: everything must have been there. */
static enum s3_code last_chunk(struct chunked *c, struct s3_error *error)
{
    if (c->delivered != c->expected)
        return fail(c, S3_INCOMPLETE_BODY, NULL, error);
    enum s3_code code = is_signed(c) ? prove(c, false, error) : S3_OK;
    if (code == S3_OK)
        c->state = has_trailer(c) ? TRAILER : LAST;
    return code;
}

static enum s3_code header_line(struct chunked *c, struct s3_error *error)
{
    struct str line = line_of(c);
    size_t semicolon = str_find(line, ';');
    uint64_t size;

    if (!hex_number(str_sub(line, 0, semicolon), &size))
        return framing(c, error);
    if (is_signed(c) && !take_claim(c, str_sub(line, semicolon + 1, line.len)))
        return framing(c, error);
    if (size == 0)
        return last_chunk(c, error);
    if (size > c->expected - c->delivered)
        return fail(c, S3_INCOMPLETE_BODY,
                    "The body is longer than x-amz-decoded-content-length says", error);
    if (is_signed(c) && c->short_chunk)
        return fail(c, S3_INVALID_CHUNK_SIZE, NULL, error);
    c->short_chunk = size < CHUNKED_SIGNED_MIN;
    c->chunk_left = size;
    c->state = DATA;
    return S3_OK;
}

static struct str take_data(struct chunked *c, struct str *in)
{
    struct str piece = str_sub(*in, 0, c->chunk_left < in->len ? (size_t)c->chunk_left : in->len);

    *in = str_sub(*in, piece.len, in->len);
    c->chunk_left -= piece.len;
    c->delivered += piece.len;
    if (is_signed(c))
        hash_update(&c->hash, piece.ptr, piece.len);
    if (c->chunk_left == 0)
        c->state = DATA_END;
    return piece;
}

/* --- trailers --------------------------------------------------------------------------------- */

static bool is_announced(const struct chunked *c, struct str name)
{
    struct str rest = c->announced, one;

    while (str_split(&rest, ',', &one))
        if (str_eq_nocase(str_trim(one), name))
            return true;
    return false;
}

static bool seen_before(const struct chunked *c, struct str name)
{
    for (size_t i = 0; i < c->trailer_count; i++)
        if (str_eq_nocase(c->trailers[i].name, name))
            return true;
    return false;
}

/* Only what was announced, each once. */
static enum s3_code add_trailer(struct chunked *c, struct str name, struct str value,
                                struct s3_error *error)
{
    struct buf *b = &c->trailer_bytes;

    if (c->trailer_count >= CHUNKED_TRAILERS_MAX || seen_before(c, name) || !is_announced(c, name))
        return fail(c, S3_MALFORMED_TRAILER, NULL, error);
    if (b->data == NULL &&
        buf_reserve(b, CHUNKED_TRAILER_MAX) == NULL) /* all at once: it must not move */
        return fail(c, S3_SLOW_DOWN, S3_NO_MEMORY, error);
    size_t at = b->len;
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        buf_append_char(b, ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch);
    }
    buf_append_char(b, ':');
    buf_append_str(b, value);
    buf_append_char(b, '\n');
    if (b->failed != OK)
        return fail(c, S3_MALFORMED_TRAILER, NULL, error);
    c->trailers[c->trailer_count++] = (struct chunked_trailer){
        {b->data + at, name.len}, {b->data + at + name.len + 1, value.len}};
    return S3_OK;
}

static enum s3_code end_trailers(struct chunked *c, struct s3_error *error)
{
    struct str bytes = buf_str(&c->trailer_bytes);

    c->state = DONE;
    if (!is_signed(c))
        return S3_OK;
    if (c->claimed[0] == '\0')
        return fail(c, S3_SIGNATURE_DOES_NOT_MATCH, "The trailer has no x-amz-trailer-signature",
                    error);
    hash_update(&c->hash, bytes.ptr, bytes.len);
    return prove(c, true, error);
}

static enum s3_code trailer_line(struct chunked *c, struct s3_error *error)
{
    struct str line = line_of(c);
    size_t colon = str_find(line, ':');
    struct str name = str_trim(str_sub(line, 0, colon));
    struct str value = str_trim(str_sub(line, colon + 1, line.len));

    if (line.len == 0) {
        /* "\n\r\n" ends a line twice: the signature is still to come */
        if (is_signed(c) && c->claimed[0] == '\0' && c->trailer_count > 0)
            return S3_OK;
        return end_trailers(c, error);
    }
    if (colon == line.len || name.len == 0)
        return fail(c, S3_MALFORMED_TRAILER, NULL, error);
    if (!is_signed(c) || !str_eq_nocase(name, STR("x-amz-trailer-signature")))
        return add_trailer(c, name, value, error);
    if (c->claimed[0] != '\0' || value.len != SIGV4_SIGNATURE_HEX)
        return fail(c, S3_SIGNATURE_DOES_NOT_MATCH, NULL, error);
    memcpy(c->claimed, value.ptr, SIGV4_SIGNATURE_HEX);
    return S3_OK;
}

/* --- the decoder ------------------------------------------------------------------------------ */

/* A whole line stands in c->line. */
static enum s3_code on_line(struct chunked *c, struct s3_error *error)
{
    enum s3_code code;

    switch (c->state) {
    case HEADER:
        code = header_line(c, error);
        if (code == S3_OK && c->state == TRAILER)
            memset(c->claimed, 0, sizeof(c->claimed)); /* now for the trailer's */
        return code;
    case DATA_END:
        if (line_of(c).len > 0)
            return framing(c, error);
        c->state = HEADER;
        return is_signed(c) ? prove(c, false, error) : S3_OK;
    case TRAILER:
        return trailer_line(c, error);
    default: /* LAST, or blank lines after the end */
        if (line_of(c).len > 0)
            return framing(c, error);
        c->state = DONE;
        return S3_OK;
    }
}

enum s3_code chunked_next(struct chunked *c, struct str *in, struct str *out_payload,
                          struct s3_error *error)
{
    *out_payload = STR_NONE;
    while (in->len > 0) {
        if (c->state == FAILED)
            return s3_fail(error, c->failed, c->failed_message);
        if (c->state == DATA) {
            *out_payload = take_data(c, in);
            return S3_OK;
        }
        switch (take_line(c, in)) {
        case LINE_MORE:
            return S3_OK;
        case LINE_BROKEN:
            return framing(c, error);
        case LINE_READY:
            break;
        }
        enum s3_code code = on_line(c, error);
        if (code != S3_OK)
            return code;
    }
    return S3_OK;
}

enum s3_code chunked_finish(struct chunked *c, struct s3_error *error)
{
    if (c->state == FAILED)
        return s3_fail(error, c->failed, c->failed_message);
    /* Some clients leave the last empty line out. */
    if (c->state == LAST && c->line_len == 0)
        c->state = DONE;
    if (c->state == TRAILER && c->line_len == 0) {
        enum s3_code code = end_trailers(c, error);
        if (code != S3_OK)
            return code;
    }
    if (c->state == DONE && c->line_len > 0)
        return framing(c, error);
    if (c->state != DONE)
        return fail(c, S3_INCOMPLETE_BODY, NULL, error);
    return S3_OK;
}
