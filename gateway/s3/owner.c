#include "gateway/s3/owner.h"

#include "meta/bucket.h"

static bool names_account(struct str text, uint64_t id, const struct account *account)
{
    uint64_t number;

    return (text.len > 0 && str_eq(text, str_of(account->canonical_id))) ||
           (str_to_u64(text, &number) == OK && number == id);
}

enum s3_code owner_check(struct s3_request *r, const char *header, struct str bucket)
{
    struct str expected = s3_header(r, header);
    struct account owner = {0};
    struct bucket found;
    enum s3_code code;
    enum err err;

    if (expected.ptr == NULL)
        return S3_OK;
    err = bucket_get(r->s3->meta, r->arena, bucket, &found);
    if (err == ERR_NOT_FOUND) {
        code = s3_fail(&r->error, S3_NO_SUCH_BUCKET, NULL);
        s3_error_add(&r->error, "BucketName", bucket);
        return code;
    }
    if (err != OK)
        return s3_fail_err(r, err, "look at the bucket's owner");
    if (account_find(r->s3->meta, found.owner, &owner) != OK)
        owner = (struct account){.id = found.owner};
    return names_account(expected, found.owner, &owner)
               ? S3_OK
               : s3_fail(&r->error, S3_ACCESS_DENIED, NULL);
}
