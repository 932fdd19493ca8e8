/*
 * Hex, base64 and percent-encoding. Pure functions over caller's memory; nothing allocates but
 * what goes into a struct buf.
 */
#ifndef KISEKI_BASE_CODEC_H
#define KISEKI_BASE_CODEC_H

#include "base/buf.h"

/* Lower-case hex into out[2 * len + 1], with a NUL. */
void hex_encode(const void *data, size_t len, char *out);
/* Either case; `text` must have exactly 2 * len digits, else ERR_INVALID. */
MUST_USE enum err hex_decode(struct str text, void *out, size_t len);

/* Bytes that base64_encode writes, with the NUL. */
#define BASE64_SIZE(len) (4 * (((len) + 2) / 3) + 1)
/* RFC 4648 section 4, padded, into out[BASE64_SIZE(len)]. */
void base64_encode(const void *data, size_t len, char *out);
/*
 * Strict (padding required, no spaces, unused bits zero). ERR_INVALID for anything else and when
 * the result is not exactly `len` bytes.
 */
MUST_USE enum err base64_decode(struct str text, void *out, size_t len);

/* Which bytes stay as they are, besides RFC 3986's unreserved ones. */
enum percent_keep {
    PERCENT_KEEP_NONE, /* AWS UriEncode for query names and values */
    PERCENT_KEEP_SLASH /* AWS UriEncode for the path; S3's encoding-type=url */
};
void percent_encode(struct buf *out, struct str s, enum percent_keep keep);

enum percent_plus {
    PERCENT_PLUS_LITERAL, /* in a path */
    PERCENT_PLUS_SPACE    /* in a query, as forms and s3cmd write it */
};
/* Decodes into out. ERR_INVALID on a broken escape (`%`, `%4`, `%zz`). */
MUST_USE enum err percent_decode(struct buf *out, struct str s, enum percent_plus plus);

#endif
