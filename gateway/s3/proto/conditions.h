/*
 * Conditional requests, evaluated against one object state. Pure.
 *
 * Order of RFC 9110 13.2.2: If-Match, else If-Unmodified-Since; then If-None-Match, else
 * If-Modified-Since. So a true If-Match hides a failing If-Unmodified-Since, and If-None-Match
 * hides If-Modified-Since, as S3 documents it. A date that cannot be read, or (for
 * If-Modified-Since) one in the future, is ignored by a read; a write that it should guard is
 * refused (refuse.c). Dates compare in whole seconds.
 *
 * ETags compare quoted or not, weak or not (S3's are never weak); `*` matches any object.
 * `etag` arguments are given without quotes.
 *
 * A condition that is there is never as if it were absent. One that names no ETag (empty, `""`,
 * `W/""`, `,`, quotes that do not end) matches nothing: If-Match fails. If-None-Match would hold
 * then, which is right for a read (the whole object is answered). A write that is to be guarded by
 * it is refused with 412 all the same: it is unknown what the client meant to keep.
 *
 * What a write is decided by is evaluated in SQL (meta/names/key.h, struct object_cond) from
 * conditions_form(); tests/conditions_cases.h has the one table that both are tested with.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_CONDITIONS_H
#define KISEKI_GATEWAY_S3_PROTO_CONDITIONS_H

#include "base/sigv4.h"
#include "gateway/errors/errors.h"

struct conditions {
    struct str if_match; /* header values as sent, STR_NONE (ptr NULL) when absent */
    struct str if_none_match;
    struct str if_modified_since;
    struct str if_unmodified_since;
};

enum condition_result {
    CONDITION_PROCEED,
    CONDITION_NOT_MODIFIED, /* 304 */
    CONDITION_FAILED,       /* 412 */
    CONDITION_NO_OBJECT     /* If-Match on a missing object: 404 NoSuchKey */
};

/* Picks the four headers out. */
void conditions_of_headers(const struct sigv4_header *headers, size_t count,
                           struct conditions *out);
/* The four x-amz-copy-source-if-* headers. */
void conditions_of_copy_headers(const struct sigv4_header *headers, size_t count,
                                struct conditions *out);
bool conditions_any(const struct conditions *c);

/* GET and HEAD. now_ms: to ignore dates in the future. */
enum condition_result conditions_read(const struct conditions *c, struct str etag, int64_t mtime_ms,
                                      int64_t now_ms);
/* The source of a copy: what would be 304 is 412. */
enum condition_result conditions_copy_source(const struct conditions *c, struct str etag,
                                             int64_t mtime_ms, int64_t now_ms);
/*
 * PUT, Complete, COPY's destination, DELETE: If-Match and If-None-Match only. `etag` has ptr NULL
 * when the key does not exist.
 */
enum condition_result conditions_write(const struct conditions *c, struct str etag);

/*
 * If-Range: true when the Range header is to be used (the validator is empty, or matches). An
 * ETag compares strongly (a weak one never matches); a date must equal the modification time.
 */
bool conditions_if_range(struct str header, struct str etag, int64_t mtime_ms);

/* What an ETag condition asks for; `*` must stand unquoted. */
enum condition_form {
    CONDITION_ABSENT,
    CONDITION_ANY,     /* * */
    CONDITION_ETAG,    /* one ETag, in *out */
    CONDITION_NOTHING, /* no ETag, or what is no ETag */
    CONDITION_LIST     /* several */
};
enum condition_form conditions_form(struct str header, struct str *out_etag);

/* Can a date of a condition be read? */
bool conditions_date_valid(struct str text);

/* Does a header's list ("a", W/"b", c or *) name this ETag? */
bool conditions_etag_listed(struct str list, struct str etag);
/* Without weak mark and quotes. */
struct str conditions_etag_bare(struct str etag);

#endif
