#include "base/crc.h"

#include <pthread.h>
#include <string.h>

static struct crc_table table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    crc_table_fill(&table, CRC32C_POLY);
}

uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t len)
{
    pthread_once(&table_once, fill_table);
    return ~(uint32_t)crc_table_run(&table, (uint32_t)~crc, data, len);
}

#ifdef __x86_64__

#include <nmmintrin.h>

/*
 * The instruction takes three cycles but one can begin each cycle, so long runs are cut into
 * three lanes. `shift` then moves a lane's state over the LANE bytes behind it: one table look-up
 * a byte of the state.
 */
#define LANE ((size_t)1024)

static uint32_t shift[4][256];
static pthread_once_t shift_once = PTHREAD_ONCE_INIT;

static void fill_shift(void)
{
    uint64_t x_lane = crc_power(8 * LANE, CRC32C_POLY, 32);

    for (unsigned k = 0; k < 4; k++)
        for (unsigned byte = 0; byte < 256; byte++)
            shift[k][byte] =
                (uint32_t)crc_multiply((uint64_t)byte << (8 * k), x_lane, CRC32C_POLY, 32);
}

static uint32_t shifted(uint32_t state)
{
    return shift[0][state & 0xFF] ^ shift[1][state >> 8 & 0xFF] ^ shift[2][state >> 16 & 0xFF] ^
           shift[3][state >> 24];
}

static uint64_t load(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t state, const uint8_t *at,
                                                                 size_t len)
{
    for (; len >= 3 * LANE; at += 3 * LANE, len -= 3 * LANE) {
        uint64_t a = state, b = 0, c = 0;
        for (size_t i = 0; i < LANE; i += 8) {
            a = _mm_crc32_u64(a, load(at + i));
            b = _mm_crc32_u64(b, load(at + LANE + i));
            c = _mm_crc32_u64(c, load(at + 2 * LANE + i));
        }
        state = shifted(shifted((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
    }
    uint64_t wide = state;
    for (; len >= 8; at += 8, len -= 8)
        wide = _mm_crc32_u64(wide, load(at));
    state = (uint32_t)wide;
    for (; len > 0; at++, len--)
        state = _mm_crc32_u8(state, *at);
    return state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    if (!__builtin_cpu_supports("sse4.2"))
        return crc32c_by_table(crc, data, len);
    if (len >= 3 * LANE)
        pthread_once(&shift_once, fill_shift);
    return ~by_instruction(~crc, data, len);
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return crc32c_by_table(crc, data, len);
}

#endif
