#include "base/crc.h"
#include "base/hash.h"

#include <pthread.h>
#include <string.h>

static struct crc_table table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    crc_table_fill(&table, CRC64NVME_POLY);
}

uint64_t crc64nvme_by_table(uint64_t crc, const void *data, size_t len)
{
    pthread_once(&table_once, fill_table);
    return ~crc_table_run(&table, ~crc, data, len);
}

#ifdef __x86_64__

#include <immintrin.h>

/*
 * Folding (Intel, "Fast CRC Computation Using PCLMULQDQ"): the message is a polynomial, and 128
 * bits of it can be replaced by something congruent that lies d bits further on:
 *     high * x^(64+d) + low * x^d,  with the powers taken modulo P beforehand.
 * Four accumulators stride over 64 bytes a round, are folded into one, and what remains, 16
 * bytes congruent to all that was read, goes through the tables.
 *
 * In reflected order a register's first 64 bits hold the high half, and a carry-less product of
 * reflected factors comes out multiplied by x, so the exponents are one less.
 */
#define FOLD_MIN 128 /* below, the tables are as fast */

struct fold {
    uint64_t high, low; /* x^(64+d-1) and x^(d-1) mod P */
};
static struct fold fold_512, fold_128; /* by 64 and by 16 bytes */
static pthread_once_t fold_once = PTHREAD_ONCE_INIT;

static struct fold fold_by(uint64_t bits)
{
    return (struct fold){crc_power(64 + bits - 1, CRC64NVME_POLY, 64),
                         crc_power(bits - 1, CRC64NVME_POLY, 64)};
}

static void fill_fold(void)
{
    fold_512 = fold_by(512);
    fold_128 = fold_by(128);
    pthread_once(&table_once, fill_table);
}

#define CLMUL __attribute__((target("pclmul,sse2")))

CLMUL static inline __m128i load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* `acc` moved on by the distance of `k`, plus what is there. */
CLMUL static inline __m128i fold(__m128i acc, __m128i k, __m128i there)
{
    return _mm_xor_si128(there, _mm_xor_si128(_mm_clmulepi64_si128(acc, k, 0x00),
                                              _mm_clmulepi64_si128(acc, k, 0x11)));
}

CLMUL static inline __m128i constants(struct fold f)
{
    return _mm_set_epi64x((long long)f.low, (long long)f.high);
}

CLMUL static uint64_t by_folding(uint64_t state, const uint8_t *at, size_t len)
{
    const __m128i k512 = constants(fold_512), k128 = constants(fold_128);
    __m128i a = _mm_xor_si128(load(at), _mm_cvtsi64_si128((long long)state));
    __m128i b = load(at + 16), c = load(at + 32), d = load(at + 48);
    uint8_t rest[16];

    for (at += 64, len -= 64; len >= 64; at += 64, len -= 64) {
        a = fold(a, k512, load(at));
        b = fold(b, k512, load(at + 16));
        c = fold(c, k512, load(at + 32));
        d = fold(d, k512, load(at + 48));
    }
    a = fold(fold(fold(a, k128, b), k128, c), k128, d);
    for (; len >= 16; at += 16, len -= 16)
        a = fold(a, k128, load(at));
    _mm_storeu_si128((__m128i *)(void *)rest, a);
    state = crc_table_run(&table, 0, rest, sizeof(rest));
    return crc_table_run(&table, state, at, len);
}

uint64_t crc64nvme(uint64_t crc, const void *data, size_t len)
{
    if (len < FOLD_MIN || !__builtin_cpu_supports("pclmul"))
        return crc64nvme_by_table(crc, data, len);
    pthread_once(&fold_once, fill_fold);
    return ~by_folding(~crc, data, len);
}

#else

uint64_t crc64nvme(uint64_t crc, const void *data, size_t len)
{
    return crc64nvme_by_table(crc, data, len);
}

#endif
