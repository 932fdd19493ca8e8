/*
 * Background work of a volume: a table of jobs (fs/jobs/jobs.c), each with its own thread, timer
 * and backoff, so that none is in another's way.
 *
 *     period --> a round (meta/jobs/job.h) --> more to do: again at once
 *       ^            |                    nothing:    after the period, or when poked
 *       |            +-- failed: logged when it begins to fail, again after 1, 2, 4 ... 60 s
 *
 * A thing that fails does not fail its round: it is set aside with its own retry time, and counted.
 * Many gateways may have the same jobs: the row in SQL says which of them has a job. Tools have
 * none.
 *
 * Threads: jobs_poke and jobs_stats from any, they never block; jobs_add and jobs_stop from one.
 */
#ifndef KISEKI_FS_JOBS_H
#define KISEKI_FS_JOBS_H

#include "meta/jobs/job.h"

struct fs;
struct jobs;

#define JOBS_MAX 24

struct job {
    const char *name; /* of its row and in metrics; [a-z]{1,15}; lives as long as the jobs */
    int64_t period_ms;
    int64_t lease_ms;
    size_t budget; /* items a round, about */
    /* One of them; blocks. OK with round->failed for what was set aside. */
    enum err (*meta_round)(struct meta *m, struct job_round *r);
    enum err (*fs_round)(struct fs *fs, struct job_round *r);
    enum err (*round)(void *owner, struct job_round *r); /* of jobs_add */
    bool frees;                                          /* gc runs it, too (fs/tools/gc.h) */
};

struct job_stats {
    const char *name;
    uint64_t rounds, failures; /* rounds that succeeded and that failed */
    uint64_t items, set_aside; /* done; failed and put off */
    int64_t last_success_ms;   /* wall clock; 0: never since the start */
};

/* The jobs of fs/ and meta/, in the order in which one makes work for the next. */
extern const struct job jobs_table[];
extern const size_t jobs_table_count;

/* Starts the jobs of the table. */
MUST_USE enum err jobs_start(struct fs *fs, struct jobs **out);
/*
 * Starts one more, for layers above; `job` is copied, `owner` goes to job->round and must live
 * until jobs_stop(). ERR_NOMEM: more than JOBS_MAX, or no thread.
 */
MUST_USE enum err jobs_add(struct jobs *j, const struct job *job, void *owner);
/* Something died: all look soon. Never blocks. NULL is fine. */
void jobs_poke(struct jobs *j);
/* Ends the running rounds early, and no other begins. Never blocks. NULL is fine. */
void jobs_cancel(struct jobs *j);
/* Ends the running rounds early and joins the threads. NULL is fine. */
void jobs_stop(struct jobs *j);

/* Fills out[0..n) in the order of the table; n <= max. NULL has none. */
size_t jobs_stats(struct jobs *j, struct job_stats *out, size_t max);

#endif
