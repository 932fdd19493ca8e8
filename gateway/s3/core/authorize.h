/*
 * The decision who may do what (gateway/access/authorize.h), for a request.
 *
 * Where it depends on whose a bucket is, it is not made here but in the statements that do the
 * request's work, which carry the access key and the buckets as a proof (meta/access/access.h): so
 * it costs no round trip, and holds at the moment of the commit. An upload that is long, or that
 * waits for 100 Continue, is decided before its body, too, if it depends on the bucket. So is an
 * owner that the request expects (expected_owner.h).
 */
#ifndef KISEKI_GATEWAY_S3_CORE_AUTHORIZE_H
#define KISEKI_GATEWAY_S3_CORE_AUTHORIZE_H

#include "gateway/s3/core/request.h"

/* Decides what r->identity.who may do: AccessDenied, or r->permit. Never blocks. */
enum s3_code authorize_request(struct s3_request *r);
/* The decision depends on whose a bucket is. */
bool authorize_wants_owner(const struct s3_request *r);

/* From here to authorize_end() this thread's statements prove that r->identity.key may do r->op. */
void authorize_begin(struct s3_request *r);
/*
 * `code` as the operation gave it, or the refusal: AccessDenied for another's bucket, what
 * authentication says of a key that was changed or removed meanwhile, SlowDown when it holds again.
 * If no statement has proven anything, it asks. Blocks. Each step of a handler that goes on later
 * (r->resume) is between the two by itself.
 */
enum s3_code authorize_end(struct s3_request *r, enum s3_code code);

#endif
