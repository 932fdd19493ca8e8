/*
 * Who may do what: asked by the pipeline for every operation, never by a handler.
 *
 * Until there are policies the rule is short. The account `root` may do everything. Any other
 * account may list and make buckets, and act on those that it made: on the bucket of the request
 * and, for a copy, on that of the source. A bucket that does not exist is refused to nobody: the
 * handler answers NoSuchBucket.
 *
 * The decision is not made here but in the statements that do the request's work, which carry the
 * access key and the buckets as a proof (meta/access/access.h): so it costs no round trip, and
 * holds at the moment of the commit. An upload that is long, or that waits for 100 Continue, is
 * decided before its body, too, unless it is root's. So is an owner that the request expects
 * (owner.h).
 */
#ifndef KISEKI_GATEWAY_S3_CORE_AUTHORIZE_H
#define KISEKI_GATEWAY_S3_CORE_AUTHORIZE_H

#include "gateway/s3/core/op.h"

/* The signature by the key in r->access; then arguments and headers are as they were signed. */
enum s3_code authorize_signature(struct s3_request *r);

/* From here to authorize_end() this thread's statements prove that r->access may do r->op. */
void authorize_begin(struct s3_request *r);
/*
 * `code` as the operation gave it, or the refusal: AccessDenied for another's bucket, what
 * authentication says of a key that was changed or removed meanwhile, SlowDown when it holds again.
 * If no statement has proven anything, it asks. Blocks. Each step of a handler that goes on later
 * (r->resume) is between the two by itself.
 */
enum s3_code authorize_end(struct s3_request *r, enum s3_code code);

#endif
