/*
 * Slices on their way to the store, and whose turn it is.
 *
 * The I/O threads are shared with reads, which take turns with writes (enum io_owner). Among slices
 * uploads of each size have the same share (fs/memory/turns.h): a small upload does not wait for
 * every slice of large ones.
 *
 * The pool sees one job for each of its threads, not one for each slice: a job stores the slice
 * whose turn it is when the job runs, then queues again. So the pool's own queue is short.
 *
 * Threads: any, at once. The lock is a leaf.
 */
#ifndef KISEKI_FS_WRITE_SLICE_QUEUE_H
#define KISEKI_FS_WRITE_SLICE_QUEUE_H

#include "base/err.h"
#include "base/pool.h"
#include "fs/memory/turns.h"

#include <pthread.h>

/* Embedded in a slice. */
struct slice_job {
    void (*run)(struct slice_job *job); /* by an I/O thread; may free the job */
    struct turn turn;                   /* `pages` and `cost` are the owner's */
};

struct slice_storer;

struct slice_queue {
    struct slice_storer *storers;
    pthread_mutex_t lock;
    /* guarded by lock */
    struct turns waiting;
    struct slice_storer *idle;
};

/* threads: of the pool `*io`, which may be opened later. */
MUST_USE enum err slice_queue_init(struct slice_queue *q, struct pool **io, size_t threads);
/* After the pool's end. Fine on a zeroed struct. */
void slice_queue_fini(struct slice_queue *q);
/* The queue owns the job until it calls run(). Never blocks. */
void slice_queue_submit(struct slice_queue *q, struct slice_job *job);

#endif
