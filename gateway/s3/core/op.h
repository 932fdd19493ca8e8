/*
 * An S3 operation: one row in the routing table (routes.c), one handler. Nothing elsewhere compares
 * names of operations or handlers: what must be known of an operation stands in its row.
 * `kiseki routes` prints the table.
 *
 * A handler reads its parameters (request.h), makes one or two calls of fs/ and meta/, and fills
 * the reply (reply.h); what is common to all is done by phases (phases.h). It runs on a worker
 * thread and may block. It returns S3_OK with the reply filled in, or the code of an error, with
 * details in r->error; the pipeline writes the document. Memory comes from r->arena and lives until
 * the reply is sent.
 */
#ifndef KISEKI_GATEWAY_S3_CORE_OP_H
#define KISEKI_GATEWAY_S3_CORE_OP_H

#include "gateway/access/authorize.h"
#include "gateway/errors/errors.h"
#include "gateway/http/request.h"

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

/* Groups of headers that not every operation obeys (headers.def has the group of each). */
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
     * bucket must be there: whoever acts on a bucket or an object acts on one that is. Whether the
     * bucket's context (context.h) is wanted is another question: the decision may rest on it, for
     * some principals, or the handler reads it.
     */
    enum resource resource;
    const char *action;         /* the IAM action that it needs */
    const char *version_action; /* instead of it when the request has a versionId; NULL: the same */
    const char *source_action;  /* of a copy: what it needs for its source's object, or NULL */
    bool reads_context;         /* the handler reads the context of its bucket */
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

/* The table, most specific row first; ends with a row whose name is NULL. */
extern const struct s3_op s3_ops[];

/*
 * The row for this request, or NULL with *out_code (MethodNotAllowed; NotImplemented for a
 * sub-resource that no row knows) in `r->error`. Uses method, scope, args and headers of `r`.
 */
const struct s3_op *s3_route(struct s3_request *r, enum s3_code *out_code);

size_t s3_op_count(void);
/* The name of a row: for metrics. */
const char *s3_op_name(size_t row);

#endif
