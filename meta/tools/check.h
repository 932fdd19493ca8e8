/*
 * Whether the rows of a volume agree with each other: the half of `kiseki fsck` that needs no
 * store, and what the other half and `kiseki scrub` walk through. See meta/core/meta.h for errors
 * and threads.
 *
 * Each check is one statement, hence of one state: gateways at work give no false findings. Counts
 * of slices take a walk through all pieces; what looks wrong there is looked at twice
 * (fs/tools/fsck.c).
 */
#ifndef KISEKI_META_TOOLS_CHECK_H
#define KISEKI_META_TOOLS_CHECK_H

#include "meta/core/meta.h"
#include "meta/files/record.h"

typedef void check_report(void *arg, const char *finding);

#define CHECK_ROWS_MAX 1000 /* findings of one kind that are reported */

/* All checks of rows; `report` is called for each finding. `each` (or NULL) after each check. */
MUST_USE enum err check_rows(struct meta *m, check_report *report, void *arg,
                             void (*each)(void *arg));
size_t check_row_count(void);

/*
 * Sets right what is certain: counts of references, entries of what is dead, tokens, usage.
 * ERR_BUSY: another session lives (its transactions would come between). *out_repaired: rows that
 * changed.
 */
MUST_USE enum err check_repair_rows(struct meta *m, uint64_t *out_repaired);

struct check_totals {
    uint64_t pieces, slices, last_slice;
};
MUST_USE enum err check_totals(struct meta *m, struct check_totals *out);

struct check_piece {
    uint64_t id, len;
    int64_t refs;
    struct str records; /* packed */
};
/* Pieces after `after` by id, at most `max`. In the arena. */
MUST_USE enum err check_pieces(struct meta *m, struct arena *a, uint64_t after, size_t max,
                               struct check_piece **out, size_t *out_count);

struct check_slice {
    struct slice_name name;
    int64_t refs;
};
/* Rows of slices with ids in [from, to), after `after`. */
MUST_USE enum err check_slices(struct meta *m, struct arena *a, uint64_t from, uint64_t to,
                               uint64_t after, size_t max, struct check_slice **out,
                               size_t *out_count);
/* The row of this slice gets `refs` (0: it goes, and its object is doomed). As repair_rows. */
MUST_USE enum err check_repair_slice(struct meta *m, struct slice_name name, int64_t refs);

/* Which of these stand in `slices`, or may be deleted or on their way; out[count]. */
MUST_USE enum err check_known(struct meta *m, const struct slice_name *names, size_t count,
                              bool *out);

/* "bucket/key bucket/key ..." of those that use the piece, escaped; in the arena. */
MUST_USE enum err check_users(struct meta *m, struct arena *a, uint64_t piece, struct str *out);
/* Still in use? */
MUST_USE enum err check_piece_lives(struct meta *m, uint64_t piece, bool *out);

/* --- what may be freed ------------------------------------------------------------------------ */

struct gc_counts {
    int64_t files, pieces, links; /* dead, not freed yet */
    int64_t slices;               /* to be deleted */
    int64_t slices_again;         /* deleted once; again after the upload time limit */
    int64_t again_in_ms;          /* until the last of those */
    int64_t sessions;             /* whose lease is over */
    int64_t ranges;               /* of slice names, that sessions which are gone had */
    int64_t live_sessions;
    int64_t kept;      /* of the dead, kept by --keep-deleted */
    int64_t set_aside; /* could not be deleted; neither in `slices` nor `slices_again` */
    char why[256];     /* of one of them */
};
MUST_USE enum err gc_count(struct meta *m, struct gc_counts *out);
/* Slices that were set aside are due now. */
MUST_USE enum err gc_retry(struct meta *m);

#endif
