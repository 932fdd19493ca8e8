/* Deleting slices that nothing names any more: for the job (fs/jobs.c) and for gc. */
#ifndef KISEKI_FS_DOOMED_H
#define KISEKI_FS_DOOMED_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct fs;

/*
 * Deletes some that are due, unless another session does it; asks `stop` (or NULL) between two.
 * *out_deleted: how many. A slice whose deletion fails stays doomed and comes up again. Blocks.
 */
MUST_USE enum err doomed_round(struct fs *fs, bool (*stop)(void *arg), void *arg,
                               size_t *out_deleted);

#endif
