/*
 * Byte ranges: the Range header of GET and HEAD, and x-amz-copy-source-range. Pure.
 *
 * Positions are `first` and length, within [0, size]; all arithmetic saturates, so no number in a
 * header can overflow. Source: RFC 9110 section 14, and S3: several ranges at once and broken
 * syntax (blanks within, too) are ignored (the whole object, 200), an unsatisfiable range is
 * InvalidRange (416). The last n bytes of an empty object are all of it: 200 with no bytes, since a
 * 206 would need a Content-Range that names a byte (14.1.2).
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_RANGE_H
#define KISEKI_GATEWAY_S3_PROTO_RANGE_H

#include "gateway/errors/errors.h"

enum range_result {
    RANGE_WHOLE,        /* no, ignored or several ranges: 200 with everything */
    RANGE_PART,         /* 206 */
    RANGE_UNSATISFIABLE /* 416 */
};

struct range {
    uint64_t first;
    uint64_t len;
};

/* `header` empty: RANGE_WHOLE. *out is set in every case but UNSATISFIABLE. */
enum range_result range_parse(struct str header, uint64_t size, struct range *out);

/*
 * "bytes=first-last", both given: InvalidArgument otherwise; InvalidRange when `size` has no such
 * bytes. An empty header gives the whole object.
 */
MUST_USE enum s3_code range_parse_copy(struct str header, uint64_t size, struct range *out,
                                       struct s3_error *error);

/* The same header before the source's size is known: syntax only. */
MUST_USE enum s3_code range_parse_copy_syntax(struct str header, struct range *out,
                                              struct s3_error *error);

/*
 * Content-Range of a PATCH: "bytes first-last/complete" (RFC 9110 14.4), where the complete length
 * is not looked at and `last` may be missing (then out->len is 0: as much as comes).
 * InvalidArgument.
 */
MUST_USE enum s3_code range_parse_content(struct str header, struct range *out,
                                          struct s3_error *error);

/* "bytes 0-9/100" for a part, "bytes * /100" (without the space) when unsatisfiable. */
#define RANGE_TEXT_MAX 80
void range_content(const struct range *r, uint64_t size, char out[RANGE_TEXT_MAX]);
void range_content_unsatisfiable(uint64_t size, char out[RANGE_TEXT_MAX]);

#endif
