/*
 * Background work of a volume: one thread that reclaims what is dead and deletes doomed slices.
 * A failed round is logged and tried again later, with backoff. Tools have none.
 */
#ifndef KISEKI_FS_JOBS_H
#define KISEKI_FS_JOBS_H

#include "base/err.h"

struct fs;
struct jobs;

MUST_USE enum err jobs_start(struct fs *fs, struct jobs **out);
/* Something died: look soon. Never blocks. NULL is fine. */
void jobs_poke(struct jobs *j);
/* Ends the running round early, and no other begins. Never blocks. NULL is fine. */
void jobs_cancel(struct jobs *j);
/* Ends the running round early and joins the thread. NULL is fine. */
void jobs_stop(struct jobs *j);

#endif
