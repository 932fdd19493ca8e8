/*
 * What the files of meta/ share; nothing above meta/ includes this.
 *
 * Two handles of one database. `sql` carries the work: batched, proved by our session, refused
 * past our lease. `control` has one connection and neither proof nor fence: sessions are opened,
 * renewed and ended through it, so that a heartbeat never waits behind data, and a fenced process
 * can still ask for a new session. (On SQLite, where connections of one process only compete for
 * the one write lock, heartbeats go through `sql` while the lease holds.)
 *
 * A third one, `grants`, is for range locks, on PostgreSQL only: what it commits need not be
 * flushed to disk (meta/lock/lock.h). It proves the session as `sql` does.
 *
 * How a write is made:
 *
 *     struct sql_unit u;
 *     sql_unit_init(&u, SQL_WRITE, arena);
 *     ...
 *     e = meta_write(m, &u);                  not sql_write(): it refuses before the first session
 *
 * and if it names slices, between meta_content_begin() and meta_content_end(): a session that is
 * replaced takes its slice names with it, since the reaper dooms those that no row names yet.
 *
 * Lock ranks, low first; none is held across SQL: session.lock, locks.lock, ids.lock / ranges.lock,
 * reads.lock, accounts.lock.
 */
#ifndef KISEKI_META_CORE_HANDLE_H
#define KISEKI_META_CORE_HANDLE_H

#include "meta/access/access.h"
#include "meta/names/object.h"
#include "meta/files/reclaim.h"
#include "meta/sql/calls.h"

#include <pthread.h>
#include <stdatomic.h>

#define META_SCHEMA_VERSION 3
#define META_KEY_BYTES      32
#define META_ROUND_ARENA    (64u << 20) /* a job's transaction, with packed records */
#define META_SMALL_ARENA    (1u << 20)  /* a statement or two without large rows */

struct slice_range; /* meta/core/ranges.c */

/* A stock of numbers drawn from `counters` in blocks, the next block before the last is used up. */
struct meta_ids {
    /* immutable after meta_open() */
    struct meta *meta;
    bool slices; /* of the session: a row in slice_ranges each */
    uint64_t block_min, block_max;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock; [next, end) are ours to give */
    uint64_t first, next, end;
    uint64_t spare_first, spare_end; /* the block fetched ahead; equal: none */
    uint64_t highest;                /* no number from here on was ever given to us */
    uint64_t block;                  /* size of the next fetch */
    int64_t fetched_us;              /* when the last block came */
    uint64_t session, tag;           /* slices: whose the ranges are */
    uint64_t fetching_session;       /* slices: for whom the fetch under way is */
    bool fetching;
    uint64_t failures;           /* fetches that failed, for threads that wait for one */
    struct err_info error;       /* of the last of them */
    struct slice_range **ranges; /* slices: those with names that no row has yet */
    size_t range_count, range_cap;
    /* the fetch under way; belongs to it while fetching is set */
    struct sql_unit unit;
    struct arena *arena;
};

struct meta_session_state {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* by the monotonic clock */
    /* guarded by lock */
    char state[16];
    uint64_t id, tag;
    unsigned contents; /* writes that name our slices, under way */
    bool stop, running;
    bool hurry; /* the next heartbeat is due now */
    pthread_t thread;

    /* atomic */
    _Atomic int64_t fence_boot_ms; /* our lease is over from here on; 0: no lease */
    _Atomic bool opened;           /* a session was opened once */
    _Atomic uint64_t lost;         /* sessions lost to their lease, for tests and metrics */
};

struct meta_reads {
    pthread_mutex_t lock;
    /* guarded by lock; in order of begin, hence of epoch */
    struct meta_read *first, *last;
    uint64_t fetched; /* the epoch of the last heartbeat */
};

/*
 * Where the last scans of a queue found their first rows (meta/files/reclaim.c); each is used by
 * the one thread that does the job.
 */
struct queue_hints {
    int64_t full_ms;   /* when it was last scanned from the front, by our wall clock */
    int64_t unstamped; /* at_ms */
    struct {
        int64_t stamp, id;
    } ripe[4]; /* by kind */
};
struct doomed_hints {
    int64_t full_ms, due_ms;
};
/* A minute has passed since `full_ms`, or the clock was set back: forget the hints. */
static inline bool hints_are_old(int64_t full_ms, int64_t now_ms)
{
    return now_ms - full_ms >= 60000 || now_ms < full_ms;
}

struct account_cache; /* meta/access/account.c */
struct lock_table;    /* meta/lock/lock.c */

struct meta {
    /* immutable after meta_open() */
    struct sql_db *sql;
    struct sql_db *control;
    struct sql_db *grants; /* NULL on SQLite: `sql` */
    _Atomic int64_t grant_markers;
    char *host;
    int64_t lease_ms, keep_deleted_ms, late_put_ms;
    int64_t upload_keep_ms; /* a completed upload's result; tests make it shorter */
    int64_t beat_ms;        /* between heartbeats; tests make it shorter before the session opens */
    uint8_t master_key[META_KEY_BYTES];
    bool has_master_key;
    struct meta_volume volume;

