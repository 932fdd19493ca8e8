/*
 * Frees at once what the background jobs free by themselves: for a volume that no gateway serves,
 * and for operators who want to see it done. Needs a volume opened as a tool.
 */
#ifndef KISEKI_FS_TOOLS_GC_H
#define KISEKI_FS_TOOLS_GC_H

#include "base/progress.h"
#include "fs/fs.h"
#include "meta/tools/check.h"

/*
 * Frees until nothing is left that may go now: what running readers of gateways still see stays,
 * and what --keep-deleted keeps. With `wait` also until each slice is deleted the second time,
 * which is due after the upload time limit. Blocks.
 */
MUST_USE enum err gc_run(struct fs *fs, bool wait, struct progress *p, struct gc_counts *out_left);

#endif
