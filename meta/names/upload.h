/*
 * Multipart uploads, without the bytes of their parts (meta/names/part.h). See meta/core/meta.h for
 * errors and threads, meta/README.md for the races.
 */
#ifndef KISEKI_META_NAMES_UPLOAD_H
#define KISEKI_META_NAMES_UPLOAD_H

#include "meta/core/meta.h"
#include "meta/names/key.h"

struct upload {
    uint64_t id;
    struct str upload; /* the id that clients see */
    struct str key;
    uint64_t owner;
    int64_t initiated_ms;
    struct str storage_class;
    struct pairs headers, tags;
    int checksum;      /* algorithm and type asked for; 0 none */
    struct str result; /* of a completed one (ptr not NULL): opaque, as upload_complete put it */
};

struct part {
    int number;
    uint64_t inode;
    int64_t size;
    struct str etag;
    int64_t mtime_ms;
    struct str checksum; /* opaque */
};

/* upload->upload is made here (random, URL-safe). ERR_NOT_FOUND: no bucket. */
MUST_USE enum err upload_create(struct meta *m, struct arena *a, struct str bucket, struct str key,
                                struct upload *inout);

/* ERR_NOT_FOUND with *out_missing (bucket, or upload: unknown, aborted, of another key). */
MUST_USE enum err upload_get(struct meta *m, struct arena *a, struct str bucket, struct str key,
                             struct str upload, struct upload *out, enum meta_missing *out_missing);

/* Parts after number `after`, at most `max`, by number. ERR_NOT_FOUND as in upload_get(). */
MUST_USE enum err part_list(struct meta *m, struct arena *a, struct str bucket, struct str key,
                            struct str upload, int after, size_t max, struct upload *out_upload,
                            struct part **out, size_t *out_count, bool *out_more,
                            enum meta_missing *out_missing);

/* Its parts become dead. ERR_NOT_FOUND as in upload_get(). */
MUST_USE enum err upload_abort(struct meta *m, struct str bucket, struct str key, struct str upload,
                               enum meta_missing *out_missing);

struct upload_list_query {
    struct str bucket, prefix, delimiter;
    struct str key_marker, upload_marker;
    size_t max;
};
struct upload_entry {
    bool is_prefix;
    struct str key;
    struct upload upload;
};
MUST_USE enum err upload_list(struct meta *m, struct arena *a, const struct upload_list_query *q,
                              struct upload_entry **out, size_t *out_count, bool *out_more);

#endif
