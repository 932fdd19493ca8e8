/*
 * Locks on byte ranges of files, shared by all gateways of a volume (meta/README.md, "Writing at a
 * range"). Writes take them; reads never do.
 *
 *     lock_begin: queue in this process (byte_ranges.h)
 *                 -> a row in `range_locks`, granted or waiting
 *                 -> granted: a token, higher than that of every lock granted before on this file
 *     lock_release
 *
 * A wait needs no thread. lock_begin() and lock_go_on() take the next step, which may be a
 * round trip to the database; ERR_AGAIN says that it is others' turn now, and that on_turn() will
 * be called, once, when lock_go_on() is worth calling: the turn has come, the deadline has passed,
 * or the process stops. Until then the lock is the manager's. lock_take() does all that and blocks.
 *
 *                begin                     ask the row             grant the row
 *     (nothing) ------> QUEUED --on_turn--> TURN ----> WAITS --on_turn--> FREE ----> HELD
 *                          '- at once: TURN -'  '- at once: HELD                '-> WAITS again
 *                nap
 *     (nothing) -----> NAPS --on_turn--> (nothing)
 *
 * In this process first: of requests that conflict, only the one whose turn it is asks the
 * database. There, asking and granting lock the file's row in `range_tokens`, so that they come
 * one after the other, and a request is granted if no other conflicts with it that is granted or
 * was there before: fair among all gateways. For rows that must wait one thread of the process
 * (waiting.c) polls after 1 ms, then less often, at least every LOCK_POLL_MS, all of them in one
 * round trip: so a release is noticed within 50 ms, no wake-up can be lost, and nothing is
 * sent to anybody (a NOTIFY would serialise all commits of the database). A look locks nothing.
 *
 * Leases and fencing. A row counts only while its session's row is there; it is deleted with what a
 * dead session left. A holder whose session is over finds that out at its commit: the transaction
 * that uses a lock makes its rows FROM the lock's row, proves the session, and deletes the row,
 * which releases the lock (meta/sql/write.def). Waiters reap sessions whose lease is over
 * themselves.
 *
 * Grants are not flushed to disk (PostgreSQL: synchronous_commit off, on a connection of their
 * own). Should the server crash and forget one, its token is forgotten with it, in the same
 * transaction; its holder finds no row at commit and takes the lock anew.
 *
 * Deadlock: a holder of a range lock takes no other, and every wait has a deadline. Both are
 * rules for callers; the deadline bounds what breaks the first. (Turns, below, end before a range
 * lock begins.)
 *
 * Threads: any; one at a time for each lock. on_turn() is called by any thread, with no lock of
 * ours held; it must not block. Lock rank: locks.lock after session.lock; not held across SQL.
 */
#ifndef KISEKI_META_LOCK_LOCK_H
#define KISEKI_META_LOCK_LOCK_H

#include "meta/lock/byte_ranges.h"
#include "meta/core/meta.h"

#define LOCK_TO_END      INT64_MAX /* of a file of any length */
#define LOCK_POLL_MS     20
#define LOCK_WAITERS_MAX 1024 /* of one file in this process; more are refused */

enum lock_mode { LOCK_SHARED, LOCK_EXCLUSIVE };

enum lock_stage { LOCK_NONE, LOCK_QUEUED, LOCK_TURN, LOCK_WAITS, LOCK_FREE, LOCK_NAPS, LOCK_HELD };

struct locked_file;

/* The caller's; it stays where it is until it is released. To be read only. */
struct range_lock {
    uint64_t inode, id;
    uint64_t lo, hi; /* [lo, hi) */
    enum lock_mode mode;
    uint64_t token;
    uint64_t session; /* whose row it is */
    /* the manager's */
    enum lock_stage stage;
    bool local; /* a turn: no row */
    struct byte_range range;
    struct locked_file *file;
    void (*on_turn)(void *arg);
    void *arg;
    int64_t deadline_ms;
    int64_t look_ms, pause_ms;      /* LOCK_WAITS: the next look, and how long after the last */
    enum err outcome;               /* of the wait that has ended */
    bool waiting;                   /* guarded by locks.lock: it is in the list */
    struct range_lock *next, *prev; /* guarded by locks.lock */
};

/*
 * Asks for [lo, hi), lo < hi <= LOCK_TO_END. OK: it is ours. ERR_AGAIN: see above. ERR_TIMEOUT at
 * deadline_boot_ms (one that is over: only what is free at once is taken); ERR_BUSY: too many wait
 * for this file; ERR_FENCED: no session, or it ended while we waited; ERR_CANCELLED: meta_cancel();
 * and the errors of meta/core/meta.h. After an error there is nothing to release.
 */
MUST_USE enum err lock_begin(struct meta *m, uint64_t inode, uint64_t lo, uint64_t hi,
                             enum lock_mode mode, int64_t deadline_boot_ms,
                             void (*on_turn)(void *arg), void *arg, struct range_lock *out);
/* After on_turn(): the same results. */
MUST_USE enum err lock_go_on(struct meta *m, struct range_lock *l);

/* lock_begin() and lock_go_on(), blocking in between. */
MUST_USE enum err lock_take(struct meta *m, uint64_t inode, uint64_t lo, uint64_t hi,
                            enum lock_mode mode, int64_t deadline_boot_ms, struct range_lock *out);

/*
 * A turn: exclusive in this process only, no database, by a number that all callers compute
 * alike. As lock_begin(), and released likewise.
 */
MUST_USE enum err lock_turn_begin(struct meta *m, uint64_t number, int64_t deadline_boot_ms,
                                  void (*on_turn)(void *arg), void *arg, struct range_lock *out);
/* Only time passes: ERR_AGAIN, and lock_go_on() answers OK, with nothing to release. */
MUST_USE enum err lock_nap_begin(struct meta *m, int64_t ms, void (*on_turn)(void *arg), void *arg,
                                 struct range_lock *out);

/*
 * `committed`: the transaction that used it has deleted its row. Otherwise that is done here;
 * should it fail, heartbeats try again, and at the latest the session's end does it. Also gives up
 * one that is not held yet, but not between ERR_AGAIN and on_turn(). Twice is fine.
 */
void lock_release(struct meta *m, struct range_lock *l, bool committed);

#endif
