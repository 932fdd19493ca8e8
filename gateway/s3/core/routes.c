/*
 * The table of all operations. A row is all that the pipeline needs to know of one; op.h explains
 * the columns.
 */
#include "gateway/s3/core/ops.h"

/* clang-format off */
#define NONE NULL
#define Q(a) a
#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* What a request of this scope acts on, unless its row has another. */
#define ON_SERVICE RESOURCE_NONE
#define ON_BUCKET  RESOURCE_BUCKET
#define ON_OBJECT  RESOURCE_OBJECT

#define BASIC(n, m, s, q, a) .name = n, .method = m, .scope = S3_##s, .query = q, .resource = ON_##s, .action = a

/* Changes nothing. */
#define READ(n, m, s, q, takes_args, a, h) \
    { BASIC(n, m, s, q, a), .args = takes_args, .takes = S3_TAKES_OF_READS, .handle = h }
/* The same by the bucket's context only. */
#define READ_CONTEXT(n, m, q, a, h) \
    { BASIC(n, m, BUCKET, q, a), .takes = S3_TAKES_OF_READS, .reads_context = true, .handle = h }
/* The same of a version, which has an action of its own. */
#define READ_VERSION(n, m, s, q, takes_args, a, v, h) \
    { BASIC(n, m, s, q, a), .args = takes_args, .takes = S3_TAKES_OF_READS, .version_action = v, .handle = h }
