#include "gateway/s3/core/ops.h"
#include "gateway/s3/proto/xml_write.h"
#include "meta/names/bucket.h"

#define ANSWER_MAX ((size_t)8 << 10)

#define NO_LOCK "Bucket is missing Object Lock Configuration"

/*
 * Configuration that was never set, as S3 answers it: an empty document of its own, or a 404 code
 * of its own. `body` is what stands inside the root element.
 */
static const struct unset {
    enum s3_code code; /* S3_OK: the document below */
    const char *root;
    const char *body;
    /* of the code: the bucket's state decides, whether the key is there or not */
    const char *message;
} unset[S3_DOCUMENTS] = {
    [S3_DOCUMENT_VERSIONING] = {S3_OK, "VersioningConfiguration", "", NULL},
    [S3_DOCUMENT_REQUEST_PAYMENT] = {S3_OK, "RequestPaymentConfiguration",
                                     "<Payer>BucketOwner</Payer>", NULL},
    [S3_DOCUMENT_LOGGING] = {S3_OK, "BucketLoggingStatus", "", NULL},
    [S3_DOCUMENT_NOTIFICATION] = {S3_OK, "NotificationConfiguration", "", NULL},
    [S3_DOCUMENT_ACCELERATE] = {S3_OK, "AccelerateConfiguration", "", NULL},
    [S3_DOCUMENT_OBJECT_TAGS] = {S3_OK, "Tagging", "<TagSet></TagSet>", NULL},
    [S3_DOCUMENT_POLICY] = {S3_NO_SUCH_BUCKET_POLICY, NULL, NULL, NULL},
    [S3_DOCUMENT_POLICY_STATUS] = {S3_NO_SUCH_BUCKET_POLICY, NULL, NULL, NULL},
    [S3_DOCUMENT_CORS] = {S3_NO_SUCH_CORS, NULL, NULL, NULL},
    [S3_DOCUMENT_LIFECYCLE] = {S3_NO_SUCH_LIFECYCLE, NULL, NULL, NULL},
    [S3_DOCUMENT_BUCKET_TAGS] = {S3_NO_SUCH_TAG_SET, NULL, NULL, NULL},
    [S3_DOCUMENT_LOCK] = {S3_OBJECT_LOCK_NOT_FOUND, NULL, NULL, NULL},
    [S3_DOCUMENT_RETENTION] = {S3_INVALID_REQUEST, NULL, NULL, NO_LOCK},
    [S3_DOCUMENT_LEGAL_HOLD] = {S3_INVALID_REQUEST, NULL, NULL, NO_LOCK},
    [S3_DOCUMENT_WEBSITE] = {S3_NO_SUCH_WEBSITE, NULL, NULL, NULL},
    [S3_DOCUMENT_ENCRYPTION] = {S3_SSE_NOT_FOUND, NULL, NULL, NULL},
    [S3_DOCUMENT_REPLICATION] = {S3_REPLICATION_NOT_FOUND, NULL, NULL, NULL},
    [S3_DOCUMENT_PUBLIC_ACCESS_BLOCK] = {S3_NO_SUCH_PUBLIC_ACCESS_BLOCK, NULL, NULL, NULL},
    [S3_DOCUMENT_OWNERSHIP] = {S3_OWNERSHIP_CONTROLS_NOT_FOUND, NULL, NULL, NULL},
};

/* The bucket, and the object where it matters, must be there. */
static enum s3_code find_owner(struct s3_request *r, bool of_bucket, uint64_t *out_owner)
{
    struct bucket bucket;
    struct object object;
    struct object_get get = {.bucket = r->bucket, .key = r->key, .want = OBJECT_ATTR};
    enum meta_missing missing = META_MISSING_BUCKET;
    enum s3_code code;
    enum err err;

    if (of_bucket) {
        err = bucket_get(r->s3->meta, r->arena, r->bucket, &bucket);
        *out_owner = err == OK ? bucket.owner : 0;
        return s3_fail_commit(r, err, missing, "look at the bucket");
    }
    code = s3_version_id(r, &get.version);
    if (code != S3_OK)
        return code;
    err = file_stat(r->s3->fs, r->arena, &get, &object, &missing);
    *out_owner = err == OK ? object.attr.owner : 0;
    return s3_fail_commit(r, err, missing, "look at the object");
}

static void write_user(struct buf *xml, const struct account *owner)
{
    xml_cstr(xml, "ID", owner->canonical_id);
    xml_cstr(xml, "DisplayName", owner->name);
}

/* The owner has full control, and no grant names another. */
static enum s3_code reply_acl(struct s3_request *r, uint64_t owner_id)
{
    struct account owner = r->identity.key.account;
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
    const struct unset *row = &unset[r->op->document];
    bool of_bucket = r->op->scope == S3_BUCKET || row->message != NULL;
    uint64_t owner;
    struct buf xml;
    enum s3_code code = find_owner(r, of_bucket, &owner);

    if (code != S3_OK)
        return code;
    if (r->op->document == S3_DOCUMENT_ACL)
        return reply_acl(r, owner);
    if (row->code != S3_OK) {
        code = s3_fail(&r->error, row->code, row->message);
        s3_error_add(&r->error, "BucketName", r->bucket);
        return code;
    }
    buf_init(&xml, ANSWER_MAX);
    xml_begin(&xml);
    xml_open_root(&xml, row->root);
    buf_append_cstr(&xml, row->body);
    xml_close(&xml, row->root);
    return s3_reply_xml(r, &xml);
}
