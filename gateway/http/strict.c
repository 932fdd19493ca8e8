#include "gateway/http/strict.h"

#include <string.h>

enum err http_strict_fields(const struct http_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!str_is_token(headers[i].name))
            return err_set(ERR_INVALID, "a header field's name is malformed");
        if (str_has_control(headers[i].value))
            return err_set(ERR_INVALID, "control bytes in a header field");
    }
    return OK;
}

/* What decides about framing and routing, counted. */
struct seen {
    size_t hosts, lengths, encodings;
    struct str host, length, encoding;
    bool expects_100, expects_else;
};

/* A list, whose empty elements are ignored (RFC 9110 5.6.1, 10.1.1). */
static void look_at_expect(struct str value, struct seen *seen)
{
    struct str element;
    while (str_split(&value, ',', &element)) {
        element = str_trim(element);
        if (str_eq_nocase(element, STR("100-continue")))
            seen->expects_100 = true;
        else if (element.len > 0)
            seen->expects_else = true;
    }
}

static void look(const struct http_header *headers, size_t count, struct seen *seen)
{
    for (size_t i = 0; i < count; i++) {
        struct str name = headers[i].name, value = headers[i].value;
        if (str_eq_nocase(name, STR("Host"))) {
            seen->hosts++;
            seen->host = value;
        } else if (str_eq_nocase(name, STR("Content-Length"))) {
            seen->lengths++;
            seen->length = value;
        } else if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
            seen->encodings++;
            seen->encoding = value;
        } else if (str_eq_nocase(name, STR("Expect"))) {
            look_at_expect(value, seen);
        }
    }
}

static enum err check_host(const struct seen *seen, bool is_1_1)
{
    if (seen->hosts > 1)
        return err_set(ERR_INVALID, "more than one Host field");
    if (is_1_1 && seen->hosts == 0)
        return err_set(ERR_INVALID, "no Host field");
    for (size_t i = 0; i < seen->host.len; i++) {
        unsigned char c = (unsigned char)seen->host.ptr[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/?#@\\,\"<>", c) != NULL)
            return err_set(ERR_INVALID, "the Host field is malformed");
    }
    return OK;
}

static enum err check_framing(const struct seen *seen, bool is_1_1, struct http_framing *out)
{
    if (seen->encodings > 0) {
        if (seen->lengths > 0)
            return err_set(ERR_INVALID, "Content-Length together with Transfer-Encoding");
        if (seen->encodings > 1 || !is_1_1 || !str_eq_nocase(seen->encoding, STR("chunked")))
            return err_set(ERR_INVALID, "a Transfer-Encoding other than chunked");
        out->is_chunked = true;
    }
    if (seen->lengths > 1)
        return err_set(ERR_INVALID, "more than one Content-Length");
    if (seen->lengths == 1) {
        /* Digits only: libmicrohttpd and a proxy might disagree about "+5" or "5, 5". */
        int64_t length = -1;
        bool digits = seen->length.len > 0 && seen->length.ptr[0] != '-';
        if (!digits || str_to_i64(seen->length, &length) != OK)
            return err_set(ERR_INVALID, "Content-Length is not a number");
        out->content_length = length;
    }
    return OK;
}

enum err http_strict_check(struct str method, struct str version, const struct http_header *headers,
                           size_t count, struct http_framing *out)
{
    memset(out, 0, sizeof(*out));
    out->content_length = -1;
    if (!str_is_token(method))
        return err_set(ERR_INVALID, "the method is malformed");
    enum err err = http_strict_fields(headers, count);
    if (err != OK)
        return err;
    bool is_1_1 = !str_eq(version, STR("HTTP/1.0"));
    struct seen seen = {0};
    look(headers, count, &seen);
    err = check_host(&seen, is_1_1);
    if (err == OK)
        err = check_framing(&seen, is_1_1, out);
    if (err != OK)
        return err;
    out->host = seen.host;
    if (seen.expects_else && is_1_1)
        return err_set(ERR_UNSUPPORTED, "an Expect other than 100-continue");
    out->wants_100 = seen.expects_100 && is_1_1;
    return OK;
}

/* Between a field's name and value: one colon (now a NUL), then blanks. */
static bool is_plain_field(const struct http_header *f)
{
    const char *colon = f->name.ptr + f->name.len;
    if ((uintptr_t)f->value.ptr <= (uintptr_t)colon)
        return false;
    size_t gap = (size_t)((uintptr_t)f->value.ptr - (uintptr_t)colon);
    if (gap > 64 * 1024)
        return false; /* not even in the same head */
    for (size_t i = 1; i < gap; i++)
        if (colon[i] != ' ' && colon[i] != '\t')
            return false;
    return true;
}

enum err http_strict_layout(const struct http_layout *head, const struct http_header *fields,
                            size_t count)
{
    if (head->target.ptr != head->method.ptr + head->method.len + 1 ||
        head->version.ptr != head->target.ptr + head->target.len + 1) {
        return err_set(ERR_INVALID, "the request line is malformed");
    }
    const char *at = head->version.ptr + head->version.len + 2; /* after CR LF */
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name.ptr != at || !is_plain_field(&fields[i]))
            return err_set(ERR_INVALID, "a header line is malformed");
        at = fields[i].value.ptr + fields[i].value.len + 2;
    }
    if (at + 2 != head->end)
        return err_set(ERR_INVALID, "the end of the header is malformed");
    return OK;
}

enum err http_strict_chunk(const char *body, const char *data)
{
    size_t seen = (uintptr_t)data > (uintptr_t)body ? (uintptr_t)data - (uintptr_t)body : 0;
    if (seen == 0 || data[-1] != '\n')
        return OK;
    if (seen < 3 || data[-2] != '\r')
        return err_set(ERR_INVALID, "a chunk's size must end with CR LF");
    const char *at = data - 2;
    for (; at > body && at[-1] != '\n'; at--) {
        unsigned char c = (unsigned char)at[-1];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return err_set(ERR_INVALID, "control bytes in a chunk's extension");
    }
    if (at > body && (at - body < 2 || at[-2] != '\r'))
        return err_set(ERR_INVALID, "a chunk must end with CR LF");
    return OK;
}

enum err http_strict_trailers(const struct http_header *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *next = fields[i].value.ptr + fields[i].value.len + 2;
        if (!is_plain_field(&fields[i]) || (i + 1 < count && fields[i + 1].name.ptr != next))
            return err_set(ERR_INVALID, "a trailer line is malformed");
    }
    return OK;
}
