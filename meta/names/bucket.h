/*
 * Buckets: rows that hold keys. See meta/core/meta.h for errors and threads.
 */
#ifndef KISEKI_META_NAMES_BUCKET_H
#define KISEKI_META_NAMES_BUCKET_H

#include "meta/core/meta.h"

struct bucket {
    uint64_t id;
    struct str name;
    uint64_t owner;
    struct str region;
    int64_t created_ms;
    uint64_t generation;
    int versioning; /* 0 never, 1 enabled, 2 suspended */
    bool object_lock;
};

/* ERR_EXISTS (and *out describes the one that is there, so that its owner can be compared). */
MUST_USE enum err bucket_create(struct meta *m, struct arena *a, struct str name, uint64_t owner,
                                struct str region, struct bucket *out);
/* ERR_NOT_FOUND. Always asks the database. */
MUST_USE enum err bucket_get(struct meta *m, struct arena *a, struct str name, struct bucket *out);
/*
 * ERR_NOT_FOUND; ERR_NOT_EMPTY when it holds keys or versions. Its uploads are found no more, and
 * aborted by the job "buckets", which has as much to do as there are parts. Two round trips.
 */
MUST_USE enum err bucket_delete(struct meta *m, struct str name);

/*
 * Those of `owner` (0: of all) whose names start with `prefix` and come after `after`, in byte
 * order, at most `max`. *out_more: there are others.
 */
MUST_USE enum err bucket_list(struct meta *m, struct arena *a, uint64_t owner, struct str prefix,
                              struct str after, size_t max, struct bucket **out, size_t *out_count,
                              bool *out_more);

#endif
