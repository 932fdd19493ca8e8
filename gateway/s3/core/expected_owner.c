#include "gateway/s3/core/expected_owner.h"

static const char *const headers[S3_ROLES] = {
    [S3_TARGET] = "x-amz-expected-bucket-owner",
    [S3_SOURCE] = "x-amz-source-expected-bucket-owner",
};

bool expected_owner_given(const struct s3_request *r, enum s3_role role)
{
    return s3_header(r, headers[role]).ptr != NULL;
}

bool expected_owner_holds(const struct s3_request *r, enum s3_role role)
{
    const struct bucket_context *context = r->buckets[role].context;
    struct str expected = s3_header(r, headers[role]);
    uint64_t number;

    if (expected.ptr == NULL || context == NULL)
        return true;
    return (expected.len > 0 && str_eq(expected, context->owner_canonical_id)) ||
           (str_to_u64(expected, &number) == OK && number == context->owner);
}
