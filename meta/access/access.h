/*
 * Who asks, proven. A gateway decides by an access key that it keeps in memory, and by whose
 * buckets a request acts on. The statements that do the request's work carry what that rests on:
 *
 *     access_begin(&proof);              this thread works for this request
 *     e = object_get(m, ...);            a read also returns whether the proof holds, a write
 *     e = object_put(m, ...);            requires it; ERR_DENIED, with proof.refused, when it fails
 *     access_end();
 *
 * So a key counts for nothing from the moment on at which its removal was committed, on every
 * gateway, and a request still costs one round trip. A write by an account that may be refused for
 * whose bucket it is costs two: it asks by access_check() first, since a write that is refused in
 * its transaction fails the others of its batch on PostgreSQL (gateway/s3/core/phases.c).
 *
 * The proof is by the row of the key: its secret as it is stored, its account, and that it is
 * enabled. A sealed secret has a random nonce, drawn anew at each change, and so is what other
 * systems call a generation: compared for equality, never for order. A bucket's owner does not
 * change while the bucket's row stands, but another account may make a bucket of the name anew.
 *
 * A write shares a lock of its access key (meta/sql/sql.h, "Locks"), taken before the first of its
 * statements, and compares in one of these; a change of a key takes the lock alone. So no write
 * that was decided by the old row commits after the change.
 *
 * Threads: the proof belongs to the thread between begin and end, which is the thread that calls
 * meta/ for the request; jobs and tools have none, and nothing is proven for them.
 */
#ifndef KISEKI_META_ACCESS_ACCESS_H
#define KISEKI_META_ACCESS_ACCESS_H

#include "meta/access/account.h"

#define ACCESS_BUCKETS 2 /* its own and a copy's source */

enum access_refusal {
    ACCESS_ALLOWED,
    ACCESS_STALE,  /* the key's row is not what the decision was made by: decide again */
    ACCESS_FOREIGN /* a bucket belongs to another account */
};

/* A bucket that the request acts on: if it is there it is this account's. */
struct access_bucket {
    struct str name; /* "" none */
    uint64_t owner;
};

struct access_proof {
    const struct access_key *key;
    struct access_bucket buckets[ACCESS_BUCKETS];
    /* set by the statements */
    bool proven; /* at least one of them has held */
    enum access_refusal refused;
};

/* `p` is borrowed until access_end(). */
void access_begin(struct access_proof *p);
void access_end(void);

/* Asks for nothing but the proof of this thread; one round trip. ERR_DENIED. */
MUST_USE enum err access_check(struct meta *m);

#endif
