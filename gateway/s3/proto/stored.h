/*
 * What the gateway keeps with a file and meta/ does not look into: checksum, parts, headers.
 *
 * Numbers are packed by struct buf (little-endian); a format byte comes first, so that later
 * versions can add to it. Results live in the arena. Pure but for reading the request.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_STORED_H
#define KISEKI_GATEWAY_S3_PROTO_STORED_H

#include "gateway/s3/core/op.h"

/* Algorithm and type in one number, for a key's row and an upload's; 0: none. */
int stored_checksum_code(enum checksum_algo algo, enum checksum_type type);
enum checksum_algo stored_checksum_algo(int code);
enum checksum_type stored_checksum_type(int code);

/* Empty for algorithm NONE. ptr NULL when memory is out. */
struct str stored_checksum_pack(struct arena *a, const struct checksum *sum);
/* Anything that is not a packed checksum gives NONE. */
struct checksum stored_checksum_unpack(struct str packed);

/* One part of a completed multipart upload, as ?partNumber and GetObjectAttributes need it. */
struct stored_part {
    uint32_t number;
    uint64_t size;
    struct checksum sum; /* NONE: unknown */
};
struct str stored_parts_pack(struct arena *a, const struct stored_part *parts, size_t count);
MUST_USE enum err stored_parts_unpack(struct arena *a, struct str packed, struct stored_part **out,
                                      size_t *out_count);

/*
 * The headers of a request that are kept with an object: Content-Type, -Encoding (without
 * aws-chunked), -Disposition, -Language, Cache-Control, Expires, x-amz-meta-*. MetadataTooLarge
 * when user metadata (names and values) is over 2 KiB.
 */
enum s3_code stored_headers_of(struct s3_request *r, struct pairs *out);

/* x-amz-storage-class, "" for STANDARD; InvalidStorageClass. */
enum s3_code stored_class_of(struct s3_request *r, struct str *out);
struct str stored_class_name(struct str stored); /* "STANDARD" for "" */

/*
 * Answers with what is kept: headers (response-* arguments win), Last-Modified, ETag, storage
 * class, Accept-Ranges.
 */
void stored_reply(struct s3_request *r, const struct object *o);
/* Cache-Control and Expires, as stored_reply() has them: what a 304 repeats (RFC 9110 15.4.5). */
void stored_reply_caching(struct s3_request *r, const struct object *o);
/* x-amz-checksum-<algo> (`value-N` if composite and `with_parts`) and -type. Nothing for NONE. */
void stored_reply_checksum(struct s3_request *r, const struct checksum *sum, bool with_parts);
/* <ChecksumCRC32>...</ChecksumCRC32> and <ChecksumType>. */
void stored_xml_checksum(struct buf *xml, const struct checksum *sum, bool with_parts);

/* <element><ID/><DisplayName/></element> of an account; nothing for one that is not known. */
void stored_xml_owner(const struct s3_request *r, const char *element, uint64_t id,
                      struct buf *xml);

/*
 * If-Match and If-None-Match of a write (ptr NULL: absent), for meta/'s transaction. One that names
 * no ETag matches no object; a list has been refused before (refuse.c).
 */
struct object_cond stored_cond_of(struct str match, struct str none_match);
struct object_cond stored_write_cond(const struct s3_request *r);
/*
 * Evaluates the conditions of a write on the key as it is now: only to refuse early, the commit
 * decides. Blocks. S3_OK when the key is missing and no condition wants it; NoSuchBucket.
 */
enum s3_code stored_check_early(struct s3_request *r);

/* The result of a commit as S3 has it; `what` for the log. */
enum s3_code stored_commit_code(struct s3_request *r, enum err err, enum meta_missing missing,
                                const char *what);

/* versionId: absent, "null" or unknown here (NoSuchVersion). */
enum s3_code stored_version_of(struct s3_request *r, struct str *out);

#endif
