/*
 * The headers that are kept with an object: from the request that makes it into the answers that
 * show it. Results live in the request's arena.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_OBJECT_HEADERS_H
#define KISEKI_GATEWAY_S3_CORE_OBJECT_HEADERS_H

#include "gateway/s3/core/request.h"

/*
 * The headers of a request that are kept with an object: Content-Type, -Encoding (without
 * aws-chunked), -Disposition, -Language, Cache-Control, Expires, x-amz-meta-*. MetadataTooLarge
 * when user metadata (names and values) is over 2 KiB.
 */
enum s3_code object_headers_of(struct s3_request *r, struct pairs *out);

/* x-amz-storage-class, "" for STANDARD; InvalidStorageClass. */
enum s3_code storage_class_of(struct s3_request *r, struct str *out);
struct str storage_class_name(struct str kept); /* "STANDARD" for "" */

/*
 * Answers with the headers that are kept (response-* arguments win), Last-Modified, ETag, storage
 * class, Accept-Ranges.
 */
void object_headers_reply(struct s3_request *r, const struct object *o);
/*
 * Cache-Control and Expires, as object_headers_reply() has them: what a 304 repeats (RFC 9110
 * 15.4.5).
 */
void object_headers_reply_caching(struct s3_request *r, const struct object *o);

#endif
