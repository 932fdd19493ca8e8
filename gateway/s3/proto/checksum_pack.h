/*
 * Checksums as they stand in the rows of keys, uploads and parts, and the table of an object's
 * parts. meta/ keeps these bytes and does not look into them. Pure.
 *
 * Numbers are packed by struct buf (little-endian); a format byte comes first, so that later
 * versions can add to it. Results live in the arena.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_CHECKSUM_PACK_H
#define KISEKI_GATEWAY_S3_PROTO_CHECKSUM_PACK_H

#include "base/arena.h"
#include "base/buf.h"
#include "gateway/s3/proto/checksum.h"

/* Algorithm and type in one number, for a key's row and an upload's; 0: none. */
int checksum_code(enum checksum_algo algo, enum checksum_type type);
enum checksum_algo checksum_code_algo(int code);
enum checksum_type checksum_code_type(int code);

/* Empty for algorithm NONE. ptr NULL when memory is out. */
struct str checksum_pack(struct arena *a, const struct checksum *sum);
/* Anything that is not a packed checksum gives NONE. */
struct checksum checksum_unpack(struct str packed);

/* One part of a completed multipart upload, as ?partNumber and GetObjectAttributes need it. */
struct object_part {
    uint32_t number;
    uint64_t size;
    struct checksum sum; /* NONE: unknown */
};
/* ptr NULL when memory is out. */
struct str object_parts_pack(struct arena *a, const struct object_part *parts, size_t count);
/* An empty `packed` gives no parts. ERR_CORRUPT, ERR_NOMEM. */
MUST_USE enum err object_parts_unpack(struct arena *a, struct str packed, struct object_part **out,
                                      size_t *out_count);

#endif
