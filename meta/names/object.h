/*
 * Keys and their files: look up, put, copy, delete. See meta/core/meta.h for errors and
 * threads, meta/README.md for the transactions.
 *
 * A bucket is named by its name in every call, so that an operation needs no look-up first; a
 * missing bucket is reported by enum meta_missing. Each function is one round trip unless it says
 * otherwise.
 */
#ifndef KISEKI_META_NAMES_OBJECT_H
#define KISEKI_META_NAMES_OBJECT_H

#include "meta/core/meta.h"
#include "meta/files/content.h"
#include "meta/names/key.h"

/* ERR_NOT_FOUND with *out_missing. A latest delete marker is ERR_NOT_FOUND with attr.marker set. */
MUST_USE enum err object_get(struct meta *m, struct arena *a, const struct object_get *q,
                             struct object *out, enum meta_missing *out_missing);

/* Extents of a file that touch [offset, offset + len), at most `max`, as o->view has them. */
MUST_USE enum err object_extents(struct meta *m, struct arena *a, const struct object *o,
                                 uint64_t offset, uint64_t len, size_t max,
                                 struct object_extent **out, size_t *out_count, bool *out_more);

/*
 * The same for piles of writes that are too high for that: extents without records, in order of
 * (start, token), those after `after` (zeroed: from the first one on).
 */
MUST_USE enum err object_links(struct meta *m, struct arena *a, const struct object *o,
                               uint64_t offset, uint64_t len, const struct object_extent *after,
                               size_t max, struct object_extent **out, size_t *out_count);
/* Fills in the records of these extents. */
MUST_USE enum err object_records(struct meta *m, struct arena *a, struct object_extent *extents,
                                 size_t count);

struct object_put {
    struct str bucket, key;
    uint64_t inode;          /* from meta_next_id() */
    struct object_attr attr; /* etag, mtime_ms, owner, storage_class, checksum */
    struct pairs headers, tags;
    struct str checksum, parts; /* opaque; empty: none */
    struct content content;
    struct object_cond cond;
};

/*
 * Makes the key point at a new file. ERR_CONDITION (412) when cond does not hold, ERR_NOT_FOUND
 * (bucket, or the key under if_match/if_present) with *out_missing. After ERR_UNKNOWN the content
 * must be neither reused nor deleted; after any other error its slices are the caller's to doom.
 */
MUST_USE enum err object_put(struct meta *m, const struct object_put *p,
                             enum meta_missing *out_missing);

/*
 * Makes p's key point at a new file with the bytes of `source` (read by object_get, whose epoch tag
 * the caller holds): pieces are linked, small data copied inside the database. p->content is not
 * used. Attributes are all from p.
 */
MUST_USE enum err object_copy(struct meta *m, const struct object_put *p,
                              const struct object *source, enum meta_missing *out_missing);

/* Each on its own merits, all in as few round trips as batching gives. */
void object_delete(struct meta *m, struct object_delete *items, size_t count);

#endif
