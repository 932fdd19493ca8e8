/*
 * Merging fragmented files in the background: where many small range writes lie over each other,
 * the bytes are read, written as slices, and linked as one (meta/README.md, "Merging"). Readers and
 * writers go on meanwhile; what they read does not change. For fs/jobs/jobs.c.
 */
#ifndef KISEKI_FS_JOBS_MERGE_H
#define KISEKI_FS_JOBS_MERGE_H

#include "meta/jobs/job.h"

struct fs;

/*
 * A round of the job "merge" (meta/jobs/job.h): at most r->budget runs of one file; files have
 * their turn one after the other. A file that cannot be merged is set aside. Blocks; r->stop is
 * asked for each run of bytes that is copied: true ends with ERR_CANCELLED, and nothing is lost.
 */
MUST_USE enum err merge_round(struct fs *fs, struct job_round *r);

#endif
