#include "gateway/s3/core/expected_owner.h"

#include "gateway/s3/core/reply.h"
#include "meta/names/bucket.h"

static bool names_account(struct str text, uint64_t id, const struct account *account)
{
    uint64_t number;

    return (text.len > 0 && str_eq(text, str_of(account->canonical_id))) ||
           (str_to_u64(text, &number) == OK && number == id);
}

static const char *const headers[] = {
    [OWNER_OF_BUCKET] = "x-amz-expected-bucket-owner",
    [OWNER_OF_SOURCE] = "x-amz-source-expected-bucket-owner",
};

bool expected_owner_given(const struct s3_request *r)
{
    return s3_header(r, headers[OWNER_OF_BUCKET]).ptr != NULL &&
           resource_has_bucket(r->op->resource);
}

void expected_owner_require(struct s3_request *r, enum owner_of which, struct str bucket,
                            uint64_t owner)
{
    r->permit.proof.buckets[which] = (struct access_bucket){.owner = owner};
    if (owner != 0)
        r->permit.proof.buckets[which].name = bucket;
}

static enum s3_code compare(struct s3_request *r, enum owner_of which, const struct bucket *bucket)
{
    struct account owner = {0};

    if (account_find(r->s3->meta, bucket->owner, &owner) != OK)
        owner = (struct account){.id = bucket->owner};
    if (!names_account(s3_header(r, headers[which]), bucket->owner, &owner))
        return s3_fail(&r->error, S3_ACCESS_DENIED, NULL);
    r->permit.expected_owner[which] = bucket->owner;
    expected_owner_require(r, which, bucket->name, bucket->owner);
    return S3_OK;
}

enum s3_code expected_owner_check(struct s3_request *r, enum owner_of which, struct str bucket)
{
    struct bucket found;
    enum s3_code code;
    enum err err;

    if (s3_header(r, headers[which]).ptr == NULL || r->permit.expected_owner[which] != 0)
        return S3_OK;
    err = bucket_get(r->s3->meta, r->arena, bucket, &found);
    if (err == ERR_NOT_FOUND) {
        code = s3_fail(&r->error, S3_NO_SUCH_BUCKET, NULL);
        s3_error_add(&r->error, "BucketName", bucket);
        return code;
    }
    return err == OK ? compare(r, which, &found)
                     : s3_fail_err(r, err, "look at the bucket's owner");
}
