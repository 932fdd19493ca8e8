/*
 * A volume's metadata: the handle that all of meta/ works on, its session and its ids.
 *
 * meta_open() connects, creates or migrates the schema, reads the volume's row. A process that
 * writes (a gateway, a tool) then opens a session: a row with a lease that a thread of its own
 * renews. Writes before meta_session_open() answer ERR_FENCED.
 *
 * Errors common to all functions of meta/ that ask the database: ERR_BUSY (it is away), ERR_FULL
 * (its disk is full), ERR_FENCED (our lease is over); after these three nothing was done;
 * ERR_UNKNOWN (a commit whose outcome could not be learnt), ERR_CONFLICT (gave up after retries),
 * ERR_IO, ERR_NOMEM.
 * They block; call them from workers, never from threads that move bytes.
 * Threads: any, at once. Results lie in the arena that the caller gives.
 */
#ifndef KISEKI_META_CORE_META_H
#define KISEKI_META_CORE_META_H

#include "base/arena.h"
#include "base/str.h"

struct meta;
struct sql_stats;

/*
 * Objects of a volume that a gateway migrates while it starts: seconds. Beyond, `kiseki migrate`
 * shows how far it is, and no supervisor kills a gateway that is not ready for minutes.
 */
#define META_MIGRATE_MAX 1000000

/*
 * A step of a migration begins, `done` of `count` of the same version are done; at the end of a
 * version done == count, and `what` is empty. By the thread that opens.
 */
typedef void meta_step_fn(void *arg, size_t done, size_t count, const char *what);

struct meta_options {
    const char *url;         /* sqlite:PATH or postgres://... */
    const char *host;        /* this machine's name, for `kiseki status` */
    struct str master_key;   /* 32 bytes, or empty: secrets are kept as they are */
    int64_t lease_ms;        /* default 15,000 */
    int64_t keep_deleted_ms; /* default 0: dead slices go as soon as it is safe */
    int64_t late_put_ms;     /* second deletion after this; default 15 minutes */
    size_t connections;      /* PostgreSQL; default 4 */
    bool must_exist;         /* a tool: makes no volume and migrates none */
    bool migrates;           /* with must_exist: migrates an older volume of any size */
    meta_step_fn *step;      /* of a migration; or NULL */
    void *step_arg;
};

/*
 * ERR_DENIED: database refused us, or the master key is missing or not this volume's.
 * ERR_UNSUPPORTED: a newer schema, or an older one that was not migrated: with must_exist unless
 * `migrates` is set, without it one of more than META_MIGRATE_MAX objects; or gateways use it.
 * ERR_NOT_FOUND: must_exist, and there is no volume; nothing was written. The text is one line that
 * says what to do.
 */
MUST_USE enum err meta_open(const struct meta_options *o, struct meta **out);
/*
 * What waits should not, since the process is about to stop: waits for range locks end with
 * ERR_CANCELLED, nothing waits for a database that is away. Never blocks. NULL is fine.
 */
void meta_cancel(struct meta *m);
/* Ends the session cleanly (what it left is doomed at once), closes. NULL is fine. */
void meta_close(struct meta *m);

/* Opens the session and starts its heartbeat thread. `state` is "live" or "tool". */
MUST_USE enum err meta_session_open(struct meta *m, const char *state);
/* False once the lease is over; transfers should be broken off then. Never blocks. */
bool meta_session_alive(struct meta *m);

struct meta_volume {
    char uuid[37];
    int64_t generation;
    int64_t created_ms;
    int64_t schema_version;
    int64_t migrated_from; /* by this meta_open(): its schema version before; 0: it was not */
    bool created_now;      /* this meta_open() made the schema: the store must be made ours */
};
void meta_volume(struct meta *m, struct meta_volume *out);

/* The next unused id for inodes, pieces and uploads; mostly without asking the database. */
MUST_USE enum err meta_next_id(struct meta *m, uint64_t *out);

/*
 * The epoch tag of a read (meta/README.md, Epochs). Begin before the first statement whose result
 * names pieces or slices, end when their bytes are no longer needed. Never blocks.
 */
struct meta_read {
    uint64_t epoch;
    struct meta_read *next, *prev;
};
void meta_read_begin(struct meta *m, struct meta_read *r);
void meta_read_end(struct meta *m, struct meta_read *r);
/* Begins another read with the tag of one that runs, for what may go on after that has ended. */
void meta_read_share(struct meta *m, const struct meta_read *of, struct meta_read *r);

/* Counters of the SQL layer, for metrics. */
const struct sql_stats *meta_sql_stats(struct meta *m);

/* Numbers for `kiseki status`; one round trip. */
struct meta_session_info {
    uint64_t id;
    struct str state, host, version;
    int64_t pid, started_ms, lease_left_ms;
};
struct meta_lock_info {
    uint64_t inode, session;
    int64_t lo, hi; /* [lo, hi) */
    bool exclusive, granted;
    int64_t age_ms; /* since it was asked for */
};
#define META_STATUS_LOCKS 100
struct meta_status {
    int64_t buckets, objects, bytes, uploads, dead, doomed, epoch;
    int64_t set_aside; /* of the doomed: slices that could not be deleted, tried again later */
    struct str set_aside_why;               /* of one of them */
    int64_t locks;                          /* on ranges of files, waiters too */
    const struct meta_lock_info *lock_list; /* META_STATUS_LOCKS of them at most, by file */
    size_t lock_list_count;
    const struct meta_session_info *sessions;
    size_t session_count;
};
MUST_USE enum err meta_status(struct meta *m, struct arena *a, struct meta_status *out);
/* One cheap round trip: is the database there? */
MUST_USE enum err meta_ping(struct meta *m);

#endif
