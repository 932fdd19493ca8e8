/*
 * A key's row: what is known of a file without its bytes, and conditions on it. Nothing but data:
 * what fs/ takes from above and passes on unread is made of it (fs/file.h).
 */
#ifndef KISEKI_META_NAMES_KEY_H
#define KISEKI_META_NAMES_KEY_H

#include "base/err.h"
#include "meta/names/pairs.h"

struct object_extent; /* where the bytes are: meta/files/content.h */

/* What ERR_NOT_FOUND means. */
enum meta_missing { META_MISSING_NONE, META_MISSING_BUCKET, META_MISSING_KEY, META_MISSING_UPLOAD };

/* What stands in a key's row. */
struct object_attr {
    uint64_t inode;
    int64_t size;
    struct str etag; /* without quotes */
    int64_t mtime_ms;
    uint64_t owner;
    struct str storage_class; /* "" is STANDARD */
    int checksum;             /* algorithm and type, opaque to meta; 0 none */
    struct str version;       /* "null" outside versioning */
    bool marker;
};

/* The state of a file that a reader sees (meta/README.md, "Writing at a range"). */
struct object_view {
    uint64_t token;
    struct str open; /* tokens not committed then, a JSON array; "" none */
};

struct object {
    uint64_t bucket_id;
    uint64_t bucket_generation;
    int bucket_versioning;
    struct object_attr attr;
    struct pairs headers;
    struct pairs tags;
    struct str checksum; /* opaque */
    struct str parts;    /* opaque */
    struct str ranged;   /* 32 hex digits of a file that is written at ranges; "" others */
    struct object_view view;
    struct str data; /* a small file's bytes; ptr NULL: see extents (or not asked for) */
    const struct object_extent *extents; /* of meta/ and fs/: meta/files/content.h */
    size_t extent_count;
    bool more_extents; /* object_extents() has those after the last one */
};

enum object_want {
    OBJECT_ATTR, /* HEAD: neither data nor extents */
    OBJECT_DATA  /* data, or the first few extents that touch [offset, offset + len) */
};

struct object_get {
    struct str bucket, key;
    struct str version; /* "" latest */
    enum object_want want;
    uint64_t offset, len; /* UINT64_MAX: to the end. Unknown (a suffix range): 0 and UINT64_MAX */
};

/* No object has this ETag: a condition on it fails, where an empty string would not be one. */
#define OBJECT_NO_ETAG STR("\"\"")

/* Conditions, evaluated inside the transaction on the locked row. Empty strings: none. */
struct object_cond {
    bool if_absent;           /* If-None-Match: * */
    bool if_present;          /* If-Match: * */
    struct str if_match;      /* etag, without quotes */
    struct str if_none_match; /* etag, without quotes: refuse when the key has it */
    bool has_size, has_mtime; /* DELETE: x-amz-if-match-size and -last-modified-time */
    int64_t if_size, if_mtime_s;
    bool has_unmodified; /* of writes at a range only: If-Unmodified-Since */
    int64_t if_unmodified_s;
    /*
     * The condition on a file that is written at ranges waits for writes under way; with this set
     * it does not: ERR_AGAIN, nothing was done, ask again without it.
     */
    bool no_wait;
};

/* Is there any; one under which the key must be there; one that compares its ETag? Pure. */
bool object_cond_any(const struct object_cond *c);
bool object_cond_wants_key(const struct object_cond *c);
bool object_cond_has_etag(const struct object_cond *c);
/*
 * Does it hold of a file that is there? In C: for changes that have it locked. Pure. SQL has the
 * same meaning; tests/conditions_cases.h has the cases.
 */
bool object_cond_holds(const struct object_cond *c, const struct object_attr *now);

struct object_delete {
    struct str bucket, key;
    struct str version; /* "", or "null" */
    struct object_cond cond;
    /* out */
    enum err result; /* OK also when there was nothing; ERR_CONDITION; ERR_NOT_FOUND: no bucket, or
                        no key under a condition */
    enum meta_missing missing;
};

#endif
