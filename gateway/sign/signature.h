/*
 * What the files of gateway/auth share. See verify.h for the whole; nothing here is for others.
 */
#ifndef KISEKI_GATEWAY_SIGN_SIGNATURE_H
#define KISEKI_GATEWAY_SIGN_SIGNATURE_H

#include "base/codec.h"
#include "gateway/sign/verify.h"

/* The most names in SignedHeaders: bounds the work that an unknown sender can cause. */
#define AUTH_SIGNED_HEADERS_MAX 100
/* The most a canonical request may be; headers and target together are far below. */
#define AUTH_CANONICAL_MAX (256 * 1024)

/* The first header of that name; ptr NULL when there is none, not NULL when it is empty. */
struct str auth_header(const struct auth_request *r, struct str name);
/* The host that the request is really for, which is the one that must have been signed. */
struct str auth_host(const struct auth_request *r);
/* The first argument of that exact name, or of that name in any case; NULL when there is none. */
const struct sigv4_arg *auth_arg(const struct auth_request *r, struct str name);
const struct sigv4_arg *auth_arg_nocase(const struct auth_request *r, struct str name);

/* verify.c: RequestTimeTooSkewed if the times are too far apart; "Request has expired". */
enum s3_code auth_check_skew(const struct auth_request *r, struct arena *arena, int64_t signed_ms,
                             struct str as_sent, struct s3_error *error);
/* AccessDenied: an x-amz- header that the signature does not cover. */
enum s3_code auth_not_signed(struct str name, struct s3_error *error);
enum s3_code auth_expired(const struct auth_request *r, struct arena *arena, int64_t end_ms,
                          struct s3_error *error);

/* payload.c: payload, payload_text, payload_sha256, framed and decoded_length. */
enum s3_code auth_parse_payload(const struct auth_request *r, struct auth *out,
                                struct s3_error *error);

/* v4_parse.c, v4_check.c */
enum s3_code auth_v4_parse_header(const struct auth_request *r, struct arena *arena,
                                  struct str value, struct auth *out, struct s3_error *error);
enum s3_code auth_v4_parse_query(const struct auth_request *r, struct arena *arena,
                                 struct auth *out, struct s3_error *error);
enum s3_code auth_v4_check(const struct auth_request *r, struct arena *arena,
                           const struct auth_key *key, struct auth *auth, struct s3_error *error);
bool auth_v4_is_signed(struct str signed_headers, struct str name);

/* v2_parse.c, v2_check.c */
enum s3_code auth_v2_parse_header(const struct auth_request *r, struct arena *arena,
                                  struct str value, struct auth *out, struct s3_error *error);
enum s3_code auth_v2_parse_query(const struct auth_request *r, struct arena *arena,
                                 struct auth *out, struct s3_error *error);
enum s3_code auth_v2_check(const struct auth_request *r, struct arena *arena,
                           const struct auth_key *key, struct auth *auth, struct s3_error *error);

/* query.c: raw_query decoded anew into the arena, with `+` read as asked. */
MUST_USE enum err auth_query_args(struct str raw_query, enum percent_plus plus, struct arena *arena,
                                  struct sigv4_arg **out, size_t *out_count);

#endif
