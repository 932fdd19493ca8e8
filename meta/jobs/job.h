/*
 * Background jobs, as their rows in `jobs` have them: any session may do a job, one at a time does.
 *
 *     a round:  look (an idle gateway writes nothing) -> job_take() -> transactions -> results
 *
 * Taking a job draws a random token. Each transaction of a round begins with job_begin(), which
 * locks the job's row and fails the transaction unless the row has that token: a session that was
 * paused and replaced changes nothing any more, whatever it read before. So what a round read under
 * its token holds until its transaction, as far as only this job changes it. The job's state stands
 * in the same row and is written by those transactions only.
 *
 * To add a job of rows: a function `enum err x_round(struct meta *, struct job_round *)` in a file
 * of its own, and a line in the table of fs/jobs/jobs.c.
 */
#ifndef KISEKI_META_JOBS_JOB_H
#define KISEKI_META_JOBS_JOB_H

#include "meta/core/meta.h"

/* One round: what the scheduler asks for, and what the round reports to it. */
struct job_round {
    /* the scheduler's */
    const char *name;        /* of the row in `jobs` */
    int64_t lease_ms;        /* without a sign of life for so long the job is anybody's */
    size_t budget;           /* items, about: then others have their turn */
    bool (*stop)(void *arg); /* NULL: never. The round ends soon once it is true */
    void *arg;
    /* the round's */
    size_t done;   /* items */
    size_t failed; /* items that were set aside until later; the others went on */
    bool more;     /* there is more to do now */
};

static inline bool job_stops(const struct job_round *r)
{
    return r->stop != NULL && r->stop(r->arg);
}

#endif
