/*
 * S3's additional checksums: names, the rules which algorithm goes with which type, and how the
 * checksum of a multipart object comes from those of its parts. Pure.
 *
 *     type         value of an object of N parts                      algorithms
 *     FULL_OBJECT  of all bytes; combined mathematically from parts   CRC32, CRC32C, CRC64NVME
 *     COMPOSITE    digest of the parts' digests, written `value-N`    CRC32, CRC32C, SHA1, SHA256
 *
 * An object put in one piece has type FULL_OBJECT whatever its algorithm. The default type of a
 * multipart upload is COMPOSITE, for CRC64NVME FULL_OBJECT.
 * Source: "Checking object integrity in Amazon S3". Threads: any (struct composite: one user).
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_CHECKSUM_H
#define KISEKI_GATEWAY_S3_PROTO_CHECKSUM_H

#include "base/hash.h"
#include "gateway/errors/errors.h"

/* Numbers are stored in rows: never renumber. */
enum checksum_algo {
    CHECKSUM_NONE = 0,
    CHECKSUM_CRC32 = 1,
    CHECKSUM_CRC32C = 2,
    CHECKSUM_CRC64NVME = 3,
    CHECKSUM_SHA1 = 4,
    CHECKSUM_SHA256 = 5,
    CHECKSUM_ALGOS
};

enum checksum_type { CHECKSUM_TYPE_NONE = 0, CHECKSUM_FULL_OBJECT = 1, CHECKSUM_COMPOSITE = 2 };

struct checksum {
    enum checksum_algo algo;
    enum checksum_type type;
    uint32_t parts;                /* COMPOSITE: the N of value-N */
    uint8_t bytes[HASH_MAX_BYTES]; /* checksum_size(algo) of them, big-endian for CRCs */
};

/* Base64 of the longest digest, "-4294967295" and a NUL. */
#define CHECKSUM_TEXT_MAX 64

size_t checksum_size(enum checksum_algo algo);           /* 0 for NONE */
enum hash_kind checksum_hash(enum checksum_algo algo);   /* not for NONE */
const char *checksum_algo_name(enum checksum_algo algo); /* "CRC64NVME"; "" for NONE */
const char *checksum_type_name(enum checksum_type type); /* "COMPOSITE"; "" for NONE */
/* "x-amz-checksum-crc32"; "" for NONE. */
const char *checksum_header_name(enum checksum_algo algo);
/* The XML element: "ChecksumCRC32"; "" for NONE. */
const char *checksum_element_name(enum checksum_algo algo);

/*
 * "crc32c" in any case -> algorithm. InvalidRequest for unknown names and for those that SDKs
 * know but this gateway does not compute (SHA512, MD5, XXHASH64, XXHASH3, XXHASH128).
 */
MUST_USE enum s3_code checksum_algo_parse(struct str name, enum checksum_algo *out,
                                          struct s3_error *error);
/* "FULL_OBJECT", "COMPOSITE". InvalidRequest otherwise. */
MUST_USE enum s3_code checksum_type_parse(struct str name, enum checksum_type *out,
                                          struct s3_error *error);
/*
 * "x-amz-checksum-<algo>" in any case: true and the algorithm. *out_known is false for a header
 * of that form whose algorithm is not built; x-amz-checksum-mode, -type and -algorithm are not of
 * that form.
 */
bool checksum_of_header(struct str header_name, enum checksum_algo *out, bool *out_known);
/* The same for elements such as "ChecksumCRC32"; ChecksumType and ChecksumAlgorithm are not. */
bool checksum_of_element(struct str element, enum checksum_algo *out, bool *out_known);

/*
 * The rules of CreateMultipartUpload: algorithm and type as asked (either may be NONE) -> what
 * the upload uses. Neither given: CRC64NVME FULL_OBJECT. InvalidRequest for an illegal pair.
 */
MUST_USE enum s3_code checksum_upload_rule(enum checksum_algo algo, enum checksum_type type,
                                           enum checksum_algo *out_algo,
                                           enum checksum_type *out_type, struct s3_error *error);

/*
 * Base64 text -> bytes; type FULL_OBJECT. Accepts `value-N` as COMPOSITE only if `composite`.
 * BadDigest when it is not base64 of the right length, as the public suite has it.
 */
MUST_USE enum s3_code checksum_parse(enum checksum_algo algo, struct str text, bool composite,
                                     struct checksum *out, struct s3_error *error);
/* Base64; `value-N` for COMPOSITE when `with_parts`. */
void checksum_text(const struct checksum *c, bool with_parts, char out[CHECKSUM_TEXT_MAX]);
bool checksum_eq(const struct checksum *a, const struct checksum *b); /* algo, type and bytes */

/* The checksum of a multipart object: add its parts' in order, then finish. */
struct checksum_join {
    struct checksum sum;
    struct hash hash; /* COMPOSITE */
    uint64_t crc;     /* FULL_OBJECT */
};
/* ERR_INVALID for a pair that checksum_upload_rule refuses; ERR_NOMEM. */
MUST_USE enum err checksum_join_init(struct checksum_join *j, enum checksum_algo algo,
                                     enum checksum_type type);
/* `part` has the join's algorithm (ERR_INVALID otherwise) and covers len_bytes. */
MUST_USE enum err checksum_join_add(struct checksum_join *j, const struct checksum *part,
                                    uint64_t len_bytes);
void checksum_join_finish(struct checksum_join *j, struct checksum *out);
void checksum_join_fini(struct checksum_join *j);

#endif
