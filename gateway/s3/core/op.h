/*
 * An S3 operation: one row in the routing table (routes.c), one handler (ops.h).
 *
 * The pipeline (pipeline.c) does what every operation needs, in this order:
 *     headers normalized (headers.h) -> route -> authenticate -> refuse what is not built, and
 *           conditions that nothing could evaluate (refuse.c) -> [owner expected, before_body]
 *           -> body (framing and checksums verified, into memory or into a writer)
 *           -> handle on a worker, whose statements prove that the caller may do it (authorize.h)
 *           -> reply, or the error document -> access line and metrics
 * So a handler reads its parameters, makes one or two calls of fs/ and meta/, and fills the reply.
 *
 * A handler runs on a worker thread and may block. It returns S3_OK with the reply filled in, or
 * the code of an error, with details in r->error; the pipeline writes the document. Memory comes
 * from r->arena and lives until the reply is sent.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_OP_H
#define KISEKI_GATEWAY_S3_CORE_OP_H

#include "fs/fs.h"
#include "fs/memory/reservation.h"
#include "fs/read/reader.h"
#include "fs/write/writer.h"
#include "gateway/access/authorize.h"
#include "gateway/sign/chunked.h"
#include "gateway/sign/verify.h"
#include "gateway/http/request.h"
#include "gateway/errors/errors.h"
#include "gateway/s3/proto/payload.h"
#include "meta/access/access.h"
#include "meta/names/object.h"

#include <stdatomic.h>

struct metrics;
struct s3_request;

enum s3_scope { S3_SERVICE, S3_BUCKET, S3_OBJECT };

/* What becomes of a request's body. */
enum s3_body {
    S3_BODY_IGNORED, /* read up to a small limit, verified, not looked at */
    S3_BODY_MEMORY,  /* collected into r->body, up to op->body_max */
    S3_BODY_FILE     /* written into r->writer */
};

/* How a body is checked beyond what its signature says of it. */
enum s3_integrity {
    S3_INTEGRITY_OFFERED,   /* Content-MD5 and x-amz-checksum-*, when they are given */
    S3_INTEGRITY_REQUIRED,  /* one of them must be given */
    S3_INTEGRITY_OF_OBJECT, /* x-amz-checksum-* describe the object, not this body */
};

enum s3_early { S3_EARLY_NEVER, S3_EARLY_LARGE, S3_EARLY_ALWAYS };

/* Groups of headers that not every operation obeys (headers.def says which header is of which). */
enum s3_takes {
    S3_TAKES_CONDITIONS = 1u << 0,   /* If-Match, If-None-Match */
    S3_TAKES_PATCH = 1u << 1,        /* Content-Range, If-Unmodified-Since */
    S3_TAKES_OFFSET = 1u << 2,       /* x-amz-write-offset-bytes */
    S3_TAKES_SOURCE = 1u << 3,       /* x-amz-copy-source and what goes with it */
    S3_TAKES_SOURCE_RANGE = 1u << 4, /* x-amz-copy-source-range */
    S3_TAKES_DELETE = 1u << 5,       /* x-amz-if-match-size, x-amz-if-match-last-modified-time */
};
/* A read that has no use for them ignores them, as S3 does: they could only make it fail. */
#define S3_TAKES_OF_READS (S3_TAKES_CONDITIONS | S3_TAKES_PATCH)

/* A document of a bucket or an object that an operation reads. */
enum s3_document {
    S3_DOCUMENT_NONE,
    S3_DOCUMENT_ACCELERATE,
    S3_DOCUMENT_ACL,
    S3_DOCUMENT_BUCKET_TAGS,
    S3_DOCUMENT_CORS,
    S3_DOCUMENT_ENCRYPTION,
    S3_DOCUMENT_LEGAL_HOLD,
    S3_DOCUMENT_LIFECYCLE,
    S3_DOCUMENT_LOCK,
    S3_DOCUMENT_LOGGING,
    S3_DOCUMENT_NOTIFICATION,
    S3_DOCUMENT_OBJECT_TAGS,
    S3_DOCUMENT_OWNERSHIP,
    S3_DOCUMENT_POLICY,
    S3_DOCUMENT_POLICY_STATUS,
    S3_DOCUMENT_PUBLIC_ACCESS_BLOCK,
    S3_DOCUMENT_REPLICATION,
    S3_DOCUMENT_REQUEST_PAYMENT,
    S3_DOCUMENT_RETENTION,
    S3_DOCUMENT_VERSIONING,
    S3_DOCUMENT_WEBSITE,
    S3_DOCUMENTS
};

/*
 * A row: all that the pipeline must know of an operation. Nothing elsewhere compares names of
 * operations or their handlers.
 */
struct s3_op {
    const char *name; /* AWS's name of the operation: logs, metrics and docs */

