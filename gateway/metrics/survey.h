/*
 * What /metrics shows that takes SQL or a disk to know: usage a bucket, backlogs, sessions, free
 * room. A thread of its own looks every five seconds; a scrape prints what it found last, never
 * waits, and shows how old that is.
 * Threads: survey_write() by any; start and stop by main.
 */
#ifndef KISEKI_GATEWAY_METRICS_SURVEY_H
#define KISEKI_GATEWAY_METRICS_SURVEY_H

#include "base/buf.h"

struct fs;
struct survey;

/* Folders whose disks are looked at; NULL: none. Copied. */
struct survey_folders {
    const char *metadata, *store, *cache;
};

/* Looks once at once. ERR_NOMEM: no memory, or no thread. */
MUST_USE enum err survey_start(struct fs *fs, const struct survey_folders *folders,
                               struct survey **out);
/* Before fs_close(). NULL is fine. */
void survey_stop(struct survey *s);

/* Appends the figures; those that were never known are left out. NULL is fine. */
void survey_write(struct survey *s, struct buf *out);

#endif
