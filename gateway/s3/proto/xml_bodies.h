/*
 * The XML bodies of requests: Delete, CompleteMultipartUpload, CreateBucketConfiguration.
 *
 * Unknown elements are ignored, as S3 does; a wrong root, a missing or repeated-beyond-limit
 * element or a malformed value is MalformedXML. Results live in the arena.
 */
#ifndef KISEKI_GATEWAY_S3_PROTO_XML_BODIES_H
#define KISEKI_GATEWAY_S3_PROTO_XML_BODIES_H

#include "base/arena.h"
#include "gateway/s3/proto/checksum.h"

#define XML_DELETE_MAX   1000  /* keys of a DeleteObjects */
#define XML_COMPLETE_MAX 10000 /* parts of a CompleteMultipartUpload */
/* The largest body worth reading. */
#define XML_BODY_MAX (8 * 1024 * 1024)

struct delete_item {
    struct str key;
    struct str version_id; /* empty: none */
    bool has_etag;
    struct str etag; /* as written, quotes kept */
    bool has_mtime;
    int64_t mtime_ms;
    bool has_size;
    uint64_t size;
};

struct delete_body {
    bool quiet;
    struct delete_item *items;
    size_t count; /* 1..XML_DELETE_MAX */
};

/* An empty key is kept (the operation answers it per key). */
MUST_USE enum s3_code xml_parse_delete(struct arena *arena, struct str body,
                                       struct delete_body *out, struct s3_error *error);

struct complete_part {
    uint32_t number;     /* 1..10000 */
    struct str etag;     /* without quotes */
    struct checksum sum; /* algo NONE if not given */
};

struct complete_body {
    struct complete_part *parts; /* in the body's order: the operation checks it */
    size_t count;
};

/* MalformedXML; InvalidArgument for a part number out of range. */
MUST_USE enum s3_code xml_parse_complete(struct arena *arena, struct str body,
                                         struct complete_body *out, struct s3_error *error);

/* An empty body gives an empty location. */
MUST_USE enum s3_code xml_parse_create_bucket(struct arena *arena, struct str body,
                                              struct str *out_location, struct s3_error *error);

#endif
