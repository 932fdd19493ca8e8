#include "gateway/s3/core/ops.h"

/* clang-format off */
#define NONE NULL
#define Q(a) a
#define ROW(n, m, s, q, a, h) \
    { .name = n, .method = m, .scope = S3_##s, .query = q, .action = a, .handle = h }
#define XML_ROW(n, m, s, q, a, max, in, h) \
    { .name = n, .method = m, .scope = S3_##s, .query = q, .action = a, \
      .body = S3_BODY_MEMORY, .body_max = max, .lane = HTTP_LANE_##in, .handle = h }
#define FILE_ROW(n, m, s, q1, q2, a, conditional, when, before, h) \
    { .name = n, .method = m, .scope = S3_##s, .query = q1, .query2 = q2, .action = a, \
      .body = S3_BODY_FILE, .conditions = conditional, .early = when, .before_body = before, .handle = h }
#define COPY_ROW(n, m, s, q1, q2, a, conditional, h) \
    { .name = n, .method = m, .scope = S3_##s, .query = q1, .query2 = q2, \
      .header = "x-amz-copy-source", .action = a, .conditions = conditional, .handle = h }
#define UNBUILT(n, m, s, q, a) ROW(n, m, s, q, a, NULL)

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/*
 * The most specific row of a method and scope first: rows that a query argument or a header
 * selects, then the plain one. A sub-resource that S3 has and we have not is a row too, so that
 * it cannot fall through to a plain GET, PUT or DELETE.
 */
const struct s3_op s3_ops[] = {
    /* --- service ------------------------------------------------------------------------- */
    ROW("ListBuckets", "GET", SERVICE, NONE, "s3:ListAllMyBuckets", op_list_buckets),
    { .name = "HeadService", .method = "HEAD", .scope = S3_SERVICE, .action = "s3:ListAllMyBuckets", .everybody = true, .handle = op_head_service },

    /* --- bucket: GET --------------------------------------------------------------------- */
    ROW("GetBucketLocation", "GET", BUCKET, Q("location"), "s3:GetBucketLocation", op_get_bucket_location),
    ROW("ListMultipartUploads", "GET", BUCKET, Q("uploads"), "s3:ListBucketMultipartUploads", op_list_multipart_uploads),
    ROW("ListObjectVersions", "GET", BUCKET, Q("versions"), "s3:ListBucketVersions", op_list_object_versions),
    ROW("GetBucketVersioning", "GET", BUCKET, Q("versioning"), "s3:GetBucketVersioning", op_get_unset),
    ROW("GetBucketAcl", "GET", BUCKET, Q("acl"), "s3:GetBucketAcl", op_get_unset),
    ROW("GetBucketPolicy", "GET", BUCKET, Q("policy"), "s3:GetBucketPolicy", op_get_unset),
    ROW("GetBucketPolicyStatus", "GET", BUCKET, Q("policyStatus"), "s3:GetBucketPolicyStatus", op_get_unset),
    ROW("GetBucketCors", "GET", BUCKET, Q("cors"), "s3:GetBucketCORS", op_get_unset),
    ROW("GetBucketLifecycleConfiguration", "GET", BUCKET, Q("lifecycle"), "s3:GetLifecycleConfiguration", op_get_unset),
    ROW("GetBucketTagging", "GET", BUCKET, Q("tagging"), "s3:GetBucketTagging", op_get_unset),
    ROW("GetObjectLockConfiguration", "GET", BUCKET, Q("object-lock"), "s3:GetBucketObjectLockConfiguration", op_get_unset),
    ROW("GetBucketRequestPayment", "GET", BUCKET, Q("requestPayment"), "s3:GetBucketRequestPayment", op_get_unset),
    ROW("GetBucketLogging", "GET", BUCKET, Q("logging"), "s3:GetBucketLogging", op_get_unset),
    ROW("GetBucketWebsite", "GET", BUCKET, Q("website"), "s3:GetBucketWebsite", op_get_unset),
    ROW("GetBucketEncryption", "GET", BUCKET, Q("encryption"), "s3:GetEncryptionConfiguration", op_get_unset),
    ROW("GetBucketNotificationConfiguration", "GET", BUCKET, Q("notification"), "s3:GetBucketNotification", op_get_unset),
    ROW("GetBucketReplication", "GET", BUCKET, Q("replication"), "s3:GetReplicationConfiguration", op_get_unset),
    ROW("GetBucketAccelerateConfiguration", "GET", BUCKET, Q("accelerate"), "s3:GetAccelerateConfiguration", op_get_unset),
    ROW("GetPublicAccessBlock", "GET", BUCKET, Q("publicAccessBlock"), "s3:GetBucketPublicAccessBlock", op_get_unset),
    ROW("GetBucketOwnershipControls", "GET", BUCKET, Q("ownershipControls"), "s3:GetBucketOwnershipControls", op_get_unset),
    UNBUILT("GetBucketAnalyticsConfiguration", "GET", BUCKET, "analytics", "s3:GetAnalyticsConfiguration"),
    UNBUILT("GetBucketIntelligentTieringConfiguration", "GET", BUCKET, "intelligent-tiering", "s3:GetIntelligentTieringConfiguration"),
    UNBUILT("GetBucketInventoryConfiguration", "GET", BUCKET, "inventory", "s3:GetInventoryConfiguration"),
    UNBUILT("GetBucketMetricsConfiguration", "GET", BUCKET, "metrics", "s3:GetMetricsConfiguration"),
    UNBUILT("GetBucketMetadataConfiguration", "GET", BUCKET, "metadataConfiguration", "s3:GetBucketMetadataTableConfiguration"),
    UNBUILT("GetBucketMetadataTableConfiguration", "GET", BUCKET, "metadataTable", "s3:GetBucketMetadataTableConfiguration"),
    UNBUILT("GetBucketAbac", "GET", BUCKET, "abac", "s3:GetBucketAbac"),
    UNBUILT("CreateSession", "GET", BUCKET, "session", "s3express:CreateSession"),
    ROW("ListObjectsV2", "GET", BUCKET, Q("list-type"), "s3:ListBucket", op_list_objects_v2),
    ROW("ListObjects", "GET", BUCKET, NONE, "s3:ListBucket", op_list_objects),
    ROW("HeadBucket", "HEAD", BUCKET, NONE, "s3:ListBucket", op_head_bucket),

    /* --- bucket: PUT, POST, DELETE ------------------------------------------------------------ */
    UNBUILT("PutBucketVersioning", "PUT", BUCKET, "versioning", "s3:PutBucketVersioning"),
    UNBUILT("PutBucketAcl", "PUT", BUCKET, "acl", "s3:PutBucketAcl"),
    UNBUILT("PutBucketPolicy", "PUT", BUCKET, "policy", "s3:PutBucketPolicy"),
    UNBUILT("PutBucketCors", "PUT", BUCKET, "cors", "s3:PutBucketCORS"),
    UNBUILT("PutBucketLifecycleConfiguration", "PUT", BUCKET, "lifecycle", "s3:PutLifecycleConfiguration"),
    UNBUILT("PutBucketTagging", "PUT", BUCKET, "tagging", "s3:PutBucketTagging"),
    UNBUILT("PutObjectLockConfiguration", "PUT", BUCKET, "object-lock", "s3:PutBucketObjectLockConfiguration"),
    UNBUILT("PutBucketRequestPayment", "PUT", BUCKET, "requestPayment", "s3:PutBucketRequestPayment"),
    UNBUILT("PutBucketLogging", "PUT", BUCKET, "logging", "s3:PutBucketLogging"),
    UNBUILT("PutBucketWebsite", "PUT", BUCKET, "website", "s3:PutBucketWebsite"),
    UNBUILT("PutBucketEncryption", "PUT", BUCKET, "encryption", "s3:PutEncryptionConfiguration"),
    UNBUILT("PutBucketNotificationConfiguration", "PUT", BUCKET, "notification", "s3:PutBucketNotification"),
    UNBUILT("PutBucketReplication", "PUT", BUCKET, "replication", "s3:PutReplicationConfiguration"),
    UNBUILT("PutBucketAccelerateConfiguration", "PUT", BUCKET, "accelerate", "s3:PutAccelerateConfiguration"),
    UNBUILT("PutPublicAccessBlock", "PUT", BUCKET, "publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    UNBUILT("PutBucketOwnershipControls", "PUT", BUCKET, "ownershipControls", "s3:PutBucketOwnershipControls"),
    UNBUILT("PutBucketAnalyticsConfiguration", "PUT", BUCKET, "analytics", "s3:PutAnalyticsConfiguration"),
    UNBUILT("PutBucketIntelligentTieringConfiguration", "PUT", BUCKET, "intelligent-tiering", "s3:PutIntelligentTieringConfiguration"),
    UNBUILT("PutBucketInventoryConfiguration", "PUT", BUCKET, "inventory", "s3:PutInventoryConfiguration"),
    UNBUILT("PutBucketMetricsConfiguration", "PUT", BUCKET, "metrics", "s3:PutMetricsConfiguration"),
    UNBUILT("UpdateBucketMetadataInventoryTableConfiguration", "PUT", BUCKET, "metadataInventoryTable", "s3:UpdateBucketMetadataInventoryTableConfiguration"),
    UNBUILT("UpdateBucketMetadataJournalTableConfiguration", "PUT", BUCKET, "metadataJournalTable", "s3:UpdateBucketMetadataJournalTableConfiguration"),
    UNBUILT("PutBucketAbac", "PUT", BUCKET, "abac", "s3:PutBucketAbac"),
    XML_ROW("CreateBucket", "PUT", BUCKET, NONE, "s3:CreateBucket", 64 * KIB, WORK, op_create_bucket),
    XML_ROW("DeleteObjects", "POST", BUCKET, Q("delete"), "s3:DeleteObject", 8 * MIB, LONG, op_delete_objects),
    UNBUILT("CreateBucketMetadataConfiguration", "POST", BUCKET, "metadataConfiguration", "s3:CreateBucketMetadataTableConfiguration"),
    UNBUILT("CreateBucketMetadataTableConfiguration", "POST", BUCKET, "metadataTable", "s3:CreateBucketMetadataTableConfiguration"),
    { .name = "PostObject", .method = "POST", .scope = S3_BUCKET, .action = "s3:PutObject", .is_form = true },
    UNBUILT("DeleteBucketPolicy", "DELETE", BUCKET, "policy", "s3:DeleteBucketPolicy"),
    UNBUILT("DeleteBucketCors", "DELETE", BUCKET, "cors", "s3:PutBucketCORS"),
    UNBUILT("DeleteBucketLifecycle", "DELETE", BUCKET, "lifecycle", "s3:PutLifecycleConfiguration"),
    UNBUILT("DeleteBucketTagging", "DELETE", BUCKET, "tagging", "s3:PutBucketTagging"),
    UNBUILT("DeleteBucketWebsite", "DELETE", BUCKET, "website", "s3:DeleteBucketWebsite"),
    UNBUILT("DeleteBucketEncryption", "DELETE", BUCKET, "encryption", "s3:PutEncryptionConfiguration"),
    UNBUILT("DeleteBucketReplication", "DELETE", BUCKET, "replication", "s3:PutReplicationConfiguration"),
    UNBUILT("DeletePublicAccessBlock", "DELETE", BUCKET, "publicAccessBlock", "s3:PutBucketPublicAccessBlock"),
    UNBUILT("DeleteBucketOwnershipControls", "DELETE", BUCKET, "ownershipControls", "s3:PutBucketOwnershipControls"),
    UNBUILT("DeleteBucketAnalyticsConfiguration", "DELETE", BUCKET, "analytics", "s3:PutAnalyticsConfiguration"),
    UNBUILT("DeleteBucketIntelligentTieringConfiguration", "DELETE", BUCKET, "intelligent-tiering", "s3:PutIntelligentTieringConfiguration"),
    UNBUILT("DeleteBucketInventoryConfiguration", "DELETE", BUCKET, "inventory", "s3:PutInventoryConfiguration"),
    UNBUILT("DeleteBucketMetricsConfiguration", "DELETE", BUCKET, "metrics", "s3:PutMetricsConfiguration"),
    UNBUILT("DeleteBucketMetadataConfiguration", "DELETE", BUCKET, "metadataConfiguration", "s3:DeleteBucketMetadataTableConfiguration"),
    UNBUILT("DeleteBucketMetadataTableConfiguration", "DELETE", BUCKET, "metadataTable", "s3:DeleteBucketMetadataTableConfiguration"),
    ROW("DeleteBucket", "DELETE", BUCKET, NONE, "s3:DeleteBucket", op_delete_bucket),

    /* --- object: GET, HEAD ---------------------------------------------------------------- */
    ROW("ListParts", "GET", OBJECT, Q("uploadId"), "s3:ListMultipartUploadParts", op_list_parts),
    ROW("GetObjectAttributes", "GET", OBJECT, Q("attributes"), "s3:GetObjectAttributes", op_get_object_attributes),
    ROW("GetObjectAcl", "GET", OBJECT, Q("acl"), "s3:GetObjectAcl", op_get_unset),
    ROW("GetObjectTagging", "GET", OBJECT, Q("tagging"), "s3:GetObjectTagging", op_get_unset),
    ROW("GetObjectRetention", "GET", OBJECT, Q("retention"), "s3:GetObjectRetention", op_get_unset),
    ROW("GetObjectLegalHold", "GET", OBJECT, Q("legal-hold"), "s3:GetObjectLegalHold", op_get_unset),
    UNBUILT("GetObjectTorrent", "GET", OBJECT, "torrent", "s3:GetObjectTorrent"),
    ROW("GetObject", "GET", OBJECT, NONE, "s3:GetObject", op_get_object),
    ROW("HeadObject", "HEAD", OBJECT, NONE, "s3:GetObject", op_head_object),

    /* --- object: PUT, PATCH, POST, DELETE ----------------------------------------------------- */
    COPY_ROW("UploadPartCopy", "PUT", OBJECT, "uploadId", "partNumber", "s3:PutObject", false, op_upload_part_copy),
    FILE_ROW("UploadPart", "PUT", OBJECT, "uploadId", "partNumber", "s3:PutObject", false, S3_EARLY_ALWAYS, op_upload_part_before_body, op_upload_part),
    UNBUILT("PutObjectAcl", "PUT", OBJECT, "acl", "s3:PutObjectAcl"),
    UNBUILT("PutObjectTagging", "PUT", OBJECT, "tagging", "s3:PutObjectTagging"),
    UNBUILT("PutObjectRetention", "PUT", OBJECT, "retention", "s3:PutObjectRetention"),
    UNBUILT("PutObjectLegalHold", "PUT", OBJECT, "legal-hold", "s3:PutObjectLegalHold"),
    UNBUILT("RenameObject", "PUT", OBJECT, "renameObject", "s3:PutObject"),
    UNBUILT("UpdateObjectEncryption", "PUT", OBJECT, "encryption", "s3:UpdateObjectEncryption"),
    COPY_ROW("CopyObject", "PUT", OBJECT, NULL, NULL, "s3:PutObject", true, op_copy_object),
    { .name = "PutObject", .method = "PUT", .scope = S3_OBJECT, .action = "s3:PutObject", .body = S3_BODY_FILE, .conditions = true,
      .appends = true, .early = S3_EARLY_LARGE, .before_body = op_put_object_before_body, .handle = op_put_object },
    { .name = "PatchObject", .method = "PATCH", .scope = S3_OBJECT, .action = "s3:PutObject", .body = S3_BODY_FILE, .conditions = true,
      .patches = true, .early = S3_EARLY_LARGE, .before_body = op_patch_object_before_body, .handle = op_patch_object },
    { .name = "CreateMultipartUpload", .method = "POST", .scope = S3_OBJECT, .query = "uploads", .action = "s3:PutObject",
      .conditions = true, .handle = op_create_multipart_upload },
    { .name = "CompleteMultipartUpload", .method = "POST", .scope = S3_OBJECT, .query = "uploadId", .action = "s3:PutObject",
      .body = S3_BODY_MEMORY, .body_max = 8 * MIB, .object_sums = true, .conditions = true, .lane = HTTP_LANE_LONG,
      .handle = op_complete_multipart_upload },
    UNBUILT("RestoreObject", "POST", OBJECT, "restore", "s3:RestoreObject"),
    UNBUILT("SelectObjectContent", "POST", OBJECT, "select", "s3:GetObject"),
    ROW("AbortMultipartUpload", "DELETE", OBJECT, Q("uploadId"), "s3:AbortMultipartUpload", op_abort_multipart_upload),
    UNBUILT("DeleteObjectTagging", "DELETE", OBJECT, "tagging", "s3:DeleteObjectTagging"),
    { .name = "DeleteObject", .method = "DELETE", .scope = S3_OBJECT, .action = "s3:DeleteObject",
      .conditions = true, .handle = op_delete_object },
    { .name = NULL },
};
/* clang-format on */