/* A document that cannot be set yet. */
#define UNSET(n, s, q, d, takes_args, a, v) \
    { BASIC(n, "GET", s, q, a), .args = takes_args, .takes = S3_TAKES_OF_READS, .version_action = v, \
      .document = S3_DOCUMENT_##d, .handle = op_get_unset }
#define WRITE(n, m, s, q, takes_args, a, h) { BASIC(n, m, s, q, a), .args = takes_args, .handle = h }
#define UNBUILT(n, m, s, q, takes_args, a) { BASIC(n, m, s, q, a), .args = takes_args }
#define COPIES(n, q1, q2, more, h) \
    { BASIC(n, "PUT", OBJECT, q1, "s3:PutObject"), .query2 = q2, .header = "x-amz-copy-source", .source_action = "s3:GetObject", \
      .takes = S3_TAKES_SOURCE | (more), .handle = h }

/* Arguments, by what reads them. */
#define PAGE "prefix,delimiter,encoding-type,"
#define OF_GET "versionId,partNumber,response-cache-control,response-content-disposition,response-content-encoding," \
    "response-content-language,response-content-type,response-expires"

/*
 * The most specific row of a method and scope first: rows that a query argument or a header
 * selects, then the plain one. A sub-resource that S3 has and we have not is a row too, so that
 * it cannot fall through to a plain GET, PUT or DELETE. The actions are those of Amazon's
 * "Actions, resources, and condition keys for Amazon S3".
 */
const struct s3_op s3_ops[] = {
    /* --- service ------------------------------------------------------------------------- */
    READ("ListBuckets", "GET", SERVICE, NONE, "prefix,max-buckets,continuation-token,bucket-region", "s3:ListAllMyBuckets", op_list_buckets),
    { BASIC("HeadService", "HEAD", SERVICE, NONE, "s3:ListAllMyBuckets"), .everybody = true, .handle = op_head_service },

    /* --- bucket: GET --------------------------------------------------------------------- */
    READ_CONTEXT("GetBucketLocation", "GET", Q("location"), "s3:GetBucketLocation", op_get_bucket_location),
    READ("ListMultipartUploads", "GET", BUCKET, Q("uploads"), PAGE "key-marker,max-uploads,upload-id-marker", "s3:ListBucketMultipartUploads", op_list_multipart_uploads),
    READ("ListObjectVersions", "GET", BUCKET, Q("versions"), PAGE "key-marker,max-keys,version-id-marker", "s3:ListBucketVersions", op_list_object_versions),
    UNSET("GetBucketVersioning", BUCKET, Q("versioning"), VERSIONING, NONE, "s3:GetBucketVersioning", NONE),
    UNSET("GetBucketAcl", BUCKET, Q("acl"), ACL, NONE, "s3:GetBucketAcl", NONE),
    UNSET("GetBucketPolicy", BUCKET, Q("policy"), POLICY, NONE, "s3:GetBucketPolicy", NONE),
    UNSET("GetBucketPolicyStatus", BUCKET, Q("policyStatus"), POLICY_STATUS, NONE, "s3:GetBucketPolicyStatus", NONE),
    UNSET("GetBucketCors", BUCKET, Q("cors"), CORS, NONE, "s3:GetBucketCORS", NONE),
    UNSET("GetBucketLifecycleConfiguration", BUCKET, Q("lifecycle"), LIFECYCLE, NONE, "s3:GetLifecycleConfiguration", NONE),
    UNSET("GetBucketTagging", BUCKET, Q("tagging"), BUCKET_TAGS, NONE, "s3:GetBucketTagging", NONE),
    UNSET("GetObjectLockConfiguration", BUCKET, Q("object-lock"), LOCK, NONE, "s3:GetBucketObjectLockConfiguration", NONE),
    UNSET("GetBucketRequestPayment", BUCKET, Q("requestPayment"), REQUEST_PAYMENT, NONE, "s3:GetBucketRequestPayment", NONE),
    UNSET("GetBucketLogging", BUCKET, Q("logging"), LOGGING, NONE, "s3:GetBucketLogging", NONE),
    UNSET("GetBucketWebsite", BUCKET, Q("website"), WEBSITE, NONE, "s3:GetBucketWebsite", NONE),
    UNSET("GetBucketEncryption", BUCKET, Q("encryption"), ENCRYPTION, NONE, "s3:GetEncryptionConfiguration", NONE),
    UNSET("GetBucketNotificationConfiguration", BUCKET, Q("notification"), NOTIFICATION, NONE, "s3:GetBucketNotification", NONE),
    UNSET("GetBucketReplication", BUCKET, Q("replication"), REPLICATION, NONE, "s3:GetReplicationConfiguration", NONE),
    UNSET("GetBucketAccelerateConfiguration", BUCKET, Q("accelerate"), ACCELERATE, NONE, "s3:GetAccelerateConfiguration", NONE),
    UNSET("GetPublicAccessBlock", BUCKET, Q("publicAccessBlock"), PUBLIC_ACCESS_BLOCK, NONE, "s3:GetBucketPublicAccessBlock", NONE),
    UNSET("GetBucketOwnershipControls", BUCKET, Q("ownershipControls"), OWNERSHIP, NONE, "s3:GetBucketOwnershipControls", NONE),
    UNBUILT("GetBucketAnalyticsConfiguration", "GET", BUCKET, "analytics", NONE, "s3:GetAnalyticsConfiguration"),
    UNBUILT("GetBucketIntelligentTieringConfiguration", "GET", BUCKET, "intelligent-tiering", NONE, "s3:GetIntelligentTieringConfiguration"),
    UNBUILT("GetBucketInventoryConfiguration", "GET", BUCKET, "inventory", NONE, "s3:GetInventoryConfiguration"),
    UNBUILT("GetBucketMetricsConfiguration", "GET", BUCKET, "metrics", NONE, "s3:GetMetricsConfiguration"),
    UNBUILT("GetBucketMetadataConfiguration", "GET", BUCKET, "metadataConfiguration", NONE, "s3:GetBucketMetadataTableConfiguration"),
    UNBUILT("GetBucketMetadataTableConfiguration", "GET", BUCKET, "metadataTable", NONE, "s3:GetBucketMetadataTableConfiguration"),
    UNBUILT("GetBucketAbac", "GET", BUCKET, "abac", NONE, "s3:GetBucketAbac"),
    UNBUILT("CreateSession", "GET", BUCKET, "session", NONE, "s3express:CreateSession"),
    READ("ListObjectsV2", "GET", BUCKET, Q("list-type"), PAGE "continuation-token,fetch-owner,max-keys,start-after", "s3:ListBucket", op_list_objects_v2),
    READ("ListObjects", "GET", BUCKET, NONE, PAGE "marker,max-keys", "s3:ListBucket", op_list_objects),
    READ_CONTEXT("HeadBucket", "HEAD", NONE, "s3:ListBucket", op_head_bucket),

    /* --- bucket: PUT, POST, DELETE ------------------------------------------------------------ */
    UNBUILT("PutBucketVersioning", "PUT", BUCKET, "versioning", NONE, "s3:PutBucketVersioning"),
    UNBUILT("PutBucketAcl", "PUT", BUCKET, "acl", NONE, "s3:PutBucketAcl"),
    UNBUILT("PutBucketPolicy", "PUT", BUCKET, "policy", NONE, "s3:PutBucketPolicy"),
    UNBUILT("PutBucketCors", "PUT", BUCKET, "cors", NONE, "s3:PutBucketCORS"),
    UNBUILT("PutBucketLifecycleConfiguration", "PUT", BUCKET, "lifecycle", NONE, "s3:PutLifecycleConfiguration"),
    UNBUILT("PutBucketTagging", "PUT", BUCKET, "tagging", NONE, "s3:PutBucketTagging"),
    UNBUILT("PutObjectLockConfiguration", "PUT", BUCKET, "object-lock", NONE, "s3:PutBucketObjectLockConfiguration"),
    UNBUILT("PutBucketRequestPayment", "PUT", BUCKET, "requestPayment", NONE, "s3:PutBucketRequestPayment"),
    UNBUILT("PutBucketLogging", "PUT", BUCKET, "logging", NONE, "s3:PutBucketLogging"),
    UNBUILT("PutBucketWebsite", "PUT", BUCKET, "website", NONE, "s3:PutBucketWebsite"),
    UNBUILT("PutBucketEncryption", "PUT", BUCKET, "encryption", NONE, "s3:PutEncryptionConfiguration"),
    UNBUILT("PutBucketNotificationConfiguration", "PUT", BUCKET, "notification", NONE, "s3:PutBucketNotification"),
    UNBUILT("PutBucketReplication", "PUT", BUCKET, "replication", NONE, "s3:PutReplicationConfiguration"),
    UNBUILT("PutBucketAccelerateConfiguration", "PUT", BUCKET, "accelerate", NONE, "s3:PutAccelerateConfiguration"),
    UNBUILT("PutPublicAccessBlock", "PUT", BUCKET, "publicAccessBlock", NONE, "s3:PutBucketPublicAccessBlock"),
    UNBUILT("PutBucketOwnershipControls", "PUT", BUCKET, "ownershipControls", NONE, "s3:PutBucketOwnershipControls"),
    UNBUILT("PutBucketAnalyticsConfiguration", "PUT", BUCKET, "analytics", NONE, "s3:PutAnalyticsConfiguration"),
    UNBUILT("PutBucketIntelligentTieringConfiguration", "PUT", BUCKET, "intelligent-tiering", NONE, "s3:PutIntelligentTieringConfiguration"),
    UNBUILT("PutBucketInventoryConfiguration", "PUT", BUCKET, "inventory", NONE, "s3:PutInventoryConfiguration"),
    UNBUILT("PutBucketMetricsConfiguration", "PUT", BUCKET, "metrics", NONE, "s3:PutMetricsConfiguration"),
    UNBUILT("UpdateBucketMetadataInventoryTableConfiguration", "PUT", BUCKET, "metadataInventoryTable", NONE, "s3:UpdateBucketMetadataInventoryTableConfiguration"),
    UNBUILT("UpdateBucketMetadataJournalTableConfiguration", "PUT", BUCKET, "metadataJournalTable", NONE, "s3:UpdateBucketMetadataJournalTableConfiguration"),
    UNBUILT("PutBucketAbac", "PUT", BUCKET, "abac", NONE, "s3:PutBucketAbac"),
    { .name = "CreateBucket", .method = "PUT", .scope = S3_BUCKET, .resource = RESOURCE_NEW_BUCKET, .action = "s3:CreateBucket",
      .body = S3_BODY_MEMORY, .body_max = 64 * KIB, .handle = op_create_bucket },
    { .name = "DeleteObjects", .method = "POST", .scope = S3_BUCKET, .query = "delete", .resource = RESOURCE_OBJECTS, .action = "s3:DeleteObject",
      .version_action = "s3:DeleteObjectVersion", .body = S3_BODY_MEMORY, .body_max = 8 * MIB, .integrity = S3_INTEGRITY_REQUIRED,
      .lane = HTTP_LANE_LONG, .handle = op_delete_objects },
    UNBUILT("CreateBucketMetadataConfiguration", "POST", BUCKET, "metadataConfiguration", NONE, "s3:CreateBucketMetadataTableConfiguration"),
    UNBUILT("CreateBucketMetadataTableConfiguration", "POST", BUCKET, "metadataTable", NONE, "s3:CreateBucketMetadataTableConfiguration"),
    { .name = "PostObject", .method = "POST", .scope = S3_BUCKET, .resource = RESOURCE_OBJECT, .action = "s3:PutObject", .is_form = true },
    UNBUILT("DeleteBucketPolicy", "DELETE", BUCKET, "policy", NONE, "s3:DeleteBucketPolicy"),
    UNBUILT("DeleteBucketCors", "DELETE", BUCKET, "cors", NONE, "s3:PutBucketCORS"),
    UNBUILT("DeleteBucketLifecycle", "DELETE", BUCKET, "lifecycle", NONE, "s3:PutLifecycleConfiguration"),
    UNBUILT("DeleteBucketTagging", "DELETE", BUCKET, "tagging", NONE, "s3:PutBucketTagging"),
    UNBUILT("DeleteBucketWebsite", "DELETE", BUCKET, "website", NONE, "s3:DeleteBucketWebsite"),
    UNBUILT("DeleteBucketEncryption", "DELETE", BUCKET, "encryption", NONE, "s3:PutEncryptionConfiguration"),
    UNBUILT("DeleteBucketReplication", "DELETE", BUCKET, "replication", NONE, "s3:PutReplicationConfiguration"),
    UNBUILT("DeletePublicAccessBlock", "DELETE", BUCKET, "publicAccessBlock", NONE, "s3:PutBucketPublicAccessBlock"),
    UNBUILT("DeleteBucketOwnershipControls", "DELETE", BUCKET, "ownershipControls", NONE, "s3:PutBucketOwnershipControls"),
    UNBUILT("DeleteBucketAnalyticsConfiguration", "DELETE", BUCKET, "analytics", NONE, "s3:PutAnalyticsConfiguration"),
    UNBUILT("DeleteBucketIntelligentTieringConfiguration", "DELETE", BUCKET, "intelligent-tiering", NONE, "s3:PutIntelligentTieringConfiguration"),
    UNBUILT("DeleteBucketInventoryConfiguration", "DELETE", BUCKET, "inventory", NONE, "s3:PutInventoryConfiguration"),
    UNBUILT("DeleteBucketMetricsConfiguration", "DELETE", BUCKET, "metrics", NONE, "s3:PutMetricsConfiguration"),
    UNBUILT("DeleteBucketMetadataConfiguration", "DELETE", BUCKET, "metadataConfiguration", NONE, "s3:DeleteBucketMetadataTableConfiguration"),
    UNBUILT("DeleteBucketMetadataTableConfiguration", "DELETE", BUCKET, "metadataTable", NONE, "s3:DeleteBucketMetadataTableConfiguration"),
    WRITE("DeleteBucket", "DELETE", BUCKET, NONE, NONE, "s3:DeleteBucket", op_delete_bucket),

    /* --- object: GET, HEAD ---------------------------------------------------------------- */
    READ("ListParts", "GET", OBJECT, Q("uploadId"), "max-parts,part-number-marker", "s3:ListMultipartUploadParts", op_list_parts),
    READ_VERSION("GetObjectAttributes", "GET", OBJECT, Q("attributes"), "versionId", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes", op_get_object_attributes),
    UNSET("GetObjectAcl", OBJECT, Q("acl"), ACL, "versionId", "s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    UNSET("GetObjectTagging", OBJECT, Q("tagging"), OBJECT_TAGS, "versionId", "s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    UNSET("GetObjectRetention", OBJECT, Q("retention"), RETENTION, "versionId", "s3:GetObjectRetention", NONE),
    UNSET("GetObjectLegalHold", OBJECT, Q("legal-hold"), LEGAL_HOLD, "versionId", "s3:GetObjectLegalHold", NONE),
    UNBUILT("GetObjectTorrent", "GET", OBJECT, "torrent", "versionId", "s3:GetObjectTorrent"),
    READ_VERSION("GetObject", "GET", OBJECT, NONE, OF_GET, "s3:GetObject", "s3:GetObjectVersion", op_get_object),
    READ_VERSION("HeadObject", "HEAD", OBJECT, NONE, OF_GET, "s3:GetObject", "s3:GetObjectVersion", op_head_object),

    /* --- object: PUT, PATCH, POST, DELETE ----------------------------------------------------- */
    COPIES("UploadPartCopy", "uploadId", "partNumber", S3_TAKES_SOURCE_RANGE, op_upload_part_copy),
    { BASIC("UploadPart", "PUT", OBJECT, "uploadId", "s3:PutObject"), .query2 = "partNumber", .body = S3_BODY_FILE, .keeps_sums = true,
      .early = S3_EARLY_ALWAYS, .before_body = op_upload_part_before_body, .handle = op_upload_part },
    UNBUILT("PutObjectAcl", "PUT", OBJECT, "acl", "versionId", "s3:PutObjectAcl"),
    UNBUILT("PutObjectTagging", "PUT", OBJECT, "tagging", "versionId", "s3:PutObjectTagging"),
    UNBUILT("PutObjectRetention", "PUT", OBJECT, "retention", "versionId", "s3:PutObjectRetention"),
    UNBUILT("PutObjectLegalHold", "PUT", OBJECT, "legal-hold", "versionId", "s3:PutObjectLegalHold"),
    UNBUILT("RenameObject", "PUT", OBJECT, "renameObject", NONE, "s3:PutObject"),
    UNBUILT("UpdateObjectEncryption", "PUT", OBJECT, "encryption", "versionId", "s3:UpdateObjectEncryption"),
    COPIES("CopyObject", NONE, NONE, S3_TAKES_CONDITIONS, op_copy_object),
    { BASIC("PutObject", "PUT", OBJECT, NONE, "s3:PutObject"), .takes = S3_TAKES_CONDITIONS | S3_TAKES_OFFSET,
      .body = S3_BODY_FILE, .keeps_sums = true, .early = S3_EARLY_LARGE, .before_body = op_put_object_before_body, .handle = op_put_object },
    { BASIC("PatchObject", "PATCH", OBJECT, NONE, "s3:PutObject"), .takes = S3_TAKES_CONDITIONS | S3_TAKES_PATCH,
      .body = S3_BODY_FILE, .early = S3_EARLY_LARGE, .before_body = op_patch_object_before_body, .handle = op_patch_object },
    { BASIC("CreateMultipartUpload", "POST", OBJECT, "uploads", "s3:PutObject"), .takes = S3_TAKES_CONDITIONS, .handle = op_create_multipart_upload },
    { BASIC("CompleteMultipartUpload", "POST", OBJECT, "uploadId", "s3:PutObject"), .takes = S3_TAKES_CONDITIONS,
      .body = S3_BODY_MEMORY, .body_max = 8 * MIB, .integrity = S3_INTEGRITY_OF_OBJECT, .lane = HTTP_LANE_LONG, .handle = op_complete_multipart_upload },
    UNBUILT("RestoreObject", "POST", OBJECT, "restore", "versionId", "s3:RestoreObject"),
    UNBUILT("SelectObjectContent", "POST", OBJECT, "select", "versionId", "s3:GetObject"),
    WRITE("AbortMultipartUpload", "DELETE", OBJECT, Q("uploadId"), NONE, "s3:AbortMultipartUpload", op_abort_multipart_upload),
    UNBUILT("DeleteObjectTagging", "DELETE", OBJECT, "tagging", "versionId", "s3:DeleteObjectTagging"),
    { BASIC("DeleteObject", "DELETE", OBJECT, NONE, "s3:DeleteObject"), .args = "versionId", .version_action = "s3:DeleteObjectVersion",
      .takes = S3_TAKES_CONDITIONS | S3_TAKES_DELETE, .handle = op_delete_object },
    { .name = NULL },
};
/* clang-format on */
