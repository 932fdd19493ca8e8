/*
 * The inside of writing at a range (fs/file.h): what the background job that merges needs of it.
 */
#ifndef KISEKI_FS_WRITE_RANGE_WRITE_H
#define KISEKI_FS_WRITE_RANGE_WRITE_H

#include "fs/file.h"

/* The same bytes of a file, in fewer pieces (meta/README.md, "Merging"). */
struct range_merge {
    struct str bucket, key;
    const struct object *now; /* as it was opened, after `token` was drawn */
    uint64_t lo, hi;
    uint64_t token; /* above all that was written there before */
    int64_t lock_ms;
};

/*
 * `w` has what `now` has from `lo` on, up to `hi` or its end. Takes the range's lock. ERR_CONFLICT:
 * the file was replaced. Resolves the writer.
 */
MUST_USE enum err range_merge(struct writer *w, struct arena *a, const struct range_merge *x);

#endif