    /* each with its own lock */
    struct meta_session_state session;
    struct meta_reads reads;
    struct meta_ids ids;
    struct meta_ids ranges;

    struct lock_table *locks;
    struct queue_hints hints;
    struct doomed_hints doomed_hints;

    struct account_cache *accounts; /* with its own lock */
};

/* sql_write(), but ERR_FENCED before the first meta_session_open(). */
MUST_USE enum err meta_write(struct meta *m, struct sql_unit *u);

/*
 * access.c: sql_read(m->sql), meta_write() with the proof of who asks (meta/access/access.h): for
 * what a client's request reads and writes, not for what follows from it (clean-up, jobs, numbers).
 * For units that are submitted: access_require() before, access_result() with what came of it,
 * both in the request's thread.
 */
MUST_USE enum err access_read(struct meta *m, struct sql_unit *u);
MUST_USE enum err access_write(struct meta *m, struct sql_unit *u);
void access_require(struct sql_unit *u);
MUST_USE enum err access_result(struct meta *m, enum err err);
/* The numbers of locks (meta/sql/sql.h): of an access key, of a bucket's configuration. */
int64_t access_lock_of(struct str access_key);
int64_t access_lock_of_bucket(struct str bucket);

/*
 * Around a write whose rows name slices of `c`: OK when all of them carry our session's tag, and
 * the session is not replaced until meta_content_end(). ERR_FENCED: their session is gone, the
 * slices are the reaper's. Call end only after OK; `linked`: the rows were made. Never blocks.
 */
MUST_USE enum err meta_content_begin(struct meta *m, const struct content *c);
void meta_content_end(struct meta *m, const struct content *c, bool linked);

/*
 * session.c: the row in `sessions`, its thread. Closing: session_stop() ends the thread and waits
 * for writes under way, then `sql` is closed, then session_end() removes the row.
 */
MUST_USE enum err session_init(struct meta *m);
void session_stop(struct meta *m);
void session_end(struct meta *m);
void session_fini(struct meta *m);
uint64_t session_id(struct meta *m); /* 0: none now */

/* ids.c; stocks of m->ids and m->ranges */
MUST_USE enum err ids_init(struct meta *m, struct meta_ids *ids, bool slices);
void ids_fini(struct meta_ids *ids);
/* Forgets what is left and takes from `session` from now on (slices only). */
void ids_restart(struct meta_ids *ids, uint64_t session, uint64_t tag);
/* Waits until no fetch is under way. */
void ids_wait_idle(struct meta_ids *ids);
/* Adds to `u` what gives the unused ends of our ranges back; only after ids_wait_idle(). */
void ids_shrink(struct meta_ids *ids, struct sql_unit *u);

/* ranges.c; the first two under m->ranges.lock */
void ranges_add(struct meta_ids *ids, uint64_t first, uint64_t end);
void ranges_forget(struct meta_ids *ids);
/* These names stand in `slices` or `doomed` now. Takes m->ranges.lock. */
void ranges_mark_named(struct meta *m, const struct slice_name *names, size_t count);
/* Adds what deletes the rows of ranges whose names are all in use; false: there are none. */
bool ranges_retire(struct meta *m, struct sql_unit *u);

/* epoch.c */
uint64_t reads_published(struct meta *m);
uint64_t reads_oldest(struct meta *m); /* of the running ones; 0: none runs */
void reads_fetched(struct meta *m, uint64_t epoch);

/*
 * schema.c: makes the tables if they are missing, reads and checks the volume's row. The options
 * say whether it makes or migrates anything (ERR_NOT_FOUND, ERR_UNSUPPORTED).
 */
MUST_USE enum err schema_open(struct meta *m, const struct meta_options *o);

/* account.c: the empty cache. */
MUST_USE enum err account_init(struct meta *m);
/* account.c: key_check against the master key; a newly given one seals what is there. */
MUST_USE enum err account_open(struct meta *m);
void account_fini(struct meta *m);

/*
 * lock/lock.c; sweep, from the heartbeat: deletes rows of locks that could not be deleted before.
 */
MUST_USE enum err locks_init(struct meta *m);
void locks_fini(struct meta *m);
void locks_sweep(struct meta *m);
/* All that wait, and all that would, get ERR_CANCELLED. */
void locks_cancel(struct meta *m);
/* Ends the thread of waiters; none may wait any more. Before `sql` is closed. */
void locks_stop(struct meta *m);

/*
 * reap.c: removes sessions whose lease is over; any session may, at any time. What they left is the
 * job's to clean.
 */
MUST_USE enum err reap_sessions(struct meta *m);

/*
 * reap.c: dooms what a slice range of a session that is gone left behind, deletes the range.
 * session 0: of all that are gone, at most a few a call. Adds to *out_done the ranges cleaned.
 */
MUST_USE enum err reclaim_ranges(struct meta *m, struct sql_db *db, uint64_t session,
                                 size_t *out_done);

#endif
