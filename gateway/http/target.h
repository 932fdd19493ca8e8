/*
 * The request target of a request line: path and query, raw and decoded.
 *
 *     /bucket/a%2Fb?uploads&prefix=x+y      origin form
 *     http://host:9000/bucket/key?x=1       absolute form: host overrides the Host field
 *     *                                     asterisk form (OPTIONS)
 *
 * The path is percent-decoded once and nothing else: `//`, `.`, `..` and `+` stay as they are,
 * since a key may hold them; it may hold any byte but NUL. Query names and values are decoded with
 * `+` as a space. Their raw forms stay available.
 * Refused with ERR_INVALID: blanks, control bytes and `#` in the target, broken escapes, a NUL in
 * the path, anything that is none of the three forms, more than HTTP_ARGS_MAX arguments.
 * Pure functions; results point into the raw text and the arena.
 */
#ifndef KISEKI_GATEWAY_HTTP_TARGET_H
#define KISEKI_GATEWAY_HTTP_TARGET_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define HTTP_ARGS_MAX 256

/* One argument of the query; empty pieces (`&&`) are left out, repeated names are kept. */
struct http_arg {
    struct str name;
    struct str value; /* empty when there is none */
    bool has_value;   /* `?uploads=` has one, `?uploads` has not */
    struct str raw_name;
    struct str raw_value;
};

struct http_target {
    struct str raw;              /* all of it, as sent */
    struct str raw_path;         /* up to the `?`, not decoded; "*" in asterisk form */
    struct str raw_query;        /* after the `?` */
    bool has_query;              /* there was a `?` */
    struct str authority;        /* of the absolute form, else empty */
    struct str path;             /* decoded, begins with '/', or "*" */
    const struct http_arg *args; /* in the order sent */
    size_t arg_count;
};

/* `raw` must outlive the result. ERR_INVALID (text says what is wrong) or ERR_NOMEM. */
MUST_USE enum err http_target_parse(struct str raw, struct arena *arena, struct http_target *out);

/* The first argument of that (decoded, case-sensitive) name; NULL when there is none. */
const struct http_arg *http_target_arg(const struct http_target *t, const char *name);

#endif
