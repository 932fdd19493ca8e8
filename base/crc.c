#include "base/crc.h"

#include <endian.h>
#include <string.h>

void crc_table_fill(struct crc_table *t, uint64_t poly)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? poly : 0);
        t->slice[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (int k = 1; k < 8; k++) {
            uint64_t crc = t->slice[k - 1][byte];
            t->slice[k][byte] = crc >> 8 ^ t->slice[0][crc & 0xFF];
        }
    }
}

uint64_t crc_table_run(const struct crc_table *t, uint64_t state, const void *data, size_t len)
{
    const uint8_t *at = data;

    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word, next = 0;
        memcpy(&word, at, sizeof(word));
        word = le64toh(word) ^ state;
        for (int k = 7; k >= 0; k--, word >>= 8)
            next ^= t->slice[k][word & 0xFF];
        state = next;
    }
    for (; len > 0; at++, len--)
        state = state >> 8 ^ t->slice[0][(state ^ *at) & 0xFF];
    return state;
}

uint64_t crc_multiply(uint64_t a, uint64_t b, uint64_t poly, unsigned width)
{
    uint64_t product = 0;

    /* Coefficients of a from x^0 on, while b goes through b, b x, b x^2 ... */
    for (uint64_t bit = UINT64_C(1) << (width - 1); bit != 0; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b >> 1 ^ (b & 1 ? poly : 0);
    }
    return product;
}

uint64_t crc_power(uint64_t n, uint64_t poly, unsigned width)
{
    uint64_t result = UINT64_C(1) << (width - 1); /* x^0 */
    uint64_t square = UINT64_C(1) << (width - 2); /* x^1 */

    for (; n > 0; n >>= 1) {
        if (n & 1)
            result = crc_multiply(result, square, poly, width);
        square = crc_multiply(square, square, poly, width);
    }
    return result;
}
