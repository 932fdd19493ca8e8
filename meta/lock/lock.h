/*
 * Locks on byte ranges of files, shared by all gateways of a volume (meta/README.md, "Writing at a
 * range"). Writes take them; reads never do.
 *
 *     lock_take: queue in this process (byte_ranges.h)
 *                -> a row in `range_locks`, granted or waiting
 *                -> granted: a token, higher than that of every lock granted before on this file
 *     lock_release
 *
 * In this process first: of requests that conflict, only the one whose turn it is asks the
 * database. There, asking and granting lock the file's row in `range_tokens`, so that they come
 * one after the other, and a request is granted if no other conflicts with it that is granted or
 * was there before: fair among all gateways. Who must wait looks again after 1 ms, then less
 * often, at least every LOCK_POLL_MS: so a release is noticed within 50 ms, no wake-up can be
 * lost, and nothing is sent to anybody (a NOTIFY would serialise all commits of the database). A
 * waiter is at most one request of a range and process, and a look locks nothing.
 *
 * Leases and fencing. A row counts only while its session's row is there; it is deleted with what a
 * dead session left. A holder whose session is over finds that out at its commit: the transaction
 * that uses a lock makes its rows FROM the lock's row, proves the session, and deletes the row,
 * which releases the lock (meta/sql/write.def). Waiters reap sessions whose lease is over
 * themselves.
 *
 * Grants are not flushed to disk (PostgreSQL: synchronous_commit off, on a connection of their
 * own). Should the server crash and forget one, its token is forgotten with it, in the same
 * transaction; who was told of it finds no row at commit and takes the lock anew.
 *
 * Deadlock: who holds a range lock takes no other, and every wait has a deadline. Both are rules
 * for callers; the deadline bounds what breaks the first.
 *
 * Threads: any. Lock rank: locks.lock after session.lock; not held across SQL.
 */
#ifndef KISEKI_META_LOCK_LOCK_H
#define KISEKI_META_LOCK_LOCK_H

#include "meta/lock/byte_ranges.h"
#include "meta/meta.h"

#define LOCK_TO_END  INT64_MAX /* of a file of any length */
#define LOCK_POLL_MS 20

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

struct locked_file;

/* The caller's; it stays where it is until lock_release(). To be read only. */
struct range_lock {
    uint64_t inode, id;
    uint64_t lo, hi; /* [lo, hi) */
    enum lock_mode mode;
    uint64_t token;
    uint64_t session; /* whose row it is */
    /* the manager's */
    struct byte_range range;
    struct locked_file *file;
};

/*
 * Blocks until [lo, hi) is ours, lo < hi <= LOCK_TO_END. ERR_TIMEOUT at deadline_boot_ms;
 * ERR_FENCED: no session, or it ended while we waited; and the errors of meta/meta.h. Only OK
 * needs a release.
 */
MUST_USE enum err lock_take(struct meta *m, uint64_t inode, uint64_t lo, uint64_t hi,
                            enum lock_mode mode, int64_t deadline_boot_ms, struct range_lock *out);

/*
 * `committed`: the transaction that used it has deleted its row. Otherwise that is done here;
 * should it fail, heartbeats try again, and at the latest the session's end does it.
 */
void lock_release(struct meta *m, struct range_lock *l, bool committed);

#endif
