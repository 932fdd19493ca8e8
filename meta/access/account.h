/*
 * Accounts and access keys. An account owns buckets; an access key signs for an account. The
 * account `root` is the operator's and may do everything; every other one acts on its own buckets
 * only (gateway/s3/core/authorize.h).
 *
 * Keys come from two places. Those that are *given* stand in the gateways' configuration (the root
 * key, users of tests): each start puts them, and removes given ones that the configuration no
 * longer names. The others are made, disabled and removed by `kiseki key`.
 *
 * Secrets are sealed with AES-256-GCM under the master key when the volume has one (first byte 1,
 * then nonce, ciphertext, tag; the access key is the associated data), else kept plain (first
 * byte 0). volume.key_check proves the master key at start.
 *
 * The keys that were used lately are kept in memory, ACCOUNT_CACHE_KEYS at most. What is kept is no
 * proof: meta/access/access.h. There is no memory of keys that do not exist.
 */
#ifndef KISEKI_META_ACCESS_ACCOUNT_H
#define KISEKI_META_ACCESS_ACCOUNT_H

#include "meta/core/meta.h"

#define ACCOUNT_ROOT       "root"
#define ACCOUNT_CACHE_KEYS 4096
#define ACCESS_KEY_MAX     128
#define ACCESS_SECRET_MAX  128
#define ACCESS_STORED_MAX  192 /* a sealed secret */

struct account {
    uint64_t id;
    char name[128];
    char canonical_id[65]; /* SHA-256 of the name, so that it is known beforehand */
};

struct access_key {
    char access_key[ACCESS_KEY_MAX + 1];
    char secret[ACCESS_SECRET_MAX + 1];
    struct account account;
    bool enabled;
    bool given; /* by the configuration */
    int64_t created_ms;
    char stored[ACCESS_STORED_MAX]; /* the secret as the database has it */
    size_t stored_len;
};

bool account_is_root(const struct account *a);
struct str access_key_stored(const struct access_key *k);

/*
 * ERR_INVALID, with a text, for an access key or a secret that clients could not send: an access
 * key has 3 to 128 printable ASCII characters, neither blanks nor `/`, `=`, `,`, `:`; a secret 8 to
 * 128 printable ASCII characters without blanks.
 */
MUST_USE enum err access_key_valid(struct str access_key, struct str secret);

/* From memory only; never blocks. ERR_NOT_FOUND says only that it is not there. */
MUST_USE enum err account_key_find(struct meta *m, struct str access_key, struct access_key *out);
/* From the database, and into memory. ERR_NOT_FOUND: there is no such key. Blocks. */
MUST_USE enum err account_key_look_up(struct meta *m, struct str access_key,
                                      struct access_key *out);

/* An account by its id, for listings and ACLs. ERR_NOT_FOUND. Blocks when it is not in memory. */
MUST_USE enum err account_find(struct meta *m, uint64_t id, struct account *out);

/*
 * Makes the account if it is missing and the key if it is missing or differs; enabled, not given.
 * ERR_INVALID as access_key_valid() has it, or for the account's name (1 to 127 bytes).
 */
MUST_USE enum err account_key_put(struct meta *m, struct str account_name, struct str access_key,
                                  struct str secret);

/*
 * The keys that the configuration gives: puts what is missing or differs, then removes the given
 * ones that are not in the list, and all other keys of the account `root`. Changes nothing, and
 * costs a read, when all is so already. ERR_EXISTS: `kiseki key` made one of these keys for another
 * account, which would lose it without a word.
 */
struct given_key {
    struct str account, access_key, secret;
};
/* ERR_INVALID as account_key_put() has it; asks no database. */
MUST_USE enum err given_key_valid(const struct given_key *k);
MUST_USE enum err account_keys_give(struct meta *m, const struct given_key *keys, size_t count);

/* ERR_NOT_FOUND; ERR_DENIED for a given key. They hold from the commit on, everywhere. */
MUST_USE enum err account_key_enable(struct meta *m, struct str access_key, bool enabled);
MUST_USE enum err account_key_remove(struct meta *m, struct str access_key);

/* Keys after `after`, in order, at most `max`, without their secrets. */
MUST_USE enum err account_keys_list(struct meta *m, struct arena *a, struct str after, size_t max,
                                    struct access_key **out, size_t *out_count);

#endif
