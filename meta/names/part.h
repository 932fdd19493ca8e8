/*
 * The parts of multipart uploads: their bytes. A part's content is an inode without a key;
 * completion links the parts' pieces to a new inode and moves no data. See meta/core/meta.h for
 * errors and threads, meta/README.md for the races.
 */
#ifndef KISEKI_META_NAMES_PART_H
#define KISEKI_META_NAMES_PART_H

#include "meta/names/object.h"
#include "meta/names/upload.h"

struct part_put {
    struct str bucket, key, upload;
    struct part part; /* inode from meta_next_id() */
    struct content content;
};
/* Replaces a part of the same number. ERR_NOT_FOUND as above; slices as in object_put(). */
MUST_USE enum err part_put(struct meta *m, const struct part_put *p,
                           enum meta_missing *out_missing);

/* A part with bytes offset..offset+len of `source`, whose epoch tag the caller holds. */
MUST_USE enum err part_copy(struct meta *m, const struct part_put *p, const struct object *source,
                            uint64_t offset, uint64_t len, enum meta_missing *out_missing);

/*
 * Makes the object from `parts` (ascending numbers, as part_list() gave them: the inodes are
 * checked in the transaction). ERR_CONFLICT: a part changed meanwhile, or the upload was completed:
 * list again. Conditions and errors of object_put(). `result` is kept with the upload for replays.
 * 10,000 parts cost one round trip. A part that has its bytes itself must be of 4 MiB at most.
 */
MUST_USE enum err upload_complete(struct meta *m, const struct object_put *p, struct str upload,
                                  const struct part *parts, size_t count, struct str result,
                                  enum meta_missing *out_missing);

#endif
