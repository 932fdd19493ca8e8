/*
 * Reading everything: each slice that a file uses is read whole from the backing store, and each of
 * its granules checked against the CRC64NVME that its record carries. A volume opened as a tool.
 */
#ifndef KISEKI_FS_TOOLS_SCRUB_H
#define KISEKI_FS_TOOLS_SCRUB_H

#include "base/progress.h"
#include "fs/fs.h"
#include "meta/tools/check.h"

struct scrub {
    uint64_t rate;   /* bytes a second; 0: as fast as can be */
    bool sizes_only; /* asks for each slice's size instead of reading it */
    struct progress *progress;
    check_report *report;
    void *arg;
    /* out */
    uint64_t slices, bytes, bad;
};

/*
 * One finding a slice that is missing, of another length, or wrong, with the objects that use it. A
 * slice that is freed meanwhile is not one. Blocks. ERR_BUSY and the like when the store does not
 * answer.
 */
MUST_USE enum err scrub_run(struct fs *fs, struct scrub *s);

#endif
