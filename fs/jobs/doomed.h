/* Deleting slices that nothing names any more: for the job (fs/jobs/jobs.c) and for gc. */
#ifndef KISEKI_FS_JOBS_DOOMED_H
#define KISEKI_FS_JOBS_DOOMED_H

#include "meta/jobs/job.h"

struct fs;

/*
 * A round of the job "doomed" (meta/jobs/job.h): deletes slices that are due, many at once by the
 * I/O threads. One that cannot be deleted is set aside with a retry time of its own. A store that
 * does not answer at all (ERR_BUSY for every slice) ends the round with that error. Blocks.
 */
MUST_USE enum err doomed_round(struct fs *fs, struct job_round *r);

#endif