    /* what selects it */
    const char *method;
    enum s3_scope scope;
    const char *query;  /* a query argument that selects it, or NULL */
    const char *query2; /* a second one that must be there too, or NULL */
    const char *header; /* a header that selects it, or NULL */

    /*
     * What it takes. `args`: the other query arguments that it reads, with commas between them, or
     * NULL. `takes`: of enum s3_takes; headers that are in no group may come with any operation.
     */
    const char *args;
    unsigned takes;

    /*
     * Who may do it: gateway/access/authorize.h decides by these. `resource` also says whether the
     * bucket must be there: whoever acts on a bucket or an object acts on one that is.
     */
    enum resource resource;
    const char *action;         /* the IAM action that it needs */
    const char *version_action; /* instead of it when the request has a versionId; NULL: the same */
    const char *source_action;  /* of a copy: what it needs for its source's object, or NULL */
    bool everybody; /* needs no signature and blocks on nothing: runs on the epoll thread */

    /* its body */
    enum s3_body body;
    size_t body_max; /* S3_BODY_MEMORY: in bytes */
    enum s3_integrity integrity;
    bool keeps_sums; /* S3_BODY_FILE: the MD5 and a checksum of the body are kept with it */
    bool is_form;    /* multipart/form-data, with its signature in a field */

    enum s3_document document;
    /*
     * Whose threads call `handle`; with S3_BODY_FILE once all of the body is stored, for which no
     * thread waits. See s3_go_on() for what turns out later.
     */
    enum http_lane lane;

    /*
     * Optional: checked before the body is read, on a worker. S3_EARLY_LARGE: only when refusing
     * early spares a client something (it waits for 100 Continue, and sends conditions or much):
     * a small upload costs no second look at the database, its commit decides.
     */
    enum s3_early early;
    enum s3_code (*before_body)(struct s3_request *r);
    enum s3_code (*handle)(struct s3_request *r); /* NULL: known, not built: 501 */
};

/* It changes nothing. */
static inline bool s3_op_reads(const struct s3_op *op)
{
    return op->method[0] == 'G' || op->method[0] == 'H';
}

/* The query argument belongs to it: it selects the row, or the row names it. */
bool s3_op_takes_arg(const struct s3_op *op, struct str name);

/* Requests at once that may ask the database for an access key: a quarter of the usual workers. */
#define S3_ASKING_MAX 16

/* What all requests share. Immutable after start, but for what fs/ and metrics guard. */
struct s3 {
    struct fs *fs;
    struct meta *meta;
    struct metrics *metrics;
    struct str region;
    const struct str *domains; /* virtual-host domains */
    size_t domain_count;
    char host_id[33];        /* x-amz-id-2: tells gateways apart */
    _Atomic unsigned asking; /* requests that ask for an access key now */
};

enum s3_step { S3_STEP_AUTH, S3_STEP_BEFORE_BODY, S3_STEP_HANDLE };

struct s3_request {
    /* set by the pipeline before the handler runs */
    struct http_request *http;
    struct s3 *s3;
    struct arena *arena;
    const struct s3_op *op;             /* NULL while routing failed */
    struct str bucket;                  /* "" in service scope */
    struct str key;                     /* "" in bucket scope */
    bool is_head;                       /* HEAD: errors carry no body */
    const struct sigv4_header *headers; /* the request's, for the pure parts */
    size_t header_count;
    const struct sigv4_arg *args;
    size_t arg_count;
    struct auth auth;
    struct access_key access;             /* the key of the signature */
    struct principal who;                 /* who asks; anonymous without a signature */
    struct authorize_answer grant;        /* what it may do, and what depends on the bucket */
    struct authorize_answer source_grant; /* of a copy: the same of its source */
    struct access_proof proof;
    uint64_t expected_owner[ACCESS_BUCKETS]; /* by enum owner_of: found to be as expected; 0: not */

    /* the body, when handle runs */
    struct buf body;                /* S3_BODY_MEMORY */
    struct reservation reservation; /* of `body` and the answer; the pipeline's */
    struct writer *writer;          /* S3_BODY_FILE; the pipeline frees it */
    struct payload_result digest;   /* of what was received */
    /* S3_BODY_FILE: which checksum to compute when the client gives none; before_body may set it */
    enum checksum_algo default_algo;
    bool algo_is_fixed; /* no other than default_algo is taken: UploadPart */

    /* the handler's */
    struct s3_error error;
    struct file file; /* closed by the pipeline when the reply is sent */

    void *state; /* of a handler that goes on later; in the arena */
    /* a generator that the reply has not got yet: the pipeline closes it */
    struct http_body *unsent;

