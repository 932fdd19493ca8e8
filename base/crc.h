/*
 * CRC32C and CRC64NVME, and the mathematics of all reflected CRCs; private to base/hash.c.
 *
 * All functions take and return the finished checksum (inverted before and after, as zlib's
 * crc32() does), begin with 0 and can be chained. The fast way is chosen once by what the CPU
 * has; the tables are also reachable for tests. Any thread; nothing fails.
 *
 * Polynomials over GF(2) are numbers here with the coefficient of x^0 in the highest bit of
 * their width (32 or 64 bits), which is the order in which these CRCs shift bits.
 */
#ifndef KISEKI_BASE_CRC_H
#define KISEKI_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

#define CRC32_POLY     UINT64_C(0xEDB88320)
#define CRC32C_POLY    UINT64_C(0x82F63B78)
#define CRC64NVME_POLY UINT64_C(0x9A6C9329AC4BC9B5)

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t len);
uint64_t crc64nvme_by_table(uint64_t crc, const void *data, size_t len);

/* Slice-by-8: table[k][b] is the effect of byte b that is followed by k more zero bytes. */
struct crc_table {
    uint64_t slice[8][256];
};
void crc_table_fill(struct crc_table *t, uint64_t poly);
/* Works on the inverted (running) state. */
uint64_t crc_table_run(const struct crc_table *t, uint64_t state, const void *data, size_t len);

/* a * b mod the polynomial. */
uint64_t crc_multiply(uint64_t a, uint64_t b, uint64_t poly, unsigned width);
/* x^n mod the polynomial. */
uint64_t crc_power(uint64_t n, uint64_t poly, unsigned width);

#endif
