/*
 * aws-chunked: the framing that SDKs put around an upload's body.
 *
 *     10000;chunk-signature=<64 hex>\r\n <65536 bytes> \r\n      signed kinds
 *     10000\r\n <65536 bytes> \r\n                               unsigned kind
 *     0;chunk-signature=<64 hex>\r\n                             last chunk
 *     x-amz-checksum-crc32:<base64>\r\n                          trailer kinds
 *     x-amz-trailer-signature:<64 hex>\r\n                       signed trailer
 *     \r\n
 *
 * The decoder is fed the body in pieces of any size and hands out runs of payload that are slices
 * of the input: nothing is copied and memory is bounded by two small limits below. Payload goes
 * out BEFORE its chunk's signature is proven (it comes first on the wire, but covers bytes that
 * are still to arrive): only chunked_finish() == S3_OK says that all that went out was genuine
 * and complete. So nothing of it may be committed earlier.
 *
 * Ownership: key, scope, timestamp, seed and announced names are borrowed until chunked_fini.
 * Threads: one user at a time. Errors: SignatureDoesNotMatch, IncompleteBody, InvalidRequest,
 * InvalidChunkSizeError, MalformedTrailerError; after one, every later call gives it again.
 */
#ifndef KISEKI_GATEWAY_SIGN_CHUNKED_H
#define KISEKI_GATEWAY_SIGN_CHUNKED_H

#include "base/buf.h"
#include "base/hash.h"
#include "gateway/sign/verify.h"

#define CHUNKED_LINE_MAX     1024       /* a chunk's header line */
#define CHUNKED_TRAILERS_MAX 8          /* trailer lines */
#define CHUNKED_TRAILER_MAX  (8 * 1024) /* bytes of all of them */
#define CHUNKED_SIGNED_MIN   (8 * 1024) /* AWS: each signed chunk but the last data chunk */

struct chunked_trailer {
    struct str name; /* lower case */
    struct str value;
};

struct chunked {
    /* immutable after init */
    enum auth_payload kind;
    const struct auth *auth;
    struct str announced; /* the x-amz-trailer header: names, comma-separated */
    uint64_t expected;    /* decoded bytes */

    /* state */
    unsigned state;
    enum s3_code failed;
    const char *failed_message;
    uint64_t delivered;  /* payload bytes handed out */
    uint64_t chunk_left; /* payload bytes of this chunk still to come */
    bool short_chunk;    /* a chunk under CHUNKED_SIGNED_MIN went by: only the last one may */
    struct hash hash;    /* of this chunk, signed kinds */
    char previous[SIGV4_SIGNATURE_HEX + 1];
    char claimed[SIGV4_SIGNATURE_HEX + 1];
    char line[CHUNKED_LINE_MAX];
    size_t line_len;

    /* valid after chunked_finish */
    struct buf trailer_bytes;
    struct chunked_trailer trailers[CHUNKED_TRAILERS_MAX];
    size_t trailer_count;
};

/*
 * `auth` is verified, framed, and outlives the decoder; `announced` is x-amz-trailer's value (""
 * when absent). OK or ERR_NOMEM.
 */
MUST_USE enum err chunked_init(struct chunked *c, const struct auth *auth, struct str announced);
void chunked_fini(struct chunked *c);

/*
 * Consumes from the front of *in and sets *out_payload to the next run of payload, a slice of the
 * input, empty when there is none yet. Call until *in is empty:
 *     while (in.len > 0) { code = chunked_next(&c, &in, &piece, &error); ... use(piece); }
 */
MUST_USE enum s3_code chunked_next(struct chunked *c, struct str *in, struct str *out_payload,
                                   struct s3_error *error);

/* The body has ended: S3_OK only if everything was there, and every signature held. */
MUST_USE enum s3_code chunked_finish(struct chunked *c, struct s3_error *error);

#endif
