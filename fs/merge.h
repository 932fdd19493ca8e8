/*
 * Merging fragmented files in the background: where many small range writes lie over each other,
 * the bytes are read, written as slices, and linked as one (meta/README.md, "Merging"). Readers and
 * writers go on meanwhile; what they read does not change. For fs/jobs.c.
 */
#ifndef KISEKI_FS_MERGE_H
#define KISEKI_FS_MERGE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct fs;

/*
 * At most `max` runs of one file, unless another session is at it. *out_did: call again. Blocks.
 * `stop` is asked for each run of bytes that is copied: true ends with ERR_CANCELLED, nothing lost.
 */
MUST_USE enum err merge_round(struct fs *fs, size_t max, bool (*stop)(void *arg), void *arg,
                              bool *out_did);

#endif
