/*
 * What to merge (meta/README.md, "Merging"): files that were written at ranges, and the runs of
 * them that consist of many small links. For the job of fs/jobs/merge.c. See meta/core/meta.h for
 * errors.
 */
#ifndef KISEKI_META_FILES_MERGE_H
#define KISEKI_META_FILES_MERGE_H

#include "meta/jobs/job.h"

#define MERGE_SMALL   ((uint64_t)1 << 20)  /* a link of so many bytes is left where it is */
#define MERGE_LINKS   64                   /* fewer small ones in 64 MiB are no trouble */
#define MERGE_DENSITY ((uint64_t)64 << 10) /* nor are those that have so many bytes each */

struct merge_file {
    uint64_t inode;
    struct str bucket; /* its name; ptr NULL: it is gone */
    struct str key;
    uint64_t token; /* its last write that was folded */
};

/*
 * Takes the job, and the next file: they have their turn one after the other. ERR_NOT_FOUND: no
 * file is to be looked at, or another session does it.
 */
MUST_USE enum err merge_next(struct meta *m, const struct job_round *r, struct arena *a,
                             struct merge_file *out);
/* The first run at or after `from`; at most 64 MiB. ERR_NOT_FOUND: there is none. */
MUST_USE enum err merge_run(struct meta *m, uint64_t inode, uint64_t from, uint64_t *out_lo,
                            uint64_t *out_hi);
/* The file is done; if it was written meanwhile it comes up again. */
MUST_USE enum err merge_done(struct meta *m, const struct merge_file *f);
/* It could not be merged: tried again after a minute, then two, up to a day. */
MUST_USE enum err merge_set_aside(struct meta *m, const struct merge_file *f, bool *out_first);

#endif
