/*
 * Sealing of secrets: AES-256-GCM under the volume's master key. Pure but for the random nonce.
 *
 * Sealed form: byte 1, nonce of 12 bytes, ciphertext, tag of 16 bytes; `context` (an access key,
 * a volume's UUID) is authenticated with it, so that a sealed secret cannot be moved to another
 * row. Plain form: byte 0, the secret. Any thread.
 */
#ifndef KISEKI_META_CORE_SEAL_H
#define KISEKI_META_CORE_SEAL_H

#include "base/arena.h"

#define SEAL_KEY_BYTES 32
#define SEAL_OVERHEAD  (1 + 12 + 16)

/* `key` of SEAL_KEY_BYTES; NULL gives the plain form. */
MUST_USE enum err seal(const uint8_t *key, struct str context, struct str secret, struct arena *a,
                       struct str *out);
/*
 * Either form; the result is NUL-terminated behind its length. ERR_DENIED: sealed under another
 * key, for another context or `key` is NULL; ERR_CORRUPT: neither form.
 */
MUST_USE enum err unseal(const uint8_t *key, struct str context, struct str sealed, struct arena *a,
                         struct str *out);
/* True for the sealed form. */
bool seal_is_sealed(struct str sealed);

#endif
