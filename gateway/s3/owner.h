/*
 * x-amz-expected-bucket-owner and x-amz-source-expected-bucket-owner: a request that names the
 * owner it expects is refused when the bucket is another's.
 */
#ifndef KISEKI_GATEWAY_S3_OWNER_H
#define KISEKI_GATEWAY_S3_OWNER_H

#include "gateway/s3/op.h"

/*
 * S3_OK when `header` is absent or names the owner of `bucket`, by account number or canonical id.
 * AccessDenied; NoSuchBucket. Asks the database when the header is there, so on a worker only.
 */
enum s3_code owner_check(struct s3_request *r, const char *header, struct str bucket);

#endif
