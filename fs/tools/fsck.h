/*
 * Whether a volume is whole: its rows against each other (meta/tools/check.h), the counts of its
 * slices, and, if asked for, its backing store: each slice that is used is there with its size, and
 * what is there is used. Findings are certain also beside gateways at work; repairs want to be
 * alone.
 */
#ifndef KISEKI_FS_TOOLS_FSCK_H
#define KISEKI_FS_TOOLS_FSCK_H

#include "base/progress.h"
#include "fs/fs.h"
#include "meta/tools/check.h"

struct fsck {
    bool repair;
    bool store; /* look at the backing store too */
    bool quiet;
    check_report *report;
    void *arg;
    /* out */
    uint64_t findings, repaired;
};

/*
 * Memory does not grow with the volume. Data that is lost is reported, and left as it is. Blocks.
 * With `repair`, ERR_BUSY while another session lives.
 */
MUST_USE enum err fsck_run(struct fs *fs, struct fsck *f);

#endif
