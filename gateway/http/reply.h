/*
 * What is answered: a status, header fields and a body that is one of three things.
 *
 *     none       Content-Length: 0 (HEAD: the length given)
 *     bytes      borrowed: the arena's, a constant, or freed by body_free
 *     generator  a struct http_body that gives piece after piece, of known or unknown length
 *
 * The server adds Date, `Server: Kiseki`, Content-Length or Transfer-Encoding, and Connection; a
 * handler must not set these. To a HEAD request the head of the same reply goes out and no body;
 * 204 and 304 never carry one. A generator is closed all the same.
 * A 304 announces a Content-Length (libmicrohttpd cannot leave it out): use http_reply_head_only()
 * with the length that a 200 would have.
 * Ownership: names and values are copied into the request's arena by http_reply_header().
 */
#ifndef KISEKI_GATEWAY_HTTP_REPLY_H
#define KISEKI_GATEWAY_HTTP_REPLY_H

#include "base/err.h"
#include "base/str.h"

struct http_request;

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/*
 * A body made piece by piece. Embedded as first member in what makes it.
 *
 * next() gives the next bytes, borrowed until the following call or close(); an empty string is
 * the end. It is called on an epoll thread with may_block false; when it would have to wait it
 * returns ERR_AGAIN and is called again with may_block true on a worker, the connection being
 * suspended meanwhile. Another error closes the connection in the middle of the body, so that no
 * client can take a cut body for a whole one; so does an end before the known length.
 * rest() is optional: all but the last `unread` bytes of the piece given out last were copied, and
 * nothing is borrowed any more. next() gives those bytes again; when that is depends on the client.
 * close() is called exactly once, on any thread, never during next(); also when next() never was.
 */
struct http_body {
    enum err (*next)(struct http_body *body, bool may_block, struct str *out);
    void (*rest)(struct http_body *body, size_t unread);
    void (*close)(struct http_body *body);
};

struct http_reply_field {
    struct str name;
    struct str value;
    struct http_reply_field *next;
};

struct http_reply {
    unsigned status;                      /* 200..599 */
    struct http_reply_field *fields;      /* in the order added */
    struct http_reply_field **fields_end; /* NULL while there are none */

    struct str bytes;              /* a body of bytes, valid until done() ... */
    void (*bytes_free)(void *arg); /* ... or until this is called with bytes_arg; may be NULL */
    void *bytes_arg;

    struct http_body *body;  /* a generator; `bytes` is not used then */
    uint64_t content_length; /* the generator's, or HTTP_LENGTH_UNKNOWN (chunked) */
    bool has_length;         /* HEAD without a body: content_length is to be announced */

    bool close; /* close the connection afterwards */
};

/*
 * Adds a field; repeated names are sent repeatedly. Values may hold any bytes but CR, LF and NUL:
 * those are ERR_INVALID and nothing is added (a client cannot inject a header). ERR_NOMEM when
 * the arena is full.
 */
MUST_USE enum err http_reply_header(struct http_request *r, const char *name, struct str value);
MUST_USE enum err http_reply_printf(struct http_request *r, const char *name, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* Sets the body to bytes that live until done() (the arena's or constant). */
void http_reply_bytes(struct http_request *r, unsigned status, struct str bytes);

/* Sets the body to a generator, which is the server's from now on. */
void http_reply_generator(struct http_request *r, unsigned status, struct http_body *body,
                          uint64_t content_length);

/* Sets status and no body; for HEAD: announces `content_length`, as the GET would have it. */
void http_reply_empty(struct http_request *r, unsigned status);
void http_reply_head_only(struct http_request *r, unsigned status, uint64_t content_length);

/* Forgets what was filled in so far (a generator is closed), as when an error comes up late. */
void http_reply_reset(struct http_request *r);

/* "OK", "Not Found"; "Unknown" for others. Never NULL. */
const char *http_reason(unsigned status);

#endif
