#include "gateway/s3/ops.h"
#include "gateway/s3/stored.h"
#include "gateway/s3/xml_write.h"
#include "meta/bucket.h"

#include <string.h>

#define ANSWER_MAX ((size_t)8 << 10)

/*
 * Configuration that was never set, as S3 answers it: an empty document of its own, or a 404 code
 * of its own. `body` is what stands inside the root element.
 */
static const struct {
    const char *op;
    enum s3_code code; /* S3_OK: the document below */
    const char *root;
    const char *body;
} unset[] = {
    {"GetBucketVersioning", S3_OK, "VersioningConfiguration", ""},
    {"GetBucketRequestPayment", S3_OK, "RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>"},
    {"GetBucketLogging", S3_OK, "BucketLoggingStatus", ""},
    {"GetBucketNotificationConfiguration", S3_OK, "NotificationConfiguration", ""},
    {"GetBucketAccelerateConfiguration", S3_OK, "AccelerateConfiguration", ""},
    {"GetObjectTagging", S3_OK, "Tagging", "<TagSet></TagSet>"},
    {"GetBucketPolicy", S3_NO_SUCH_BUCKET_POLICY, NULL, NULL},
    {"GetBucketPolicyStatus", S3_NO_SUCH_BUCKET_POLICY, NULL, NULL},
    {"GetBucketCors", S3_NO_SUCH_CORS, NULL, NULL},
    {"GetBucketLifecycleConfiguration", S3_NO_SUCH_LIFECYCLE, NULL, NULL},
    {"GetBucketTagging", S3_NO_SUCH_TAG_SET, NULL, NULL},
    {"GetObjectLockConfiguration", S3_OBJECT_LOCK_NOT_FOUND, NULL, NULL},
    {"GetObjectRetention", S3_NO_SUCH_OBJECT_LOCK, NULL, NULL},
    {"GetObjectLegalHold", S3_NO_SUCH_OBJECT_LOCK, NULL, NULL},
    {"GetBucketWebsite", S3_NO_SUCH_WEBSITE, NULL, NULL},
    {"GetBucketEncryption", S3_SSE_NOT_FOUND, NULL, NULL},
    {"GetBucketReplication", S3_REPLICATION_NOT_FOUND, NULL, NULL},
    {"GetPublicAccessBlock", S3_NO_SUCH_PUBLIC_ACCESS_BLOCK, NULL, NULL},
    {"GetBucketOwnershipControls", S3_OWNERSHIP_CONTROLS_NOT_FOUND, NULL, NULL},
};

/* The bucket, and the object where one is named, must be there. */
static enum s3_code find_owner(struct s3_request *r, uint64_t *out_owner)
{
    struct bucket bucket;
    struct object object;
    struct object_get get = {.bucket = r->bucket, .key = r->key, .want = OBJECT_ATTR};
    enum meta_missing missing = META_MISSING_BUCKET;
    enum s3_code code;
    enum err err;

    if (r->op->scope == S3_BUCKET) {
        err = bucket_get(r->s3->meta, r->arena, r->bucket, &bucket);
        *out_owner = err == OK ? bucket.owner : 0;
        return stored_commit_code(r, err, missing, "look at the bucket");
    }
    code = stored_version_of(r, &get.version);
    if (code != S3_OK)
        return code;
    err = object_get(r->s3->meta, r->arena, &get, &object, &missing);
    *out_owner = err == OK ? object.attr.owner : 0;
    return stored_commit_code(r, err, missing, "look at the object");
}

static void write_user(struct buf *xml, const struct account *owner)
{
    xml_cstr(xml, "ID", owner->canonical_id);
    xml_cstr(xml, "DisplayName", owner->name);
}

/* The owner has full control, nobody else has anything. */
static enum s3_code reply_acl(struct s3_request *r, uint64_t owner_id)
{
    struct account owner = r->access.account;
    struct buf xml;

    if (account_find(r->s3->meta, owner_id, &owner) != OK)
        owner.id = owner_id;
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, "AccessControlPolicy");
    xml_open(&xml, "Owner");
    write_user(&xml, &owner);
    xml_close(&xml, "Owner");
    xml_open(&xml, "AccessControlList");
    xml_open(&xml, "Grant");
    buf_append_cstr(&xml, "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
                          "xsi:type=\"CanonicalUser\">");
    write_user(&xml, &owner);
    xml_close(&xml, "Grantee");
    xml_cstr(&xml, "Permission", "FULL_CONTROL");
    xml_close(&xml, "Grant");
    xml_close(&xml, "AccessControlList");
    xml_close(&xml, "AccessControlPolicy");
    return s3_reply_xml(r, &xml);
}

enum s3_code op_get_unset(struct s3_request *r)
{
    uint64_t owner;
    struct buf xml;
    enum s3_code code = find_owner(r, &owner);

    if (code != S3_OK)
        return code;
    for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++) {
        if (strcmp(r->op->name, unset[i].op) != 0)
            continue;
        if (unset[i].code != S3_OK) {
            code = s3_fail(&r->error, unset[i].code, NULL);
            s3_error_add(&r->error, "BucketName", r->bucket);
            return code;
        }
        buf_init(&xml, ANSWER_MAX);
        xml_begin(&xml);
        xml_open_root(&xml, unset[i].root);
        buf_append_cstr(&xml, unset[i].body);
        xml_close(&xml, unset[i].root);
        return s3_reply_xml(r, &xml);
    }
    return reply_acl(r, owner);
}
