/* Random bytes from the kernel (getrandom); never fails once the kernel is seeded. Any thread. */
#ifndef KISEKI_BASE_RAND_H
#define KISEKI_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *out, size_t len);
uint64_t rand_u64(void);
/* 63 random bits: SQL's integers are signed. */
int64_t rand_i63(void);
/* Lower-case hex of len/2 random bytes into out[len + 1]; len is even. */
void rand_hex(char *out, size_t len);
/* `len` characters of `alphabet`, and a NUL, into out[len + 1]. */
void rand_text(char *out, size_t len, const char *alphabet);

#endif
