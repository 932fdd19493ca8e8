/*
 * What a request's decision rests on, proven. A gateway decides by an access key and by buckets
 * (meta/config/bucket_context.h) that it keeps in memory. The statements that do the request's work
 * carry these as a proof:
 *
 *     access_begin(&proof);              this thread works for this request
 *     e = object_get(m, ...);            a read also returns whether the proof holds, a write
 *     e = object_put(m, ...);            requires it; ERR_DENIED, with proof.refused, when it fails
 *     access_end();
 *
 * So a key, or a bucket's configuration, counts for nothing from the moment on at which its change
 * was committed, on every gateway, and a request still costs one round trip. Refusals are proven,
 * too: access_check() does nothing else. After ERR_DENIED what proof.refused names is loaded anew
 * and the request decided again (gateway/s3/core/authorize.h).
 *
 * A key is proven by its row: its secret as it is stored, its account, and that it is enabled. A
 * sealed secret has a random nonce, drawn anew at each change, and so is what other systems call a
 * generation: compared for equality, never for order. A bucket is proven by its id and generation;
 * by the id 0 if there was none: then there must be none of that name.
 *
 * A write shares the locks of its access key and of its buckets (meta/sql/sql.h, "Locks"), taken
 * before the first of its statements, and compares in one of these; a change takes the lock of what
 * it changes alone. So no write that was decided by the old state commits after the change.
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
    /* what the decision was made by is not so any more: decide again */
    ACCESS_STALE_KEY,
    ACCESS_STALE_BUCKET
};

/* A bucket that the decision used; id 0: there was none of this name. */
struct access_bucket {
    struct str name; /* "" none */
    uint64_t id, generation;
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
