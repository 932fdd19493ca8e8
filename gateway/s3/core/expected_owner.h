/*
 * x-amz-expected-bucket-owner and x-amz-source-expected-bucket-owner: a request that names the
 * owner it expects is refused when the bucket is another's.
 *
 * It is a part of the decision (authorize.h): compared with the bucket's context, so that the proof
 * of that covers it. A bucket of the same name that another account makes while the body arrives
 * gets none of it.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_EXPECTED_OWNER_H
#define KISEKI_GATEWAY_S3_CORE_EXPECTED_OWNER_H

#include "gateway/s3/core/request.h"

/* There is such a header. */
bool expected_owner_given(const struct s3_request *r, enum s3_role role);
/* It is absent, names the owner by account number or canonical id, or there is no bucket. */
bool expected_owner_holds(const struct s3_request *r, enum s3_role role);

#endif
