/*
 * Slice names, and what becomes of slices and files that nothing names any more (meta/README.md:
 * epochs, doomed slices, ranges of dead sessions). All but slice_name_next() block.
 */
#ifndef KISEKI_META_FILES_RECLAIM_H
#define KISEKI_META_FILES_RECLAIM_H

#include "meta/jobs/job.h"
#include "meta/core/meta.h"
#include "meta/files/record.h"

/* A name never used before, of a range that our session holds; mostly without the database. */
MUST_USE enum err slice_name_next(struct meta *m, struct slice_name *out);

/* Slices of a failed upload, whose PUTs have ended: their objects will be deleted. */
MUST_USE enum err slices_doom(struct meta *m, const struct slice_name *slices, size_t count);

/*
 * Rounds of background jobs (meta/jobs/job.h). Each does nothing, and writes nothing, when there is
 * nothing to do or another session has the job.
 *
 * reclaim_round: stamps the dead, frees what is past every session's epoch (files, pieces, slices
 *     into doomed). What it costs does not depend on how much waits.
 * sessions_round: reaps sessions whose lease is over, dooms the orphans of their ranges.
 * usage_round: adds up usage.
 * uploads_round: removes completed uploads after their week.
 * buckets_round: aborts the uploads of buckets that were deleted.
 */
MUST_USE enum err reclaim_round(struct meta *m, struct job_round *r);
MUST_USE enum err sessions_round(struct meta *m, struct job_round *r);
MUST_USE enum err usage_round(struct meta *m, struct job_round *r);
MUST_USE enum err uploads_round(struct meta *m, struct job_round *r);
MUST_USE enum err buckets_round(struct meta *m, struct job_round *r);

/*
 * The job "doomed", whose deletions are fs/jobs/doomed.c's: up to `max` slices that are due, and
 * the token under which we have them. ERR_NOT_FOUND: none is, or another session does it.
 */
struct doomed {
    struct slice_name *slices; /* in the caller's arena */
    size_t count;
    int64_t token;
};
MUST_USE enum err doomed_take(struct meta *m, const struct job_round *r, struct arena *a,
                              size_t max, struct doomed *out);
/* Their objects are deleted (first pass: due again later; second pass: the row goes). */
MUST_USE enum err doomed_done(struct meta *m, const struct job_round *r, int64_t token,
                              const struct slice_name *slices, size_t count);
/*
 * Their objects could not be deleted, all for the reason `why`: due again after a minute, then two,
 * up to a day. *out_new: how many failed for the first time.
 */
MUST_USE enum err doomed_set_aside(struct meta *m, const struct job_round *r, int64_t token,
                                   const struct slice_name *slices, size_t count, const char *why,
                                   size_t *out_new);

#endif
