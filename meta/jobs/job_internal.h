/* Holding a job (meta/jobs/job.h), for the files of meta/ that have one. */
#ifndef KISEKI_META_JOBS_JOB_INTERNAL_H
#define KISEKI_META_JOBS_JOB_INTERNAL_H

#include "meta/core/handle.h"
#include "meta/jobs/job.h"

#define JOB_STATE_MAX 160

struct job_hold {
    const struct job_round *round;
    int64_t token;
    bool held;                 /* false: another session has the job, or it was lost */
    char state[JOB_STATE_MAX]; /* a line of text; job_begin() writes it when it has changed */
    char written[JOB_STATE_MAX];
};

/* Takes the job for its lease, unless another session has it: *out->held. Blocks. */
MUST_USE enum err job_take(struct meta *m, const struct job_round *r, struct job_hold *out);

/* Makes `u` a write whose first statement proves the token and renews the lease. */
void job_begin(struct job_hold *h, struct sql_unit *u, struct arena *a);
/*
 * meta_write(), but OK with held = false when the job was taken by another session: nothing was
 * done, and the round is over.
 */
MUST_USE enum err job_write(struct meta *m, struct job_hold *h, struct sql_unit *u);

#endif
