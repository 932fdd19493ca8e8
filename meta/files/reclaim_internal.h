/* What the files of the job "reclaim" share (meta/files/reclaim.h). */
#ifndef KISEKI_META_FILES_RECLAIM_INTERNAL_H
#define KISEKI_META_FILES_RECLAIM_INTERNAL_H

#include "meta/jobs/job_internal.h"

enum dead_kind {
    DEAD_INODE = 1,
    DEAD_PIECE = 2,
    DEAD_LINKS = 3,
    DEAD_KINDS = 4, /* those before are freed here, and the next is stamped only */
    DEAD_BUCKET = 4 /* a deleted bucket: for the job "buckets" (meta/names/bucket_forget.c) */
};

/* The job while it is held. */
struct reclaim {
    struct meta *meta;
    struct job_round *round;
    struct job_hold hold;
};

/* The next ripe ones of a kind, oldest first; at most `max`. Moves the hint of the kind. */
MUST_USE enum err reclaim_ripe(struct meta *m, struct arena *a, enum dead_kind kind, size_t max,
                               uint64_t **out, size_t *out_count);

/*
 * One transaction each, on some that are ripe. *out_count: how many entries were looked at; 0: none
 * is left. The job may be lost meanwhile (hold.held).
 */
MUST_USE enum err reclaim_inodes(struct reclaim *r, struct arena *a, size_t *out_count);
MUST_USE enum err reclaim_links(struct reclaim *r, struct arena *a, size_t *out_count);
MUST_USE enum err reclaim_pieces(struct reclaim *r, struct arena *a, size_t *out_count);

/*
 * Adds the statement for each multiplicity in numbers[count] (which gets sorted), with those that
 * stand in it so many times. So one statement serves nearly all.
 */
typedef struct sql_call *(*counted)(struct sql_unit *u, struct p_ids ids, struct p_times times);
MUST_USE enum err reclaim_add_counted(struct sql_unit *u, counted add, uint64_t *numbers,
                                      size_t count);

#endif
