/*
 * S3's errors: one table of codes with HTTP status and default message, and the error document.
 *
 * S3_ERRORS below is the one place that a code is written: enum s3_code, its text and its status
 * come from it. A pure function of gateway/ that can refuse a request returns enum s3_code (S3_OK
 * is 0) and, where S3 says more than the default message, fills a struct s3_error.
 *
 * Source: "Error responses" in the Amazon S3 API Reference, and what S3 was seen to answer.
 * Ownership: messages are literals; extra values are borrowed from the request (its buffers or
 * its arena). Threads: everything here is immutable or the caller's.
 */
#ifndef KISEKI_GATEWAY_ERRORS_ERRORS_H
#define KISEKI_GATEWAY_ERRORS_ERRORS_H

#include "base/buf.h"

/* X(enum, HTTP status, code, default message) */
#define S3_ERRORS(X)                                                                               \
    X(S3_ACCESS_DENIED, 403, "AccessDenied", "Access Denied")                                      \
    X(S3_ACCESS_CONTROL_LIST_NOT_SUPPORTED, 400, "AccessControlListNotSupported",                  \
      "The bucket does not allow ACLs")                                                            \
    X(S3_AUTHORIZATION_HEADER_MALFORMED, 400, "AuthorizationHeaderMalformed",                      \
      "The authorization header that you provided is not valid.")                                  \
    X(S3_AUTHORIZATION_QUERY_PARAMETERS_ERROR, 400, "AuthorizationQueryParametersError",           \
      "The authorization query parameters that you provided are not valid.")                       \
    X(S3_BAD_DIGEST, 400, "BadDigest",                                                             \
      "The Content-MD5 you specified did not match what we received.")                             \
    X(S3_BAD_REQUEST, 400, "BadRequest", "Bad Request")                                            \
    X(S3_BUCKET_ALREADY_EXISTS, 409, "BucketAlreadyExists",                                        \
      "The requested bucket name is not available. The bucket namespace is shared by all users "   \
      "of "                                                                                        \
      "the system. Please select a different name and try again.")                                 \
    X(S3_BUCKET_ALREADY_OWNED_BY_YOU, 409, "BucketAlreadyOwnedByYou",                              \
      "Your previous request to create the named bucket succeeded and you already own it.")        \
    X(S3_BUCKET_NOT_EMPTY, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty")   \
    X(S3_CONDITIONAL_REQUEST_CONFLICT, 409, "ConditionalRequestConflict",                          \
      "A conflicting operation occurred. If using PutObject you can retry the request. If using "  \
      "multipart upload you should initiate another CreateMultipartUpload request and re-upload "  \
      "each part.")                                                                                \
    X(S3_CROSS_LOCATION, 403, "CrossLocationLoggingProhibited",                                    \
      "Cross-location logging not allowed.")                                                       \
    X(S3_ENTITY_TOO_LARGE, 400, "EntityTooLarge",                                                  \
      "Your proposed upload exceeds the maximum allowed size")                                     \
    X(S3_ENTITY_TOO_SMALL, 400, "EntityTooSmall",                                                  \
      "Your proposed upload is smaller than the minimum allowed size")                             \
    X(S3_EXPIRED_TOKEN, 400, "ExpiredToken", "The provided token has expired.")                    \
    X(S3_ILLEGAL_LOCATION_CONSTRAINT, 400, "IllegalLocationConstraintException",                   \
      "The specified location constraint is incompatible with the region specific endpoint this "  \
      "request was sent to.")                                                                      \
    X(S3_INCOMPLETE_BODY, 400, "IncompleteBody",                                                   \
      "You did not provide the number of bytes specified by the Content-Length HTTP header")       \
    X(S3_INSUFFICIENT_STORAGE, 507, "InsufficientStorage",                                         \
      "The disk of the server is full: nothing was written. Delete something, or try again when "  \
      "there is room.")                                                                            \
    X(S3_INTERNAL_ERROR, 500, "InternalError",                                                     \
      "We encountered an internal error. Please try again.")                                       \
    X(S3_INVALID_ACCESS_KEY_ID, 403, "InvalidAccessKeyId",                                         \
      "The AWS Access Key Id you provided does not exist in our records.")                         \
    X(S3_INVALID_ARGUMENT, 400, "InvalidArgument", "Invalid Argument")                             \
    X(S3_INVALID_BUCKET_NAME, 400, "InvalidBucketName", "The specified bucket is not valid.")      \
    X(S3_INVALID_BUCKET_STATE, 409, "InvalidBucketState",                                          \
      "The request is not valid with the current state of the bucket.")                            \
    X(S3_INVALID_CHUNK_SIZE, 403, "InvalidChunkSizeError",                                         \
      "Only the last chunk is allowed to have a size less than 8192 bytes")                        \
    X(S3_INVALID_DIGEST, 400, "InvalidDigest", "The Content-MD5 you specified was invalid.")       \
    X(S3_INVALID_ENCRYPTION_ALGORITHM, 400, "InvalidEncryptionAlgorithmError",                     \
      "The encryption request you specified is not valid.")                                        \
    X(S3_INVALID_LOCATION_CONSTRAINT, 400, "InvalidLocationConstraint",                            \
      "The specified location-constraint is not valid")                                            \
    X(S3_INVALID_OBJECT_STATE, 403, "InvalidObjectState",                                          \
      "The operation is not valid for the object's storage class")                                 \
    X(S3_INVALID_PART, 400, "InvalidPart",                                                         \
      "One or more of the specified parts could not be found.  The part may not have been "        \
      "uploaded, or the specified entity tag may not match the part's entity tag.")                \
    X(S3_INVALID_PART_NUMBER, 416, "InvalidPartNumber",                                            \
      "The requested partnumber is not satisfiable")                                               \
    X(S3_INVALID_PART_ORDER, 400, "InvalidPartOrder",                                              \
      "The list of parts was not in ascending order. Parts must be ordered by part number.")       \
    X(S3_INVALID_RANGE, 416, "InvalidRange", "The requested range is not satisfiable")             \
    X(S3_INVALID_REQUEST, 400, "InvalidRequest", "Invalid Request")                                \
    X(S3_INVALID_STORAGE_CLASS, 400, "InvalidStorageClass",                                        \
      "The storage class you specified is not valid")                                              \
    X(S3_INVALID_TAG, 400, "InvalidTag", "The tag provided was not a valid tag.")                  \
    X(S3_INVALID_TOKEN, 400, "InvalidToken",                                                       \
      "The provided token is malformed or otherwise invalid.")                                     \
    X(S3_INVALID_URI, 400, "InvalidURI", "Couldn't parse the specified URI.")                      \
    X(S3_INVALID_WRITE_OFFSET, 400, "InvalidWriteOffset",                                          \
      "The write offset value that you specified does not match the current object size.")         \
    X(S3_KEY_TOO_LONG, 400, "KeyTooLongError", "Your key is too long")                             \
    X(S3_MALFORMED_ACL, 400, "MalformedACLError",                                                  \
      "The XML you provided was not well-formed or did not validate against our published "        \
      "schema")                                                                                    \
    X(S3_MALFORMED_POLICY, 400, "MalformedPolicy", "This policy contains invalid Json")            \
    X(S3_MALFORMED_POST, 400, "MalformedPOSTRequest",                                              \
      "The body of your POST request is not well-formed multipart/form-data.")                     \
    X(S3_MALFORMED_TRAILER, 400, "MalformedTrailerError",                                          \
      "The request contained trailing data that was not well-formed or did not conform to our "    \
      "published schema.")                                                                         \
    X(S3_MALFORMED_XML, 400, "MalformedXML",                                                       \
      "The XML you provided was not well-formed or did not validate against our published "        \
      "schema")                                                                                    \
    X(S3_MAX_MESSAGE_LENGTH_EXCEEDED, 400, "MaxMessageLengthExceeded",                             \
      "Your request was too big.")                                                                 \
    X(S3_METADATA_TOO_LARGE, 400, "MetadataTooLarge",                                              \
      "Your metadata headers exceed the maximum allowed metadata size")                            \
    X(S3_METHOD_NOT_ALLOWED, 405, "MethodNotAllowed",                                              \
      "The specified method is not allowed against this resource.")                                \
    X(S3_MISSING_ATTACHMENT, 400, "MissingAttachment",                                             \
      "A SOAP attachment was expected, but none were found.")                                      \
    X(S3_MISSING_CONTENT_LENGTH, 411, "MissingContentLength",                                      \
      "You must provide the Content-Length HTTP header.")                                          \
    X(S3_MISSING_CONTENT_RANGE, 400, "MissingContentRange",                                        \
      "You must provide the Content-Range HTTP header.")                                           \
    X(S3_MISSING_REQUEST_BODY, 400, "MissingRequestBodyError", "Request Body is empty")            \
    X(S3_MISSING_SECURITY_HEADER, 400, "MissingSecurityHeader",                                    \
      "Your request was missing a required header")                                                \
    X(S3_NO_SUCH_BUCKET, 404, "NoSuchBucket", "The specified bucket does not exist")               \
    X(S3_NO_SUCH_BUCKET_POLICY, 404, "NoSuchBucketPolicy", "The bucket policy does not exist")     \
    X(S3_NO_SUCH_CORS, 404, "NoSuchCORSConfiguration", "The CORS configuration does not exist")    \
    X(S3_NO_SUCH_KEY, 404, "NoSuchKey", "The specified key does not exist.")                       \
    X(S3_NO_SUCH_LIFECYCLE, 404, "NoSuchLifecycleConfiguration",                                   \
      "The lifecycle configuration does not exist")                                                \
    X(S3_NO_SUCH_OBJECT_LOCK, 404, "NoSuchObjectLockConfiguration",                                \
      "The specified object does not have a ObjectLock configuration")                             \
    X(S3_NO_SUCH_PUBLIC_ACCESS_BLOCK, 404, "NoSuchPublicAccessBlockConfiguration",                 \
      "The public access block configuration was not found")                                       \
    X(S3_NO_SUCH_TAG_SET, 404, "NoSuchTagSet", "The TagSet does not exist")                        \
    X(S3_NO_SUCH_UPLOAD, 404, "NoSuchUpload",                                                      \
      "The specified upload does not exist. The upload ID may be invalid, or the upload may have " \
      "been aborted or completed.")                                                                \
    X(S3_NO_SUCH_VERSION, 404, "NoSuchVersion", "The specified version does not exist.")           \
    X(S3_NO_SUCH_WEBSITE, 404, "NoSuchWebsiteConfiguration",                                       \
      "The specified bucket does not have a website configuration")                                \
    X(S3_NOT_FOUND, 404, "NotFound", "Not Found")                                                  \
    X(S3_NOT_IMPLEMENTED, 501, "NotImplemented",                                                   \
      "A header you provided implies functionality that is not implemented")                       \
    X(S3_OBJECT_LOCK_NOT_FOUND, 404, "ObjectLockConfigurationNotFoundError",                       \
      "Object Lock configuration does not exist for this bucket")                                  \
    X(S3_OPERATION_ABORTED, 409, "OperationAborted",                                               \
      "A conflicting conditional operation is currently in progress against this resource. "       \
      "Please try again.")                                                                         \
    X(S3_OWNERSHIP_CONTROLS_NOT_FOUND, 404, "OwnershipControlsNotFoundError",                      \
      "The bucket ownership controls were not found")                                              \
    X(S3_PERMANENT_REDIRECT, 301, "PermanentRedirect",                                             \
      "The bucket you are attempting to access must be addressed using the specified endpoint. "   \
      "Please send all future requests to this endpoint.")                                         \
    X(S3_PRECONDITION_FAILED, 412, "PreconditionFailed",                                           \
      "At least one of the pre-conditions you specified did not hold")                             \
    X(S3_QUOTA_EXCEEDED, 403, "QuotaExceeded", "The quota of this bucket or account is used up.")  \
    X(S3_REPLICATION_NOT_FOUND, 404, "ReplicationConfigurationNotFoundError",                      \
      "The replication configuration was not found")                                               \
    X(S3_REQUEST_HEADER_SECTION_TOO_LARGE, 400, "RequestHeaderSectionTooLarge",                    \
      "Your request header section exceeds the maximum allowed request header section size.")      \
    X(S3_REQUEST_TIME_TOO_SKEWED, 403, "RequestTimeTooSkewed",                                     \
      "The difference between the request time and the current time is too large.")                \
    X(S3_REQUEST_TIMEOUT, 400, "RequestTimeout",                                                   \
      "Your socket connection to the server was not read from or written to within the timeout "   \
      "period.")                                                                                   \
    X(S3_SERVICE_UNAVAILABLE, 503, "ServiceUnavailable", "Service is unable to handle request.")   \
    X(S3_SIGNATURE_DOES_NOT_MATCH, 403, "SignatureDoesNotMatch",                                   \
      "The request signature we calculated does not match the signature you provided. Check your " \
      "key and signing method.")                                                                   \
    X(S3_SLOW_DOWN, 503, "SlowDown", "Please reduce your request rate.")                           \
    X(S3_SSE_NOT_FOUND, 404, "ServerSideEncryptionConfigurationNotFoundError",                     \
      "The server side encryption configuration was not found")                                    \
    X(S3_TOO_MANY_BUCKETS, 400, "TooManyBuckets",                                                  \
      "You have attempted to create more buckets than allowed")                                    \
    X(S3_UNEXPECTED_CONTENT, 400, "UnexpectedContent", "This request does not support content")    \
    X(S3_UNSUPPORTED_MEDIA_TYPE, 415, "UnsupportedMediaType", "Unsupported Media Type")            \
    X(S3_URI_TOO_LONG, 414, "URITooLong", "The request URI is too long.")                          \
    X(S3_CONTENT_SHA256_MISMATCH, 400, "XAmzContentSHA256Mismatch",                                \
      "The provided 'x-amz-content-sha256' header does not match what was computed.")

enum s3_code {
    S3_OK = 0,
#define S3_ERROR_ENUM(name, status, code, message) name,
    S3_ERRORS(S3_ERROR_ENUM)
#undef S3_ERROR_ENUM
        S3_CODES
};

/* Elements that S3 adds to some errors: ArgumentName, BucketName, Key, RangeRequested ... */
#define S3_ERROR_EXTRAS 6

struct s3_error_extra {
    const char *name; /* an element name, literal */
    struct str value;
};

struct s3_error {
    enum s3_code code;
    const char *message; /* NULL: the table's default */
    /* Content-Range of a 416, in the request's arena; NULL: none */
    const char *content_range;
    struct s3_error_extra extra[S3_ERROR_EXTRAS];
    size_t extra_count;
    bool is_logged; /* a failure of ours of which the log has the reason already */
};

/* "NoSuchKey", 404 and the default message; wrong values give those of InternalError. */
const char *s3_code_name(enum s3_code code);
unsigned s3_code_status(enum s3_code code);
const char *s3_code_message(enum s3_code code);

/* Fills *e (NULL is fine; extras are forgotten) and returns `code`: `return s3_fail(e, ...)`. */
enum s3_code s3_fail(struct s3_error *e, enum s3_code code, const char *message);
/* A 503: an allocation failed, or a digest that needs one; what the client sent is not at fault. */
#define S3_NO_MEMORY "The server has no memory for this request right now. Please try again."
enum s3_code s3_fail_memory(struct s3_error *e);
/*
 * NotImplemented: `what` ("header", "query argument") called `name` changes what the request means,
 * and is not built. Message and an element name it. The arena keeps the text.
 */
struct arena;
enum s3_code s3_fail_not_built(struct s3_error *e, struct arena *a, const char *what,
                               struct str name);
/* Adds an element; those beyond S3_ERROR_EXTRAS are dropped. */
void s3_error_add(struct s3_error *e, const char *name, struct str value);
/* InvalidArgument with ArgumentName and ArgumentValue. */
enum s3_code s3_fail_argument(struct s3_error *e, const char *message, const char *name,
                              struct str value);

/*
 * What S3 answers when a lower layer failed with `err`. Operations translate the codes that mean
 * something to them first (ERR_NOT_FOUND: NoSuchKey, NoSuchUpload ...); this table is for the
 * rest: BUSY, FENCED and CANCELLED give SlowDown (503), IO, CORRUPT and the like InternalError.
 */
enum s3_code s3_code_of(enum err err);

/* What the client reads of that failure: what fails, and what to do. NULL: the code's own. */
const char *s3_text_of(enum err err);

/*
 * Appends the whole document: declaration, Error, Code, Message, the extra elements, Resource,
 * RequestId, HostId. An empty resource leaves its element out. Failures are those of the buf.
 */
void s3_error_write(struct buf *out, const struct s3_error *e, struct str resource,
                    struct str request_id, struct str host_id);

#endif