    /* the pipeline's own */
    enum s3_step step;
    enum s3_code (*resume)(struct s3_request *r); /* of s3_go_on() and s3_wait() */
    bool waits;
    struct auth_request auth_request;
    struct http_sink sink;
    struct payload payload;
    struct chunked chunked;
    bool framed;          /* chunked is in use */
    bool has_payload;     /* payload is in use */
    enum s3_code refused; /* what authentication by the key in memory said */
    bool is_asking;       /* counted in s3->asking */
    unsigned refusals;    /* err_memory_refusals() when this step began */
    size_t decoded;       /* bytes at the front of the next piece that chunked has seen already */
    int64_t expected;     /* payload bytes, -1 unknown */
    enum s3_code failed;
};

/* The table, most specific row first; ends with a row whose name is NULL. */
extern const struct s3_op s3_ops[];

/*
 * The row for this request, or NULL with *out_code (MethodNotAllowed; NotImplemented for a
 * sub-resource that no row knows) in `r->error`. Uses method, scope, args and headers of `r`.
 */
const struct s3_op *s3_route(struct s3_request *r, enum s3_code *out_code);

/* --- going on later --------------------------------------------------------------------------- */

/*
 * For handlers: `return s3_go_on(...)` has `next` called on a thread of that lane. From a lane's
 * queue the request may also be refused: nothing but the request's own things may be held.
 */
enum s3_code s3_go_on(struct s3_request *r, enum http_lane lane,
                      enum s3_code (*next)(struct s3_request *r));
/*
 * The same after http_request_resume_work(r->http), which somebody has promised to call: no thread
 * waits. `next` is called in any case, in HTTP_LANE_WORK.
 */
enum s3_code s3_wait(struct s3_request *r, enum s3_code (*next)(struct s3_request *r));
/*
 * OK, or ERR_CANCELLED: the gateway stops, or the client has left. Work that takes longer than some
 * milliseconds asks every few MiB.
 */
MUST_USE enum err s3_still_wanted(const struct s3_request *r);

/* --- parameters ------------------------------------------------------------------------------- */

/* The first value of a query argument; ptr NULL when it is missing, not NULL when it is empty. */
struct str s3_arg(const struct s3_request *r, const char *name);
bool s3_has_arg(const struct s3_request *r, const char *name);
/* A header's value; ptr NULL when missing. Those that S3 knows come once (headers.h). */
struct str s3_header(const struct s3_request *r, const char *name);
/* If-Match or If-None-Match is there. */
bool s3_has_conditions(const struct s3_request *r);
/*
 * A whole number 0..max of a query argument (`fallback` when missing or empty); larger ones are
 * cut to `max`. InvalidArgument otherwise.
 */
enum s3_code s3_arg_number(struct s3_request *r, const char *name, int64_t max, int64_t fallback,
                           int64_t *out);

/* versionId: absent, "null" or unknown here (NoSuchVersion). */
enum s3_code s3_version_id(struct s3_request *r, struct str *out);

/* --- replies ---------------------------------------------------------------------------------- */

/* Adds a header, logs what cannot be sent. */
void s3_reply_header(struct s3_request *r, const char *name, struct str value);
void s3_reply_header_cstr(struct s3_request *r, const char *name, const char *value);
/* `ETag: "value"`. */
void s3_reply_etag(struct s3_request *r, struct str etag);
/* x-amz-checksum-<algo> (`value-N` if composite and `with_parts`) and -type. Nothing for NONE. */
void s3_reply_checksum(struct s3_request *r, const struct checksum *sum, bool with_parts);

/* <ChecksumCRC32>...</ChecksumCRC32>. Nothing for NONE. */
void s3_xml_checksum(struct buf *xml, const struct checksum *sum, bool with_parts);
/* <element><ID/><DisplayName/></element> of an account; nothing for one that is not known. */
void s3_xml_owner(const struct s3_request *r, const char *element, uint64_t id, struct buf *xml);

/* 200 with an XML document made in `xml`, whose bytes are moved into the arena's care. */
enum s3_code s3_reply_xml(struct s3_request *r, struct buf *xml);
/* No body. */
enum s3_code s3_reply_empty(struct s3_request *r, unsigned status);

/* The code for a failure of a lower layer, whose text is logged under the request's id. */
enum s3_code s3_fail_err(struct s3_request *r, enum err err, const char *doing);
/* ERR_NOT_FOUND by what was missing: NoSuchBucket, NoSuchKey, NoSuchUpload with their elements. */
enum s3_code s3_fail_missing(struct s3_request *r, enum meta_missing missing);
/*
 * What a look-up or commit of meta/ or fs/ gave: S3_OK for OK, a failed condition, a conflict, what
 * was missing; the rest as s3_fail_err() has it.
 */
enum s3_code s3_fail_commit(struct s3_request *r, enum err err, enum meta_missing missing,
                            const char *doing);

#endif
