/*
 * What a body must be, checked in passing: Content-MD5, x-amz-content-sha256, one additional
 * checksum by header or by trailer; and what is computed of it whatever the client says: MD5 (the
 * ETag) and, when the client names no checksum, CRC64NVME or another default.
 *
 *     payload_init()    reads the headers; refuses what they already decide (before the body)
 *     payload_update()  every decoded piece, in order; each algorithm sees each byte once
 *     payload_finish()  compares; its result is only meaningful after S3_OK
 *
 * Ownership: header values are copied out; nothing is borrowed after payload_init.
 * Threads: one user at a time. Source: "Checking object integrity", PutObject, UploadPart.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_PAYLOAD_H
#define KISEKI_GATEWAY_S3_PROTO_PAYLOAD_H

#include "base/sigv4.h"
#include "gateway/s3/proto/checksum.h"

struct payload_spec {
    const struct sigv4_header *headers; /* the request's; the relevant ones are picked out */
    size_t header_count;
    bool has_trailer; /* the body's framing can carry trailers (else x-amz-trailer is refused) */
    const uint8_t *sha256; /* what the body must hash to (32 bytes), NULL if not signed */
    /*
     * Used when the client gives no checksum. PutObject: CRC64NVME; UploadPart: the upload's
     * algorithm; NONE for bodies that are only read (XML).
     */
    enum checksum_algo default_algo;
    bool want_md5;       /* false: MD5 only if Content-MD5 asks */
    bool need_integrity; /* DeleteObjects and the like: MD5 or a checksum must be there */
};

struct payload {
    /* immutable after init */
    bool check_md5, check_sha256, check_sum;
    bool by_trailer;         /* the checksum arrives as a trailer */
    enum checksum_algo algo; /* computed; NONE if none */
    uint8_t md5[16];
    uint8_t sha256[32];
    struct checksum want;

    /* running; three at most: MD5, SHA-256, the checksum when it is another */
    struct hash hash[3];
    size_t hash_count;
    uint64_t length;
};

struct payload_result {
    uint64_t length;
    bool has_md5;
    uint8_t md5[16];
    struct checksum sum; /* algo NONE if none was computed; type FULL_OBJECT */
    bool client_sum;     /* the client gave it: echo it in the answer */
};

/*
 * InvalidDigest (Content-MD5 is not base64 of 16 bytes), BadDigest (a checksum is not of its
 * length), InvalidRequest (two checksums, an unknown algorithm, x-amz-sdk-checksum-algorithm
 * without any checksum, it or x-amz-checksum-algorithm with one of another algorithm, a trailer
 * without framing for it, no integrity where it is needed), SlowDown (memory).
 */
MUST_USE enum s3_code payload_init(struct payload *p, const struct payload_spec *spec,
                                   struct s3_error *error);
void payload_update(struct payload *p, const void *data, size_t len);
/*
 * `trailers` are those that arrived (names in any case). BadDigest (also for a trailer that is not
 * base64), XAmzContentSHA256Mismatch, MalformedTrailerError (the trailer announced is missing).
 */
MUST_USE enum s3_code payload_finish(struct payload *p, const struct sigv4_header *trailers,
                                     size_t trailer_count, struct payload_result *out,
                                     struct s3_error *error);
void payload_fini(struct payload *p); /* fine on a zeroed struct */

#endif
