/*
 * x-amz-expected-bucket-owner and x-amz-source-expected-bucket-owner: a request that names the
 * owner it expects is refused when the bucket is another's.
 *
 * The header is compared once, before the body; from then on the request's proof
 * (meta/access/access.h) says whose the bucket must be. So a bucket of the same name that another
 * account makes while the body arrives gets none of it.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_EXPECTED_OWNER_H
#define KISEKI_GATEWAY_S3_CORE_EXPECTED_OWNER_H

#include "gateway/s3/core/request.h"

/* Of the bucket in the request's address, or of that which a copy reads from. */
enum owner_of { OWNER_OF_BUCKET, OWNER_OF_SOURCE };

/* There is such a header, and the operation acts on a bucket that is there. */
bool expected_owner_given(const struct s3_request *r);

/*
 * S3_OK when the header is absent or names the owner of `bucket`, by account number or canonical
 * id. AccessDenied; NoSuchBucket. Asks the database when the header is there and was not compared
 * yet, so on a worker only, between authorize_begin() and authorize_end().
 */
enum s3_code expected_owner_check(struct s3_request *r, enum owner_of which, struct str bucket);

/* The statements to come require that the bucket is this account's; owner 0: anybody's. */
void expected_owner_require(struct s3_request *r, enum owner_of which, struct str bucket,
                            uint64_t owner);

#endif
