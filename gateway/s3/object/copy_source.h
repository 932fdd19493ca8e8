/*
 * The source of a copy: x-amz-copy-source, opened, with its conditions evaluated.
 */
#ifndef KISEKI_GATEWAY_S3_OBJECT_COPY_SOURCE_H
#define KISEKI_GATEWAY_S3_OBJECT_COPY_SOURCE_H

#include "gateway/s3/proto/names.h"
#include "gateway/s3/core/request.h"

/*
 * Opens the source into r->file, whose epoch tag keeps its pieces until the copy is committed.
 * Blocks. NoSuchKey and NoSuchBucket name the source; PreconditionFailed by the
 * x-amz-copy-source-if-* headers.
 */
enum s3_code copy_source_open(struct s3_request *r, struct copy_source *out);

/*
 * A copy that has to read its source, and one into a part, takes at most 5 GiB: InvalidRequest, as
 * S3 has it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
 */
#define COPY_SOURCE_MAX ((uint64_t)5 << 30)
enum s3_code copy_source_check_size(struct s3_request *r, uint64_t len);

/* The source's bytes came with its row: copy_source_checksum() is quick. Else: HTTP_LANE_LONG. */
bool copy_source_is_in_memory(const struct s3_request *r);

/*
 * Computes a checksum of bytes [offset, offset + len) of r->file by reading them: only for an
 * algorithm that nothing stored can give. Blocks for as long as that takes, but ends soon once it
 * is no longer wanted. The CRC of a hole is arithmetic.
 */
enum s3_code copy_source_checksum(struct s3_request *r, enum checksum_algo algo, uint64_t offset,
                                  uint64_t len, struct checksum *out);

#endif
