/* The inside of meta/lock/. */
#ifndef KISEKI_META_LOCK_TABLE_H
#define KISEKI_META_LOCK_TABLE_H

#include "meta/lock/lock.h"

#include <pthread.h>

#define LOCK_BUCKETS 256

/* A file that is locked or waited for here. */
struct locked_file {
    struct locked_file *next;
    uint64_t inode;
    struct byte_ranges ranges;
    size_t requests;
};

/* A row that could not be deleted. */
struct leftover {
    struct leftover *next;
    uint64_t inode, id;
};

struct lock_table {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of the thread, by the monotonic clock: look at the list again */
    /* guarded by lock */
    struct locked_file *buckets[LOCK_BUCKETS];
    struct leftover *leftovers;
    struct range_lock *waiting; /* those answered ERR_AGAIN */
    bool cancelled;             /* by locks_cancel() */
    bool stopping, running;
    pthread_t thread;
};

/* --- waiting.c -------------------------------------------------------------------------------- */
/*
 * From here on the lock is the thread's, or another's that takes it off the list first: it must
 * not be touched any more. With the lock held. ERR_NOMEM: no thread.
 */
MUST_USE enum err waiting_add(struct meta *m, struct range_lock *l);
/* Takes it off and adds it to a list of those to be called; with the lock held. */
void waiting_take(struct lock_table *t, struct range_lock *l, struct range_lock **due);
/* Calls them, without the lock. They are their owners' from then on. */
void waiting_call(struct range_lock *due);

/* --- rows.c: rows of locks in the database; each call is a round trip ------------------------- */
/* Makes l's row. *out_granted with l->token, or it waits. */
MUST_USE enum err lock_row_ask(struct meta *m, struct range_lock *l, bool *out_granted);

enum lock_row_state { LOCK_ROW_GONE, LOCK_ROW_WAITS, LOCK_ROW_FREE };
/* How rows that wait are; out_expired: there are sessions whose lease is over. */
MUST_USE enum err lock_rows_look(struct meta *m, struct range_lock *const *locks, size_t count,
                                 enum lock_row_state *out, bool *out_expired);
/* Grants the row if nothing is in its way any more. ERR_FENCED: it is gone, with its session. */
MUST_USE enum err lock_row_grant(struct meta *m, struct range_lock *l, bool *out_granted);
MUST_USE enum err lock_row_drop(struct meta *m, uint64_t inode, uint64_t id);

#endif
