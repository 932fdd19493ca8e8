/*
 * What handlers answer with: the fields and bodies of S3, and its errors.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_REPLY_H
#define KISEKI_GATEWAY_S3_CORE_REPLY_H

#include "gateway/s3/core/request.h"
#include "meta/names/key.h"

/* Adds a header, logs what cannot be sent. */
void s3_reply_header(struct s3_request *r, const char *name, struct str value);
void s3_reply_header_cstr(struct s3_request *r, const char *name, const char *value);
/* `ETag: "value"`. */
void s3_reply_etag(struct s3_request *r, struct str etag);
/* x-amz-checksum-<algo> (`value-N` if composite and `with_parts`) and -type. Nothing for NONE. */
void s3_reply_checksum(struct s3_request *r, const struct checksum *sum, bool with_parts);

/* <ChecksumCRC32>...</ChecksumCRC32>. Nothing for NONE. */
void s3_xml_checksum(struct buf *xml, const struct checksum *sum, bool with_parts);
/* <element><ID/><DisplayName/></element> of an account; nothing for one that is not known. */
void s3_xml_owner(const struct s3_request *r, const char *element, uint64_t id, struct buf *xml);

/* 200 with an XML document made in `xml`, whose bytes are moved into the arena's care. */
enum s3_code s3_reply_xml(struct s3_request *r, struct buf *xml);
/* No body. */
enum s3_code s3_reply_empty(struct s3_request *r, unsigned status);

/* The code for a failure of a lower layer, whose text is logged under the request's id. */
enum s3_code s3_fail_err(struct s3_request *r, enum err err, const char *doing);
/* ERR_NOT_FOUND by what was missing: NoSuchBucket, NoSuchKey, NoSuchUpload with their elements. */
enum s3_code s3_fail_missing(struct s3_request *r, enum meta_missing missing);
/*
 * What a look-up or commit of meta/ or fs/ gave: S3_OK for OK, a failed condition, a conflict, what
 * was missing; the rest as s3_fail_err() has it.
 */
enum s3_code s3_fail_commit(struct s3_request *r, enum err err, enum meta_missing missing,
                            const char *doing);

/* --- the pipeline's --------------------------------------------------------------------------- */

/* x-amz-request-id and x-amz-id-2, which every answer has. */
void s3_reply_ids(struct s3_request *r);
/* The error document instead of what was filled in so far; with the ids. */
void s3_reply_error(struct s3_request *r, enum s3_code code);

#endif
