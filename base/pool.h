/*
 * A pool of worker threads with a bounded queue: SQL, store requests and requests' handlers run
 * here and may block, so that the few threads that move bytes never do.
 *
 * A job is a struct embedded in what it works on; the pool links it and owns it from pool_submit
 * until its function is called. Jobs run in order of arrival; the function may free its job.
 *
 * Work that may last, or that waits for something that may be away, has a pool of its own, with few
 * threads, so that it cannot take the threads of the rest. Such a pool has limits: a job that has
 * queued for wait_ms is called with job->late set, by a thread that does nothing else, and must
 * then only say so. With `fair` the owners of jobs take turns: the owner with the fewest jobs
 * running is next, among equals the one that came first. So one owner with a thousand jobs delays
 * another by one job and not by a thousand.
 */
#ifndef KISEKI_BASE_POOL_H
#define KISEKI_BASE_POOL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool_job {
    void (*run)(struct pool_job *job); /* set by the user */
    uint64_t owner;                    /* set by the user of a fair pool: whose job it is */
    bool late;                         /* the pool's: it has queued for wait_ms, do nothing long */
    struct pool_job *next;             /* the pool's */
    int64_t due_us;                    /* the pool's */
};

struct pool_options {
    const char *name; /* at most 15 bytes, for ps and perf */
    size_t threads;   /* all start at once */
    size_t max_queued;
    int64_t wait_ms; /* a job that has queued so long is late; 0: never */
    int nice;        /* how much the threads yield the CPU to others: 0..19 */
    bool fair;       /* owners take turns; a choice costs O(queue) */
};

MUST_USE enum err pool_open(const struct pool_options *o, struct pool **out);
/* Without limits but max_queued. */
MUST_USE enum err pool_new(const char *name, size_t threads, size_t max_queued, struct pool **out);

/*
 * Queues the job; never blocks. ERR_BUSY when max_queued jobs wait: the job stays the caller's.
 */
MUST_USE enum err pool_submit(struct pool *p, struct pool_job *job);

/* As pool_submit but never refuses: for work that finishes something begun, such as a response. */
void pool_submit_always(struct pool *p, struct pool_job *job);

/* Jobs waiting now: a gauge for metrics. */
size_t pool_queued(struct pool *p);

/* Jobs that became late since the start: a counter for metrics. */
uint64_t pool_late(struct pool *p);

/* Runs what is queued, joins the threads, frees. No submit may race with it. NULL is fine. */
void pool_free(struct pool *p);

#endif
