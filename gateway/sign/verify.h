/*
 * Who sent this request? Verifies AWS signatures: version 4 by header and presigned, version 2 by
 * header and presigned. Pure: data in, a decision out; no clock, no database.
 *
 * Three steps, so that the caller can look the key up (and wait for it) in between:
 *     auth_parse()   finds the kind, the access key and everything that can be refused without a
 *                    secret (dates, malformed fields, headers that must be signed)
 *     <look-up>      access key -> struct auth_key
 *     auth_check()   computes the signature and compares it in constant time
 * auth_verify() does all three with a look-up callback. An anonymous request is not refused here:
 * kind says so, and authorization decides.
 *
 * What is accepted beyond the letter, and why (each signature is still required to match exactly
 * under one of these readings, and the operation gets the reading that matched):
 *   - `+` in the query: a client may have signed it as a space or as a literal plus. auth_check
 *     says in auth.args which; the space comes first, as S3 has it.
 *   - percent forms of the path (`%7e` or `~`, lower-case digits) are compared decoded and
 *     re-encoded canonically; the path is encoded once and never normalised.
 *   - Host with and without a default port (80, 443), since proxies add and drop it.
 *   - accept-encoding, when signed: proxies rewrite it, so `identity`, `gzip`, the empty value and
 *     what SDKs send are tried. It does not change what S3 does.
 *
 * A signature does not tell some requests apart: version 4 sorts arguments of one name and folds
 * blanks inside a header, version 2 does not escape the values of sub-resources. Where the request
 * would then mean something else than its author signed, auth_check refuses it.
 *
 * Ownership: results are borrowed from the request's memory and from the arena.
 * Threads: any. Source: "Authenticating Requests (AWS Signature Version 4)" and "Signing and
 * authenticating REST requests" (version 2) in the Amazon S3 documentation.
 */
#ifndef KISEKI_GATEWAY_SIGN_VERIFY_H
#define KISEKI_GATEWAY_SIGN_VERIFY_H

#include "base/arena.h"
#include "base/sigv4.h"
#include "gateway/errors/errors.h"

#define AUTH_SKEW_MS         (15 * 60 * 1000)
#define AUTH_EXPIRES_MAX_SEC (7 * 24 * 3600)

struct auth_request {
    struct str method;
    struct str host;      /* what the bucket is taken from; empty: the Host header (they differ
                             when the request target has a host of its own) */
    struct str raw_path;  /* as it was sent, without the query: "/b/a%20b" */
    struct str path;      /* raw_path percent-decoded: "/b/a b" */
    struct str raw_query; /* as it was sent, without '?' */
    const struct sigv4_arg *args; /* raw_query decoded, '+' a space */
    size_t arg_count;
    const struct sigv4_header *headers; /* all, as sent, repeated names apart */
    size_t header_count;
    int64_t now_ms;
    const struct str *domains; /* configured virtual-host domains (version 2 signs the bucket) */
    size_t domain_count;
};

enum auth_kind {
    AUTH_ANONYMOUS,
    AUTH_HEADER_V4,
    AUTH_PRESIGNED_V4,
    AUTH_HEADER_V2,
    AUTH_PRESIGNED_V2
};

/* How the body is protected. The three streaming kinds come in aws-chunked framing. */
enum auth_payload {
    AUTH_PAYLOAD_UNSIGNED,        /* UNSIGNED-PAYLOAD, presigned, version 2, anonymous */
    AUTH_PAYLOAD_SHA256,          /* payload_sha256 must be the body's */
    AUTH_PAYLOAD_CHUNKED,         /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
    AUTH_PAYLOAD_CHUNKED_TRAILER, /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER */
    AUTH_PAYLOAD_UNSIGNED_TRAILER /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};

/* Filled by auth_parse; "checked" fields by auth_check. */
struct auth {
    enum auth_kind kind;
    struct str access_key; /* empty when anonymous */

    enum auth_payload payload;
    uint8_t payload_sha256[32]; /* AUTH_PAYLOAD_SHA256 only */
    bool framed;                /* the body is in aws-chunked framing */
    uint64_t decoded_length;    /* framed: x-amz-decoded-content-length */

    /* Version 4: what aws-chunked signatures go on from. */
    struct sigv4_scope scope;
    struct str timestamp;    /* 20260101T000000Z */
    struct str signature;    /* as sent; version 4: 64 hex digits, the seed of the chunks */
    uint8_t signing_key[32]; /* checked */

    int64_t account_id; /* checked: the key's */

    /* checked: the query's arguments as they were signed; the request's own, or in the arena */
    const struct sigv4_arg *args;
    size_t arg_count;

    size_t hashed_bytes; /* checked: version 4's canonical text that it took, of all readings */

    /* Private to auth_parse and auth_check. */
    struct str payload_text;   /* the canonical request's last line */
    struct str signed_headers; /* "host;x-amz-date" as sent */
};

struct auth_key {
    struct str secret;
    int64_t account_id;
    bool enabled; /* false: answered as an unknown key is */
};

/* S3_OK, or the refusal with its message in *error. */
MUST_USE enum s3_code auth_parse(const struct auth_request *r, struct arena *arena,
                                 struct auth *out, struct s3_error *error);

/* `key` NULL or disabled: InvalidAccessKeyId. Not to be called for anonymous requests. */
MUST_USE enum s3_code auth_check(const struct auth_request *r, struct arena *arena,
                                 const struct auth_key *key, struct auth *auth,
                                 struct s3_error *error);

/*
 * The headers as operations are to see them: in a presigned URL, arguments named x-amz-* stand for
 * headers that are not there (presigners move them; the signature covers them), and version 2's
 * content-type and content-md5. Any other request gets its own headers back. Does not need
 * auth_parse. InvalidArgument for an argument that could not be a header (its name no token, a
 * control byte in its value), and for one that differs from the header of its name; InternalError.
 */
MUST_USE enum s3_code auth_headers(const struct auth_request *r, struct arena *arena,
                                   const struct sigv4_header **out, size_t *out_count,
                                   struct s3_error *error);

/* Fills *out; ERR_NOT_FOUND, ERR_AGAIN (would have to ask the database) or another failure. */
typedef enum err (*auth_lookup)(void *context, struct str access_key, struct auth_key *out);

/*
 * All steps. OK: *out is verified or anonymous. ERR_DENIED: *error says what to answer. Anything
 * else is the look-up's failure; after ERR_AGAIN *out is parsed and auth_check may follow.
 */
MUST_USE enum err auth_verify(const struct auth_request *r, struct arena *arena, auth_lookup lookup,
                              void *context, struct auth *out, struct s3_error *error);

#endif
