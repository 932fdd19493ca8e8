/*
 * What a safe front must refuse, although libmicrohttpd takes it: two readings of one message are
 * how requests are smuggled past a proxy (RFC 9112 section 11.2). Pure functions over what was
 * received.
 *
 * http_strict_check sees names and values. What a parser has hidden in them already is found by
 * http_strict_layout: libmicrohttpd before 1.0 parses in place, putting NULs over the colon and
 * over each CR and LF, so where the next piece begins tells how this one ended. A NUL in a value
 * (the value would be cut), a bare LF, a folded line (libmicrohttpd 0.9.75 appends it to the
 * field's *name*: `Content-Leng: 5` + ` th` becomes a Content-Length) and doubled blanks in the
 * request line all leave their trace there. Newer versions can refuse these by themselves.
 *
 * Of a chunked body not all can be seen: libmicrohttpd 0.9.75 takes a bare LF for CR LF behind a
 * chunk's size, its extension, its data, and the last chunk, and what it has read it overwrites. So
 * what is seen is refused, and a connection is closed after each chunked body: whatever another
 * reader of the same bytes takes for the next request is never read as one here.
 */
#ifndef KISEKI_GATEWAY_HTTP_STRICT_H
#define KISEKI_GATEWAY_HTTP_STRICT_H

#include "gateway/http/request.h"

/* How the body is framed, once the head is known to be sound. */
struct http_framing {
    int64_t content_length; /* -1: none */
    bool is_chunked;
    bool wants_100;
    struct str host; /* the Host field; empty if there is none (HTTP/1.0) */
};

/*
 * ERR_INVALID (400): see the list in server.h. ERR_UNSUPPORTED (417): an Expect other than
 * 100-continue. The text is fit for the client.
 */
MUST_USE enum err http_strict_check(struct str method, struct str version,
                                    const struct http_header *headers, size_t count,
                                    struct http_framing *out);

/* Trailer fields: names are tokens, no control bytes in values. */
MUST_USE enum err http_strict_fields(const struct http_header *headers, size_t count);

/* The places of a head's pieces in the memory that it was parsed in. */
struct http_layout {
    struct str method;
    struct str target;
    struct str version;
    const char *end; /* one past the empty line */
};

/* `fields` point to names and values as parsed (values not trimmed). ERR_INVALID. */
MUST_USE enum err http_strict_layout(const struct http_layout *head,
                                     const struct http_header *fields, size_t count);

/*
 * The line that announced a chunk, seen from the chunk's first byte: `body` is where libmicrohttpd
 * put the first byte behind the head, and what lies between is what it has read of the body by now.
 * ERR_INVALID: a bare LF or CR ends or splits the line, or a bare LF the chunk before. OK also when
 * nothing can be seen (data == body): a line that came alone is overwritten by what comes next.
 */
MUST_USE enum err http_strict_chunk(const char *body, const char *data);

/* Trailer fields as parsed (values not trimmed): each ends with CR LF, the last unseen. */
MUST_USE enum err http_strict_trailers(const struct http_header *fields, size_t count);

#endif
