/*
 * Digests and checksums by one streaming interface: MD5, SHA-1, SHA-256 (OpenSSL, algorithms
 * fetched once), CRC32 (zlib), CRC32C and CRC64NVME (carry-less multiply where the CPU has it,
 * tables elsewhere), and the mathematics to combine CRCs of parts.
 *
 * Digest bytes are in the order that S3 prints them: big-endian for the CRCs.
 * Threads: a struct hash belongs to one thread at a time; the functions may be called by any.
 */
#ifndef KISEKI_BASE_HASH_H
#define KISEKI_BASE_HASH_H

#include "base/err.h"
#include "base/str.h"

enum hash_kind {
    HASH_MD5,
    HASH_SHA1,
    HASH_SHA256,
    HASH_CRC32,
    HASH_CRC32C,
    HASH_CRC64NVME,
    HASH_KINDS
};

#define HASH_MAX_BYTES 32

/* Bytes of a digest of this kind: 16, 20, 32, 4, 4, 8. */
size_t hash_size(enum hash_kind kind);

struct hash {
    enum hash_kind kind;
    uint64_t crc;              /* CRC kinds */
    struct evp_md_ctx_st *evp; /* digest kinds; NULL otherwise */
};

/* ERR_NOMEM, or ERR_UNSUPPORTED where OpenSSL is set up without that digest. */
MUST_USE enum err hash_init(struct hash *h, enum hash_kind kind);
void hash_update(struct hash *h, const void *data, size_t len);
/* The same for `len` zeros: of a CRC O(log len), of a digest as long as for other bytes. */
void hash_zeros(struct hash *h, uint64_t len);
/* Writes hash_size(kind) bytes; the hash may only be given to hash_fini afterwards. */
void hash_final(struct hash *h, uint8_t *out);
void hash_fini(struct hash *h); /* fine on a zeroed struct and twice */

/*
 * Uses every algorithm once. Called at the start of a program that is to live without memory: what
 * OpenSSL does at the first use of an algorithm does not survive a failed allocation, what it does
 * later does. ERR_NOMEM, ERR_UNSUPPORTED. Elsewhere the first use does by itself.
 */
MUST_USE enum err hash_start(void);

/* All at once; out has hash_size(kind) bytes. */
MUST_USE enum err hash_once(enum hash_kind kind, const void *data, size_t len, uint8_t *out);

/* CRC64NVME of a run of bytes as a number (granule checksums). */
uint64_t crc64nvme(uint64_t crc, const void *data, size_t len); /* start with 0 */

/*
 * The CRC of A||B from those of A and B and the length of B; kind must be a CRC. Numbers, not
 * bytes; O(log len_b).
 */
uint64_t crc_combine(enum hash_kind kind, uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

/* HMAC-SHA-256 with a reused context a thread; out has 32 bytes. */
MUST_USE enum err hmac_sha256(struct str key, struct str data, uint8_t out[32]);
/* HMAC-SHA-1, for signature version 2; out has 20 bytes. */
MUST_USE enum err hmac_sha1(struct str key, struct str data, uint8_t out[20]);

/* Compares in time that does not depend on the contents. */
bool bytes_equal_secret(const void *a, const void *b, size_t len);

#endif
