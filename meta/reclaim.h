/*
 * Slice names, and what becomes of slices and files that nothing names any more (meta/README.md:
 * epochs, doomed slices, ranges of dead sessions). All but slice_name_next() block.
 */
#ifndef KISEKI_META_RECLAIM_H
#define KISEKI_META_RECLAIM_H

#include "meta/meta.h"
#include "meta/record.h"

/* A name never used before, of a range that our session holds; mostly without the database. */
MUST_USE enum err slice_name_next(struct meta *m, struct slice_name *out);

/* Slices of a failed upload, whose PUTs have ended: their objects will be deleted. */
MUST_USE enum err slices_doom(struct meta *m, const struct slice_name *slices, size_t count);

/*
 * One round of the job "reclaim", if no other session does it: stamps the dead, frees what is past
 * every session's epoch (files, pieces, slices into doomed), reaps sessions whose lease is over,
 * dooms the orphans of their ranges, folds usage. *out_did: something was done, call again soon.
 */
MUST_USE enum err reclaim_round(struct meta *m, bool *out_did);

/* Up to `max` doomed slices that are due. ERR_NOT_FOUND: none is, or another session does it. */
MUST_USE enum err doomed_take(struct meta *m, struct arena *a, size_t max, struct slice_name **out,
                              size_t *out_count);
/* Their objects are deleted (first pass: due again later; second pass: the row goes). */
MUST_USE enum err doomed_done(struct meta *m, const struct slice_name *slices, size_t count);

#endif
