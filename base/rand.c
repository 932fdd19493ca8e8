#include "base/rand.h"

#include "base/codec.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void rand_bytes(void *out, size_t len)
{
    unsigned char *at = out;
    int saved_errno = errno;

    while (len > 0) {
        /* Only EINTR is possible: the kernel has the call and the memory is ours. */
        ssize_t n = getrandom(at, len, 0);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    errno = saved_errno;
}

uint64_t rand_u64(void)
{
    uint64_t v;

    rand_bytes(&v, sizeof(v));
    return v;
}

int64_t rand_i63(void)
{
    return (int64_t)(rand_u64() >> 1);
}

void rand_hex(char *out, size_t len)
{
    unsigned char bytes[64];

    out[0] = '\0';
    for (size_t left = len / 2; left > 0;) {
        size_t n = left < sizeof(bytes) ? left : sizeof(bytes);
        rand_bytes(bytes, n);
        hex_encode(bytes, n, out);
        out += 2 * n;
        left -= n;
    }
}

void rand_text(char *out, size_t len, const char *alphabet)
{
    uint64_t letters = strlen(alphabet);

    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[rand_u64() % letters];
    out[len] = '\0';
}
