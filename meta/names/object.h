/*
 * Keys and their files: look up, put, copy, delete, list. See meta/core/meta.h for errors and
 * threads, meta/README.md for the transactions.
 *
 * A bucket is named by its name in every call, so that an operation needs no look-up first; a
 * missing bucket is reported by enum meta_missing. Each function is one round trip unless it says
 * otherwise.
 */
#ifndef KISEKI_META_NAMES_OBJECT_H
#define KISEKI_META_NAMES_OBJECT_H

#include "meta/core/meta.h"
#include "meta/names/pairs.h"
#include "meta/files/record.h"

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

/* Bytes start..start+len of the file are bytes piece_off.. of that piece; piece 0: zeros. */
struct object_extent {
    uint64_t start, len, piece_off;
    uint64_t token;
    uint64_t piece;
    struct str records; /* packed: meta/files/record.h; empty for piece 0 */
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
    const struct object_extent *extents; /* sorted by (start, token) */
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

/* --- content: what a writer made, to be linked by a commit ----------------------------------- */

struct content_piece {
    uint64_t id;
    uint64_t start, len;
    struct str records;              /* packed */
    const struct slice_name *slices; /* new slices, one reference each */
    size_t slice_count;
};

/* Either data (small: everything) or pieces that cover [0, size) without gaps, or size 0. */
struct content {
    uint64_t size;
    struct str data;
    const struct content_piece *pieces;
    size_t piece_count;
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
    /*
     * The condition on a file that is written at ranges waits for writes under way; with this set
     * it does not: ERR_AGAIN, nothing was done, ask again without it.
     */
    bool no_wait;
};

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

struct object_delete {
    struct str bucket, key;
    struct str version; /* "", or "null" */
    struct object_cond cond;
    /* out */
    enum err result; /* OK also when there was nothing; ERR_CONDITION; ERR_NOT_FOUND: no bucket, or
                        no key under a condition */
    enum meta_missing missing;
};

/* Each on its own merits, all in as few round trips as batching gives. */
void object_delete(struct meta *m, struct object_delete *items, size_t count);

/* --- listing --------------------------------------------------------------------------------- */

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
