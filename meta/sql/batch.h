/*
 * What batch.c (queues, slots and their threads) and batch_run.c (one batch from its first try to
 * the end of its last unit) share. The picture and the rules are at the head of batch.c.
 */
#ifndef KISEKI_META_SQL_BATCH_H
#define KISEKI_META_SQL_BATCH_H

#include "meta/sql/driver.h"
#include "meta/sql/json_array.h"

#include <pthread.h>

#define BATCH_UNITS  64
#define BATCH_LOCKS  (BATCH_UNITS * (SQL_SHARES_MAX + 1))
#define ATTEMPTS_MAX 10 /* of one unit, before ERR_CONFLICT or ERR_BUSY */

enum slot_state { SLOT_DOWN, SLOT_IDLE, SLOT_BUSY };

struct slot {
    struct batcher *batcher;
    pthread_t thread;
    bool started;
    pthread_cond_t wake; /* of the slot's thread */

    enum slot_state state; /* guarded by lock */

    /* the owner's */
    struct sql_conn *conn;
    int64_t session, marker; /* of the batch that runs; marker 0: none */
    int64_t previous;        /* a marker whose answer came: the next batch deletes it */
    int64_t previous_session;
    struct sql_call head_calls[2];
    struct sql_unit head;
    char locks_text[SQL_JSON_ARRAY_BYTES(BATCH_LOCKS)]; /* a parameter of head_calls */

    /* in doubt: doubt != 0, even after the units were answered */
    int64_t doubt, doubt_session;
    int64_t doubt_until_us;
    struct sql_unit *doubtful; /* a list */
};

struct queue {
    struct sql_unit *first, *last;
    size_t length;
};

struct batcher {
    struct sql_driver *driver;
    struct sql_stats *stats;
    int64_t wait_us;

    pthread_mutex_t lock;
    /* guarded by lock */
    struct queue queues[SQL_KINDS];
    size_t running[SQL_KINDS];
    size_t limit[SQL_KINDS];
    bool stopping;
    bool holding; /* a slot's thread waits for what is held back */
    int64_t session;
    int64_t (*next_id)(void *);
    void *next_id_arg;
    bool (*lease_is_over)(void *);
    void *lease_arg;
    struct err_info away;  /* why the last attempt to connect failed; OK: some connection is up */
    int64_t away_since_us; /* unless OK */

    atomic_bool hurried;     /* by batcher_hurry() */
    _Atomic int64_t counter; /* ids when the caller gives none */
    pthread_t ticker;
    bool ticking;
    pthread_cond_t tick;

    size_t count;    /* guarded by lock while they are started, then immutable */
    size_t capacity; /* of slots; immutable */
    struct slot *slots;
};

/* --- batch.c --- */
/* Puts units back that were not executed, in order; ends those whose time is over. No lock held. */
void batch_requeue(struct batcher *b, struct sql_unit **units, size_t count,
                   const struct err_info *why);

/* --- batch_run.c: called by the slot's owner, no lock held --- */
/*
 * Sees the units through: each is ended, requeued or in doubt afterwards. False: the connection is
 * down and needs batch_bring_up().
 */
bool batch_run(struct slot *s, enum sql_kind kind, struct sql_unit **units, size_t count);
/* Connects a DOWN slot and resolves what it has in doubt. True when it may take work. */
bool batch_bring_up(struct slot *s);
/* Ends a unit, which is its caller's again when this returns. */
void batch_finish(struct batcher *b, struct sql_unit *u, const struct err_info *why);
void batch_finish_text(struct batcher *b, struct sql_unit *u, enum err code, const char *text);

#endif
