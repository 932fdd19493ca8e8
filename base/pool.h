/*
 * A pool of worker threads with a bounded queue: SQL, store requests and requests' handlers run
 * here and may block, so that the few threads that move bytes never do.
 *
 * A job is a struct embedded in what it works on; the pool links it and owns it from pool_submit
 * until its function is called. Jobs run in order of arrival; the function may free its job.
 */
#ifndef KISEKI_BASE_POOL_H
#define KISEKI_BASE_POOL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct pool;

struct pool_job {
    void (*run)(struct pool_job *job); /* set by the user */
    struct pool_job *next;             /* the pool's */
};

/* `threads` start at once, named `name` (at most 15 bytes) for ps and perf. */
MUST_USE enum err pool_new(const char *name, size_t threads, size_t max_queued, struct pool **out);

/*
 * Queues the job; never blocks. ERR_BUSY when max_queued jobs wait: the job stays the caller's.
 */
MUST_USE enum err pool_submit(struct pool *p, struct pool_job *job);

/* As pool_submit but never refuses: for work that finishes something begun, such as a response. */
void pool_submit_always(struct pool *p, struct pool_job *job);

/* Jobs waiting now: a gauge for metrics. */
size_t pool_queued(struct pool *p);

/* Runs what is queued, joins the threads, frees. No submit may race with it. NULL is fine. */
void pool_free(struct pool *p);

#endif
