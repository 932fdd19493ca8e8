/*
 * The source of a copy: x-amz-copy-source, opened, with its conditions judged.
 */
#ifndef KISEKI_GATEWAY_S3_SOURCE_H
#define KISEKI_GATEWAY_S3_SOURCE_H

#include "gateway/s3/names.h"
#include "gateway/s3/op.h"

/*
 * Opens the source into r->file, whose epoch tag keeps its pieces until the copy is committed.
 * Blocks. NoSuchKey and NoSuchBucket name the source; PreconditionFailed by the
 * x-amz-copy-source-if-* headers.
 */
enum s3_code source_open(struct s3_request *r, struct copy_source *out);

/*
 * Computes a checksum of bytes [offset, offset + len) of r->file by reading them: only for an
 * algorithm that nothing stored can give. Blocks for as long as that takes.
 */
enum s3_code source_checksum(struct s3_request *r, enum checksum_algo algo, uint64_t offset,
                             uint64_t len, struct checksum *out);

#endif
