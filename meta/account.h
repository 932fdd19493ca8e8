/*
 * Accounts and access keys. An account owns buckets; an access key signs for an account. For now
 * every account may do everything.
 *
 * Secrets are sealed with AES-256-GCM under the master key when the volume has one (first byte 1,
 * then nonce, ciphertext, tag; the access key is the associated data), else kept plain (first
 * byte 0). volume.key_check proves the master key at start.
 *
 * All keys are cached; the cache carries the volume's auth_generation and is reloaded when a
 * newer one is seen (every heartbeat compares; meta/README.md, last race).
 */
#ifndef KISEKI_META_ACCOUNT_H
#define KISEKI_META_ACCOUNT_H

#include "meta/meta.h"

struct account {
    uint64_t id;
    char name[128];
    char canonical_id[65]; /* SHA-256 of the name, so that it is known beforehand */
};

struct access_key {
    char access_key[129];
    char secret[129];
    struct account account;
    bool enabled;
};

/* From the cache only; never blocks. ERR_NOT_FOUND when no such key is known. */
MUST_USE enum err account_key_find(struct meta *m, struct str access_key, struct access_key *out);

/* Asks the database and refreshes the cache if anything changed. Blocks. */
MUST_USE enum err account_refresh(struct meta *m);

/* Owner of that id, for listings and ACLs; from the cache. ERR_NOT_FOUND. Never blocks. */
MUST_USE enum err account_find(struct meta *m, uint64_t id, struct account *out);

/*
 * Makes the account if it is missing and the key if it is missing or has another secret. The root
 * user's and tests' keys come from the configuration at each start and are put by this.
 */
MUST_USE enum err account_key_put(struct meta *m, struct str account_name, struct str access_key,
                                  struct str secret);

#endif
