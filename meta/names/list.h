/*
 * Listing a bucket's keys. See meta/core/meta.h for errors and threads.
 */
#ifndef KISEKI_META_NAMES_LIST_H
#define KISEKI_META_NAMES_LIST_H

#include "meta/core/meta.h"
#include "meta/names/key.h"

struct object_list_query {
    struct str bucket;
    struct str prefix;
    struct str delimiter; /* any length; "" none */
    struct str after;     /* begin after this key or common prefix, exclusive */
    bool after_is_prefix; /* `after` is a common prefix: skip all keys below it */
    size_t max;           /* entries and common prefixes together; 0 gives nothing */
};

struct object_entry {
    bool is_prefix; /* key is a common prefix; attr is empty */
    struct str key;
    struct object_attr attr;
};

struct object_list {
    struct bucket_ref {
        uint64_t id, generation, owner;
        int versioning;
    } bucket;
    const struct object_entry *entries; /* byte order, prefixes in place */
    size_t count;
    bool more;
};

/*
 * ERR_NOT_FOUND: no such bucket. One index range scan; if a delimiter folds what it finds, one skip
 * scan more (a second round trip), so that a page costs the same however many keys are folded.
 */
MUST_USE enum err object_list(struct meta *m, struct arena *a, const struct object_list_query *q,
                              struct object_list *out);

#endif
