/*
 * AWS Signature Version 4, the part that signer and verifier share: canonical request, string to
 * sign, signing key, signature. The gateway verifies clients with it, the S3 backing store signs
 * its own requests with it.
 *
 * Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference. S3
 * encodes the path once and does not normalise it.
 * Pure functions (the only state is a small cache of signing keys a thread).
 */
#ifndef KISEKI_BASE_SIGV4_H
#define KISEKI_BASE_SIGV4_H

#include "base/buf.h"

#define SIGV4_SIGNATURE_HEX 64

struct sigv4_header {
    struct str name;  /* any case */
    struct str value; /* as sent; trimmed and inner spaces folded by the canonical form */
};

struct sigv4_arg {
    struct str name; /* decoded */
    struct str value;
};

struct sigv4_request {
    struct str method;
    struct str path;              /* decoded, begins with '/' */
    const struct sigv4_arg *args; /* all query arguments, X-Amz-Signature left out; any order */
    size_t arg_count;
    const struct sigv4_header *headers; /* only the signed ones; repeated names are joined by ',' */
    size_t header_count;
    struct str payload_hash; /* what goes into the last line: hex or UNSIGNED-PAYLOAD etc. */
};

struct sigv4_scope {
    struct str date;    /* 20260101 */
    struct str region;  /* us-east-1 */
    struct str service; /* s3 */
};

/* Appends the canonical request. `signed_headers` receives "host;x-amz-date". */
MUST_USE enum err sigv4_canonical(const struct sigv4_request *r, struct buf *out,
                                  struct buf *signed_headers);

/* The signing key of secret and scope, 32 bytes; remembers the last few of this thread. */
MUST_USE enum err sigv4_key(struct str secret, const struct sigv4_scope *scope, uint8_t out[32]);

/* Signature over "AWS4-HMAC-SHA256\n<timestamp>\n<scope>\n<hash of canonical>" as hex and NUL. */
MUST_USE enum err sigv4_sign(const uint8_t key[32], struct str timestamp,
                             const struct sigv4_scope *scope, struct str canonical,
                             char out[SIGV4_SIGNATURE_HEX + 1]);

/* One aws-chunked chunk: signs previous signature and hash of the chunk's bytes (hex). */
MUST_USE enum err sigv4_sign_chunk(const uint8_t key[32], struct str timestamp,
                                   const struct sigv4_scope *scope, struct str previous,
                                   struct str chunk_hash, char out[SIGV4_SIGNATURE_HEX + 1]);
/* The trailer of ...-PAYLOAD-TRAILER ("AWS4-HMAC-SHA256-TRAILER"). */
MUST_USE enum err sigv4_sign_trailer(const uint8_t key[32], struct str timestamp,
                                     const struct sigv4_scope *scope, struct str previous,
                                     struct str trailer_hash, char out[SIGV4_SIGNATURE_HEX + 1]);

#endif
